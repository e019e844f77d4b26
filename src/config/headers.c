/* Keys that carry a name of their own, as many as one likes: `header NAME = value` and
 * `header_file NAME = path`; in the environment DRAY_ACCOUNT_SHOP_HEADER_NAME and …_HEADER_FILE_NAME. */
#include "config/table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dray/provider.h"

/* Those of dray itself, and of a key that says more. */
static const char *const reserved[] = {
    "host", "content-length", "transfer-encoding", "connection", "traceparent", "user-agent", "expect", NULL};

const struct key *table_named_key(enum section_kind kind, const char *text, const char **own) {
    const struct section_info *info = section_infos[kind];
    size_t n = strcspn(text, " \t");
    *own = text + n + strspn(text + n, " \t");
    for (size_t i = 0; i < info->key_count; i++)
        if (info->keys[i].flags & KEY_NAMED && strlen(info->keys[i].name) == n &&
            strncmp(info->keys[i].name, text, n) == 0)
            return &info->keys[i];
    return NULL;
}

static void fault(struct draft *s, const struct section *section, const struct named *n, const char *rule) {
    char q[QUOTED_SIZE], line[24] = "";
    if (n->set.line > 0)
        snprintf(line, sizeof(line), ":%u", n->set.line);
    faults_line(s->partial ? s->warnings : s->faults, "%s%s: [account %s] %s %s: %s", n->set.where, line,
                section->name, n->key->name, quoted(n->name, q), rule);
}

static struct named *find(const struct section *section, const char *name) {
    for (struct named *n = section->named; n != NULL; n = n->next)
        if (strcasecmp(n->name, name) == 0)
            return n;
    return NULL;
}

/* NULL: nothing stands against it. */
static const char *name_rule(const char *name) {
    if (*name == '\0')
        return "needs a name: `header NAME = value`";
    if (!header_name_valid(name) || strlen(name) > HEADER_NAME_MAX)
        return "is no header's name";
    for (size_t i = 0; reserved[i] != NULL; i++)
        if (strcasecmp(name, reserved[i]) == 0)
            return "is a header that dray sets itself";
    return NULL;
}

void draft_set_named(struct draft *s, struct section *section, const struct key *key, const char *name,
                     const char *text, const char *where, uint32_t line) {
    struct named said = {.key = key, .name = name, .set = {.text = text, .where = where, .line = line}};
    const char *rule = name_rule(name);
    if (rule == NULL && (*text == '\0' || !header_value_valid(text)))
        rule = *text == '\0' ? "is empty: give a value or leave the key out" : "holds a control character";
    struct named *n = find(section, name);
    if (rule == NULL && n != NULL && line > 0)
        rule = "stands already";
    if (rule != NULL) {
        fault(s, section, &said, rule);
        return;
    }
    if (n == NULL) {
        n = arena_alloc(&s->mem, sizeof(*n));
        if (n != NULL) {
            struct named **at = &section->named;
            while (*at != NULL)
                at = &(*at)->next;
            *at = n;
        }
    }
    char *copy = arena_copy(&s->mem, name, strlen(name));
    const char *value =
        key->type == &type_file ? draft_path(s, text, where, line) : arena_copy(&s->mem, text, strlen(text));
    if (n == NULL || copy == NULL || value == NULL) {
        draft_out_of_memory(s);
        return;
    }
    n->key = key;
    n->name = copy;
    n->set = (struct setting){.text = value, .where = where, .line = line};
}

static char *make_line(struct draft *s, struct section *section, const struct named *n, struct arena *mem) {
    const char *value = n->set.text;
    struct err err = {""};
    if (n->key->type == &type_file && (value = secret_read(n->set.text, mem, &err)) == NULL) {
        char rule[1024], q[QUOTED_SIZE];
        snprintf(rule, sizeof(rule), "%s: %s", quoted(n->set.text, q), err.text);
        fault(s, section, n, rule);
        return NULL;
    }
    size_t name_len = strlen(n->name), size = name_len + 2 + strlen(value) + 1;
    char *line = arena_alloc(mem, size);
    if (line == NULL)
        draft_out_of_memory(s);
    else
        snprintf(line, size, "%s: %s", n->name, value);
    return line;
}

void apply_headers(struct draft *s, struct section *section, struct account *a, struct arena *mem) {
    size_t count = 0, lines = 0;
    for (const struct named *n = section->named; n != NULL; n = n->next)
        count++;
    if (count == 0 || s->partial)
        return;
    if (a->provider == NULL || strcmp(a->provider->name, "http-json") != 0) {
        fault(s, section, section->named, "belongs to provider http-json");
        return;
    }
    if (count > ACCOUNT_HEADERS_MAX) {
        fault(s, section, section->named, "there are more than 32 of them");
        return;
    }
    struct account_header *all = arena_alloc(mem, (count + 1) * sizeof(*all));
    if (all == NULL) {
        draft_out_of_memory(s);
        return;
    }
    for (const struct named *n = section->named; n != NULL; n = n->next) {
        struct account_header *h = &all[lines++];
        h->line = make_line(s, section, n, mem);
        if (h->line == NULL)
            return;
        if (n->key->type == &type_file)
            h->path = arena_copy(mem, n->set.text, strlen(n->set.text));
    }
    a->http_json.headers = all;
}
