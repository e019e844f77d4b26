/* Validation and encoding of UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF. */
#include "util/utf8.h"

#include <stdbool.h>
#include <string.h>

#include "dray/json.h"

static bool continuation(unsigned char c) {
    return (c & 0xc0) == 0x80;
}

size_t utf8_sequence(const unsigned char *s, size_t len) {
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return len > 1 && continuation(s[1]) ? 2 : 0;
    if ((s[0] & 0xf0) == 0xe0) {
        if (len < 3 || !continuation(s[1]) || !continuation(s[2]))
            return 0;
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
            return 0;
        return 3;
    }
    if (s[0] < 0xf0 || s[0] > 0xf4 || len < 4)
        return 0;
    if (!continuation(s[1]) || !continuation(s[2]) || !continuation(s[3]))
        return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return 4;
}

size_t utf8_encode(uint32_t c, unsigned char out[static 4]) {
    if (c < 0x80) {
        out[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (unsigned char)(0xc0 | c >> 6);
        out[1] = (unsigned char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xe0 | c >> 12);
        out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (unsigned char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (unsigned char)(0xf0 | c >> 18);
    out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (unsigned char)(0x80 | (c & 0x3f));
    return 4;
}

/* Length of the ASCII run at `s`, in steps of 8 bytes: a lower bound. */
static size_t ascii_run(const unsigned char *s, size_t len) {
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, s + i, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return i;
}

bool utf8_valid(const char *text, size_t len) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < len;) {
        i += ascii_run(s + i, len - i);
        if (i == len)
            break;
        size_t n = utf8_sequence(s + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
