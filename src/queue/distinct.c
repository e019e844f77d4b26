#include "queue/distinct.h"

#include "dray/redis.h"

void distinct_init(struct distinct *d, size_t max) {
    buf_init(&d->resp, max);
    d->count = 0;
}

void distinct_deinit(struct distinct *d) {
    buf_deinit(&d->resp);
}

void distinct_reset(struct distinct *d) {
    buf_reset(&d->resp);
    d->count = 0;
}

bool distinct_full(const struct distinct *d) {
    return d->count == DISTINCT_MAX;
}

struct span distinct_text(const struct distinct *d, uint8_t place) {
    return (struct span){d->resp.data + d->at[place - 1], d->len[place - 1]};
}

uint8_t distinct_place(struct distinct *d, struct span text) {
    for (uint32_t i = d->count; i > 0; i--) /* mostly the last one again */
        if (span_eq(distinct_text(d, (uint8_t)i), text))
            return (uint8_t)i;
    if (distinct_full(d))
        return 0;
    size_t before = d->resp.len;
    redis_resp_arg(&d->resp, text);
    if (!buf_ok(&d->resp)) {
        d->resp.len = before;
        d->resp.failed = false;
        return 0;
    }
    d->at[d->count] = (uint32_t)(d->resp.len - 2 - text.len);
    d->len[d->count] = (uint32_t)text.len;
    return (uint8_t)++d->count;
}
