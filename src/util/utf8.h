/* UTF-8 (RFC 3629), one sequence at a time. Whole texts: utf8_valid() in dray/json.h. */
#ifndef DRAY_UTIL_UTF8_H
#define DRAY_UTIL_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the valid sequence at `s`, which has `len` bytes, at least 1; 0 if there is none. */
size_t utf8_sequence(const unsigned char *s, size_t len);

/* Writes a code point (up to U+10FFFF, no surrogate) and returns its length, 1 to 4. */
size_t utf8_encode(uint32_t code_point, unsigned char out[static 4]);

#endif
