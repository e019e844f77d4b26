/* Decodes strings. Escapes are undone byte by byte, so that comparing needs no memory. json.c has checked that
 * they are valid. */
#include "util/json_text.h"

#include <string.h>

#include "util/utf8.h"

struct reader {
    const unsigned char *p, *end;
    enum json_coding coding;
    unsigned char pending[4];
    size_t pending_at, pending_len;
};

static struct reader reader_of(struct json_text t) {
    const unsigned char *p = (const unsigned char *)t.bytes.ptr;
    return (struct reader){.p = p, .end = p + t.bytes.len, .coding = t.coding};
}

static uint32_t hex_unit(const unsigned char *p) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (uint32_t)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return v;
}

/* Decodes the valid escape at `p` into UTF-8 and returns the bytes it took. */
static size_t decode_escape(const unsigned char *p, unsigned char out[static 4], size_t *out_len) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (p[1] != 'u') {
        const char *found = memchr(from, p[1], sizeof(from) - 1);
        out[0] = (unsigned char)to[found - from];
        *out_len = 1;
        return 2;
    }
    uint32_t c = hex_unit(p + 2);
    size_t took = 6;
    if (c >= 0xd800 && c <= 0xdbff) {
        c = 0x10000 + ((c - 0xd800) << 10) + (hex_unit(p + 8) - 0xdc00);
        took = 12;
    }
    *out_len = utf8_encode(c, out);
    return took;
}

/* The next byte, or -1 at the end. */
static int reader_next(struct reader *r) {
    if (r->pending_at < r->pending_len)
        return r->pending[r->pending_at++];
    if (r->p == r->end)
        return -1;
    if (r->coding == JSON_CODING_POINTER && *r->p == '~' && r->end - r->p > 1 &&
        (r->p[1] == '0' || r->p[1] == '1')) {
        r->p += 2;
        return r->p[-1] == '0' ? '~' : '/';
    }
    if (r->coding == JSON_CODING_ESCAPED && *r->p == '\\') {
        r->p += decode_escape(r->p, r->pending, &r->pending_len);
        r->pending_at = 1;
        return r->pending[0];
    }
    return *r->p++;
}

struct json_text json_text_of(const struct json_doc *doc, uint32_t string) {
    return (struct json_text){json_inner(doc, string),
                              doc->nodes[string].escaped ? JSON_CODING_ESCAPED : JSON_CODING_PLAIN};
}

static int compare_plain(struct span a, struct span b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int json_text_compare(struct json_text a, struct json_text b) {
    if (a.coding == JSON_CODING_PLAIN && b.coding == JSON_CODING_PLAIN)
        return compare_plain(a.bytes, b.bytes);
    struct reader ra = reader_of(a), rb = reader_of(b);
    for (;;) {
        int x = reader_next(&ra), y = reader_next(&rb);
        if (x != y)
            return x < y ? -1 : 1;
        if (x < 0)
            return 0;
    }
}

bool json_text_equal(struct json_text a, struct json_text b) {
    if (a.coding == JSON_CODING_PLAIN && b.coding == JSON_CODING_PLAIN)
        return span_eq(a.bytes, b.bytes);
    return json_text_compare(a, b) == 0;
}

int json_decode(const struct json_doc *doc, uint32_t node, struct buf *out) {
    if (!json_is(doc, node, JSON_STRING))
        return -1;
    struct span inner = json_inner(doc, node);
    const unsigned char *p = (const unsigned char *)inner.ptr, *end = p + inner.len;
    while (doc->nodes[node].escaped && p < end) {
        const unsigned char *escape = memchr(p, '\\', (size_t)(end - p));
        if (escape == NULL)
            break;
        unsigned char bytes[4];
        size_t n;
        buf_add(out, p, (size_t)(escape - p));
        p = escape + decode_escape(escape, bytes, &n);
        buf_add(out, bytes, n);
    }
    buf_add(out, p, (size_t)(end - p));
    return buf_ok(out) ? 0 : -1;
}

int json_copy(const struct json_doc *doc, uint32_t node, char *out, size_t size) {
    if (!json_is(doc, node, JSON_STRING))
        return -1;
    struct reader r = reader_of(json_text_of(doc, node));
    size_t len = 0;
    for (int c; (c = reader_next(&r)) >= 0; out[len++] = (char)c)
        if (c == 0 || len + 1 >= size || len + 1 >= INT32_MAX)
            return -1;
    if (size == 0)
        return -1;
    out[len] = '\0';
    return (int)len;
}
