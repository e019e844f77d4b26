#include "queue/batch.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH_BUF_MAX (256u << 20)
#define KEEP_BYTES    (1u << 20) /* larger buffers are not kept from batch to batch */

/* What an item adds to: `columns` are the arguments that go out as they stand. */
#define COLUMNS(b) {&(b)->tokens, &(b)->firsts, &(b)->ledgers, &(b)->extras}
#define BUFS(b) \
    {&(b)->keys, &(b)->more_keys, &(b)->whats, &(b)->tokens, &(b)->firsts, &(b)->ledgers, &(b)->extras}
#define BUF_COUNT 7

struct batch *batch_new(enum script_id script) {
    struct batch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    struct buf *bufs[] = BUFS(b);
    b->script = script;
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_init(bufs[i], BATCH_BUF_MAX);
    buf_init(&b->what, BATCH_WHAT_MAX);
    buf_init(&b->last_what, BATCH_WHAT_MAX);
    buf_init(&b->cmd, BATCH_BUF_MAX);
    return b;
}

void batch_free(struct batch *b) {
    if (b == NULL)
        return;
    struct buf *bufs[] = BUFS(b);
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_deinit(bufs[i]);
    buf_deinit(&b->what);
    buf_deinit(&b->last_what);
    buf_deinit(&b->cmd);
    free(b);
}

static void shrink(struct buf *b) {
    if (b->cap > KEEP_BYTES)
        buf_deinit(b);
    buf_reset(b);
}

void batch_reset(struct batch *b) {
    struct buf *bufs[] = BUFS(b);
    b->count = b->run_count = b->more_count = b->extra_count = 0;
    b->sent = b->repeated = b->waits = b->answered = false;
    for (size_t i = 0; i < BUF_COUNT; i++)
        shrink(bufs[i]);
    shrink(&b->cmd);
}

bool batch_full(const struct batch *b) {
    return b->count == BATCH_ITEMS || b->firsts.len + b->extras.len >= BATCH_BYTES;
}

/* Where a batch ended before an item was added. */
struct mark {
    size_t len[BUF_COUNT];
};

static struct mark mark_of(struct batch *b) {
    struct buf *bufs[] = BUFS(b);
    struct mark mark;
    for (size_t i = 0; i < BUF_COUNT; i++)
        mark.len[i] = bufs[i]->len;
    return mark;
}

/* b->what: the last run's, which grows, or a new one's. */
static bool starts_run(struct batch *b) {
    if (b->run_count > 0 && span_eq(buf_span(&b->what), buf_span(&b->last_what)))
        return false;
    redis_resp_arg(&b->whats, buf_span(&b->what));
    return true;
}

/* Counts the item, or takes back what a failed append left behind. */
static bool commit(struct batch *b, void *item, const struct mark *mark) {
    struct buf *bufs[] = BUFS(b);
    bool ok = buf_ok(&b->what), new_run = starts_run(b);
    for (size_t i = 0; i < BUF_COUNT; i++)
        ok = ok && buf_ok(bufs[i]);
    if (ok && new_run) {
        buf_reset(&b->last_what);
        buf_add_span(&b->last_what, buf_span(&b->what));
        ok = buf_ok(&b->last_what);
    }
    if (ok) {
        b->more_count += b->more_keys.len > mark->len[1] ? 1 : 0;
        b->extra_count += b->extras.len > mark->len[6] ? 1 : 0;
        if (new_run)
            b->run_len[b->run_count++] = 0;
        b->run_len[b->run_count - 1]++;
        b->items[b->count++] = item;
        return true;
    }
    for (size_t i = 0; i < BUF_COUNT; i++) {
        bufs[i]->len = mark->len[i];
        bufs[i]->failed = false;
    }
    buf_reset(&b->last_what); /* the next item starts a run */
    return false;
}

bool batch_add_begin(struct batch *b, void *item, const char *token, char kind, const char *account,
                     const char hash[static 33], struct span ledger_key) {
    struct mark mark = mark_of(b);
    buf_reset(&b->what);
    buf_add_char(&b->what, kind);
    buf_add_str(&b->what, account);
    redis_resp_arg(&b->keys, ledger_key);
    redis_resp_str(&b->tokens, token);
    redis_resp_arg(&b->firsts, (struct span){hash, 32});
    return commit(b, item, &mark);
}

