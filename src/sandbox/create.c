/* A POST to a create endpoint.
 *
 * Happy path: credentials → JSON → order key → counted → valid → created → answered.
 * It fails, in this order: credentials (401), body (413, 415, 400), no room (507), `down`, the
 * provider's rules (400 or 422), the key's magic, the random faults, a repeated key (409, only
 * where repeats are refused). The order exists from the moment the POST was read: an answer that is
 * late, broken or missing does not undo it. */
#include <string.h>
#include <strings.h>

#include "sandbox/internal.h"
#include "sandbox/magic.h"

struct creation {
    struct sandbox *s;
    struct request *r;
    struct reply *reply;
    const struct endpoint *endpoint;
    uint16_t endpoint_index, caller;
    uint32_t key; /* TALLY_NONE: the order has none */
    struct span name;
    const struct sandbox_trouble *trouble;
    uint64_t now_ms;
};

void reply_error(struct sandbox *s, uint16_t endpoint, struct reply *reply, unsigned status,
                 const char *code, const char *message) {
    buf_reset(&s->out);
    reply->status = status;
    endpoints[endpoint].write_error(&s->out, &s->rng, status, code, message);
}

static void refuse(struct creation *c, unsigned status, const char *code, const char *message) {
    c->s->tally.totals.refused++;
    reply_error(c->s, c->endpoint_index, c->reply, status, code, message);
}

static void say_full(struct creation *c) {
    if (!c->s->said_full)
        fprintf(stderr,
                "dray sandbox: %u orders or %llu bytes are remembered, and nothing is forgotten: "
                "POSTs are "
                "answered 507 until POST /_sandbox/reset (or a larger --remember, --memory)\n",
                c->s->options.remember, (unsigned long long)c->s->options.memory);
    c->s->said_full = true;
    refuse(c, 507, "full",
           "the sandbox is full: POST /_sandbox/reset, or start it with a larger --remember");
}

bool reply_down(struct sandbox *s, uint16_t endpoint, uint16_t caller, struct reply *reply) {
    unsigned down = caller_trouble(s, caller)->down;
    if (down == SANDBOX_DOWN_HANGUP)
        reply->kind = REPLY_HANGUP;
    else if (down != 0)
        reply_error(s, endpoint, reply, down, down == 401 ? "unauthorized" : "status",
                    "the sandbox is down");
    return down != 0;
}

/* Reads the order's own key into sandbox.scratch; absent where it has none. */
static struct span read_key(struct creation *c) {
    struct sandbox *s = c->s;
    const struct provider *module = s->modules[c->endpoint_index];
    const char *pointer =
        c->endpoint->key_pointer != NULL ? c->endpoint->key_pointer : module->order_key_pointer;
    uint32_t node = json_pointer(&s->doc, 0, pointer);
    buf_reset(&s->scratch);
    if (node == JSON_NONE || json_decode(&s->doc, node, &s->scratch) != 0 || s->scratch.len == 0)
        return (struct span){NULL, 0};
    return buf_span(&s->scratch);
}

/* Finds the key and counts the POST. False: no room, answered. */
static bool count_order(struct creation *c) {
    c->name = read_key(c);
    c->key = TALLY_NONE;
    if (c->name.ptr == NULL)
        return true;
    c->key = tally_key(&c->s->tally, c->caller, c->endpoint_index, c->name);
    if (c->key == TALLY_NONE) {
        say_full(c);
        return false;
    }
    c->s->tally.keys[c->key].posts++;
    return true;
}

/* Parses and counts the order. False: answered. */
static bool read_order(struct creation *c) {
    struct sandbox *s = c->s;
    struct err err;
    const char *type = header_value(c->r, "Content-Type");
    if (c->r->too_large)
        refuse(c, 413, "invalid", "the body is larger than 1 MiB");
    else if (type == NULL || strncasecmp(type, "application/json", 16) != 0)
        refuse(c, 415, "invalid", "Content-Type must be application/json");
    else if (json_parse(&s->doc, c->r->body.data, c->r->body.len, &err) != 0)
        refuse(c, 400, "invalid", err.text);
    else if (json_type(&s->doc, 0) != JSON_OBJECT)
        refuse(c, 400, "invalid", "the body must be an object");
    else
        return count_order(c);
    return false;
}

