#include "queue/format.h"

#include <stdlib.h>
#include <string.h>

#include "dray/redis.h"

#define NAMED_MAX 8 /* workers in one message */
#define PER       3 /* elements of the reply for each: name, format, what is left */

void queue_format_args(struct buf *cmd) {
    redis_resp_u64(cmd, QUEUE_FORMAT);
    redis_resp_u64(cmd, QUEUE_FORMAT_OLDEST);
}

bool queue_format_refused(const redisReply *r) {
    return r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements == 3 &&
           r->element[0]->type == REDIS_REPLY_STRING && strcmp(r->element[0]->str, "FORMAT") == 0 &&
           r->element[1]->type == REDIS_REPLY_STRING && r->element[2]->type == REDIS_REPLY_ARRAY;
}

static long long left_of(const redisReply *others, size_t i) {
    return strtoll(others->element[i + 2]->str, NULL, 10);
}

bool queue_format_all_dead(const redisReply *r) {
    const redisReply *others = r->element[2];
    for (size_t i = 0; i + 2 < others->elements; i += PER)
        if (left_of(others, i) > 0)
            return false;
    return true;
}

static void add_others(const redisReply *others, struct buf *out) {
    size_t count = others->elements / PER;
    for (size_t n = 0; n < count && n < NAMED_MAX; n++) {
        const redisReply *const *e = (const redisReply *const *)others->element + PER * n;
        long long left = left_of(others, PER * n);
        buf_addf(out, "%s%s (format %s", n > 0 ? ", " : "", e[0]->str, e[1]->str);
        if (left < 0)
            buf_addf(out, ", dead, holds %lld jobs", -left);
        else if (left == 0)
            buf_add_str(out, ", dead");
        buf_add_char(out, ')');
    }
    if (count > NAMED_MAX)
        buf_addf(out, " and %zu more", count - NAMED_MAX);
}

void queue_format_words(const char *queue, const redisReply *r, struct buf *out) {
    const redisReply *others = r->element[2];
    long stands = strtol(r->element[1]->str, NULL, 10);
    if (stands == QUEUE_FORMAT)
        buf_addf(
            out,
            "queue %s: workers of another format of its data in Redis are there; it is %d, as that of this "
            "dray " DRAY_VERSION,
            queue, QUEUE_FORMAT);
    else
        buf_addf(out,
                 "queue %s: its data in Redis are of format %s, this dray " DRAY_VERSION " works with %d",
                 queue, r->element[1]->str, QUEUE_FORMAT);
    if (others->elements >= PER) {
        buf_add_str(out, ". Still there: ");
        add_others(others, out);
    }
    if (stands > QUEUE_FORMAT)
        buf_add_str(out, ". Start the newer version");
    else if (others->elements >= PER && queue_format_all_dead(r))
        buf_add_str(
            out, ". Start one of their version: it recovers these jobs within its lease. Then stop it with "
                 "TERM, and start this one");
    else if (others->elements >= PER)
        buf_add_str(out,
                    ". Stop them with TERM and wait until `dray status` shows none, then start this one");
    else
        buf_add_str(out, ". Start a worker of this version, which takes them over");
    buf_add_str(out, "; docs/operations.md, \"Upgrade\"");
}
