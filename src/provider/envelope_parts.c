#include "provider/envelope_parts.h"

#define NAME(text)                                                                                           \
    { (text), sizeof(text) - 1 }

static const struct span part_names[ENVELOPE_PARTS] = {
    [PART_ID] = NAME("id"),
    [PART_ORDER] = NAME("order"),
    [PART_ACCOUNT] = NAME("account"),
    [PART_ORDER_KEY] = NAME("order_key"),
    [PART_NOT_BEFORE] = NAME("not_before"),
    [PART_EXPIRES_AT] = NAME("expires_at"),
    [PART_MAX_ATTEMPTS] = NAME("max_attempts"),
    [PART_REPLY_TO] = NAME("reply_to"),
    [PART_ENQUEUED_AT] = NAME("enqueued_at"),
    [PART_TRACEPARENT] = NAME("traceparent"),
    [PART_META] = NAME("meta"),
};

struct span envelope_part_name(enum envelope_part part) {
    return part_names[part];
}

void envelope_fault(const struct envelope_reader *r, enum envelope_part part, const char *rule) {
    faults_add(r->faults, part_names[part].ptr, "%s", rule);
}

/* Scratch is made once as large as the whole text, so that earlier spans stay where they are. */
struct span envelope_decoded(const struct envelope_reader *r, uint32_t node) {
    if (!r->doc->nodes[node].escaped)
        return json_inner(r->doc, node);
    size_t before = r->scratch->len;
    if ((before == 0 && !buf_reserve(r->scratch, r->e->raw.len)) ||
        json_decode(r->doc, node, r->scratch) != 0) {
        faults_add(r->faults, "", "cannot be read: out of memory");
        return (struct span){NULL, 0};
    }
    return (struct span){r->scratch->data + before, r->scratch->len - before};
}

bool envelope_string_given(const struct envelope_reader *r, enum envelope_part part) {
    if (r->node[part] == JSON_NONE)
        return false;
    if (json_type(r->doc, r->node[part]) == JSON_STRING)
        return true;
    envelope_fault(r, part, "must be a string");
    return false;
}
