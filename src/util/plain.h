/* The bytes of a text that stand for themselves in a JSON string: ASCII, printable, no quote, no backslash. */
#ifndef DRAY_UTIL_PLAIN_H
#define DRAY_UTIL_PLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PLAIN_LOW  UINT64_C(0x0101010101010101)
#define PLAIN_HIGH UINT64_C(0x8080808080808080)

static inline bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first byte from `p` on that does not stand for itself, or `end`. Eight bytes at a time: a byte whose
 * high bit is left in `odd` is not plain. Borrows run towards higher bytes only, so the lowest mark is right
 * on a little-endian machine; on others the eight are looked at one by one. */
static inline const unsigned char *plain_run(const unsigned char *p, const unsigned char *end) {
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        uint64_t quote = word ^ PLAIN_LOW * '"', slash = word ^ PLAIN_LOW * '\\';
        uint64_t odd =
            (word | (word - PLAIN_LOW * 0x20) | (quote - PLAIN_LOW) | (slash - PLAIN_LOW)) & PLAIN_HIGH;
        if (odd != 0) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return p + __builtin_ctzll(odd) / 8;
#else
            break;
#endif
        }
        p += 8;
    }
    while (p < end && is_plain(*p))
        p++;
    return p;
}

#endif
