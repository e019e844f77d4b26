/* A call of turn.lua: what a worker has to settle, to begin and to claim on one queue, in one round trip. */
#ifndef DRAY_QUEUE_TURN_H
#define DRAY_QUEUE_TURN_H

#include "queue/part.h"

struct turn {
    struct part *settle, *begin; /* NULL: nothing; they stay the caller's */
    bool claims;
    uint32_t claim_n;    /* 0 only gives back what blocking pick-ups took */
    size_t claim_bytes;  /* of records, at most; one job always fits */
    uint64_t high_water; /* of the results list; 0: none */
    uint64_t batch; /* of a claim or a pick-up: the number of the batch that it makes; each has another one */
    /* The text that a blocking pick-up gave: it is claimed, and is the one job of `begin`, and the one of its batch (pick.lua).
     * Absent: none. `outside`: it lies in no list, and comes into none. */
    struct span picked;
    bool outside;
    const char *limits_version; /* as the script `limits` said; NULL: not known */
};

/* An account's limits as turn.lua takes them (LIMITS in gate.lua). Appends to `out`. */
struct turn_limits {
    double rate; /* a second */
    uint64_t burst, concurrency, breaker_failures, breaker_cooldown_ms, probe_ms, reject_limit, ledger_ttl_ms;
};
void turn_pack_limits(const struct turn_limits *l, struct buf *out);

/* Appends numbers as scripts unpack them: little-endian, two bytes; a double. */
void turn_pack_u16(struct buf *out, size_t v);
void turn_pack_double(struct buf *out, double v);

/* Composes the call in `cmd`, in place of what it held. */
void turn_write(const struct turn *t, struct buf *cmd, const struct queue_keys *k);
/* Composes the call in `cmd` (scratch) and sends it. `wait` may be NULL. `done` as queue_call's. */
void turn_send(const struct turn *t, struct buf *cmd, struct queue_caller *caller, const struct queue_keys *k,
               const struct redis_wait *wait, queue_reply_fn done, void *arg);

/* A turn's reply: { now, next, settled, begun, claimed } (turn.lua). */
enum { TURN_NOW, TURN_NEXT, TURN_SETTLED, TURN_BEGUN, TURN_CLAIMED, TURN_PARTS };

/* Whether it is one, with an answer to every item: settled and begun start with one letter per item. Where
 * Redis refused to begin, its letters are empty and the next element says why. */
bool turn_reply_ok(const struct turn *t, const redisReply *reply);
/* Why Redis refused to begin; NULL: it did not. */
const char *turn_begin_refused(const redisReply *reply);

#endif