static bool check_order(struct creation *c) {
    struct sandbox *s = c->s;
    faults_reset(&s->faults);
    if (c->endpoint_index == ENDPOINT_JSON) {
        if (c->name.ptr == NULL)
            faults_add(&s->faults, "order.reference", "is required");
    } else {
        provider_validate(s->modules[c->endpoint_index], &s->doc, 0, &s->faults);
    }
    if (s->faults.count == 0)
        return true;
    const char *first = buf_cstr(&s->faults.first);
    if (strncmp(first, "order.", 6) == 0)
        first += 6; /* the path in the request itself */
    refuse(c, c->endpoint->invalid_status, "invalid", first);
    return false;
}

/* Makes the order and its usual answer. False: no room, answered. */
static bool create(struct creation *c, uint32_t count, bool counts, bool without_id) {
    struct sandbox *s = c->s;
    struct span body = c->endpoint->keeps_body ? buf_span(&c->r->body) : (struct span){NULL, 0};
    if (c->endpoint_index > ENDPOINT_KAKACLO_V1)
        count = 1;
    uint32_t order =
        tally_order(&s->tally, c->key, c->caller, c->endpoint_index, body, count, c->now_ms);
    if (order == TALLY_NONE) {
        say_full(c);
        return false;
    }
    if (counts) {
        s->tally.totals.created++;
        if (c->key != TALLY_NONE && ++s->tally.keys[c->key].created == 2)
            s->tally.totals.doubled++;
    }
    const struct created created = {
        .serial = tally_serial(&s->tally, order),
        .count = count,
        .created_ms = c->now_ms,
        .order = &s->doc,
        .organization = span_str(header_value(c->r, "X-S2-Organization")),
        .without_id = without_id,
    };
    buf_reset(&s->out);
    c->reply->status = c->endpoint->created_status;
    c->endpoint->write_created(&s->out, &created);
    return true;
}

