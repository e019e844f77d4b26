#include "queue/turn.h"

#include <stdio.h>
#include <string.h>

#include "queue/fold.h"
#include "queue/repeats.h"

#define HEAD 6 /* arguments before those of bundles and the limits */

static const enum queue_key fixed[] = {KEY_JOBS,   KEY_RESULTS, KEY_DEAD,  KEY_DEAD_ENTRIES, KEY_DELAYED,
                                       KEY_PARKED, KEY_WAITING, KEY_GATES, KEY_ACCOUNTS,     KEY_LIMITS,
                                       KEY_PAUSES, KEY_WORKERS, KEY_STATS, KEY_TAKEN,        KEY_INFLIGHT,
                                       KEY_CLAIMS, KEY_UNWELL};
#define FIXED (sizeof(fixed) / sizeof(fixed[0]))

uint64_t turn_number(uint64_t last, uint64_t now_us) {
    return last == 0 ? now_us : last + 1;
}

void turn_pack_u16(struct buf *out, size_t v) {
    const char bytes[2] = {(char)(v & 0xff), (char)(v >> 8 & 0xff)};
    buf_add(out, bytes, 2);
}

void turn_pack_double(struct buf *out, double v) {
    uint64_t bits;
    char bytes[8];
    memcpy(&bits, &v, sizeof(bits));
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(bits >> 8 * i & 0xff);
    buf_add(out, bytes, 8);
}

void turn_pack_limits(const struct turn_limits *l, struct buf *out) {
    buf_add_char(out, 1);
    turn_pack_double(out, l->rate);
    const uint64_t rest[] = {l->burst,    l->concurrency, l->breaker_failures, l->breaker_cooldown_ms,
                             l->probe_ms, l->reject_limit};
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        turn_pack_double(out, (double)rest[i]);
    buf_add_u64(out, l->ledger_ttl_ms);
}

/* The batches of a turn; an empty one in place of one that is missing. */
struct parts {
    const struct batch *settle, *begin;
    uint32_t limits;                        /* different ones of both */
    struct bundle_set bundles;              /* that the script may touch */
    uint8_t begin_limits[DISTINCT_MAX + 1]; /* where the begins' limits are among them, from 1 on */
};

static const struct batch none = {.lowest = UINT64_MAX, .plain = true};

/* Most accounts have the same limits: they are sent once. */
static struct parts parts_of(const struct turn *t) {
    struct parts p = {.settle = t->settle != NULL ? t->settle : &none,
                      .begin = t->begin != NULL ? t->begin : &none};
    p.limits = p.settle->limits.count;
    p.bundles = p.settle->bundles;
    bundle_set_join(&p.bundles, &p.begin->bundles);
    bundle_set_add(&p.bundles, t->bundle);
    for (size_t i = 0; i < t->ended_n; i++)
        bundle_set_add(&p.bundles, t->ended[i]);
    for (uint8_t i = 1; i <= p.begin->limits.count; i++) {
        for (uint8_t k = 1; k <= p.settle->limits.count && p.begin_limits[i] == 0; k++)
            if (span_eq(distinct_text(&p.begin->limits, i), distinct_text(&p.settle->limits, k)))
                p.begin_limits[i] = k;
        if (p.begin_limits[i] == 0)
            p.begin_limits[i] = (uint8_t)++p.limits;
    }
    return p;
}

static void write_keys(const struct turn *t, const struct parts *p, struct buf *cmd,
                       const struct queue_keys *k) {
    for (size_t i = 0; i < FIXED; i++)
        queue_cmd_key(cmd, k, fixed[i]);
    struct span begins = buf_span(&p->begin->keys);
    if (!t->ahead)
        buf_add_span(cmd, buf_span(&p->settle->keys));
    buf_add_span(cmd, t->begins_folded ? batch_next(&begins) : begins);
    buf_add_span(cmd, buf_span(&p->settle->more_keys));
    bundle_set_write(&p->bundles, k, span_str(k->worker), cmd);
}

