/* The sandbox's own pages, below /_sandbox: what it counted, and how it behaves from now on. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/internal.h"

#define LIST_MAX    100000u
#define DOUBLED_MAX 1000u

static void add_totals(const struct sandbox *s, cJSON *o) {
    const struct sandbox_totals *t = &s->tally.totals;
    cJSON *totals = cJSON_AddObjectToObject(o, "totals");
    tree_add_u64(totals, "posts", t->posts);
    tree_add_u64(totals, "created", t->created);
    tree_add_u64(totals, "refused", t->refused);
    tree_add_u64(totals, "lookups", t->lookups);
    tree_add_u64(totals, "keys", t->keys);
    tree_add_u64(totals, "doubled", t->doubled);
}

static cJSON *key_of(const struct sandbox *s, const struct tally_key *k) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "provider", endpoints[k->endpoint].name);
    tree_add_text(o, "key", (struct span){k->name, k->name_len});
    cJSON_AddNumberToObject(o, "posts", k->posts);
    cJSON_AddNumberToObject(o, "created", k->created);
    cJSON *ids = cJSON_AddArrayToObject(o, "ids");
    for (uint32_t i = k->first; i != TALLY_NONE; i = s->tally.orders[i].next) {
        /* its id as in the create answer, always as a string */
        const struct tally_order *order = &s->tally.orders[i];
        cJSON_AddItemToArray(
            ids, form_id(endpoints[order->endpoint].write_id, tally_serial(&s->tally, i), order->created_ms));
    }
    return o;
}

struct filter {
    const char *provider, *key; /* NULL: any */
    const char *account;
    uint32_t offset, limit;
};

static bool matches(const struct sandbox *s, const struct filter *f, const struct tally_key *k) {
    return (f->provider == NULL || strcmp(endpoints[k->endpoint].name, f->provider) == 0) &&
           (f->key == NULL || span_is((struct span){k->name, k->name_len}, f->key)) &&
           (f->account == NULL || strcmp(s->callers[k->caller]->name, f->account) == 0);
}

/* Adds up to `max` matching keys; returns how many there are. */
static uint32_t add_keys(const struct sandbox *s, const struct filter *f, bool doubled_only, uint32_t max,
                         cJSON *list) {
    uint32_t n = 0, skipped = 0;
    for (uint32_t i = 0; i < s->tally.key_count; i++) {
        const struct tally_key *k = &s->tally.keys[i];
        if ((doubled_only && k->created < 2) || !matches(s, f, k) || skipped++ < f->offset)
            continue;
        if (n++ < max)
            cJSON_AddItemToArray(list, key_of(s, k));
    }
    return n;
}

static uint32_t number_or(const struct request *r, const char *name, uint32_t otherwise) {
    const char *text = query_value(r, name);
    return text == NULL ? otherwise : (uint32_t)strtoul(text, NULL, 10);
}

static void get_orders(struct sandbox *s, const struct request *r, struct reply *reply) {
    struct filter f = {.provider = query_value(r, "provider"),
                       .key = query_value(r, "key"),
                       .account = query_value(r, "account"),
                       .offset = number_or(r, "offset", 0),
                       .limit = number_or(r, "limit", LIST_MAX)};
    const struct filter all = {0};
    reply->status = 200;
    cJSON *o = cJSON_CreateObject();
    add_totals(s, o);
    add_keys(s, &all, true, DOUBLED_MAX, cJSON_AddArrayToObject(o, "doubled"));
    uint32_t limit = f.limit < LIST_MAX ? f.limit : LIST_MAX;
    uint32_t n = add_keys(s, &f, false, limit, cJSON_AddArrayToObject(o, "orders"));
    cJSON_AddNumberToObject(o, "more", n > limit ? n - limit : 0);
    reply_tree(s, o);
}

