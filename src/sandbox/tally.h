/* What the sandbox remembers: order keys with their counts, and the orders created. Bounded, and it
 * forgets nothing until it is reset: when it is full, the caller says so. One thread uses it. */
#ifndef DRAY_SANDBOX_TALLY_H
#define DRAY_SANDBOX_TALLY_H

#include "dray/buf.h"
#include "dray/err.h"
#include "sandbox/sandbox.h"

#define TALLY_NONE UINT32_MAX

/* One order key of one caller at one endpoint. */
struct tally_key {
    uint64_t hash;
    const char *name; /* decoded bytes, in the arena */
    uint32_t name_len;
    uint16_t caller;
    uint16_t endpoint;
    uint32_t posts;
    uint32_t created;      /* POSTs that created an order */
    uint32_t magic;        /* POSTs on which the key's magic worked */
    uint32_t lookup_magic; /* look-ups on which it did */
    uint32_t first;        /* orders of the key, linked by tally_order.next; TALLY_NONE: none */
    uint32_t last;
};

struct tally_order {
    uint64_t created_ms; /* Unix */
    const char *body;    /* the request, in the arena; NULL where the endpoint keeps none */
    uint32_t body_len;
    uint32_t key;  /* TALLY_NONE: the order came without a key */
    uint32_t next; /* of the same key */
    uint16_t caller;
    uint16_t endpoint;
};

struct arena_chunk;

struct tally {
    uint32_t max;
    uint64_t memory_max, memory;
    struct tally_key *keys;
    uint32_t key_count;
    struct tally_order *orders;
    uint32_t order_count;
    uint64_t order_base; /* serial number of orders[0]: ids do not repeat after a reset */
    uint32_t *index;     /* open addressing; 0: free, else key + 1 */
    uint32_t index_mask;
    struct arena_chunk *chunks;
    struct sandbox_totals totals;
};

int tally_init(struct tally *s, uint32_t max, uint64_t memory_max, struct err *err);
void tally_deinit(struct tally *s);
void tally_reset(struct tally *s);

/* The key's entry, added if it is new. TALLY_NONE: the tally is full. */
uint32_t tally_key(struct tally *s, uint16_t caller, uint16_t endpoint, struct span name);
/* The same, but never made. */
uint32_t tally_find(const struct tally *s, uint16_t caller, uint16_t endpoint, struct span name);

/* Adds `count` orders of `key` (TALLY_NONE: without one). `body` is copied; absent: not kept.
 * Returns the first of them (the others follow it), or TALLY_NONE when the tally is full: nothing
 * is added. */
uint32_t tally_order(struct tally *s, uint32_t key, uint16_t caller, uint16_t endpoint, struct span body,
                     uint32_t count, uint64_t now_ms);

/* An order's serial number, unique as long as the sandbox runs; and back from it (TALLY_NONE: no such order). */
uint64_t tally_serial(const struct tally *s, uint32_t order);
uint32_t tally_by_serial(const struct tally *s, uint64_t serial);

#endif
