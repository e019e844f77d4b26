/* What life.c and life_lookup.c share. */
#ifndef DRAY_WORKER_LIFE_STEPS_H
#define DRAY_WORKER_LIFE_STEPS_H

#include "worker/life.h"

struct decision life_start(const struct record_header *header);
void life_die(struct decision *d, const char *reason, const char *code, const char *message);
/* Dead as unknown_outcome, and the ledger says so. `message` NULL: the outcome's. */
void life_unknown_for_good(struct decision *d, const char *code, const char *message);
/* Surely nothing was created (or the configuration says to take it so): again after a while, unless attempts
 * or age are used up. What is `free` is bounded by age alone. */
void life_send_again(struct decision *d, const struct account *a, uint32_t max_attempts, uint64_t floor_ms,
                     uint64_t now_ms, struct rng *rng);
/* What is due then would be older than max_age. */
bool life_is_over(const struct decision *d, const struct account *a, uint64_t now_ms);

#endif
