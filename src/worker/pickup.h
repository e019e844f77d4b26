/* Connections of the blocking pick-up, and what is done without one. */
#ifndef DRAY_WORKER_PICKUP_H
#define DRAY_WORKER_PICKUP_H

#include "dray/redis_cluster.h"

struct consumer;
struct worker;

struct consumer_pickup {
    /* pickup.c */
    struct redis_router *router; /* NULL: jobs are asked for over the worker's */
    bool leaves;                 /* to be closed once no pick-up is under way on it */
    uint32_t failures;           /* attempts in a row that did not come up */
    uint64_t not_before_ns;
    /* pickup.c, claim.c */
    uint32_t poll_ms;    /* the pause before the next such question; 0: the last one found jobs */
    uint64_t poll_at_ns; /* when it is due; 0: none is, as one is under way or it may block */
    /* claim.c; trial.c for its one order */
    bool blocking;     /* BLMOVE is armed */
    uint64_t armed_ns; /* since when */
    bool lost;         /* it was unanswered when its connection went: Redis may still serve it */
};

/* Of all queues of a worker (pickup.c). */
struct worker_pickups {
    uint32_t open, most;     /* connections of consumers' own, and how many there may be */
    struct redis_stats gone; /* of those that were closed */
    uint64_t logged_ns;      /* boot clock; 0: not yet */
};

void consumer_stop_pickup(struct consumer *consumer); /* ends a blocking pick-up under way */
bool pickup_blocks(const struct consumer *consumer);  /* it has one, and may block on it */
void pickup_close(struct consumer *consumer);         /* nothing is under way on it; none is fine */
void pickups_open(struct worker *w);                  /* those that are missing, as far as may be */
/* at the start and after a reload: what was given up is tried again */
void pickups_anew(struct worker *w);
void pickups_beat(struct worker *w);
void pickup_poll(struct consumer *consumer, uint64_t now_ns); /* sets when to ask next */

#endif
