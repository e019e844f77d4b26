/* Full-jitter exponential backoff (AWS Architecture Blog, "Exponential Backoff And Jitter"): a random time
 * between 0 and base * 2^failures. Once that has reached the cap, the time is at least half of the cap. So a
 * bound on attempts also bounds how soon an order is given up. All times in milliseconds. */
#ifndef DRAY_POLICY_BACKOFF_H
#define DRAY_POLICY_BACKOFF_H

#include "dray/clock.h"

uint64_t backoff_ms(uint64_t base_ms, uint64_t cap_ms, uint32_t failures, struct rng *rng);

#endif
