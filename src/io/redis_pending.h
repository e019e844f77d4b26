/* The callbacks that are still owed, first in, first out: a ring that grows by doubling, so that a
 * command allocates nothing once the ring is as large as the busiest moment needed. */
#ifndef DRAY_IO_REDIS_PENDING_H
#define DRAY_IO_REDIS_PENDING_H

#include "dray/redis.h"

struct redis_pending {
    redis_reply_fn done; /* or NULL */
    void *arg;
    uint32_t block_ms;
};

struct redis_pending_ring {
    struct redis_pending *items;
    size_t cap; /* 0 or a power of two */
    size_t head, len;
};

/* Out of memory ends the process: the callback is owed and there is no place to note it, and what
 * is in Redis survives a process that ends. */
void redis_pending_push(struct redis_pending_ring *r, struct redis_pending p);
struct redis_pending redis_pending_pop(struct redis_pending_ring *r); /* `len` must not be 0 */
const struct redis_pending *redis_pending_head(const struct redis_pending_ring *r);
/* Calls what is there now, in order, with NULL and `error`. What is pushed meanwhile stays. */
void redis_pending_fail(struct redis_pending_ring *r, const char *error);
void redis_pending_deinit(struct redis_pending_ring *r);

#endif
