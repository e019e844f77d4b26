#include "worker/flow.h"

#include <string.h>

const uint64_t http_bounds_us[HISTOGRAM_MAX] = {5000,     10000,    25000,   50000,   100000,
                                                250000,   500000,   1000000, 2500000, 5000000,
                                                10000000, 30000000, 60000000};
const uint64_t pickup_bounds_us[HISTOGRAM_MAX] = {1000,      5000,       10000,     50000,    100000,
                                                  500000,    1000000,    5000000,   10000000, 60000000,
                                                  300000000, 1800000000, 3600000000};
const char *const dead_reason_names[DEAD_REASONS] = {"invalid", "rejected",        "exhausted",
                                                     "expired", "unknown_outcome", "poison"};

void histogram_add(struct histogram *h, const uint64_t bounds_us[static HISTOGRAM_MAX], uint64_t us,
                   const struct order *o) {
    size_t i = 0;
    while (i < HISTOGRAM_MAX && us > bounds_us[i])
        i++;
    h->count[i]++;
    h->sum_us += us;
    if (o->trace.on) {
        h->exemplars[i] = (struct exemplar){.us = us, .unix_ms = clock_unix_ms()};
        memcpy(h->exemplars[i].trace, o->trace.trace, sizeof(o->trace.trace));
    }
}

static struct account_stats *stats_of(struct order *o) {
    return o->runtime != NULL ? &o->runtime->stats : NULL;
}

void stats_picked_up(struct order *o, uint64_t now_unix_ms) {
    uint64_t from = o->envelope.enqueued_at_ms > 0 ? o->envelope.enqueued_at_ms : o->begun_unix_ms;
    if (o->header.attempts > 0)
        return; /* a retry's delay is no pick-up */
    uint64_t ms = now_unix_ms > from ? now_unix_ms - from : 0;
    histogram_add(&o->consumer->stats.pickup, pickup_bounds_us, ms * 1000, o);
}

void stats_answered(struct order *o, enum verdict verdict, uint64_t us) {
    struct account_stats *s = stats_of(o);
    histogram_add(&o->consumer->stats.http, http_bounds_us, us, o);
    if (s != NULL)
        (o->looking_up ? s->lookups : s->attempts)[verdict]++;
}

void stats_rejected(struct order *o) {
    stats_decided(o, &(struct decision){.op = SETTLE_DEAD,
                                        .reason = "rejected",
                                        .result = o->envelope.id.ptr != NULL ? RESULT_FAILED : RESULT_NONE});
}

void stats_decided(struct order *o, const struct decision *d) {
    struct account_stats *s = stats_of(o);
    if (d->op == SETTLE_DEAD)
        for (size_t i = 0; i < DEAD_REASONS; i++)
            o->consumer->stats.dead[i] += strcmp(d->reason, dead_reason_names[i]) == 0;
    if (d->result == RESULT_NONE)
        return;
    if (s == NULL) {
        o->consumer->stats.invalid++;
        return;
    }
    s->results[d->result]++;
    if (d->result == RESULT_CREATED)
        s->created_ms = clock_unix_ms();
}
