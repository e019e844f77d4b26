/* The sandbox's own pages, below /_sandbox: what it counted, and how it behaves from now on. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/internal.h"

#define LIST_MAX    100000u
#define DOUBLED_MAX 1000u

static void refuse(struct sandbox *s, struct reply *reply, unsigned status, const char *message) {
    buf_reset(&s->out);
    reply->status = status;
    buf_add_char(&s->out, '{');
    form_text(&s->out, "message", message);
    buf_add_char(&s->out, '}');
}

static void write_totals(struct sandbox *s) {
    const struct sandbox_totals *t = &s->tally.totals;
    buf_addf(&s->out,
             "\"totals\":{\"posts\":%llu,\"created\":%llu,\"refused\":%llu,\"lookups\":%llu,"
             "\"keys\":%llu,\"doubled\":%llu}",
             (unsigned long long)t->posts, (unsigned long long)t->created,
             (unsigned long long)t->refused, (unsigned long long)t->lookups,
             (unsigned long long)t->keys, (unsigned long long)t->doubled);
}

/* The order's id as in its create answer, always as a string. */
static void write_id(struct sandbox *s, uint32_t order) {
    const struct tally_order *o = &s->tally.orders[order];
    buf_add_char(&s->out, '"');
    endpoints[o->endpoint].write_id(&s->out, tally_serial(&s->tally, order), o->created_ms);
    buf_add_char(&s->out, '"');
}

static void write_key(struct sandbox *s, const struct tally_key *k) {
    buf_addf(&s->out, "{\"provider\":\"%s\",\"key\":", endpoints[k->endpoint].name);
    buf_add_json_str(&s->out, (struct span){k->name, k->name_len});
    buf_addf(&s->out, ",\"posts\":%u,\"created\":%u,\"ids\":[", k->posts, k->created);
    for (uint32_t o = k->first; o != TALLY_NONE; o = s->tally.orders[o].next) {
        if (o != k->first)
            buf_add_char(&s->out, ',');
        write_id(s, o);
    }
    buf_add_str(&s->out, "]}");
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

/* Writes up to `max` matching keys; returns how many there are. */
static uint32_t write_keys(struct sandbox *s, const struct filter *f, bool doubled_only,
                           uint32_t max) {
    uint32_t n = 0, skipped = 0;
    for (uint32_t i = 0; i < s->tally.key_count; i++) {
        const struct tally_key *k = &s->tally.keys[i];
        if ((doubled_only && k->created < 2) || !matches(s, f, k) || skipped++ < f->offset)
            continue;
        if (n++ >= max)
            continue;
        if (n > 1)
            buf_add_char(&s->out, ',');
        write_key(s, k);
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
    buf_add_char(&s->out, '{');
    write_totals(s);
    buf_add_str(&s->out, ",\"doubled\":[");
    write_keys(s, &all, true, DOUBLED_MAX);
    buf_add_str(&s->out, "],\"orders\":[");
    uint32_t limit = f.limit < LIST_MAX ? f.limit : LIST_MAX;
    uint32_t n = write_keys(s, &f, false, limit);
    buf_addf(&s->out, "],\"more\":%u}", n > limit ? n - limit : 0);
}

static void get_arrivals(struct sandbox *s, const struct request *r, struct reply *reply) {
    const char *name = query_value(r, "account");
    uint16_t index;
    struct caller *c = name == NULL ? NULL : caller_named(s, name, &index);
    if (c == NULL) {
        refuse(s, reply, 400, "account: a bearer token, or the user of basic credentials");
        return;
    }
    uint64_t kept = c->arrival_count < ARRIVALS_MAX ? c->arrival_count : ARRIVALS_MAX;
    reply->status = 200;
    buf_addf(&s->out, "{\"count\":%llu,\"arrivals_ms\":[", (unsigned long long)c->arrival_count);
    for (uint64_t i = c->arrival_count - kept; i < c->arrival_count; i++) {
        if (i > c->arrival_count - kept)
            buf_add_char(&s->out, ',');
        buf_add_u64(&s->out, c->arrivals == NULL ? 0 : c->arrivals[i % ARRIVALS_MAX]);
    }
    buf_add_str(&s->out, "]}");
}

static void write_status(struct sandbox *s, struct reply *reply) {
    reply->status = 200;
    buf_add_str(&s->out, "{\"settings\":");
    trouble_write(&s->trouble, &s->out);
    buf_add_char(&s->out, ',');
    write_totals(s);
    buf_add_str(&s->out, ",\"endpoints\":[");
    for (uint16_t i = 0; i < endpoint_count; i++)
        buf_addf(&s->out, "%s{\"provider\":\"%s\",\"post\":\"%s\"}", i == 0 ? "" : ",",
                 endpoints[i].name, endpoints[i].path);
    buf_add_str(&s->out, "]}");
}

struct setting_walk {
    struct sandbox_trouble trouble;
    struct err err;
    bool failed;
};

static enum MHD_Result set_one(void *arg, enum MHD_ValueKind kind, const char *name,
                               const char *value) {
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
        refuse(s, reply, 400, "account: too many, or too long a name");
        return;
    }
    struct setting_walk w = {.trouble = c != NULL && c->has_trouble ? c->trouble : s->trouble};
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, set_one, &w);
    if (w.failed) {
        refuse(s, reply, 400, w.err.text);
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
        refuse(s, reply, 404,
               "GET /_sandbox, /_sandbox/orders, /_sandbox/arrivals?account=…; "
               "POST /_sandbox/set?…, /_sandbox/reset");
}
