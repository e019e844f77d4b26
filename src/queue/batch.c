#include "queue/batch.h"

#include <stdlib.h>

#define BATCH_BUF_MAX (256u << 20)
#define KEEP_BYTES    (1u << 20) /* larger buffers are not kept from batch to batch */

/* All that an item may add to. From BUF_TOKENS on they are columns: arguments that go out as they stand. */
enum { BUF_KEYS, BUF_MORE_KEYS, BUF_WHATS, BUF_TOKENS, BUF_FIRSTS, BUF_LEDGERS, BUF_EXTRAS, BUF_COUNT };
#define BUFS(b)                                                                                                        \
    {[BUF_KEYS] = &(b)->keys,     [BUF_MORE_KEYS] = &(b)->more_keys, [BUF_WHATS] = &(b)->whats,                         \
     [BUF_TOKENS] = &(b)->tokens, [BUF_FIRSTS] = &(b)->firsts,       [BUF_LEDGERS] = &(b)->ledgers,                     \
     [BUF_EXTRAS] = &(b)->extras}

struct batch *batch_new(enum batch_kind kind) {
    struct batch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    struct buf *bufs[] = BUFS(b);
    b->kind = kind;
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_init(bufs[i], BATCH_BUF_MAX);
    buf_init(&b->what, BATCH_WHAT_MAX);
    buf_init(&b->last_what, BATCH_WHAT_MAX);
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
        b->more_count += b->more_keys.len > mark->len[BUF_MORE_KEYS] ? 1 : 0;
        b->extra_count += b->extras.len > mark->len[BUF_EXTRAS] ? 1 : 0;
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

size_t batch_arg_count(const struct batch *b) {
    size_t columns = b->kind == BATCH_BEGIN ? 2 : 3;
    return 2 * (size_t)b->run_count + columns * b->count + 2 * (size_t)b->extra_count;
}

void batch_write_args(const struct batch *b, struct buf *cmd) {
    const struct buf *bufs[] = BUFS(b);
    buf_add_span(cmd, buf_span(&b->whats));
    for (uint32_t i = 0; i < b->run_count; i++)
        redis_resp_u64(cmd, b->run_len[i]);
    for (size_t i = BUF_TOKENS; i < BUF_COUNT; i++)
        buf_add_span(cmd, buf_span(bufs[i]));
}
