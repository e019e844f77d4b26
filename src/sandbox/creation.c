/* What a POST ends in: an order and its answer, or a refusal. */
#include "sandbox/create.h"

void creation_refuse(struct creation *c, unsigned status, const char *code, const char *message) {
    c->s->tally.totals.refused++;
    reply_error(c->s, c->endpoint_index, c->reply, status, code, message);
}

void creation_refuse_balance(struct creation *c) {
    creation_refuse(c, c->endpoint->rejected_status, "balance", "Insufficient balance");
}

void creation_refuse_full(struct creation *c) {
    if (!c->s->said_full)
        fprintf(stderr,
                "dray sandbox: %u orders or %llu bytes are remembered, and nothing is forgotten: "
                "POSTs are "
                "answered 507 until POST /_sandbox/reset (or a larger --remember, --memory)\n",
                c->s->options.remember, (unsigned long long)c->s->options.memory);
    c->s->said_full = true;
    creation_refuse(c, 507, "full",
                    "the sandbox is full: POST /_sandbox/reset, or start it with a larger --remember");
}

bool creation_make(struct creation *c, uint32_t count, bool counts, bool without_id) {
    struct sandbox *s = c->s;
    struct span body = c->endpoint->keeps_body ? buf_span(&c->r->body) : (struct span){NULL, 0};
    if (c->endpoint_index > ENDPOINT_KAKACLO_V1)
        count = 1;
    uint32_t order = tally_order(&s->tally, c->key, c->caller, c->endpoint_index, body, count, c->now_ms);
    if (order == TALLY_NONE) {
        creation_refuse_full(c);
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
    c->reply->status = c->endpoint->created_status;
    reply_tree(s, c->endpoint->created(&created));
    return true;
}
