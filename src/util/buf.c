/* Growing by doubling up to the maximum; past it the buffer fails and stays as it was. */
#include "dray/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/plain.h"
#include "util/utf8.h"

#define BUF_FIRST 64         /* bytes of a first allocation */
#define BUF_KEEP  (8u << 20) /* bytes that a reset keeps: the memory of one giant text is given back */

void buf_init(struct buf *b, size_t max) {
    *b = (struct buf){.max = max};
}

void buf_deinit(struct buf *b) {
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b) {
    if (b->cap > BUF_KEEP) {
        free(b->data);
        b->data = NULL;
        b->cap = 0;
    }
    b->len = 0;
    b->failed = false;
}

bool buf_reserve(struct buf *b, size_t n) {
    if (b->failed || n > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + n;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap > 0 ? b->cap : BUF_FIRST;
    while (cap < need)
        cap *= 2;
    char *data = realloc(b->data, cap);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_add_u64(struct buf *b, uint64_t v) {
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    buf_add(b, digits + i, sizeof(digits) - i);
}

void buf_add_i64(struct buf *b, int64_t v) {
    if (v < 0)
        buf_add_char(b, '-');
    buf_add_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_addf(struct buf *b, const char *format, ...) {
    char small[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(small, sizeof(small), format, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if ((size_t)n < sizeof(small)) {
        buf_add(b, small, (size_t)n);
        return;
    }
    if (!buf_reserve(b, (size_t)n + 1)) /* + 1: vsnprintf ends with a NUL, which is not kept */
        return;
    va_start(ap, format);
    vsnprintf(b->data + b->len, (size_t)n + 1, format, ap);
    va_end(ap);
    b->len += (size_t)n;
}

static void add_escaped(struct buf *b, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
        buf_add(b, "\\\"", 2);
        return;
    case '\\':
        buf_add(b, "\\\\", 2);
        return;
    case '\n':
        buf_add(b, "\\n", 2);
        return;
    case '\r':
        buf_add(b, "\\r", 2);
        return;
    case '\t':
        buf_add(b, "\\t", 2);
        return;
    default: {
        char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_add(b, u, sizeof(u));
    }
    }
}

void buf_add_json_str(struct buf *b, struct span s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t plain = 0; /* start of the run that needs no escape */
    buf_reserve(b, s.len + 2);
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.len;) {
        i = (size_t)(plain_run(p + i, p + s.len) - p);
        if (i == s.len)
            break;
        size_t n = utf8_sequence(p + i, s.len - i);
        if (n > 1) {
            i += n;
            continue;
        }
        buf_add(b, s.ptr + plain, i - plain);
        if (n > 0)
            add_escaped(b, p[i]);
        else
            buf_add(b, "\xef\xbf\xbd", 3);
        plain = ++i;
    }
    if (s.len > plain)
        buf_add(b, s.ptr + plain, s.len - plain);
    buf_add_char(b, '"');
}

const char *buf_cstr(struct buf *b) {
    if (b->failed || b->len == 0)
        return "";
    if (b->len == b->cap) {
        char *data = realloc(b->data, b->cap + 1);
        if (data == NULL) {
            b->failed = true;
            return "";
        }
        b->data = data;
        b->cap++;
    }
    b->data[b->len] = '\0';
    return b->data;
}
