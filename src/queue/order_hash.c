/* The hash of an order's bytes that the ledger keeps. */
#include "queue/order_hash.h"

#include <xxhash.h>

void order_hash(struct span order, char out[static 33]) {
    static const char hex[] = "0123456789abcdef";
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(order.ptr, order.len));
    for (size_t i = 0; i < sizeof(c.digest); i++) {
        out[2 * i] = hex[c.digest[i] >> 4];
        out[2 * i + 1] = hex[c.digest[i] & 15];
    }
    out[32] = '\0';
}
