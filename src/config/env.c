/* DRAY_ variables. The names of accounts and queues are known by then, from the files or from DRAY_ACCOUNTS. So
 * a variable is matched against `<NAME>_<KEY>` for each of them, and a name may hold underscores. Where two
 * names fit one variable, that is a fault, not a guess. */
#include "config/table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE_MAX 200 /* bytes of a variable's name that are looked at */

/* A section's name as variables write it. */
struct alias {
    char upper[NAME_MAX_LEN + 1];
    struct section *section;
};

struct environment {
    struct draft *draft;
    struct alias *aliases; /* of one kind, sorted */
    size_t count;
};

static void upper_name(const char *name, char *out, size_t size) {
    size_t i = 0;
    for (; name[i] != '\0' && i + 1 < size; i++)
        out[i] = name[i] == '-' || name[i] == '.' ? '_' : (char)toupper((unsigned char)name[i]);
    out[i] = '\0';
}

static int compare_aliases(const void *a, const void *b) {
    return strcmp(((const struct alias *)a)->upper, ((const struct alias *)b)->upper);
}

static bool collect_aliases(struct environment *e, enum section_kind kind) {
    struct draft *s = e->draft;
    struct alias *aliases = realloc(e->aliases, (s->indexed + 1) * sizeof(struct alias));
    if (aliases == NULL) {
        draft_out_of_memory(s);
        return false;
    }
    e->aliases = aliases;
    e->count = 0;
    for (size_t i = 0; i < s->indexed; i++) {
        if (s->index[i]->kind != kind)
            continue;
        aliases[e->count].section = s->index[i];
        upper_name(s->index[i]->name, aliases[e->count++].upper, sizeof(aliases[0].upper));
    }
    qsort(aliases, e->count, sizeof(struct alias), compare_aliases);
    return true;
}

