/* Clocks and random numbers. Pure code takes a time or a generator as an argument; only code with I/O reads the
 * clocks and the system's randomness. */
#ifndef DRAY_CLOCK_H
#define DRAY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Unix time in milliseconds (CLOCK_REALTIME). For times that are shown or stored. */
uint64_t clock_unix_ms(void);
/* The same in nanoseconds, for spans. */
uint64_t clock_unix_ns(void);

/* Nanoseconds since the machine started (CLOCK_BOOTTIME). They never go back, and go on while the machine sleeps
 * or the process is stopped. For leases and durations. */
uint64_t clock_boot_ns(void);

/* A random generator (of xoshiro's kind) with its state in a struct, so that a test can seed it. Not for
 * secrets. */
struct rng {
    uint64_t s[4];
};
void rng_seed(struct rng *r, uint64_t seed);
int rng_seed_os(struct rng *r); /* getrandom(2); 0 or -1 */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 … n-1, unbiased; 0 when n is 0 */

#endif
