/* xoshiro256** 1.0 (Blackman and Vigna, public domain), seeded through splitmix64. */
#include "dray/clock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/types.h>

static uint64_t rotate_left(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

void rng_seed(struct rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++) { /* splitmix64: never gives four zeros, which would stay zeros */
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ z >> 31;
    }
}

int rng_seed_os(struct rng *r) {
    uint64_t seed;
    ssize_t n;
    do
        n = getrandom(&seed, sizeof(seed), 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(seed))
        return -1;
    rng_seed(r, seed);
    return 0;
}

uint64_t rng_u64(struct rng *r) {
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n) {
    if (n == 0)
        return 0;
    uint64_t uneven = (0 - n) % n; /* 2^64 mod n: this many values would be one too many */
    uint64_t x;
    do
        x = rng_u64(r);
    while (x < uneven);
    return x % n;
}
