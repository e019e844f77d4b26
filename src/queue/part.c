#include "queue/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_BUF_MAX (256u << 20)
#define KEEP_BYTES   (1u << 20) /* larger buffers are not kept from part to part */

/* All that an item may add to. From BUF_FIRSTS on they are columns: arguments that go out as they stand. */
enum {
    BUF_KEYS,
    BUF_MORE_KEYS,
    BUF_ACCOUNTS,
    BUF_PLACES,
    BUF_LISTS,
    BUF_FIRSTS,
    BUF_LEDGERS,
    BUF_EXTRAS,
    BUF_COUNT
};
#define BUFS(b)                                                                                              \
    {                                                                                                        \
        [BUF_KEYS] = &(b)->keys, [BUF_MORE_KEYS] = &(b)->more_keys, [BUF_ACCOUNTS] = &(b)->accounts,         \
        [BUF_PLACES] = &(b)->places, [BUF_LISTS] = &(b)->lists, [BUF_FIRSTS] = &(b)->firsts,                 \
        [BUF_LEDGERS] = &(b)->ledgers, [BUF_EXTRAS] = &(b)->extras                                           \
    }

static const char op_letters[SETTLE_OPS] = {
    [SETTLE_DONE] = 'O', [SETTLE_DEAD] = 'D', [SETTLE_RETRY] = 'R', [SETTLE_WAIT] = 'W', [SETTLE_BACK] = 'B',
};

struct part *part_new(enum part_kind kind) {
    struct part *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    struct buf *bufs[] = BUFS(b);
    b->kind = kind;
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_init(bufs[i], PART_BUF_MAX);
    distinct_init(&b->limits, PART_BUF_MAX);
    distinct_init(&b->ops, PART_BUF_MAX);
    distinct_init(&b->batches, PART_BUF_MAX);
    buf_init(&b->op, PART_OP_MAX);
    return b;
}

void part_free(struct part *b) {
    if (b == NULL)
        return;
    struct buf *bufs[] = BUFS(b);
    for (size_t i = 0; i < BUF_COUNT; i++)
        buf_deinit(bufs[i]);
    distinct_deinit(&b->limits);
    distinct_deinit(&b->ops);
    distinct_deinit(&b->batches);
    buf_deinit(&b->op);
    free(b);
}

static void shrink(struct buf *b) {
    if (b->cap > KEEP_BYTES)
        buf_deinit(b);
    buf_reset(b);
}

void part_reset(struct part *b) {
    struct buf *bufs[] = BUFS(b);
    b->count = b->run_count = b->more_count = b->extra_count = 0;
    b->dies = b->stray = b->sent = b->repeated = b->waits = b->answered = false;
    for (size_t i = 0; i < BUF_COUNT; i++)
        shrink(bufs[i]);
    distinct_reset(&b->limits);
    distinct_reset(&b->ops);
    distinct_reset(&b->batches);
}

bool part_full(const struct part *b) {
    return b->count == PART_ITEMS || b->firsts.len + b->extras.len >= PART_BYTES ||
           distinct_full(&b->limits) || distinct_full(&b->ops) || distinct_full(&b->batches);
}

/* Where a part ended before an item was added. */
struct mark {
    size_t len[BUF_COUNT];
};

static struct mark mark_of(struct part *b) {
    struct buf *bufs[] = BUFS(b);
    struct mark mark;
    for (size_t i = 0; i < BUF_COUNT; i++)
        mark.len[i] = bufs[i]->len;
    return mark;
}

/* The last run, if the item is of it. */
static struct part_run *same_run(struct part *b, const struct part_run *of, struct span account) {
    struct part_run *last = b->run_count > 0 ? &b->runs[b->run_count - 1] : NULL;
    if (last == NULL || last->limits != of->limits || last->what != of->what)
        return NULL;
    struct span name = {b->accounts.data + b->accounts.len - 2 - b->last_account, b->last_account};
    return span_eq(name, account) ? last : NULL;
}

static void count_item(struct part *b, void *item, const struct part_run *of, struct part_run *run,
                       struct span account) {
    if (run == NULL) {
        run = &b->runs[b->run_count++];
        *run = *of;
        b->last_account = account.len;
    }
    run->count++;
    b->stray |= run->limits == 0 && account.len > 0;
    b->items[b->count++] = item;
}

