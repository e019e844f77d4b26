/* The lease of a consumer, and the recovery of workers whose lease ran out. */
#ifndef DRAY_WORKER_BEAT_H
#define DRAY_WORKER_BEAT_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/claim.h"

struct consumer;
struct order;

struct consumer_lease {
    /* beat.c; claim.c, consumer.c, dispatch.c and format.c end it */
    bool held;         /* Redis knows us */
    uint64_t until_ns; /* boot clock; nothing may be sent after it */
    /* beat.c */
    uint32_t epoch; /* one more each time that others may have recovered what we held */
    uint64_t beat_sent_ns;
    uint32_t beats;
    bool beat_out;
    bool registered; /* Redis knew us at some time */
    bool recovering;
    /* beat.c, claim.c: Redis's clock, as it was last told; 0: not yet */
    int64_t redis_ms;
    /* consumer.c, pickup.c: the next beat says anew what the worker says of itself */
    bool info_stale;
    /* spool_ask.c: whose recovery waits for its spool file, and until when */
    char spool_of[128];
    uint64_t spool_until_ns;
};

void consumer_beat(struct consumer *consumer);
/* Each turn: a lease that ran out here ends begins and claims until a beat is answered. */
void consumer_expire(struct consumer *consumer, uint64_t now_ns);
/* Claims of a batch of ours that had begun, and of which no order here knows. */
struct own_claims {
    uint64_t batch;
    size_t count;
    uint16_t place[BATCH_CLAIMS];
    struct span account_key[BATCH_CLAIMS]; /* "account:key", as in the ledger's keys */
};
/* Makes them unknown. Until it is answered, claims.orphans_out. */
void consumer_recover_own(struct consumer *consumer, const struct own_claims *own);

#endif
