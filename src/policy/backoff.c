#include "policy/backoff.h"

uint64_t backoff_ms(uint64_t base_ms, uint64_t cap_ms, uint32_t failures, struct rng *rng) {
    uint64_t top = base_ms;
    while (failures-- > 0 && top < cap_ms)
        top = top > UINT64_MAX / 2 ? UINT64_MAX : top * 2;
    if (top < cap_ms)
        return rng_below(rng, top + 1);
    return cap_ms / 2 + rng_below(rng, cap_ms - cap_ms / 2 + 1);
}
