#include "queue/batch.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_BUF_MAX (256u << 20)
#define KEEP_BYTES    (1u << 20) /* larger buffers are not kept from batch to batch */

/* All that an item may add to. From BUF_TOKENS on they are columns: arguments that go out as they stand. */
enum { BUF_KEYS, BUF_MORE_KEYS, BUF_ACCOUNTS, BUF_TOKENS, BUF_FIRSTS, BUF_LEDGERS, BUF_EXTRAS, BUF_COUNT };
#define BUFS(b)                                                                                              \
    {                                                                                                        \
        [BUF_KEYS] = &(b)->keys, [BUF_MORE_KEYS] = &(b)->more_keys, [BUF_ACCOUNTS] = &(b)->accounts,         \
        [BUF_TOKENS] = &(b)->tokens, [BUF_FIRSTS] = &(b)->firsts, [BUF_LEDGERS] = &(b)->ledgers,             \
        [BUF_EXTRAS] = &(b)->extras                                                                          \
    }

static const char op_letters[SETTLE_OPS] = {
    [SETTLE_DONE] = 'O', [SETTLE_DEAD] = 'D', [SETTLE_RETRY] = 'R', [SETTLE_WAIT] = 'W', [SETTLE_BACK] = 'B',
};

struct batch *batch_new(enum batch_kind kind) {
    struct batch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    struct buf *bufs[] = BUFS(b);
    b->kind = kind;
    b->lowest = UINT64_MAX;
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_init(bufs[i], BATCH_BUF_MAX);
    distinct_init(&b->limits, BATCH_BUF_MAX);
    distinct_init(&b->ops, BATCH_BUF_MAX);
    buf_init(&b->op, BATCH_OP_MAX);
    return b;
}

void batch_free(struct batch *b) {
    if (b == NULL)
        return;
    struct buf *bufs[] = BUFS(b);
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_deinit(bufs[i]);
    distinct_deinit(&b->limits);
    distinct_deinit(&b->ops);
    buf_deinit(&b->op);
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
    b->dies = b->stray = b->doubtful = b->sent = b->repeated = b->waits = b->answered = false;
    b->lowest = UINT64_MAX;
    for (size_t i = 0; i < BUF_COUNT; i++)
        shrink(bufs[i]);
    distinct_reset(&b->limits);
    distinct_reset(&b->ops);
}

