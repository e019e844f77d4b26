#include "util/terminal.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "util/utf8.h"

enum foreign foreign_for(int fd) {
    return isatty(fd) == 1 ? FOREIGN_TERMINAL : FOREIGN_LINE;
}

static uint32_t code_point(const unsigned char *s, size_t n) {
    uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (s[i] & 0x3fu);
    return c;
}

/* Unicode's Bidi_Control, and the line breaks that are no C0. */
static bool is_trick(uint32_t c) {
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

static bool is_escaped(uint32_t c, enum foreign how) {
    if (c < 0x20 || c == 0x7f)
        return true;
    return how == FOREIGN_TERMINAL && ((c >= 0x80 && c < 0xa0) || is_trick(c));
}

static size_t add_escaped(struct buf *out, uint32_t c) {
    static const char letters[] = {['\n'] = 'n', ['\t'] = 't', ['\r'] = 'r'};
    if (c < sizeof(letters) && letters[c] != '\0') {
        buf_addf(out, "\\%c", letters[c]);
        return 2;
    }
    buf_addf(out, "\\u%04x", c);
    return 6;
}

size_t foreign_add(struct buf *out, struct span text, enum foreign how, size_t max) {
    const unsigned char *s = (const unsigned char *)text.ptr;
    size_t columns = 0, taken = 0;
    for (size_t i = 0; i < text.len && (max == 0 || taken < max); taken++) {
        size_t n = utf8_sequence(s + i, text.len - i);
        uint32_t c = n > 0 ? code_point(s + i, n) : 0;
        if (n == 0 && how == FOREIGN_TERMINAL) {
            buf_addf(out, "\\x%02x", s[i]);
            columns += 4;
        } else if (n > 0 && is_escaped(c, how)) {
            columns += add_escaped(out, c);
        } else {
            buf_add(out, text.ptr + i, n > 0 ? n : 1);
            columns++;
        }
        i += n > 0 ? n : 1;
    }
    return columns;
}