static bool is_doubtful(const struct batch *settle, const struct batch *begin) {
    return settle->doubtful || begin->doubtful || begin->repeated;
}

static bool is_calm(const struct turn *t, const struct batch *settle, const struct batch *begin) {
    return t->calm && settle->plain && begin->plain && !is_doubtful(settle, begin) && !settle->stray &&
           !begin->stray && !settle->repeated && (!t->claims || t->claim_n > 0) &&
           settle->count + begin->count + t->claims + t->ended_n > 0 && !batch_keys_repeat(settle, begin);
}

bool turn_may_go_ahead(const struct turn *t) {
    const struct batch *settle = t->settle != NULL ? t->settle : &none,
                       *begin = t->begin != NULL ? t->begin : &none;
    return settle->count + begin->count > 0 && !settle->sent && !begin->sent && is_calm(t, settle, begin);
}

#define NUMBERS_SIZE (9 * 2 + 1 + 2 + 2 + 7 * 8)

/* The bits of NUMBERS in turn.lua. */
static unsigned bits_of(const struct turn *t, const struct batch *settle, const struct batch *begin) {
    bool calm = t->ahead || is_calm(t, settle, begin);
    const bool bits[] = {settle->repeated,
                         is_doubtful(settle, begin),
                         t->claims,
                         settle->dies,
                         settle->stray || begin->stray,
                         calm,
                         t->ahead,
                         t->ends_folded,
                         t->begins_folded,
                         calm && !batch_accounts_repeat(settle, begin)};
    unsigned all = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        all |= bits[i] ? 1u << i : 0;
    return all;
}

static void write_numbers(const struct turn *t, const struct parts *p, struct buf *cmd,
                          const struct queue_keys *k) {
    const struct batch *settle = p->settle, *begin = p->begin;
    const size_t counts[] = {settle->count,
                             settle->run_count,
                             begin->count,
                             begin->run_count,
                             p->limits,
                             settle->ops.count,
                             t->first_pop > 0 ? t->first_pop : 1,
                             k->order_prefix.len};
    uint64_t lowest = settle->lowest < begin->lowest ? settle->lowest : begin->lowest;
    if (t->ended_n > 0 && t->ended_lowest < lowest)
        lowest = t->ended_lowest;
    size_t begins_of = bundle_set_count(&begin->of), settles_of = bundle_set_count(&settle->of);
    redis_resp_head(cmd, NUMBERS_SIZE + begins_of + settles_of + t->ended_n);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        turn_pack_u16(cmd, counts[i]);
    turn_pack_u16(cmd, bits_of(t, settle, begin));
    buf_add_char(cmd, (char)t->bundle);
    turn_pack_u16(cmd, begin->bundled);
    buf_add_char(cmd, (char)begins_of);
    buf_add_char(cmd, (char)settles_of);
    const uint64_t numbers[] = {t->number,      t->answered,  t->highest, lowest, t->claims ? t->claim_n : 0,
                                t->claim_bytes, t->high_water};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        turn_pack_double(cmd, (double)numbers[i]);
    bundle_set_bytes(&begin->of, cmd);
    bundle_set_bytes(&settle->of, cmd);
    buf_add(cmd, (const char *)t->ended, t->ended_n);
    buf_add(cmd, "\r\n", 2);
}

static void write_runs(const struct parts *p, struct buf *cmd) {
    redis_resp_head(cmd, 3 * (size_t)(p->settle->run_count + p->begin->run_count));
    for (uint32_t i = 0; i < p->settle->run_count; i++) {
        const struct batch_run *run = &p->settle->runs[i];
        buf_add(cmd, (const char[]){(char)run->count, (char)run->limits, (char)run->what}, 3);
    }
    for (uint32_t i = 0; i < p->begin->run_count; i++) {
        const struct batch_run *run = &p->begin->runs[i];
        buf_add(cmd, (const char[]){(char)run->count, (char)p->begin_limits[run->limits], (char)run->what},
                3);
    }
    buf_add(cmd, "\r\n", 2);
}

