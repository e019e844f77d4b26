#include "queue/batch.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH_BUF_MAX (256u << 20)
#define BATCH_WHAT_MAX 256
#define KEEP_BYTES    (1u << 20) /* larger buffers are not kept from batch to batch */

struct batch *batch_new(enum script_id script) {
    struct batch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->script = script;
    buf_init(&b->keys, BATCH_BUF_MAX);
    buf_init(&b->more_keys, BATCH_BUF_MAX);
    buf_init(&b->what, BATCH_WHAT_MAX);
    buf_init(&b->args, BATCH_BUF_MAX);
    buf_init(&b->cmd, BATCH_BUF_MAX);
    return b;
}

void batch_free(struct batch *b) {
    if (b == NULL)
        return;
    buf_deinit(&b->keys);
    buf_deinit(&b->more_keys);
    buf_deinit(&b->what);
    buf_deinit(&b->args);
    buf_deinit(&b->cmd);
    free(b);
}

static void shrink(struct buf *b) {
    if (b->cap > KEEP_BYTES)
        buf_deinit(b);
    buf_reset(b);
}

void batch_reset(struct batch *b) {
    b->count = 0;
    b->arg_count = 0;
    b->sent = b->repeated = b->waits = b->answered = false;
    shrink(&b->keys);
    b->more_count = 0;
    shrink(&b->more_keys);
    shrink(&b->args);
    shrink(&b->cmd);
}

bool batch_full(const struct batch *b) {
    return b->count == BATCH_ITEMS || b->args.len >= BATCH_BYTES;
}

/* Where a batch ended before an item was added. */
struct mark {
    size_t keys, more_keys, args, arg_count;
};

static struct mark mark_of(const struct batch *b) {
    return (struct mark){b->keys.len, b->more_keys.len, b->args.len, b->arg_count};
}

/* Counts the item, or takes back what a failed append left behind. */
static bool commit(struct batch *b, void *item, struct mark mark) {
    if (buf_ok(&b->keys) && buf_ok(&b->more_keys) && buf_ok(&b->args) && buf_ok(&b->what)) {
        b->more_count += b->more_keys.len > mark.more_keys ? 1 : 0;
        b->items[b->count++] = item;
        return true;
    }
    b->keys.len = mark.keys;
    b->more_keys.len = mark.more_keys;
    b->args.len = mark.args;
    b->arg_count = mark.arg_count;
    b->keys.failed = b->more_keys.failed = b->args.failed = false;
    return false;
}

bool batch_add_begin(struct batch *b, void *item, const char *token, char kind, const char *account,
                     const char hash[static 33], struct span ledger_key) {
    struct mark mark = mark_of(b);
    buf_reset(&b->what);
    buf_add_char(&b->what, kind);
    buf_add_str(&b->what, account);
    redis_resp_arg(&b->keys, ledger_key);
    redis_resp_str(&b->args, token);
    redis_resp_arg(&b->args, buf_span(&b->what));
    redis_resp_arg(&b->args, (struct span){hash, 32});
    b->arg_count += 3;
    return commit(b, item, mark);
}

/* "account op:counter@list effect": one text, as many settlements of a batch share it. */
static void add_what(struct batch *b, const struct settlement *s) {
    struct buf *what = &b->what;
    buf_reset(what);
    buf_add_str(what, s->account != NULL ? s->account : "");
    buf_add_char(what, ' ');
    buf_add_str(what, settle_op_names[s->op]);
    if (s->counter != NULL) {
        buf_add_char(what, ':');
        buf_add_str(what, s->counter);
    }
    if (s->results_key.ptr != NULL) {
        redis_resp_arg(&b->more_keys, s->results_key);
        buf_add_char(what, '@');
        buf_add_u64(what, b->more_count + 1);
    }
    buf_add_char(what, ' ');
    buf_add_char(what, s->gate);
    if (s->gate_ms > 0)
        buf_add_u64(what, s->gate_ms);
    redis_resp_arg(&b->args, buf_span(what));
}