static void get_arrivals(struct sandbox *s, const struct request *r, struct reply *reply) {
    const char *name = query_value(r, "account");
    uint16_t index;
    struct caller *c = name == NULL ? NULL : caller_named(s, name, &index);
    if (c == NULL) {
        reply_message(s, reply, 400, "account: a bearer token, or the user of basic credentials");
        return;
    }
    uint64_t kept = c->arrival_count < ARRIVALS_MAX ? c->arrival_count : ARRIVALS_MAX;
    reply->status = 200;
    cJSON *o = cJSON_CreateObject();
    tree_add_u64(o, "count", c->arrival_count);
    cJSON *arrivals = cJSON_AddArrayToObject(o, "arrivals_ms");
    for (uint64_t i = c->arrival_count - kept; i < c->arrival_count; i++)
        cJSON_AddItemToArray(
            arrivals, cJSON_CreateNumber(c->arrivals == NULL ? 0 : (double)c->arrivals[i % ARRIVALS_MAX]));
    reply_tree(s, o);
}

static void write_status(struct sandbox *s, struct reply *reply) {
    cJSON *o = cJSON_CreateObject();
    reply->status = 200;
    cJSON_AddItemToObject(o, "settings", trouble_json(&s->trouble));
    add_totals(s, o);
    cJSON *list = cJSON_AddArrayToObject(o, "endpoints");
    for (uint16_t i = 0; i < endpoint_count; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "provider", endpoints[i].name);
        cJSON_AddStringToObject(one, "post", endpoints[i].path);
        cJSON_AddItemToArray(list, one);
    }
    reply_tree(s, o);
}

struct setting_walk {
    struct sandbox_trouble trouble;
    struct err err;
    bool failed;
};

static enum MHD_Result set_one(void *arg, enum MHD_ValueKind kind, const char *name, const char *value) {
    struct setting_walk *w = arg;
    (void)kind;
    if (strcmp(name, "account") == 0)
        return MHD_YES;
    w->failed = sandbox_trouble_set(&w->trouble, name, value == NULL ? "" : value, &w->err) != 0;
    return w->failed ? MHD_NO : MHD_YES;
}

/* All of the query's settings, or none of them. */
static void post_set(struct sandbox *s, const struct request *r, struct reply *reply) {
    const char *name = query_value(r, "account");
    uint16_t index;
    struct caller *c = name == NULL ? NULL : caller_named(s, name, &index);
    if (name != NULL && c == NULL) {
        reply_message(s, reply, 400, "account: too many, or too long a name");
        return;
    }
    struct setting_walk w = {.trouble = c != NULL && c->has_trouble ? c->trouble : s->trouble};
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, set_one, &w);
    if (w.failed) {
        reply_message(s, reply, 400, w.err.text);
        return;
    }
    if (c == NULL) {
        s->trouble = w.trouble;
    } else {
        c->has_trouble = true;
        c->trouble = w.trouble;
    }
    write_status(s, reply);
}

/* Forgets orders, counts and arrivals; the behaviour is again that of the start. */
static void post_reset(struct sandbox *s, struct reply *reply) {
    tally_reset(&s->tally);
    s->said_full = false;
    s->trouble = s->options.trouble;
    rng_seed(&s->rng, s->options.seed);
    for (uint32_t i = 0; i < s->caller_count; i++) {
        s->callers[i]->has_trouble = false;
        s->callers[i]->arrival_count = 0;
    }
    write_status(s, reply);
}

void control_handle(struct sandbox *s, struct request *r, struct reply *reply) {
    const char *page = r->path + strlen("/_sandbox");
    bool get = strcmp(r->method, "GET") == 0, post = strcmp(r->method, "POST") == 0;
    if (get && (page[0] == '\0' || strcmp(page, "/") == 0))
        write_status(s, reply);
    else if (get && strcmp(page, "/orders") == 0)
        get_orders(s, r, reply);
    else if (get && strcmp(page, "/arrivals") == 0)
        get_arrivals(s, r, reply);
    else if (post && strcmp(page, "/set") == 0)
        post_set(s, r, reply);
    else if (post && strcmp(page, "/reset") == 0)
        post_reset(s, reply);
    else
        reply_message(s, reply, 404,
                      "GET /_sandbox, /_sandbox/orders, /_sandbox/arrivals?account=…; "
                      "POST /_sandbox/set?…, /_sandbox/reset");
}
