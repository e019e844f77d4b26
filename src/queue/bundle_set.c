#include "queue/bundle_set.h"

#include <string.h>

#include "dray/redis.h"

#define WORDS (BUNDLES / 64)

bool token_is_bundled(struct span token) {
    return token.len > 0 && token.ptr[token.len - 1] == 'b';
}

void bundle_set_add(struct bundle_set *s, uint8_t n) {
    if (n > 0)
        s->bits[n / 64] |= 1ull << n % 64;
}

bool bundle_set_has(const struct bundle_set *s, uint8_t n) {
    return (s->bits[n / 64] >> n % 64 & 1) != 0;
}

void bundle_set_fill(struct bundle_set *s) {
    for (size_t i = 0; i < WORDS; i++)
        s->bits[i] = i == 0 ? ~1ull : ~0ull;
}

void bundle_set_join(struct bundle_set *s, const struct bundle_set *other) {
    for (size_t i = 0; i < WORDS; i++)
        s->bits[i] |= other->bits[i];
}

size_t bundle_set_count(const struct bundle_set *s) {
    size_t n = 0;
    for (size_t i = 0; i < WORDS; i++)
        n += (size_t)__builtin_popcountll(s->bits[i]);
    return n;
}

void bundle_set_bytes(const struct bundle_set *s, struct buf *out) {
    for (size_t i = 0; i < WORDS; i++)
        for (uint64_t left = s->bits[i]; left != 0; left &= left - 1)
            buf_add_char(out, (char)(64 * i + (size_t)__builtin_ctzll(left)));
}

void bundle_key_write(uint8_t n, const struct queue_keys *k, struct span worker, struct buf *cmd) {
    struct span prefix = k->key[KEY_BUNDLE];
    prefix.len -= strlen(k->worker);
    redis_resp_head(cmd, prefix.len + worker.len + 1 + (n < 10 ? 1 : n < 100 ? 2 : 3));
    buf_add_span(cmd, prefix);
    buf_add_span(cmd, worker);
    buf_add_char(cmd, ':');
    buf_add_u64(cmd, n);
    buf_add(cmd, "\r\n", 2);
}

void bundle_set_write(const struct bundle_set *s, const struct queue_keys *k, struct span worker,
                      struct buf *cmd) {
    for (size_t i = 0; i < WORDS; i++)
        for (uint64_t left = s->bits[i]; left != 0; left &= left - 1)
            bundle_key_write((uint8_t)(64 * i + (size_t)__builtin_ctzll(left)), k, worker, cmd);
}
