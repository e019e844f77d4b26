/* The only place that reads clocks and the system's randomness. */
#include "dray/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id) {
    struct timespec ts;
    clock_gettime(id, &ts); /* cannot fail for the clocks asked for here */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_unix_ms(void) {
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

uint64_t clock_unix_ns(void) {
    return read_ns(CLOCK_REALTIME);
}

uint64_t clock_boot_ns(void) {
    return read_ns(CLOCK_BOOTTIME);
}
