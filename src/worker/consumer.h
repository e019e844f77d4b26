/* A consumer: one queue, as this worker consumes it. Each part names the files that write it, and stands in the header of
 * the first of them; who only looks may look at all. */
#ifndef DRAY_WORKER_CONSUMER_H
#define DRAY_WORKER_CONSUMER_H

#include "dray/config.h"
#include "worker/account_runtime.h"
#include "worker/turns.h"
#include "worker/beat.h"
#include "worker/claim.h"
#include "worker/controls.h"
#include "worker/format.h"
#include "worker/orders.h"
#include "worker/pickup.h"
#include "worker/stats.h"

struct worker;

enum eviction { EVICTION_UNKNOWN, EVICTION_NONE, EVICTION_POSSIBLE };

/* Why nothing goes on although Redis answers. */
struct consumer_trouble {
    uint32_t failures;         /* turns.c, claim.c: consecutive error replies */
    bool redis_full;           /* log.c, claim.c: the last of them was for want of memory */
    uint32_t replica_failures; /* replicas.c: consecutive begins that too few replicas knew of */
    uint64_t barred_since_ns;  /* barred.c: nothing can be claimed although Redis answers; 0: all is well */
    uint64_t closed_logged_ns; /* log.c */
};

struct consumer {
    struct worker *worker;
    const struct queue_config *config; /* of worker->config; of config_held where that is set */
    struct config *config_held;        /* reload.c */
    struct queue_keys keys;

    /* consumer.c, reload.c: it comes and goes */
    bool up;       /* its node was there in the last turn */
    bool retiring; /* its queue is gone from the configuration */
    bool leaving;
    bool left;
    /* Unanswered calls that nothing else waits for (limits, controls, …): who sends one counts it. */
    uint32_t asides;

    struct consumer_lease lease;
    struct consumer_pickup pickup;
    struct consumer_claims claims;
    struct consumer_turns turns;
    struct consumer_accounts accounts;
    struct consumer_orders orders;
    struct consumer_trouble trouble;
    struct consumer_controls controls;
    struct consumer_format format;
    struct consumer_stats stats;
    enum eviction eviction; /* eviction.c: what its Redis does when it is full */
};

/* consumer.c: a queue comes and goes */
struct consumer *consumer_new(struct worker *w, const struct queue_config *config, struct err *err);
void consumer_free(struct consumer *consumer);
void consumer_follow(struct consumer *consumer); /* each turn: the node came or went */
bool consumer_is_empty(const struct consumer *consumer);
void consumer_leave(struct consumer *consumer);

/* barred.c: each beat, and what keeps it from claiming ("" if nothing) */
void consumer_note_barred(struct consumer *consumer, uint64_t now_ns);
void consumer_barred_by(const struct consumer *consumer, char *out, size_t size);

/* rights.c: the first time */
void consumer_check_rights(struct consumer *consumer);

/* startcheck.c: each time the node has come */
void consumer_check_server(const struct consumer *consumer);

/* eviction.c: asks; the answer goes into consumer->eviction */
void consumer_check_eviction(struct consumer *consumer);

#endif