/* The first alias that is not below `upper`. */
static size_t lower_bound(const struct environment *e, const char *upper) {
    size_t low = 0, high = e->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(e->aliases[middle].upper, upper) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A variable that Kubernetes sets in every pod beside a service named dray or dray-…. */
static bool is_service_link(const char *name, const char *value) {
    size_t n = strlen(name);
    const char *port = strstr(name, "_PORT_");
    if (strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL)
        return true;
    if (port != NULL && isdigit((unsigned char)port[6]))
        return true;
    return n > 5 && strcmp(name + n - 5, "_PORT") == 0 && strstr(value, "://") != NULL;
}

static struct setting *assign(struct environment *e, struct section *section, const struct key *key,
                              const char *variable, const char *value) {
    char *where = arena_copy(&e->draft->mem, variable, strlen(variable));
    if (where == NULL)
        draft_out_of_memory(e->draft);
    else
        draft_set(e->draft, section, key, value, where, 0);
    return draft_setting(section, key);
}

/* What a variable's name was found to say. */
struct match {
    size_t found; /* how many fit; the first is in section and key, the second's section in other */
    struct section *section, *other;
    const struct key *key;
    const char *own; /* a KEY_NAMED row's name, as it stands in the variable; else NULL */
};

/* Every section whose name is the first `n` bytes of `rest`. */
static void add_matches(const struct environment *e, const char *rest, size_t n, const struct key *key,
                        const char *own, struct match *m) {
    char name[NAME_MAX_LEN + 1];
    if (n == 0 || n > NAME_MAX_LEN)
        return;
    memcpy(name, rest, n);
    name[n] = '\0';
    for (size_t i = lower_bound(e, name); i < e->count && strcmp(e->aliases[i].upper, name) == 0; i++) {
        if (m->found++ == 0) {
            m->section = e->aliases[i].section;
            m->key = key;
            m->own = own;
        } else {
            m->other = e->aliases[i].section;
        }
    }
}

/* "SHOP_HEADER_X_STORE", "SHOP_HEADER_FILE_X_KEY": the header's name is what follows. */
static void match_own_name(const struct environment *e, const char *rest, const struct key *key,
                           const char *suffix, struct match *m) {
    size_t n = strlen(suffix);
    for (const char *at = rest; (at = strchr(at, '_')) != NULL; at++) {
        if (strncmp(at + 1, suffix, n) != 0 || at[1 + n] != '_' || at[2 + n] == '\0')
            continue;
        const char *own = at + 2 + n;
        if (key->type == &type_file || strncmp(own, "FILE_", 5) != 0)
            add_matches(e, rest, (size_t)(at - rest), key, own, m);
    }
}

/* Matches "SHOP_EU_TOKEN" against every key and alias. */
static struct match match_named(const struct environment *e, enum section_kind kind, const char *rest) {
    const struct section_info *info = section_infos[kind];
    struct match found = {0};
    size_t n = strlen(rest);
    for (size_t k = 0; k < info->key_count; k++) {
        char suffix[64];
        upper_name(info->keys[k].name, suffix, sizeof(suffix));
        size_t m = strlen(suffix);
        if (info->keys[k].flags & KEY_NAMED)
            match_own_name(e, rest, &info->keys[k], suffix, &found);
        else if (n >= m + 2 && rest[n - m - 1] == '_' && strcmp(rest + n - m, suffix) == 0)
            add_matches(e, rest, n - m - 1, &info->keys[k], NULL, &found);
    }
    return found;
}

/* X_STORE_ID means the header X-STORE-ID: header names know no case, and hold no underscores in practice. */
static void assign_named(struct environment *e, const struct match *m, const char *variable,
                         const char *value) {
    char name[VARIABLE_MAX];
    size_t n = 0;
    for (; m->own[n] != '\0' && n + 1 < sizeof(name); n++)
        name[n] = m->own[n] == '_' ? '-' : m->own[n];
    name[n] = '\0';
    char *where = arena_copy(&e->draft->mem, variable, strlen(variable));
    if (where == NULL)
        draft_out_of_memory(e->draft);
    else
        draft_set_named(e->draft, m->section, m->key, name, value, where, 0);
}

static void try_words(struct nearest *near, char out[static VARIABLE_MAX], const char *section,
                      const char *name, const char *key) {
    char candidate[VARIABLE_MAX], upper[VARIABLE_MAX];
    snprintf(candidate, sizeof(candidate), "DRAY_%s_%s%s%s", section, name, *name != '\0' ? "_" : "", key);
    upper_name(candidate, upper, sizeof(upper));
    const char *before = near->best;
    near->best = NULL;
    nearest_try(near, upper);
    if (near->best != NULL) {
        snprintf(out, VARIABLE_MAX, "%s", upper);
        near->best = out;
    } else {
        near->best = before;
    }
}

#define NEAREST_SECTIONS_MAX 200 /* accounts and queues that are tried for a hint */

static void unknown_variable(struct draft *s, const char *variable) {
    struct nearest near;
    char best[VARIABLE_MAX], hint[128];
    nearest_init(&near, variable);
    nearest_try(&near, "DRAY_CONFIG");
    nearest_try(&near, "DRAY_ACCOUNTS");
    size_t tried = 0;
    for (int kind = 0; kind < SECTION_KINDS; kind++) {
        const struct section_info *info = section_infos[kind];
        for (size_t k = 0; !info->named && k < info->key_count; k++)
            try_words(&near, best, info->name, "", info->keys[k].name);
    }
    for (size_t i = 0; i < s->indexed && tried < NEAREST_SECTIONS_MAX; i++) {
        const struct section_info *info = section_infos[s->index[i]->kind];
        for (size_t k = 0; info->named && k < info->key_count; k++)
            try_words(&near, best, info->name, s->index[i]->name, info->keys[k].name);
        tried += info->named;
    }
    bool named = strncmp(variable, "DRAY_ACCOUNT_", 13) == 0 || strncmp(variable, "DRAY_QUEUE_", 11) == 0;
    faults_line(
        named && s->partial ? s->warnings : s->faults, "%s: there is no such setting%s%s", variable,
        nearest_hint(&near, hint),
        near.best == NULL && named ? " (an account must be named in a file or in DRAY_ACCOUNTS=name,…)" : "");
}

/* Sets what `DRAY_<KIND>_…` says; false when no section and key fit. */
static bool apply_named(struct environment *e, enum section_kind kind, const char *variable, const char *rest,
                        const char *value) {
    struct match m = match_named(e, kind, rest);
    if (m.found == 0)
        return false;
    if (m.found > 1)
        faults_line(e->draft->faults, "%s: fits both [%s %s] and [%s %s]: rename one of them, or use a file",
                    variable, section_infos[kind]->name, m.section->name, section_infos[kind]->name,
                    m.other->name);
    else if (m.own != NULL)
        assign_named(e, &m, variable, value);
    else
        assign(e, m.section, m.key, variable, value);
    return true;
}

static bool apply_global(struct environment *e, const char *variable, const char *rest, const char *value) {
    for (int kind = 0; kind < SECTION_KINDS; kind++) {
        const struct section_info *info = section_infos[kind];
        char prefix[16], name[64];
        upper_name(info->name, prefix, sizeof(prefix));
        size_t n = strlen(prefix);
        if (info->named || strncmp(rest, prefix, n) != 0 || rest[n] != '_')
            continue;
        for (size_t k = 0; k < info->key_count; k++) {
            upper_name(info->keys[k].name, name, sizeof(name));
            if (strcmp(rest + n + 1, name) != 0)
                continue;
            struct section *section = draft_find(e->draft, (enum section_kind)kind, "");
            if (section != NULL)
                assign(e, section, &info->keys[k], variable, value);
            return true;
        }
    }
    return false;
}

enum pass { PASS_NAMES, PASS_ACCOUNTS, PASS_QUEUES, PASS_REST };

/* DRAY_ACCOUNTS=shop-eu,shop-us: accounts that the environment alone defines. */
static void add_accounts(struct draft *s, const char *value) {
    char name[256];
    for (const char *p = value; *p != '\0';) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ", \t");
        snprintf(name, sizeof(name), "%.*s", n < 255 ? (int)n : 255, p);
        p += n;
        char q[QUOTED_SIZE];
        if (n == 0)
            continue;
        if (!name_valid(name))
            faults_line(s->faults, "DRAY_ACCOUNTS: %s is no name (" NAME_RULE ")", quoted(name, q));
        else if (draft_find(s, SECTION_ACCOUNT, name) == NULL)
            draft_add(s, SECTION_ACCOUNT, name, "DRAY_ACCOUNTS", 0);
    }
}

