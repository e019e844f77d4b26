#include "queue/turn.h"

#include <stdio.h>

#define HEAD 11 /* arguments before the batches' */

static const enum queue_key fixed[] = {KEY_JOBS,    KEY_RESULTS, KEY_DEAD,  KEY_DEAD_ENTRIES, KEY_DELAYED, KEY_PARKED,
                                       KEY_WAITING, KEY_GATES,   KEY_ACCOUNTS, KEY_LIMITS,    KEY_PAUSES,  KEY_WORKERS,
                                       KEY_STATS,   KEY_TAKEN,   KEY_INFLIGHT, KEY_CLAIMS};
#define FIXED (sizeof(fixed) / sizeof(fixed[0]))

static void write_keys(const struct turn *t, struct buf *cmd, const struct queue_keys *k) {
    for (size_t i = 0; i < FIXED; i++)
        queue_cmd_key(cmd, k, fixed[i]);
    if (t->begin != NULL)
        buf_add_span(cmd, buf_span(&t->begin->keys));
    if (t->settle != NULL) {
        buf_add_span(cmd, buf_span(&t->settle->keys));
        buf_add_span(cmd, buf_span(&t->settle->more_keys));
    }
}

static void write_counts(const struct batch *b, struct buf *cmd) {
    redis_resp_u64(cmd, b != NULL ? b->count : 0);
    redis_resp_u64(cmd, b != NULL ? b->run_count : 0);
}

static void write_head(const struct turn *t, struct buf *cmd, const struct queue_keys *k) {
    char jitter[16] = "0";
    redis_resp_str(cmd, k->worker);
    redis_resp_u64(cmd, k->order_prefix.len);
    write_counts(t->begin, cmd);
    write_counts(t->settle, cmd);
    if (t->settle != NULL)
        snprintf(jitter, sizeof(jitter), "%.3f", t->settle->jitter);
    redis_resp_str(cmd, jitter);
    redis_resp_str(cmd, t->settle != NULL && t->settle->repeated ? "1" : "0");
    if (t->claims)
        redis_resp_u64(cmd, t->claim_n);
    else
        redis_resp_str(cmd, "");
    redis_resp_u64(cmd, t->claim_bytes);
    redis_resp_u64(cmd, t->high_water);
}

static void mark_sent(struct batch *b) {
    b->repeated = b->sent;
    b->sent = true;
}

void turn_send(const struct turn *t, struct buf *cmd, struct queue_caller *caller, const struct queue_keys *k,
               const struct redis_wait *wait, queue_reply_fn done, void *arg) {
    struct batch *batches[] = {t->begin, t->settle};
    size_t keys = FIXED, args = HEAD;
    for (size_t i = 0; i < 2; i++) {
        if (batches[i] == NULL)
            continue;
        mark_sent(batches[i]);
        keys += batches[i]->count + batches[i]->more_count;
        args += batch_arg_count(batches[i]);
    }
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_TURN, keys, args);
    write_keys(t, cmd, k);
    write_head(t, cmd, k);
    for (size_t i = 0; i < 2; i++)
        if (batches[i] != NULL)
            batch_write_args(batches[i], cmd);
    queue_call_wait(caller, k->slot, SCRIPT_TURN, cmd, wait, done, arg);
}

/* An array of at least one text, and of nothing but texts. */
static bool part_ok(const redisReply *part) {
    if (part->type != REDIS_REPLY_ARRAY || part->elements == 0)
        return false;
    for (size_t i = 0; i < part->elements; i++)
        if (part->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

const char *turn_begin_refused(const redisReply *reply) {
    const redisReply *begun = reply->element[TURN_BEGUN];
    return part_ok(begun) && begun->element[0]->len == 0 && begun->elements > 1 ? begun->element[1]->str : NULL;
}

bool turn_reply_ok(const struct turn *t, const redisReply *reply) {
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != TURN_PARTS ||
        reply->element[TURN_NOW]->type != REDIS_REPLY_STRING || reply->element[TURN_NEXT]->type != REDIS_REPLY_STRING)
        return false;
    const redisReply *settled = reply->element[TURN_SETTLED], *begun = reply->element[TURN_BEGUN];
    if (t->settle != NULL && (!part_ok(settled) || settled->element[0]->len != t->settle->count))
        return false;
    if (t->begin != NULL &&
        (!part_ok(begun) || (begun->element[0]->len != t->begin->count && turn_begin_refused(reply) == NULL)))
        return false;
    const redisReply *claimed = reply->element[TURN_CLAIMED]; /* status; or that and why; or that, tokens and records */
    return !t->claims || (part_ok(claimed) && claimed->elements != 3);
}