static void write_head(const struct turn *t, const struct parts *p, struct buf *cmd,
                       const struct queue_keys *k) {
    char jitter[16];
    snprintf(jitter, sizeof(jitter), "%.3f", p->settle->jitter);
    redis_resp_str(cmd, k->worker);
    write_numbers(t, p, cmd, k);
    write_runs(p, cmd);
    redis_resp_str(cmd, t->limits_version != NULL ? t->limits_version : "");
    redis_resp_str(cmd, jitter);
    fold_write_places(p->settle, cmd);
    fold_write_keys(p->begin, k, cmd);
}

static void write_shared(const struct parts *p, struct buf *cmd) {
    buf_add_span(cmd, buf_span(&p->settle->limits.resp));
    for (uint8_t i = 1; i <= p->begin->limits.count; i++)
        if (p->begin_limits[i] > p->settle->limits.count)
            redis_resp_arg(cmd, distinct_text(&p->begin->limits, i));
    buf_add_span(cmd, buf_span(&p->settle->ops.resp));
    buf_add_span(cmd, buf_span(&p->settle->accounts));
    buf_add_span(cmd, buf_span(&p->begin->accounts));
}

static void mark_sent(struct batch *b) {
    if (b == NULL)
        return;
    b->repeated = b->sent;
    b->sent = true;
}

/* undo.lua, as a text: it is there where turn.lua is not. */
static void write_undo(const struct turn *t, const struct batch *settle, struct buf *cmd,
                       const struct queue_keys *k) {
    const struct script *undo = &scripts[SCRIPT_UNDO];
    struct span results = buf_span(&settle->firsts);
    redis_resp_begin(cmd, 10 + (t->begins_folded ? 2 + bundle_set_count(&t->begin->of) : 0));
    redis_resp_str(cmd, "EVAL");
    redis_resp_arg(cmd, (struct span){undo->text, undo->len});
    redis_resp_str(cmd, "3");
    queue_cmd_key(cmd, k, KEY_RESULTS);
    queue_cmd_key(cmd, k, KEY_STATS);
    queue_cmd_key(cmd, k, KEY_CLAIMS);
    redis_resp_str(cmd, k->worker);
    redis_resp_head(cmd, 8);
    turn_pack_double(cmd, (double)t->number);
    buf_add(cmd, "\r\n", 2);
    redis_resp_u64(cmd, settle->count);
    if (settle->count > 0)
        buf_add_span(cmd, batch_next(&results));
    else
        redis_resp_str(cmd, "");
    if (!t->begins_folded)
        return;
    struct span entries = buf_span(&t->begin->firsts);
    buf_add_span(cmd, batch_next(&entries));
    redis_resp_arg(cmd, k->order_prefix);
    fold_write_keys(t->begin, k, cmd);
}

/* How many arguments the columns are. */
static size_t column_args(const struct turn *t, const struct parts *p) {
    size_t begins = t->begins_folded ? 1 : batch_arg_count(p->begin);
    return begins + (t->ends_folded ? 0 : t->ahead ? p->settle->count : batch_arg_count(p->settle));
}

static void write_columns(const struct turn *t, const struct parts *p, struct buf *cmd) {
    struct span entries = buf_span(&p->begin->firsts);
    if (t->begins_folded)
        buf_add_span(cmd, batch_next(&entries));
    else
        batch_write_columns(p->begin, cmd);
    if (!t->ahead)
        batch_write_columns(p->settle, cmd);
    else if (!t->ends_folded)
        buf_add_span(cmd, buf_span(&p->settle->tokens));
}