/* Counts the item, or takes back what a failed append left behind. `ok`: what is no buffer of an item went well. */
static bool commit(struct part *b, void *item, const struct mark *mark, bool ok, const struct part_run *of,
                   struct span account) {
    struct buf *bufs[] = BUFS(b);
    struct part_run *run = same_run(b, of, account);
    if (run == NULL)
        redis_resp_arg(&b->accounts, account);
    for (size_t i = 0; i < BUF_COUNT; i++)
        ok = ok && buf_ok(bufs[i]);
    if (ok) {
        count_item(b, item, of, run, account);
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

static bool place_limits(struct part *b, struct span limits, struct part_run *run) {
    run->limits = limits.ptr != NULL ? distinct_place(&b->limits, limits) : 0;
    return run->limits != 0 || limits.ptr == NULL;
}

void part_add_list(const struct queue_keys *k, uint64_t batch, struct buf *out) {
    char number[24];
    int digits = snprintf(number, sizeof(number), "%llu", (unsigned long long)batch);
    redis_resp_head(out, k->batch_prefix.len + strlen(k->worker) + 1 + (size_t)digits);
    queue_keys_batch(k, span_str(k->worker), batch, out);
    buf_add(out, "\r\n", 2);
}

/* Which batch the claim is of, and where it is there. False: there are too many, or no memory. */
static bool place_claim(struct part *b, const struct queue_keys *k, const struct claim *claim) {
    char number[24];
    struct span text = {number,
                        (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)claim->batch)};
    uint32_t before = b->batches.count;
    uint8_t which = distinct_place(&b->batches, text);
    if (b->batches.count > before)
        part_add_list(k, claim->batch, &b->lists);
    buf_add(&b->places, (const char[]){(char)which, (char)(claim->place & 0xff), (char)(claim->place >> 8)},
            3);
    return which != 0;
}

/* "S hash worker token" */
static void write_sending(struct buf *out, const struct beginning *begin) {
    char name[TOKEN_SIZE];
    claim_token(&begin->claim, name);
    struct span hash = {begin->hash, 32}, worker = span_str(begin->worker), token = span_str(name);
    redis_resp_head(out, 4 + hash.len + worker.len + token.len);
    buf_add_str(out, "S ");
    buf_add_span(out, hash);
    buf_add_char(out, ' ');
    buf_add_span(out, worker);
    buf_add_char(out, ' ');
    buf_add_span(out, token);
    buf_add_str(out, "\r\n");
}

bool part_add_begin(struct part *b, void *item, const struct queue_keys *k, const struct beginning *begin) {
    struct mark mark = mark_of(b);
    struct part_run run = {.what = (uint8_t)begin->kind};
    bool ok = place_limits(b, begin->limits, &run) && place_claim(b, k, &begin->claim);
    redis_resp_arg(&b->keys, begin->ledger_key);
    write_sending(&b->firsts, begin);
    return commit(b, item, &mark, ok, &run, span_str(begin->account));
}

/* "Oscreated", "Op:2:5000", "Drrejected::4711": one text, as many settlements share it. */
static uint8_t place_op(struct part *b, const struct settlement *s) {
    struct buf *op = &b->op;
    buf_reset(op);
    buf_add_char(op, op_letters[s->op]);
    buf_add_char(op, s->gate);
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

bool part_add_settlement(struct part *b, void *item, const struct queue_keys *k, const struct settlement *s) {
    struct mark mark = mark_of(b);
    struct part_run run = {.what = place_op(b, s)};
    bool ok = run.what != 0 && place_limits(b, s->limits, &run) && place_claim(b, k, &s->claim);
    redis_resp_arg(&b->keys, s->ledger_key.ptr != NULL ? s->ledger_key : k->key[KEY_JOBS]);
    add_or_empty(&b->firsts, s->result);
    add_or_empty(&b->ledgers, s->ledger);
    if (s->op != SETTLE_DONE && s->op != SETTLE_BACK) {
        if (s->op == SETTLE_DEAD)
            redis_resp_str(&b->extras, s->dead_id);
        else
            redis_resp_u64(&b->extras, s->due_ms);
        add_or_empty(&b->extras, s->body);
    }
    if (!commit(b, item, &mark, ok, &run, span_str(s->account != NULL ? s->account : "")))
        return false;
    b->dies |= s->op == SETTLE_DEAD;
    return true;
}

size_t part_arg_count(const struct part *b) {
    size_t columns = b->kind == PART_BEGIN ? 1 : 2;
    return columns * b->count + 2 * (size_t)b->extra_count;
}

void part_write_columns(const struct part *b, struct buf *cmd) {
    const struct buf *bufs[] = BUFS(b);
    for (size_t i = BUF_FIRSTS; i < BUF_COUNT; i++)
        buf_add_span(cmd, buf_span(bufs[i]));
}
