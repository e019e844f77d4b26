/* What a worker counts: plain integers, added to by the loop where things happen and read by the
 * metrics. Nothing is allocated when counting. */
#ifndef DRAY_WORKER_STATS_H
#define DRAY_WORKER_STATS_H

#include "dray/verdict.h"
#include "worker/life.h"

#define HISTOGRAM_MAX 13

/* Upper bounds in microseconds, ascending; the last slot of `count` is for what is above them all.
 */
extern const uint64_t http_bounds_us[HISTOGRAM_MAX];   /* 5 ms to 60 s */
extern const uint64_t pickup_bounds_us[HISTOGRAM_MAX]; /* 1 ms to 1 h */

/* The last order of a bucket that is traced. */
struct exemplar {
    uint8_t trace[16];
    uint64_t us, unix_ms; /* unix_ms 0: none yet */
};

struct histogram {
    uint64_t count[HISTOGRAM_MAX + 1];
    uint64_t sum_us;
    struct exemplar exemplars[HISTOGRAM_MAX + 1];
};
/* Counts `us` of `o`. */
void histogram_add(struct histogram *h, const uint64_t bounds_us[static HISTOGRAM_MAX], uint64_t us,
                   const struct order *o);

enum dead_reason {
    DEAD_INVALID,
    DEAD_REJECTED,
    DEAD_EXHAUSTED,
    DEAD_EXPIRED,
    DEAD_UNKNOWN_OUTCOME,
    DEAD_POISON,
    DEAD_REASONS,
};
extern const char *const dead_reason_names[DEAD_REASONS];

struct account_stats {
    uint64_t attempts[VERDICTS]; /* orders sent, by what the answer meant */
    uint64_t lookups[VERDICTS];  /* look-ups asked, by what the answer meant */
    uint64_t results[RESULT_FAILED + 1];
    uint64_t strays;       /* connections of it on which bytes came that nobody had asked for */
    uint64_t repeated_ids; /* orders answered with an id that another order had been told */
    uint64_t created_ms;   /* Unix ms of the last order created; 0: none yet */
};

struct consumer_stats {
    uint64_t claimed, settled, fenced, lookups;
    uint64_t claimed_ns; /* boot clock: when a claim last gave jobs */
    uint64_t invalid;    /* failed results of jobs whose account is not known */
    uint64_t dead[DEAD_REASONS];
    struct histogram http;   /* requests to providers, look-ups included */
    struct histogram pickup; /* from enqueued_at, or else the claim, to the first attempt */
};

/* Called right before an order is sent; `begun_unix_ms` still is the time of the claim. */
void stats_picked_up(struct order *o, uint64_t now_unix_ms);
void stats_answered(struct order *o, enum verdict verdict, uint64_t us);
void stats_decided(struct order *o, const struct decision *d);
void stats_rejected(struct order *o); /* it may have had to wait instead (settle.c) */

#endif