uint32_t turn_write(const struct turn *t, struct buf *cmd, const struct queue_keys *k) {
    const struct parts p = parts_of(t);
    size_t keys = FIXED + (t->ahead ? 0 : p.settle->count) + p.settle->more_count +
                  (t->begins_folded ? 1 : p.begin->count) + bundle_set_count(&p.bundles);
    size_t args = HEAD + bundle_set_count(&p.begin->of) + p.limits + p.settle->ops.count +
                  p.settle->run_count + p.begin->run_count + column_args(t, &p);
    uint32_t before = 0;
    buf_reset(cmd);
    if (t->ahead) {
        buf_add_str(cmd, "*1\r\n$5\r\nMULTI\r\n");
        before = 2 + (p.settle->count > 0 ? batch_write_commands(p.settle, k->bulk[KEY_RESULTS], cmd) : 0);
        if (t->begins_folded) {
            batch_write_entries(p.begin, cmd);
            before++;
        }
    }
    queue_cmd_begin(cmd, SCRIPT_TURN, keys, args);
    write_keys(t, &p, cmd, k);
    write_head(t, &p, cmd, k);
    write_shared(&p, cmd);
    write_columns(t, &p, cmd);
    if (!t->ahead)
        return before;
    write_undo(t, p.settle, cmd, k);
    buf_add_str(cmd, "*1\r\n$4\r\nEXEC\r\n");
    return before + 1;
}

void turn_send(const struct turn *t, struct buf *cmd, struct queue_caller *caller, const struct queue_keys *k,
               const struct redis_wait *wait, queue_reply_fn done, void *arg) {
    mark_sent(t->settle);
    mark_sent(t->begin);
    uint32_t before = turn_write(t, cmd, k);
    if (t->ahead)
        queue_exec(caller, cmd, before, done, arg);
    else
        queue_call_wait(caller, k->slot, SCRIPT_TURN, cmd, wait, done, arg);
}

enum turn_ahead turn_read_ahead(const redisReply **reply) {
    const redisReply *all = *reply;
    if (all != NULL && all->type == REDIS_REPLY_ERROR && strncmp(all->str, "EXECABORT", 9) == 0)
        return TURN_AGAIN; /* which will say why */
    if (all == NULL || all->type != REDIS_REPLY_ARRAY || all->elements < 2)
        return TURN_UNKNOWN;
    const redisReply *script = *reply = all->element[all->elements - 2],
                     *undone = all->element[all->elements - 1];
    if (undone->type != REDIS_REPLY_INTEGER)
        return TURN_UNKNOWN;
    if (undone->integer == 1)
        return TURN_AGAIN;
    return script->type == REDIS_REPLY_ARRAY ? TURN_RAN : TURN_PUSHED;
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
    return part_ok(begun) && begun->element[0]->len == 0 && begun->elements > 1 ? begun->element[1]->str
                                                                                : NULL;
}

bool turn_unfolded(const redisReply *reply) {
    return reply->elements > TURN_PARTS;
}

bool turn_reply_ok(const struct turn *t, const redisReply *reply) {
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < TURN_PARTS ||
        reply->elements > TURN_PARTS + 1 || reply->element[TURN_NOW]->type != REDIS_REPLY_STRING ||
        reply->element[TURN_NEXT]->type != REDIS_REPLY_STRING)
        return false;
    const redisReply *settled = reply->element[TURN_SETTLED], *begun = reply->element[TURN_BEGUN];
    if (t->settle != NULL && (!part_ok(settled) || settled->element[0]->len != t->settle->count))
        return false;
    if (t->begin != NULL &&
        (!part_ok(begun) || (begun->element[0]->len != t->begin->count && turn_begin_refused(reply) == NULL)))
        return false;
    if (turn_unfolded(reply) && reply->element[TURN_PARTS]->type != REDIS_REPLY_STRING)
        return false;
    /* status; or that and why; or that, tokens and records */
    const redisReply *claimed = reply->element[TURN_CLAIMED];
    return !t->claims || (part_ok(claimed) && claimed->elements != 3);
}
