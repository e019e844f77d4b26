/* Log lines of the life of a job. */
#ifndef DRAY_WORKER_LOG_H
#define DRAY_WORKER_LOG_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "dray/verdict.h"

/* When a line of a kind was last written (boot clock; 0: not yet), and how many were left out since. */
struct worker_logs {
    uint64_t error_ns, errors_left_out;   /* log.c */
    uint64_t lost_ns, lost_left_out;      /* log.c; orders */
    uint64_t replicas_ns;                 /* replicas.c; 0: enough answer */
    uint64_t answer_ns, answers_left_out; /* answer_owner.c */
};

enum consumer_closed { CONSUMER_OPEN, CONSUMER_PAUSED, CONSUMER_FULL };
struct decision;
struct consumer;
struct order;

void log_attempt(const struct order *o, const struct outcome *outcome, const struct decision *d, uint64_t ms);
/* The places that lenient validation let pass; no value. */
void log_warnings(const struct order *o);
void log_waits(const struct order *o); /* refused as all of its account's are: not dead, it waits */
/* At most one line a second and event; the number left out goes into the next. */
void log_lost(const struct consumer *consumer, const char *what, uint32_t count);
void log_redis_error(struct consumer *consumer, const char *what, const char *error);
/* What settlements of ours did to accounts: triples as settle.lua ends its part of the reply with. */
void log_turns(const struct consumer *consumer, const redisReply *r, size_t from);
/* The consumer is closed for claims, still closed, or open again. */
void log_closed(struct consumer *consumer, enum consumer_closed closed);

#endif