static void add_retry_after(struct creation *c, uint64_t ms, bool as_date) {
    struct reply *reply = c->reply;
    if (!as_date) {
        snprintf(reply->retry_after, sizeof reply->retry_after, "%llu",
                 (unsigned long long)(ms + 999) / 1000);
        return;
    }
    time_t at = (time_t)((c->now_ms + ms + 999) / 1000);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(reply->retry_after, sizeof reply->retry_after, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void answer_status(struct creation *c, unsigned status) {
    if (status >= 300 && status < 400)
        c->reply->location = c->endpoint->path;
    if (status == 429)
        add_retry_after(c, 1000, false);
    reply_error(c->s, c->endpoint_index, c->reply, status,
                status == 401   ? "unauthorized"
                : status == 409 ? "exists"
                                : "status",
                "the sandbox was told to answer so by the order's key");
}

/* The magic that creates nothing. */
static void refuse_by_magic(struct creation *c, const struct magic *m) {
    struct reply *reply = c->reply;
    c->s->tally.totals.refused++;
    switch (m->kind) {
    case MAGIC_PAUSE:
    case MAGIC_DATE:
    case MAGIC_BUSY:
        answer_status(c, m->kind == MAGIC_BUSY ? 503 : 429);
        add_retry_after(c, m->ms, m->kind == MAGIC_DATE);
        break;
    case MAGIC_HANGUPNO:
        reply->kind = REPLY_HANGUP;
        break;
    case MAGIC_REJECT:
        reply_error(c->s, c->endpoint_index, reply, c->endpoint->rejected_status, "rejected",
                    "this order is turned down");
        break;
    case MAGIC_HTML:
        buf_reset(&c->s->out);
        buf_add_str(&c->s->out, "<!DOCTYPE html><title>Maintenance</title><p>We'll be back soon.");
        reply->status = 200;
        reply->content_type = "text/html";
        break;
    default:
        answer_status(c, m->kind == MAGIC_REDIRECT ? 307 : m->status);
    }
}

static void answer_huge(struct sandbox *s) {
    buf_reset(&s->out);
    buf_add_str(&s->out, "{\"padding\":\"");
    char line[1024];
    memset(line, 'x', sizeof line);
    for (unsigned i = 0; i < 1100; i++)
        buf_add(&s->out, line, sizeof line);
    buf_add_str(&s->out, "\"}");
}

/* The magic that creates the order and answers oddly. */
static void create_by_magic(struct creation *c, const struct magic *m) {
    struct buf *out = &c->s->out;
    if (!create(c, m->kind == MAGIC_SPLIT ? m->count : 1, m->kind != MAGIC_DUP,
                m->kind == MAGIC_NOID))
        return;
    switch (m->kind) {
    case MAGIC_LATE:
        answer_status(c, m->status);
        break;
    case MAGIC_HANGUP:
        c->reply->kind = REPLY_HANGUP;
        break;
    case MAGIC_SLOW:
        c->reply->delay_ms = m->ms;
        break;
    case MAGIC_DUP:
        c->s->tally.totals.refused++;
        reply_error(c->s, c->endpoint_index, c->reply, 409, "exists",
                    "there is an order of this number");
        break;
    case MAGIC_GARBAGE:
        buf_reset(out);
        buf_add_str(out, "{\"code\":10000,\"message\":\"suc\x01\xff}{");
        break;
    case MAGIC_TRUNC:
        c->reply->kind = REPLY_TRUNCATED;
        break;
    case MAGIC_EMPTY:
        buf_reset(out);
        break;
    case MAGIC_HUGE:
        answer_huge(c->s);
        break;
    default:
        break;
    }
}

static bool creates(enum magic_kind kind) {
    switch (kind) {
    case MAGIC_LATE:
    case MAGIC_HANGUP:
    case MAGIC_SLOW:
    case MAGIC_GARBAGE:
    case MAGIC_TRUNC:
    case MAGIC_EMPTY:
    case MAGIC_NOID:
    case MAGIC_HUGE:
    case MAGIC_SPLIT:
        return true;
    default:
        return false;
    }
}

/* False: the key has no magic, or it is used up. */
static bool handle_magic(struct creation *c) {
    if (c->key == TALLY_NONE)
        return false;
    struct magic m = magic_parse(c->name);
    struct tally_key *k = &c->s->tally.keys[c->key];
    if (m.kind == MAGIC_NONE || k->magic >= m.times)
        return false;
    k->magic++;
    if (m.kind == MAGIC_DUP && k->first != TALLY_NONE)
        refuse(c, 409, "exists", "there is an order of this number");
    else if (m.kind == MAGIC_DUP || creates(m.kind))
        create_by_magic(c, &m);
    else
        refuse_by_magic(c, &m);
    return true;
}

/* The random faults. False: none hit. */
static bool handle_trouble(struct creation *c) {
    static const unsigned statuses[] = {500, 502, 503, 504};
    struct rng *rng = &c->s->rng;
    if (trouble_hits(rng, c->trouble->slow_rate))
        c->reply->delay_ms = c->trouble->slow_ms;
    if (trouble_hits(rng, c->trouble->fail_rate)) {
        refuse(c, statuses[rng_below(rng, 4)], "status", "the sandbox fails at random");
        return true;
    }
    if (!trouble_hits(rng, c->trouble->hangup_rate))
        return false;
    if (rng_below(rng, 2) == 0)
        c->s->tally.totals.refused++;
    else if (!create(c, 1, true, false))
        return true;
    c->reply->kind = REPLY_HANGUP;
    return true;
}

static void handle(struct creation *c) {
    unsigned status;
    const char *why;
    c->s->tally.totals.posts++;
    if (!caller_read(c->s, c->r, c->endpoint->auth, &c->caller, &status, &why)) {
        refuse(c, status, status == 401 ? "unauthorized" : "full", why);
        return;
    }
    caller_arrived(c->s->callers[c->caller], c->now_ms);
    c->trouble = caller_trouble(c->s, c->caller);
    c->reply->delay_ms = trouble_latency_ms(c->trouble, &c->s->rng);
    if (!read_order(c))
        return;
    if (reply_down(c->s, c->endpoint_index, c->caller, c->reply)) {
        c->s->tally.totals.refused++;
        return;
    }
    if (!check_order(c) || handle_magic(c) || handle_trouble(c))
        return;
    if (c->trouble->refuse_repeats && c->key != TALLY_NONE &&
        c->s->tally.keys[c->key].first != TALLY_NONE)
        refuse(c, 409, "exists", "there is an order of this number");
    else
        create(c, 1, true, false);
}

void create_handle(struct sandbox *s, struct request *r, uint16_t endpoint, struct reply *reply) {
    struct creation c = {.s = s,
                         .r = r,
                         .reply = reply,
                         .endpoint = &endpoints[endpoint],
                         .endpoint_index = endpoint,
                         .key = TALLY_NONE,
                         .now_ms = clock_unix_ms()};
    handle(&c);
    if (s->options.log == NULL)
        return;
    struct buf name;
    buf_init(&name, 4096);
    buf_add_json_str(&name, c.name); /* escapes what a terminal would act on */
    fprintf(s->options.log, "POST %s %s ", c.endpoint->path, buf_cstr(&name));
    buf_deinit(&name);
    if (reply->kind == REPLY_HANGUP)
        fputs("hung up\n", s->options.log);
    else
        fprintf(s->options.log, "%u%s after %llu ms\n", reply->status,
                reply->kind == REPLY_TRUNCATED ? " cut short" : "",
                (unsigned long long)reply->delay_ms);
}