static void add_or_empty(struct buf *args, struct span s) {
    redis_resp_arg(args, s.ptr != NULL ? s : SPAN_LIT(""));
}

bool batch_add_settlement(struct batch *b, void *item, const struct queue_keys *k, const char *token,
                          const struct settlement *s) {
    struct mark mark = mark_of(b);
    redis_resp_arg(&b->keys, s->ledger_key.ptr != NULL ? s->ledger_key : k->key[KEY_JOBS]);
    redis_resp_str(&b->args, token);
    add_what(b, s);
    add_or_empty(&b->args, s->result);
    add_or_empty(&b->args, s->ledger);
    b->arg_count += 4;
    if (s->op != SETTLE_DONE && s->op != SETTLE_BACK) {
        if (s->op == SETTLE_DEAD)
            redis_resp_str(&b->args, s->dead_id);
        else
            redis_resp_u64(&b->args, s->due_ms);
        add_or_empty(&b->args, s->body);
        b->arg_count += 2;
    }
    return commit(b, item, mark);
}

static void compose_begin(struct batch *b, const struct queue_keys *k) {
    static const enum queue_key fixed[] = {KEY_WORKERS, KEY_INFLIGHT, KEY_CLAIMS,  KEY_PARKED, KEY_WAITING,
                                           KEY_GATES,   KEY_ACCOUNTS, KEY_LIMITS, KEY_PAUSES, KEY_STATS,
                                           KEY_DELAYED};
    size_t fixed_count = sizeof(fixed) / sizeof(fixed[0]);
    queue_cmd_begin(&b->cmd, SCRIPT_BEGIN, fixed_count + b->count, 2 + b->arg_count);
    for (size_t i = 0; i < fixed_count; i++)
        queue_cmd_key(&b->cmd, k, fixed[i]);
    buf_add_span(&b->cmd, buf_span(&b->keys));
    redis_resp_str(&b->cmd, k->worker);
    redis_resp_u64(&b->cmd, k->order_prefix.len);
}

static void compose_settle(struct batch *b, const struct queue_keys *k) {
    static const enum queue_key fixed[] = {KEY_JOBS,    KEY_DEAD,     KEY_DEAD_ENTRIES, KEY_DELAYED,
                                           KEY_PARKED,  KEY_WAITING,  KEY_GATES,        KEY_ACCOUNTS,
                                           KEY_LIMITS,  KEY_STATS,    KEY_INFLIGHT,     KEY_CLAIMS,
                                           KEY_RESULTS};
    size_t fixed_count = sizeof(fixed) / sizeof(fixed[0]);
    char jitter[16];
    queue_cmd_begin(&b->cmd, SCRIPT_SETTLE, fixed_count + b->count + b->more_count, 3 + b->arg_count);
    for (size_t i = 0; i < fixed_count; i++)
        queue_cmd_key(&b->cmd, k, fixed[i]);
    buf_add_span(&b->cmd, buf_span(&b->keys));
    buf_add_span(&b->cmd, buf_span(&b->more_keys));
    snprintf(jitter, sizeof(jitter), "%.3f", b->jitter);
    redis_resp_str(&b->cmd, jitter);
    redis_resp_str(&b->cmd, b->repeated ? "1" : "0");
    redis_resp_u64(&b->cmd, b->count);
}

bool batch_reply_ok(const struct batch *b, const redisReply *reply) {
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements >= 3 &&
           reply->element[0]->type == REDIS_REPLY_STRING && reply->element[0]->len == b->count;
}

void batch_send(struct batch *b, struct queue_caller *caller, const struct queue_keys *k,
                const struct redis_wait *wait, queue_reply_fn done, void *arg) {
    buf_reset(&b->cmd);
    b->repeated = b->sent;
    b->sent = true;
    if (b->script == SCRIPT_BEGIN)
        compose_begin(b, k);
    else
        compose_settle(b, k);
    buf_add_span(&b->cmd, buf_span(&b->args));
    queue_call_wait(caller, k->slot, b->script, &b->cmd, wait, done, arg);
}
