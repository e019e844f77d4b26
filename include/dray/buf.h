/* A growing byte buffer with a maximum. An append that exceeds the maximum, or finds no memory, sets `failed`
 * and leaves the content as it was; later appends do nothing. So a writer appends without checking and asks
 * buf_ok() once at the end. Only buf_cstr() NUL-terminates the content. */
#ifndef DRAY_BUF_H
#define DRAY_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* bytes that len may reach */
    bool failed;
};

/* A piece of memory that somebody else owns. `ptr` NULL means absent, which is not the same as empty. */
struct span {
    const char *ptr;
    size_t len;
};

#define SPAN_LIT(s) ((struct span){(s), sizeof(s) - 1})

void buf_init(struct buf *b, size_t max); /* allocates nothing */
void buf_deinit(struct buf *b);           /* frees; the buffer may be initialised again */
/* Empties the buffer and clears `failed`. Keeps up to 8 MiB of its memory. */
void buf_reset(struct buf *b);
static inline bool buf_ok(const struct buf *b) {
    return !b->failed;
}

/* Makes room for `n` more bytes. Returns false (and sets failed) when that is not possible. */
bool buf_reserve(struct buf *b, size_t n);

/* Appends `n` bytes. What is inline here is small and called some hundred times an order; most pieces of a text are
 * literals. */
static inline void buf_add(struct buf *b, const void *data, size_t n) {
    if (n == 0)
        return;
    bool fits = !b->failed && n <= b->cap - b->len && n <= b->max - b->len;
    if (!fits && !buf_reserve(b, n))
        return;
    memcpy(b->data + b->len, data, n);
    b->len += n;
}

/* Appends the bytes of `s`. Appends nothing if `s` is absent. */
static inline void buf_add_span(struct buf *b, struct span s) {
    buf_add(b, s.ptr, s.len);
}

/* Appends a NUL-terminated text, without the NUL. */
static inline void buf_add_str(struct buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

/* Appends one byte. */
static inline void buf_add_char(struct buf *b, char c) {
    buf_add(b, &c, 1);
}

/* Appends the number in decimal digits. */
void buf_add_u64(struct buf *b, uint64_t v);
void buf_add_i64(struct buf *b, int64_t v);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `s` as a JSON string with its quotes. Escapes what RFC 8259 requires; bytes that are not
 * valid UTF-8 become U+FFFD. */
void buf_add_json_str(struct buf *b, struct span s);

/* Returns the content as a C string; the NUL does not count in `len`. "" where the buffer failed or is empty. */
const char *buf_cstr(struct buf *b);

/* What is in the buffer, until it changes; never absent. */
static inline struct span buf_span(const struct buf *b) {
    return (struct span){b->data != NULL ? b->data : "", b->len};
}

/* NULL gives an absent span. */
static inline struct span span_str(const char *s) {
    return (struct span){s, s != NULL ? strlen(s) : 0};
}

/* The same bytes; absent and empty are the same. */
static inline bool span_eq(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Given, and the same bytes. */
static inline bool span_is(struct span a, const char *s) {
    return a.ptr != NULL && span_eq(a, span_str(s));
}

#endif
