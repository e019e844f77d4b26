/* A key's slot: CRC-16/XMODEM of its hash tag, as Redis Cluster counts it. */
#include <string.h>

#include "dray/redis_cluster.h"
#include "io/redis_router.h"

static uint16_t crc16(struct span s) {
    uint32_t crc = 0;
    for (size_t i = 0; i < s.len; i++) {
        crc ^= (uint32_t)(unsigned char)s.ptr[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)(crc & 0xffff);
}

uint16_t redis_slot(struct span key) {
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    if (open != NULL) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', key.len - (size_t)(tag - key.ptr));
        if (close != NULL && close > tag)
            key = (struct span){tag, (size_t)(close - tag)};
    }
    return crc16(key) % REDIS_SLOTS;
}
