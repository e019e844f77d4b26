/* What the sandbox remembers: order keys with their counts, and the orders created. Bounded, and it
 * forgets nothing until it is reset: when it is full, the caller says so. One thread uses it. */
#ifndef DRAY_SANDBOX_STORE_H
#define DRAY_SANDBOX_STORE_H

#include "dray/buf.h"
#include "dray/err.h"
#include "sandbox/sandbox.h"

#define STORE_NONE UINT32_MAX

/* One order key of one caller at one endpoint. */
struct store_key {
    uint64_t hash;
    const char *name; /* decoded bytes, in the arena */
    uint32_t name_len;
    uint16_t caller;
    uint16_t endpoint;
    uint32_t posts;
    uint32_t created; /* POSTs that created an order */
    uint32_t magic;   /* POSTs on which the key's magic worked */
    uint32_t first;   /* orders of the key, linked by store_order.next; STORE_NONE: none */
    uint32_t last;
};

struct store_order {
    uint64_t created_ms; /* Unix */
    const char *body;    /* the request, in the arena; NULL where the endpoint keeps none */
    uint32_t body_len;
    uint32_t key;  /* STORE_NONE: the order came without a key */
    uint32_t next; /* of the same key */
    uint16_t caller;
    uint16_t endpoint;
};

struct arena_chunk;

struct store {
    uint32_t max;
    uint64_t memory_max, memory;
    struct store_key *keys;
    uint32_t key_count;
    struct store_order *orders;
    uint32_t order_count;
    uint64_t order_base; /* serial number of orders[0]: ids do not repeat after a reset */
    uint32_t *index;     /* open addressing; 0: free, else key + 1 */
    uint32_t index_mask;
    struct arena_chunk *chunks;
    struct sandbox_totals totals;
};

int store_init(struct store *s, uint32_t max, uint64_t memory_max, struct err *err);
void store_deinit(struct store *s);
void store_reset(struct store *s);

/* The key's entry, made where it is new; STORE_NONE when the store is full. */
uint32_t store_key(struct store *s, uint16_t caller, uint16_t endpoint, struct span name);
/* The same, but never made. */
uint32_t store_find(const struct store *s, uint16_t caller, uint16_t endpoint, struct span name);

/* Adds `count` orders of `key` (STORE_NONE: without one). `body` is copied; absent: not kept.
 * Returns the first of them (the others follow it), or STORE_NONE when the store is full: nothing
 * is added. */
uint32_t store_order(struct store *s, uint32_t key, uint16_t caller, uint16_t endpoint,
                     struct span body, uint32_t count, uint64_t now_ms);

/* An order's number, unique as long as the sandbox runs; and back (STORE_NONE: no such order). */
uint64_t store_serial(const struct store *s, uint32_t order);
uint32_t store_by_serial(const struct store *s, uint64_t serial);

#endif