bool batch_full(const struct batch *b) {
    return b->count == BATCH_ITEMS || b->firsts.len + b->extras.len >= BATCH_BYTES ||
           distinct_full(&b->limits) || distinct_full(&b->ops);
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

/* The last run, if the item is of it. */
static struct batch_run *same_run(struct batch *b, const struct batch_run *of, struct span account) {
    struct batch_run *last = b->run_count > 0 ? &b->runs[b->run_count - 1] : NULL;
    if (last == NULL || last->limits != of->limits || last->what != of->what)
        return NULL;
    struct span name = {b->accounts.data + b->accounts.len - 2 - b->last_account, b->last_account};
    return span_eq(name, account) ? last : NULL;
}

static uint64_t number_of(const char *token) {
    uint64_t n = 0;
    for (; *token >= '0' && *token <= '9'; token++)
        n = n * 10 + (uint64_t)(*token - '0');
    return n;
}

static void count_item(struct batch *b, void *item, const struct batch_run *of, struct batch_run *run,
                       struct span account, const char *token) {
    uint64_t number = number_of(token);
    if (run == NULL) {
        run = &b->runs[b->run_count++];
        *run = *of;
        b->last_account = account.len;
    }
    run->count++;
    b->stray |= run->limits == 0 && account.len > 0;
    if (token[0] != '\0' && number < b->lowest)
        b->lowest = number;
    b->items[b->count++] = item;
}

/* Counts the item, or takes back what a failed append left behind. `ok`: what is no buffer of an item went well. */
static bool commit(struct batch *b, void *item, const struct mark *mark, bool ok, const struct batch_run *of,
                   struct span account, const char *token) {
    struct buf *bufs[] = BUFS(b);
    struct batch_run *run = same_run(b, of, account);
    if (run == NULL)
        redis_resp_arg(&b->accounts, account);
    for (size_t i = 0; i < BUF_COUNT; i++)
        ok = ok && buf_ok(bufs[i]);
    if (ok) {
        count_item(b, item, of, run, account, token);
        b->more_count += b->more_keys.len > mark->len[BUF_MORE_KEYS] ? 1 : 0;
        b->extra_count += b->extras.len > mark->len[BUF_EXTRAS] ? 1 : 0;
        return true;
    }
    for (size_t i = 0; i < BUF_COUNT; i++) {
        bufs[i]->len = mark->len[i];
        bufs[i]->failed = false;
    }
    return false;
}

static bool place_limits(struct batch *b, struct span limits, struct batch_run *run) {
    run->limits = limits.ptr != NULL ? distinct_place(&b->limits, limits) : 0;
    return run->limits != 0 || limits.ptr == NULL;
}

/* "S hash worker token" */
static void write_sending(struct buf *out, const struct beginning *begin) {
    struct span hash = {begin->hash, 32}, worker = span_str(begin->worker), token = span_str(begin->token);
    redis_resp_head(out, 4 + hash.len + worker.len + token.len);
    buf_add_str(out, "S ");
    buf_add_span(out, hash);
    buf_add_char(out, ' ');
    buf_add_span(out, worker);
    buf_add_char(out, ' ');
    buf_add_span(out, token);
    buf_add_str(out, "\r\n");
}

bool batch_add_begin(struct batch *b, void *item, const struct beginning *begin) {
    struct mark mark = mark_of(b);
    struct batch_run run = {.what = (uint8_t)begin->kind};
    bool ok = place_limits(b, begin->limits, &run);
    redis_resp_arg(&b->keys, begin->ledger_key);
    redis_resp_str(&b->tokens, begin->token);
    write_sending(&b->firsts, begin);
    return commit(b, item, &mark, ok, &run, span_str(begin->account), begin->token);
}

/* "Osbcreated", "Opc:2:5000", "Drbrejected::4711": one text, as many settlements share it. */
static uint8_t place_op(struct batch *b, const struct settlement *s) {
    struct buf *op = &b->op;
    buf_reset(op);
    buf_add_char(op, op_letters[s->op]);
    buf_add_char(op, s->gate);
    buf_add_char(op, s->claim == CLAIM_UNSURE ? CLAIM_BEGUN : (char)s->claim);
    if (s->counter != NULL)
        buf_add_str(op, s->counter);
    if (s->results_key.ptr != NULL || s->gate_ms > 0 || s->gate_code != NULL) {
        buf_add_char(op, ':');
        if (s->results_key.ptr != NULL) {
            redis_resp_arg(&b->more_keys, s->results_key);
            buf_add_u64(op, b->more_count + 1);
        }
        buf_add_char(op, ':');
        if (s->gate_ms > 0)
            buf_add_u64(op, s->gate_ms);
        else if (s->gate_code != NULL)
            buf_add_str(op, s->gate_code);
    }
    return buf_ok(op) ? distinct_place(&b->ops, buf_span(op)) : 0;
}

static void add_or_empty(struct buf *args, struct span s) {
    redis_resp_arg(args, s.ptr != NULL ? s : SPAN_LIT(""));
}

bool batch_add_settlement(struct batch *b, void *item, const struct queue_keys *k, const char *token,
                          const struct settlement *s) {
    struct mark mark = mark_of(b);
    struct batch_run run = {.what = place_op(b, s)};
    bool ok = place_limits(b, s->limits, &run) && run.what != 0;
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
    if (!commit(b, item, &mark, ok, &run, span_str(s->account != NULL ? s->account : ""), token))
        return false;
    b->dies |= s->op == SETTLE_DEAD;
    b->doubtful |= s->claim == CLAIM_UNSURE;
    return true;
}

size_t batch_arg_count(const struct batch *b) {
    size_t columns = b->kind == BATCH_BEGIN ? 2 : 3;
    return columns * b->count + 2 * (size_t)b->extra_count;
}

void batch_write_columns(const struct batch *b, struct buf *cmd) {
    const struct buf *bufs[] = BUFS(b);
    for (size_t i = BUF_TOKENS; i < BUF_COUNT; i++)
        buf_add_span(cmd, buf_span(bufs[i]));
}
