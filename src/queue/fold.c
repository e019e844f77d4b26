#include "queue/fold.h"

#include <string.h>

#include "queue/turn.h"

#define PACKED_CONCURRENCY 17 /* where it stands in packed limits, a double (turn_pack_limits) */

/* Whether the items of bundle `n` stand in their order, from its first claim on. */
static bool in_order(const struct batch *begin, uint8_t n) {
    uint16_t next = 0;
    for (uint32_t i = 0; i < begin->count; i++)
        if (begin->places[i].bundle == n && begin->places[i].which != next++)
            return false;
    return true;
}

static bool is_counted(struct span limits) {
    static const char zero[8];
    return limits.len < PACKED_CONCURRENCY + sizeof(zero) ||
           memcmp(limits.ptr + PACKED_CONCURRENCY, zero, sizeof(zero)) != 0;
}

bool fold_may(const struct batch *begin) {
    uint32_t counted = 0;
    if (begin->bundled != begin->count)
        return false;
    for (unsigned n = 1; n < BUNDLES; n++)
        if (bundle_set_has(&begin->of, (uint8_t)n) && !in_order(begin, (uint8_t)n))
            return false;
    for (uint8_t i = 1; i <= begin->limits.count; i++)
        counted += is_counted(distinct_text(&begin->limits, i));
    return counted == 0 || counted == begin->limits.count;
}

void fold_write_places(const struct batch *settle, struct buf *cmd) {
    redis_resp_head(cmd, 4 * (size_t)settle->count);
    for (uint32_t i = 0; i < settle->count; i++) {
        uint16_t which = settle->places[i].which;
        buf_add_char(cmd, (char)settle->places[i].bundle);
        turn_pack_u16(cmd, 1u + which / 8);
        buf_add_char(cmd, (char)(1u << which % 8));
    }
    buf_add(cmd, "\r\n", 2);
}

/* How long the keys of bundle `n` are; 0: they are not written. */
static size_t keys_len(const struct batch *begin, uint8_t n, size_t prefix) {
    struct span column = buf_span(&begin->keys);
    size_t len = 0;
    if (!in_order(begin, n))
        return 0;
    for (uint32_t i = 0; i < begin->count; i++) {
        struct span key = batch_next_text(&column);
        if (begin->places[i].bundle != n)
            continue;
        if (key.len < prefix || key.len - prefix > UINT16_MAX)
            return 0;
        len += 2 + key.len - prefix;
    }
    return len;
}

static void write_keys_of(const struct batch *begin, uint8_t n, size_t prefix, struct buf *cmd) {
    struct span column = buf_span(&begin->keys);
    size_t len = keys_len(begin, n, prefix);
    redis_resp_head(cmd, len);
    for (uint32_t i = 0; len > 0 && i < begin->count; i++) {
        struct span key = batch_next_text(&column);
        if (begin->places[i].bundle != n)
            continue;
        turn_pack_u16(cmd, key.len - prefix);
        buf_add(cmd, key.ptr + prefix, key.len - prefix);
    }
    buf_add(cmd, "\r\n", 2);
}

void fold_write_keys(const struct batch *begin, const struct queue_keys *k, struct buf *cmd) {
    for (unsigned n = 1; n < BUNDLES; n++)
        if (bundle_set_has(&begin->of, (uint8_t)n))
            write_keys_of(begin, (uint8_t)n, k->order_prefix.len, cmd);
}
