/* Spoils answers: changes their bytes after they were written as usual. */
#include <ctype.h>
#include <string.h>

#include "sandbox/create.h"

#define DEFLATE_BLOCK_MAX 65535u

/* Puts `now` in front of what is in `out`. */
static void put_in_front(struct buf *out, const struct buf *now) {
    struct buf all;
    buf_init(&all, out->max);
    buf_add(&all, now->data, now->len);
    buf_add_span(&all, buf_span(out));
    buf_deinit(out);
    *out = all;
}

void spoil_bom(struct buf *out) {
    struct buf bom;
    buf_init(&bom, 4);
    buf_add_str(&bom, "\xef\xbb\xbf");
    put_in_front(out, &bom);
    buf_deinit(&bom);
}

static uint32_t crc32_of(const struct buf *b) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < b->len; i++) {
        crc ^= (unsigned char)b->data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void add_little_endian(struct buf *out, uint32_t n, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++)
        buf_add_char(out, (char)(n >> 8 * i & 0xff));
}

/* Wraps the answer in gzip (RFC 1952). It is stored, not compressed, but nobody can read it as JSON. */
void spoil_gzip(struct buf *out) {
    static const char head[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03";
    struct buf z;
    buf_init(&z, out->max);
    buf_add(&z, head, sizeof head - 1);
    size_t at = 0;
    do {
        size_t n = out->len - at < DEFLATE_BLOCK_MAX ? out->len - at : DEFLATE_BLOCK_MAX;
        buf_add_char(&z, at + n == out->len); /* the last block says so */
        add_little_endian(&z, (uint32_t)n, 2);
        add_little_endian(&z, ~(uint32_t)n, 2);
        buf_add(&z, out->data + at, n);
        at += n;
    } while (at < out->len);
    add_little_endian(&z, crc32_of(out), 4);
    add_little_endian(&z, (uint32_t)out->len, 4);
    buf_deinit(out);
    *out = z;
}

/* Puts the name that tells success in front once more, with a value that does not. */
void spoil_names(struct creation *c) {
    static const char *const no[] = {
        [ENDPOINT_KAKACLO_V2] = "{\"code\":500,",     [ENDPOINT_KAKACLO_V1] = "{\"code\":500,",
        [ENDPOINT_KAKACLO_CUSTOM] = "{\"code\":500,", [ENDPOINT_S2] = "{\"id\":\"0\",",
        [ENDPOINT_VU] = "{\"order\":{\"id\":1,",      [ENDPOINT_JSON] = "{\"status\":\"error\","};
    struct buf *out = &c->s->out, changed;
    size_t begins = c->endpoint_index == ENDPOINT_VU ? strlen("{\"order\":{") : 1;
    buf_init(&changed, out->max);
    buf_add_str(&changed, no[c->endpoint_index]);
    buf_add(&changed, out->data + begins, out->len - begins);
    buf_deinit(out);
    *out = changed;
}

/* Replaces `from` by `to` wherever it stands as a whole value, quoted or not. */
static void swap(struct buf *out, struct span from, const char *to) {
    struct buf changed;
    buf_init(&changed, out->max);
    const char *p = out->data, *end = out->data + out->len, *hit;
    while (from.len > 0 && (hit = memmem(p, (size_t)(end - p), from.ptr, from.len)) != NULL) {
        const char *after = hit + from.len;
        bool quoted = hit > out->data && hit[-1] == '"' && after < end && *after == '"';
        bool bare = hit > out->data && hit[-1] == ':' && after < end && isalnum((unsigned char)*after) == 0;
        buf_add(&changed, p, (size_t)(hit - p));
        if (quoted)
            buf_add_str(&changed, to);
        else if (bare && isdigit((unsigned char)to[0]))
            buf_add_str(&changed, to);
        else if (bare)
            buf_addf(&changed, "\"%s\"", to);
        else
            buf_add_span(&changed, from);
        p = after;
    }
    buf_add(&changed, p, (size_t)(end - p));
    buf_deinit(out);
    *out = changed;
}

void spoil_id(struct creation *c, const char *to) {
    const struct tally *t = &c->s->tally;
    const uint32_t order = t->order_count - 1; /* the one just made */
    struct buf id;
    buf_init(&id, 64);
    c->endpoint->write_id(&id, tally_serial(t, order), t->orders[order].created_ms);
    swap(&c->s->out, buf_span(&id), to);
    buf_deinit(&id);
}

void spoil_key(struct sandbox *s, struct span name) {
    struct buf text;
    buf_init(&text, BODY_MAX);
    buf_add_json_str(&text, name);
    if (text.len > 2)
        swap(&s->out, (struct span){text.data + 1, text.len - 2}, "ANOTHER-ORDER");
    buf_deinit(&text);
}
