/* A call of turn.lua: what a worker has to settle, to begin and to claim on one queue, in one round trip. */
#ifndef DRAY_QUEUE_TURN_H
#define DRAY_QUEUE_TURN_H

#include "queue/batch.h"

#define ENDED_MAX 32

struct turn {
    struct batch *settle, *begin; /* NULL: nothing; they stay the caller's */
    bool claims;
    uint32_t claim_n;    /* 0 only gives back what blocking pick-ups took */
    size_t claim_bytes;  /* of records, at most; one job always fits */
    uint64_t high_water; /* of the results list; 0: none */
    /* how many jobs are taken off the list before anybody knows how long they are */
    uint32_t first_pop;
    uint64_t number;          /* this turn's: greater than any before it (turn_number) */
    uint64_t answered;        /* the greatest that was answered */
    uint64_t highest;         /* the greatest number of a claim that the worker knows of */
    uint8_t bundle;           /* which one a claim of many fresh jobs may make (bundle.lua); 0: none */
    uint8_t ended[ENDED_MAX]; /* bundles of which all claims have ended */
    size_t ended_n;
    uint64_t ended_lowest; /* the lowest number of a claim that was theirs */
    bool calm;             /* nothing is known that would hold it up: calm.lua is worth a try */
    bool ahead;            /* its results, or what begins, go ahead of it (turn_may_go_ahead) */
    /* then: what it settles are claims of folded bundles alone, and need not be named */
    bool ends_folded;
    /* then: what it begins are whole folded bundles: their ledger entries go ahead, too */
    bool begins_folded;
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

/* Whether its results and ledger entries, if it has any, may be written by commands of their own, ahead of the script in one
 * transaction: it is a calm one. They need not pass through Lua then. Where the turn is not as calm as it seemed, the
 * script takes the results away again, and the answer is TURN_AGAIN. */
bool turn_may_go_ahead(const struct turn *t);

/* Composes the call in `cmd`, in place of what it held. Returns how many replies come before the one that counts. */
uint32_t turn_write(const struct turn *t, struct buf *cmd, const struct queue_keys *k);
/* Composes the call in `cmd` (scratch) and sends it. `wait` may be NULL, and is where it goes ahead. `done` as
 * queue_call's; of a turn that goes ahead it gets EXEC's reply (turn_read_ahead). */
void turn_send(const struct turn *t, struct buf *cmd, struct queue_caller *caller, const struct queue_keys *k,
               const struct redis_wait *wait, queue_reply_fn done, void *arg);

/* A turn's reply: { now, next, settled, begun, claimed } (turn.lua). */
enum { TURN_NOW, TURN_NEXT, TURN_SETTLED, TURN_BEGUN, TURN_CLAIMED, TURN_PARTS };
/* A part more says that bundles are folded no longer (fold.lua). */
bool turn_unfolded(const redisReply *reply);

/* What became of a turn that went ahead. */
enum turn_ahead {
    TURN_RAN,     /* `reply` is the script's now, as always */
    TURN_AGAIN,   /* nothing was done: send it as it is, but not ahead */
    TURN_PUSHED,  /* the results were pushed, the script failed: `reply` is its error */
    TURN_UNKNOWN, /* no answer, or an error: as of any turn */
};
enum turn_ahead turn_read_ahead(const redisReply **reply);

/* Whether it is one, with an answer to every item: settled and begun start with one letter per item. Where
 * Redis refused to begin, its letters are empty and the next element says why. */
bool turn_reply_ok(const struct turn *t, const redisReply *reply);
/* Why Redis refused to begin; NULL: it did not. */
const char *turn_begin_refused(const redisReply *reply);

#endif
