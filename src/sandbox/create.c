/* A POST to a create endpoint.
 *
 * Happy path: credentials → JSON → order key → counted → valid → created → answered.
 * It fails, in this order: credentials (401), body (413, 415, 400), no room (507), `down`, the
 * provider's rules (400 or 422), the balance, the key's magic (act.c), the random faults, a
 * repeated key (409, only where repeats are refused). The order exists from the moment the POST was
 * read: an answer that is late, broken or missing does not undo it. */
#include <string.h>
#include <strings.h>

#include "sandbox/create.h"

/* Reads the order's own key into sandbox.scratch; absent where it has none. */
static struct span read_key(struct creation *c) {
    struct sandbox *s = c->s;
    const struct provider *module = s->modules[c->endpoint_index];
    uint32_t node = c->endpoint->key_pointer != NULL ? json_pointer(&s->doc, 0, c->endpoint->key_pointer)
                                                     : provider_order_key(module, NULL, &s->doc, 0, NULL);
    buf_reset(&s->scratch);
    if (node == JSON_NONE || json_decode(&s->doc, node, &s->scratch) != 0 || s->scratch.len == 0)
        return (struct span){NULL, 0};
    return buf_span(&s->scratch);
}

/* Finds the order's key and counts the POST. False: no room, and answered. */
static bool count_order(struct creation *c) {
    c->name = read_key(c);
    c->key = TALLY_NONE;
    if (c->name.ptr == NULL)
        return true;
    c->key = tally_key(&c->s->tally, c->caller, c->endpoint_index, c->name);
    if (c->key == TALLY_NONE) {
        creation_refuse_full(c);
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
        creation_refuse(c, 413, "invalid", "the body is larger than 1 MiB");
    else if (type == NULL || strncasecmp(type, "application/json", 16) != 0)
        creation_refuse(c, 415, "invalid", "Content-Type must be application/json");
    else if (json_parse(&s->doc, c->r->body.data, c->r->body.len, &err) != 0)
        creation_refuse(c, 400, "invalid", err.text);
    else if (json_type(&s->doc, 0) != JSON_OBJECT)
        creation_refuse(c, 400, "invalid", "the body must be an object");
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
        provider_validate(s->modules[c->endpoint_index], NULL, &s->doc, 0, &s->faults, NULL);
    }
    if (s->faults.count == 0)
        return true;
    const char *first = buf_cstr(&s->faults.first);
    if (strncmp(first, "order.", 6) == 0)
        first += 6; /* the path in the request itself */
    creation_refuse(c, c->endpoint->invalid_status, "invalid", first);
    return false;
}

/* The random faults. False: none hit. */
static bool handle_trouble(struct creation *c) {
    static const unsigned statuses[] = {500, 502, 503, 504};
    struct rng *rng = &c->s->rng;
    if (trouble_hits(rng, c->trouble->slow_rate))
        c->reply->delay_ms = c->trouble->slow_ms;
    if (trouble_hits(rng, c->trouble->fail_rate)) {
        creation_refuse(c, statuses[rng_below(rng, 4)], "status", "the sandbox fails at random");
        return true;
    }
    if (!trouble_hits(rng, c->trouble->hangup_rate))
        return false;
    if (rng_below(rng, 2) == 0)
        c->s->tally.totals.refused++;
    else if (!creation_make(c, 1, true, false))
        return true;
    c->reply->kind = REPLY_HANGUP;
    return true;
}

static void create_or_refuse_repeat(struct creation *c) {
    if (c->trouble->refuse_repeats && c->key != TALLY_NONE && c->s->tally.keys[c->key].first != TALLY_NONE)
        creation_refuse(c, c->endpoint_index == ENDPOINT_VU ? 422 : 409, "exists",
                        "there is an order of this number");
    else
        creation_make(c, 1, true, false);
}

static void handle(struct creation *c) {
    unsigned status;
    const char *why;
    c->s->tally.totals.posts++;
    if (!caller_read(c->s, c->r, c->endpoint->auth, &c->caller, &status, &why)) {
        creation_refuse(c, status, status == 401 ? "unauthorized" : "full", why);
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
    if (!check_order(c))
        return;
    if (c->trouble->balance_spent)
        creation_refuse_balance(c);
    else if (!magic_act(c) && !handle_trouble(c))
        create_or_refuse_repeat(c);
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
                reply->kind == REPLY_TRUNCATED ? " cut short" : "", (unsigned long long)reply->delay_ms);
}