/* "account op:counter@list effect": one text, as many settlements of a batch share it. */
static void write_what(struct batch *b, const struct settlement *s) {
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
}

static void add_or_empty(struct buf *args, struct span s) {
    redis_resp_arg(args, s.ptr != NULL ? s : SPAN_LIT(""));
}

bool batch_add_settlement(struct batch *b, void *item, const struct queue_keys *k, const char *token,
                          const struct settlement *s) {
    struct mark mark = mark_of(b);
    write_what(b, s);
    redis_resp_arg(&b->keys, s->ledger_key.ptr != NULL ? s->ledger_key : k->key[KEY_JOBS]);
    redis_resp_str(&b->tokens, token);
    add_or_empty(&b->firsts, s->result);
    add_or_empty(&b->ledgers, s->ledger);
    if (s->op != SETTLE_DONE && s->op != SETTLE_BACK) {
        if (s->op == SETTLE_DEAD)
            redis_resp_str(&b->extras, s->dead_id);
        else
            redis_resp_u64(&b->extras, s->due_ms);
        add_or_empty(&b->extras, s->body);
    }
    return commit(b, item, &mark);
}

/* KEYS: those that every call has, one per item, further lists. `args`: how many there are before the runs. */
static void write_head(struct batch *b, const struct queue_keys *k, const enum queue_key *fixed, size_t n, size_t args) {
    size_t columns = b->script == SCRIPT_BEGIN ? 2 : 3;
    args += 2 + 2 * (size_t)b->run_count + columns * b->count + 2 * (size_t)b->extra_count;
    queue_cmd_begin(&b->cmd, b->script, n + b->count + b->more_count, args);
    for (size_t i = 0; i < n; i++)
        queue_cmd_key(&b->cmd, k, fixed[i]);
    buf_add_span(&b->cmd, buf_span(&b->keys));
    buf_add_span(&b->cmd, buf_span(&b->more_keys));
}

/* Numbers of items and of runs, the runs, the columns. */
static void write_items(struct batch *b) {
    const struct buf *columns[] = COLUMNS(b);
    redis_resp_u64(&b->cmd, b->count);
    redis_resp_u64(&b->cmd, b->run_count);
    buf_add_span(&b->cmd, buf_span(&b->whats));
    for (uint32_t i = 0; i < b->run_count; i++)
        redis_resp_u64(&b->cmd, b->run_len[i]);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        buf_add_span(&b->cmd, buf_span(columns[i]));
}

static void compose_begin(struct batch *b, const struct queue_keys *k) {
    static const enum queue_key fixed[] = {KEY_WORKERS, KEY_INFLIGHT, KEY_CLAIMS,  KEY_PARKED, KEY_WAITING,
                                           KEY_GATES,   KEY_ACCOUNTS, KEY_LIMITS, KEY_PAUSES, KEY_STATS,
                                           KEY_DELAYED};
    write_head(b, k, fixed, sizeof(fixed) / sizeof(fixed[0]), 2);
    redis_resp_str(&b->cmd, k->worker);
    redis_resp_u64(&b->cmd, k->order_prefix.len);
    write_items(b);
}

static void compose_settle(struct batch *b, const struct queue_keys *k) {
    static const enum queue_key fixed[] = {KEY_JOBS,    KEY_DEAD,     KEY_DEAD_ENTRIES, KEY_DELAYED,
                                           KEY_PARKED,  KEY_WAITING,  KEY_GATES,        KEY_ACCOUNTS,
                                           KEY_LIMITS,  KEY_STATS,    KEY_INFLIGHT,     KEY_CLAIMS,
                                           KEY_RESULTS};
    char jitter[16];
    snprintf(jitter, sizeof(jitter), "%.3f", b->jitter);
    write_head(b, k, fixed, sizeof(fixed) / sizeof(fixed[0]), 2);
    redis_resp_str(&b->cmd, jitter);
    redis_resp_str(&b->cmd, b->repeated ? "1" : "0");
    write_items(b);
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
    queue_call_wait(caller, k->slot, b->script, &b->cmd, wait, done, arg);
}