static void apply(struct environment *e, enum pass pass, const char *variable, const char *value) {
    struct draft *s = e->draft;
    const char *rest = variable + 5; /* after DRAY_ */
    bool account = strncmp(rest, "ACCOUNT_", 8) == 0, queue = strncmp(rest, "QUEUE_", 6) == 0;
    if (pass == PASS_NAMES) {
        if (strcmp(rest, "ACCOUNTS") == 0)
            add_accounts(s, value);
    } else if (pass == PASS_ACCOUNTS && account) {
        if (!apply_named(e, SECTION_ACCOUNT, variable, rest + 8, value) && !is_service_link(variable, value))
            unknown_variable(s, variable);
    } else if (pass == PASS_QUEUES && queue) {
        if (!apply_named(e, SECTION_QUEUE, variable, rest + 6, value) && !is_service_link(variable, value))
            unknown_variable(s, variable);
    } else if (pass == PASS_REST && !account && !queue && strcmp(rest, "ACCOUNTS") != 0 &&
               strcmp(rest, "CONFIG") != 0) {
        if (!apply_global(e, variable, rest, value) && !is_service_link(variable, value))
            unknown_variable(s, variable);
    }
}

/* An empty variable counts as not set: that is how compose files leave one out. */
static void run_pass(struct environment *e, char *const *env, enum pass pass) {
    for (size_t i = 0; env != NULL && env[i] != NULL && !e->draft->failed; i++) {
        const char *sign = strchr(env[i], '=');
        if (strncmp(env[i], "DRAY_", 5) != 0 || sign == NULL || sign[1] == '\0')
            continue;
        char variable[VARIABLE_MAX];
        size_t n = (size_t)(sign - env[i]);
        if (n >= sizeof(variable))
            n = sizeof(variable) - 1;
        memcpy(variable, env[i], n);
        variable[n] = '\0';
        apply(e, pass, variable, sign + 1);
    }
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Queues exist because accounts name them. */
static void add_queues(struct draft *s) {
    const char **names = calloc(s->indexed + 1, sizeof(char *));
    size_t count = 0;
    if (names == NULL) {
        draft_out_of_memory(s);
        return;
    }
    for (size_t i = 0; i < s->indexed; i++)
        if (s->index[i]->kind == SECTION_ACCOUNT && name_valid(section_queue(s->index[i])))
            names[count++] = section_queue(s->index[i]);
    qsort(names, count, sizeof(char *), compare_names);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
            draft_need(s, SECTION_QUEUE, names[i]);
    free(names);
}

void load_environment(struct draft *s, char *const *env) {
    struct environment e = {.draft = s};
    for (int kind = 0; kind < SECTION_KINDS; kind++)
        if (!section_infos[kind]->named)
            draft_need(s, (enum section_kind)kind, "");
    run_pass(&e, env, PASS_NAMES);
    draft_index(s);
    if (!s->failed && collect_aliases(&e, SECTION_ACCOUNT))
        run_pass(&e, env, PASS_ACCOUNTS);
    if (!s->failed)
        add_queues(s);
    if (!s->failed)
        draft_index(s);
    if (!s->failed && collect_aliases(&e, SECTION_QUEUE))
        run_pass(&e, env, PASS_QUEUES);
    if (!s->failed)
        run_pass(&e, env, PASS_REST);
    free(e.aliases);
}
