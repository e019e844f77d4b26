/* From the draft to the structs of config.h: accounts, then what there is one of; queues.c does the queues. */
#include "config/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "dray/provider.h"

#define ACCOUNT_MEM_MAX (1u << 20) /* bytes of one account's strings */

/* ---- accounts ---- */

static bool is_set(struct section *section, const char *name) {
    return draft_setting(section, table_key(section->kind, name))->where != NULL;
}

static void apply_provider(struct draft *s, struct section *section, struct account *a) {
    const struct provider *p = a->provider;
    if (!is_set(section, "rate"))
        a->rate = p->default_rate;
    if (!is_set(section, "burst"))
        a->burst = p->default_burst > 0 ? p->default_burst : (uint32_t)ceil(a->rate);
    if (a->burst < 1)
        a->burst = 1;
    if (!is_set(section, "on_absent"))
        a->on_absent = p->default_on_absent;
    if (!is_set(section, "lookup_delay"))
        a->lookup_delay_ms = p->default_lookup_delay_ms;
    if (is_set(section, "base_url"))
        return;
    a->base_url = p->default_base_url;
    if (a->base_url == NULL)
        draft_fault(s, section, table_key(SECTION_ACCOUNT, "base_url"),
                    "is required: provider %s has no default", p->name);
}

static void ask_provider(struct draft *s, struct section *section, const struct account *a) {
    struct err err = {""};
    if (a->provider->check_account == NULL || a->provider->check_account(a, &err) == 0)
        return;
    char known[NAME_MAX_LEN + 16]; /* where the fault is stands before it already */
    int n = snprintf(known, sizeof(known), "account %s: ", a->name);
    bool twice = n > 0 && strncmp(err.text, known, (size_t)n) == 0;
    draft_fault(s, section, NULL, "%s", err.text + (twice ? n : 0));
}

static void apply_fields(struct draft *s, struct section *section, struct account *a, struct arena *mem) {
    struct http_json_options *o = &a->http_json;
    struct err err = {""};
    if (o->fields_file != NULL && fields_read(o->fields_file, mem, &o->fields, &o->field_count, &err) != 0)
        draft_fault(s, section, table_key(SECTION_ACCOUNT, "fields_file"), "%s: %s", o->fields_file,
                    err.text);
}

/* NULL: refused, and reported. */
static struct account *build_account(struct draft *s, struct section *section) {
    struct account_full *full = calloc(1, sizeof(*full));
    if (full == NULL) {
        draft_out_of_memory(s);
        return NULL;
    }
    struct account *a = &full->a;
    uint32_t before = s->faults->count;
    a->refs = 1;
    arena_init(&full->mem, ACCOUNT_MEM_MAX);
    memcpy(a->name, section->name, strlen(section->name) + 1);
    apply_section(s, section, a, &full->mem);
    apply_headers(s, section, a, &full->mem);
    apply_fields(s, section, a, &full->mem);
    if (a->queue[0] == '\0')
        memcpy(a->queue, a->name, sizeof(a->queue));
    if (a->provider != NULL) {
        apply_provider(s, section, a);
        check_limits(s, section, a);
        if (!s->partial && s->faults->count == before) /* no faults that only follow from others */
            ask_provider(s, section, a);
    }
    if (a->provider != NULL && s->faults->count == before)
        return a;
    account_unref(a);
    return NULL;
}

static int compare_accounts(const void *a, const void *b) {
    return strcmp((*(struct account *const *)a)->name, (*(struct account *const *)b)->name);
}

static void build_accounts(struct config_full *full) {
    struct draft *s = &full->draft;
    struct config *c = &full->c;
    c->accounts = arena_alloc(&full->mem, (s->count + 1) * sizeof(struct account *));
    if (c->accounts == NULL) {
        draft_out_of_memory(s);
        return;
    }
    for (size_t i = 0; i < s->count && !s->failed; i++) {
        struct section *section = s->sections[i];
        if (section->kind != SECTION_ACCOUNT)
            continue;
        section->account = build_account(s, section);
        if (section->account != NULL)
            c->accounts[c->account_count++] = section->account;
    }
    qsort(c->accounts, c->account_count, sizeof(struct account *), compare_accounts);
}

/* ---- [redis], [worker], [admin], [trace] ---- */

static void build_redis(struct config_full *full, struct section *section) {
    struct draft *s = &full->draft;
    struct redis_options *o = &full->c.redis, url = {0};
    const struct key *key = table_key(SECTION_REDIS, "url");
    const struct setting *setting = draft_setting(section, key);
    struct err err = {""};
    if (setting->text == NULL && setting->where != NULL)
        return; /* reported */
    if (redis_options_parse(&url, setting->text != NULL ? setting->text : key->def, &full->redis_storage,
                            &err) != 0) {
        draft_fault(s, section, key, "%s", err.text);
        return;
    }
    if (url.username != NULL && o->username != NULL)
        draft_fault(s, section, table_key(SECTION_REDIS, "username"), "`url` names a user too");
    if (url.password != NULL && (is_set(section, "password") || is_set(section, "password_file")))
        draft_fault(s, section, key, "holds a password, and `password` or `password_file` is set too");
    o->unix_path = url.unix_path;
    o->host = url.host;
    o->port = url.port;
    o->database = url.database;
    o->tls = url.tls;
    if (o->username == NULL)
        o->username = url.username;
    if (o->password == NULL)
        o->password = url.password;
}

/* "host-3f9a1c": different for every worker that was given no name. */
static void name_worker(struct config_full *full) {
    char host[256] = "", name[NAME_MAX_LEN + 1];
    uint32_t random = 0;
    size_t n = 0;
    if (full->c.worker_name != NULL)
        return;
    (void)gethostname(host, sizeof(host) - 1);
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint32_t)getpid();
    for (const char *p = host; *p != '\0' && n < 48; p++)
        if (isalnum((unsigned char)*p) || (n > 0 && strchr("_.-", *p) != NULL))
            name[n++] = *p;
    snprintf(name + n, sizeof(name) - n, "%s-%08" PRIx32, n == 0 ? "worker" : "", random);
    full->c.worker_name = arena_copy(&full->mem, name, strlen(name));
    if (full->c.worker_name == NULL)
        draft_out_of_memory(&full->draft);
}

static void build_globals(struct config_full *full) {
    struct draft *s = &full->draft;
    struct config *c = &full->c;
    for (int kind = 0; kind < SECTION_KINDS; kind++) {
        struct section *section = draft_find(s, (enum section_kind)kind, "");
        if (section != NULL)
            apply_section(s, section, c, &full->mem);
        if (section != NULL && kind == SECTION_REDIS)
            build_redis(full, section);
    }
    load_operators(full);
    name_worker(full);
    c->redis.client_name = c->worker_name;
    if (c->redis.command_timeout_ms == 0)
        c->redis.command_timeout_ms = c->lease_ms < 30000 ? (uint32_t)(c->lease_ms / 3) : 10000;
}

void build_config(struct config_full *full) {
    build_globals(full);
    check_globals(full);
    build_accounts(full);
    if (!full->draft.failed)
        build_queues(full);
}
