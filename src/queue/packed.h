/* Numbers as Lua's struct packs them: little-endian. Writing: turn_pack_u16, turn_pack_double (turn.h). */
#ifndef DRAY_QUEUE_PACKED_H
#define DRAY_QUEUE_PACKED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t packed_uint(const char *bytes, size_t n) {
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | (unsigned char)bytes[n];
    return v;
}

static inline double packed_double(const char *bytes) {
    uint64_t bits = packed_uint(bytes, 8);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

#endif
