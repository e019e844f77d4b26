#include "queue/turn.h"

#include <stdio.h>
#include <string.h>

#define HEAD 7 /* arguments before the limits */

static const enum queue_key fixed[] = {KEY_JOBS,   KEY_RESULTS, KEY_DEAD,  KEY_DEAD_ENTRIES, KEY_DELAYED,
                                       KEY_PARKED, KEY_WAITING, KEY_GATES, KEY_ACCOUNTS,     KEY_LIMITS,
                                       KEY_PAUSES, KEY_WORKERS, KEY_STATS, KEY_TAKEN,        KEY_CLAIMS};
#define FIXED (sizeof(fixed) / sizeof(fixed[0]) + 1) /* and the list of the batch that is claimed */

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

/* The parts of a turn, an empty one in place of one that is missing. What both of them name is sent once. */
struct parts {
    const struct part *settle, *begin;
    uint32_t limits, batches; /* different ones of both */
    /* where the begins' are among them, from 1 on */
    uint8_t begin_limits[DISTINCT_MAX + 1], begin_batches[DISTINCT_MAX + 1];
};

static const struct part none;

/* Places of the texts of `b` behind those of `a`, or where `a` has them. Returns how many there are in all. */
static uint32_t merge(const struct distinct *a, const struct distinct *b, uint8_t places[DISTINCT_MAX + 1]) {
    uint32_t all = a->count;
    for (uint8_t i = 1; i <= b->count; i++) {
        for (uint8_t k = 1; k <= a->count && places[i] == 0; k++)
            if (span_eq(distinct_text(b, i), distinct_text(a, k)))
                places[i] = k;
        if (places[i] == 0)
            places[i] = (uint8_t)++all;
    }
    return all;
}

static struct parts parts_of(const struct turn *t) {
    struct parts p = {.settle = t->settle != NULL ? t->settle : &none,
                      .begin = t->begin != NULL ? t->begin : &none};
    p.limits = merge(&p.settle->limits, &p.begin->limits, p.begin_limits);
    p.batches = merge(&p.settle->batches, &p.begin->batches, p.begin_batches);
    return p;
}

/* The begins' lists of batches that no settlement names: `lists` has them in the order of `batches`. */
static void write_begin_lists(const struct parts *p, struct buf *cmd) {
    struct span rest = buf_span(&p->begin->lists);
    for (uint8_t i = 1; i <= p->begin->batches.count; i++) {
        const char *line = memchr(rest.ptr, '\n', rest.len),
                   *end = memchr(line + 1, '\n', rest.len - (size_t)(line + 1 - rest.ptr));
        size_t len = (size_t)(end + 1 - rest.ptr);
        if (p->begin_batches[i] > p->settle->batches.count)
            buf_add(cmd, rest.ptr, len);
        rest = (struct span){rest.ptr + len, rest.len - len};
    }
}

static void write_keys(const struct turn *t, const struct parts *p, struct buf *cmd,
                       const struct queue_keys *k) {
    for (size_t i = 0; i + 1 < FIXED; i++)
        queue_cmd_key(cmd, k, fixed[i]);
    part_add_list(k, t->batch, cmd);
    buf_add_span(cmd, buf_span(&p->settle->keys));
    buf_add_span(cmd, buf_span(&p->begin->keys));
    buf_add_span(cmd, buf_span(&p->settle->lists));
    write_begin_lists(p, cmd);
    buf_add_span(cmd, buf_span(&p->settle->more_keys));
}

#define NUMBERS_SIZE (9 * 2 + 4 * 8)

/* The bits of NUMBERS in turn_call.lua. */
static unsigned bits_of(const struct turn *t, const struct part *settle, const struct part *begin) {
    const bool bits[] = {settle->repeated, t->claims, settle->dies, settle->stray || begin->stray,
                         t->outside};
    unsigned all = 0;
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        all |= bits[i] ? 1u << i : 0;
    return all;
}

static void write_numbers(const struct turn *t, const struct parts *p, struct buf *cmd,
                          const struct queue_keys *k) {
    const struct part *settle = p->settle, *begin = p->begin;
    const size_t counts[] = {settle->count,    settle->run_count,   begin->count,
                             begin->run_count, p->limits,           settle->ops.count,
                             p->batches,       k->order_prefix.len, bits_of(t, settle, begin)};
    const uint64_t numbers[] = {t->batch, t->claims ? t->claim_n : 0, t->claim_bytes, t->high_water};
    redis_resp_head(cmd, NUMBERS_SIZE);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        turn_pack_u16(cmd, counts[i]);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        turn_pack_double(cmd, (double)numbers[i]);
    buf_add(cmd, "\r\n", 2);
}

