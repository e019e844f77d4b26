/* Time and randomness, as arguments: pure code takes them, only main and the I/O layer read them. */
#ifndef DRAY_CLOCK_H
#define DRAY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Unix time in milliseconds (CLOCK_REALTIME). For what is shown and stored. */
uint64_t clock_unix_ms(void);
/* The same in nanoseconds, for spans. */
uint64_t clock_unix_ns(void);

/* Nanoseconds that only grow and go on while the machine sleeps or the process is stopped
 * (CLOCK_BOOTTIME). For leases and durations. */
uint64_t clock_boot_ns(void);

/* A random generator of our own state (xoshiro-class; not for secrets), so that a test can seed it. */
struct rng {
    uint64_t s[4];
};
void rng_seed(struct rng *r, uint64_t seed);
int rng_seed_os(struct rng *r); /* getrandom(2); 0 or -1 */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 … n-1, unbiased; 0 when n is 0 */

#endif
