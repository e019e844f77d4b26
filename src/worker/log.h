/* Log lines of the life of a job. */
#ifndef DRAY_WORKER_LOG_H
#define DRAY_WORKER_LOG_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#include "dray/verdict.h"

enum lane_closed { LANE_OPEN, LANE_PAUSED, LANE_FULL };
struct decision;
struct lane;
struct order;

void log_attempt(const struct order *o, const struct outcome *outcome, const struct decision *d, uint64_t ms);
/* The places that lenient validation let pass; no value. */
void log_warnings(const struct order *o);
void log_waits(const struct order *o); /* refused as all of its account's are: not dead, it waits */
/* At most one line a second and event; the number left out goes into the next. */
void log_lost(const struct lane *lane, const char *what, uint32_t count);
void log_redis_error(struct lane *lane, const char *what, const char *error);
/* What settlements of ours did to accounts: triples as settle.lua ends its part of the reply with. */
void log_turns(const struct lane *lane, const redisReply *r, size_t from);
/* The lane is closed for claims, still closed, or open again. */
void log_closed(struct lane *lane, enum lane_closed closed);

#endif