static void write_runs(const struct parts *p, struct buf *cmd) {
    redis_resp_head(cmd, 3 * (size_t)(p->settle->run_count + p->begin->run_count));
    for (uint32_t i = 0; i < p->settle->run_count; i++) {
        const struct part_run *run = &p->settle->runs[i];
        buf_add(cmd, (const char[]){(char)run->count, (char)run->limits, (char)run->what}, 3);
    }
    for (uint32_t i = 0; i < p->begin->run_count; i++) {
        const struct part_run *run = &p->begin->runs[i];
        buf_add(cmd, (const char[]){(char)run->count, (char)p->begin_limits[run->limits], (char)run->what},
                3);
    }
    buf_add(cmd, "\r\n", 2);
}

static void write_places(const struct parts *p, struct buf *cmd) {
    redis_resp_head(cmd, p->settle->places.len + p->begin->places.len);
    buf_add_span(cmd, buf_span(&p->settle->places));
    for (size_t i = 0; i < p->begin->places.len; i += 3) {
        const char *place = p->begin->places.data + i;
        buf_add_char(cmd, (char)p->begin_batches[(unsigned char)place[0]]);
        buf_add(cmd, place + 1, 2);
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
    redis_resp_arg(cmd, t->picked.ptr != NULL ? t->picked : SPAN_LIT(""));
    write_places(p, cmd);
}

static void write_shared(const struct parts *p, struct buf *cmd) {
    buf_add_span(cmd, buf_span(&p->settle->limits.resp));
    for (uint8_t i = 1; i <= p->begin->limits.count; i++)
        if (p->begin_limits[i] > p->settle->limits.count)
            redis_resp_arg(cmd, distinct_text(&p->begin->limits, i));
    buf_add_span(cmd, buf_span(&p->settle->ops.resp));
    buf_add_span(cmd, buf_span(&p->settle->batches.resp));
    for (uint8_t i = 1; i <= p->begin->batches.count; i++)
        if (p->begin_batches[i] > p->settle->batches.count)
            redis_resp_arg(cmd, distinct_text(&p->begin->batches, i));
    buf_add_span(cmd, buf_span(&p->settle->accounts));
    buf_add_span(cmd, buf_span(&p->begin->accounts));
}

static void mark_sent(struct part *b) {
    if (b == NULL)
        return;
    b->repeated = b->sent;
    b->sent = true;
}

void turn_write(const struct turn *t, struct buf *cmd, const struct queue_keys *k) {
    const struct parts p = parts_of(t);
    size_t keys = FIXED + p.settle->count + p.begin->count + p.batches + p.settle->more_count;
    size_t args = HEAD + p.limits + p.settle->ops.count + p.batches + p.settle->run_count +
                  p.begin->run_count + part_arg_count(p.begin) + part_arg_count(p.settle);
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_TURN, keys, args);
    write_keys(t, &p, cmd, k);
    write_head(t, &p, cmd, k);
    write_shared(&p, cmd);
    part_write_columns(p.begin, cmd);
    part_write_columns(p.settle, cmd);
}

void turn_send(const struct turn *t, struct buf *cmd, struct queue_caller *caller, const struct queue_keys *k,
               const struct redis_wait *wait, queue_reply_fn done, void *arg) {
    mark_sent(t->settle);
    mark_sent(t->begin);
    turn_write(t, cmd, k);
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
    return part_ok(begun) && begun->element[0]->len == 0 && begun->elements > 1 ? begun->element[1]->str
                                                                                : NULL;
}

bool turn_reply_ok(const struct turn *t, const redisReply *reply) {
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != TURN_PARTS ||
        reply->element[TURN_NOW]->type != REDIS_REPLY_STRING ||
        reply->element[TURN_NEXT]->type != REDIS_REPLY_STRING)
        return false;
    const redisReply *settled = reply->element[TURN_SETTLED], *begun = reply->element[TURN_BEGUN];
    if (t->settle != NULL && (!part_ok(settled) || settled->element[0]->len != t->settle->count))
        return false;
    if (t->begin != NULL &&
        (!part_ok(begun) || (begun->element[0]->len != t->begin->count && turn_begin_refused(reply) == NULL)))
        return false;
    const redisReply *claimed = reply->element[TURN_CLAIMED];
    return (!t->claims && t->picked.ptr == NULL) || part_ok(claimed);
}
