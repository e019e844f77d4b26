/* What the reading of an envelope shares: which parts there are, where each stands, and how a fault is told. */
#ifndef DRAY_PROVIDER_ENVELOPE_PARTS_H
#define DRAY_PROVIDER_ENVELOPE_PARTS_H

#include "dray/provider.h"

enum envelope_part {
    PART_ID,
    PART_ORDER,
    PART_ACCOUNT,
    PART_ORDER_KEY,
    PART_NOT_BEFORE,
    PART_EXPIRES_AT,
    PART_MAX_ATTEMPTS,
    PART_REPLY_TO,
    PART_ENQUEUED_AT,
    PART_TRACEPARENT,
    PART_META,
    ENVELOPE_PARTS,
};

struct envelope_reader {
    struct envelope *e;
    const struct json_doc *doc;
    struct buf *scratch;
    struct faults *faults, *warnings;
    uint32_t node[ENVELOPE_PARTS]; /* JSON_NONE: not given */
};

struct span envelope_part_name(enum envelope_part part);
/* Adds a fault of that part. */
void envelope_fault(const struct envelope_reader *r, enum envelope_part part, const char *rule);
/* The decoded bytes of string `node`: in place, or in scratch where there are escapes. */
struct span envelope_decoded(const struct envelope_reader *r, uint32_t node);
/* True if the part is given and a string; its absence is no fault. */
bool envelope_string_given(const struct envelope_reader *r, enum envelope_part part);

/* envelope_key.c: provider_key and order_key, which is `id` where nothing else is given. `account` NULL: not known. */
void envelope_read_keys(struct envelope_reader *r, const struct account *account, struct span id);

#endif
