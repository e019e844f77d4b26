/* A call of turn.lua: what a worker has to settle, to begin and to claim on one queue, in one round trip. */
#ifndef DRAY_QUEUE_TURN_H
#define DRAY_QUEUE_TURN_H

#include "queue/batch.h"

struct turn {
    struct batch *settle, *begin; /* NULL: nothing; they stay the caller's */
    bool claims;
    uint32_t claim_n;    /* 0 only gives back what blocking pick-ups took */
    size_t claim_bytes;  /* of records, at most; one job always fits */
    uint64_t high_water; /* of the results list; 0: none */
    /* how many jobs are taken off the list before anybody knows how long they are */
    uint32_t first_pop;
    uint64_t number;   /* this turn's: greater than any before it (turn_number) */
    uint64_t answered; /* the greatest that was answered */
    uint64_t highest;  /* the greatest number of a claim that the worker knows of */
    /* The text that a blocking pick-up gave: it is claimed, and is the one job of `begin`, whose token is empty (pick.lua).
     * Absent: none. `outside`: it lies in no list, and comes into none. */
    struct span picked;
    bool outside;
    const char *limits_version; /* as the script `limits` said; NULL: not known */
};

/* Numbers of turns go on where those of an earlier process of this name ended, if the clock did not go back: from
 * `now_us` (Unix microseconds) on. */
uint64_t turn_number(uint64_t last, uint64_t now_us);

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
