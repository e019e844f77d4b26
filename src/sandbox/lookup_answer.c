/* How a look-up answers: an order in the form of its create answer, or that it fails. */
#include "sandbox/lookup.h"

void lookup_fail(struct lookup *l, unsigned status, const char *message) {
    reply_error(l->s, l->endpoint, l->reply, status, "status", message);
}

cJSON *lookup_order(struct lookup *l, uint32_t order) {
    struct sandbox *s = l->s;
    const struct tally_order *o = &s->tally.orders[order];
    struct err err;
    if (json_parse(&s->stored_doc, o->body, o->body_len, &err) != 0)
        return NULL; /* it was parsed when it came; only memory can be short now */
    const struct created c = {
        .serial = tally_serial(&s->tally, order),
        .count = 1,
        .created_ms = o->created_ms,
        .order = &s->stored_doc,
        .organization = span_str(header_value(l->r, "X-S2-Organization")),
    };
    return endpoints[l->endpoint].created(&c);
}
