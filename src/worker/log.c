/* Log lines of the life of a job. None holds anything of an order but its ids, nothing of an answer
 * but the provider's code. */
#include "worker/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/gate.h"

#define QUIET_NS 1000000000ull  /* between two lines of one kind */
#define FULL_NS  60000000000ull /* between two reminders that results are not consumed */

static const char *op_name(const struct decision *d) {
    static const char *const names[] = {
        [SETTLE_DONE] = "done", [SETTLE_DEAD] = "dead", [SETTLE_RETRY] = "retry",
        [SETTLE_WAIT] = "wait", [SETTLE_BACK] = "back",
    };
    return names[d->op];
}

void log_attempt(const struct order *o, const struct outcome *outcome, const struct decision *d,
                 uint64_t ms) {
    struct log_line l;
    enum log_level level = d->op == SETTLE_DONE ? LOG_INFO : LOG_WARN;
    if (!log_begin(&l, level, o->looking_up ? "lookup" : "attempt"))
        return;
    log_str(&l, "queue", o->consumer->config->name);
    log_str(&l, "account", o->account->name);
    log_span(&l, "id", o->envelope.id);
    log_u64(&l, "attempt", o->looking_up ? d->header.lookups : d->header.attempts);
    log_u64(&l, "max",
            o->looking_up ? o->account->lookup_attempts : life_max_attempts(o->account, &o->envelope));
    log_str(&l, "verdict", verdict_name(outcome->verdict));
    if (outcome->http_status > 0)
        log_i64(&l, "status", outcome->http_status);
    if (outcome->code[0] != '\0')
        log_str(&l, "code", outcome->code);
    log_u64(&l, "ms", ms);
    log_str(&l, "then", op_name(d));
    if (d->op == SETTLE_RETRY)
        log_u64(&l, "next_ms", d->due_ms);
    if (d->reason != NULL)
        log_str(&l, "reason", d->reason);
    if (o->envelope.traceparent.ptr != NULL)
        log_span(&l, "traceparent", o->envelope.traceparent);
    log_end(&l);
}

void log_warnings(const struct order *o) {
    static const char start[] = "{\"path\":\"", end[] = "\",\"rule\":";
    struct buf *paths = &o->consumer->worker->scratch.path;
    struct span list = buf_span(&o->warnings);
    struct log_line l;
    buf_reset(paths);
    for (const char *at; (at = memmem(list.ptr, list.len, start, sizeof(start) - 1)) != NULL;) {
        at += sizeof(start) - 1;
        list.len -= (size_t)(at - list.ptr);
        list.ptr = at;
        const char *stop = memmem(list.ptr, list.len, end, sizeof(end) - 1);
        if (stop == NULL)
            break;
        buf_add_str(paths, paths->len > 0 ? ", " : "");
        buf_add(paths, at, (size_t)(stop - at));
    }
    if (!log_begin(&l, LOG_WARN, "order_warnings"))
        return;
    log_str(&l, "queue", o->consumer->config->name);
    log_str(&l, "account", o->account->name);
    log_span(&l, "id", o->envelope.id);
    log_span(&l, "paths", buf_span(paths));
    log_end(&l);
}

void log_waits(const struct order *o) {
    struct log_line l;
    if (!log_begin(&l, LOG_WARN, "refused_with_all"))
        return;
    log_str(&l, "queue", o->consumer->config->name);
    log_str(&l, "account", o->account != NULL ? o->account->name : "");
    log_span(&l, "id", o->envelope.id);
    log_str(&l, "message",
            "its account is held, as all of its orders are refused alike (reject_limit): it waits");
    log_end(&l);
}

void log_lost(const struct consumer *consumer, const char *what, uint32_t count) {
    struct worker *w = consumer->worker;
    struct log_line l;
    uint64_t now = clock_boot_ns();
    if (w->logs.lost_ns != 0 && now - w->logs.lost_ns < QUIET_NS) {
        w->logs.lost_left_out += count;
        return;
    }
    w->logs.lost_ns = now;
    if (!log_begin(&l, LOG_WARN, "fenced"))
        return;
    log_str(&l, "queue", consumer->config->name);
    log_str(&l, "what", what);
    log_u64(&l, "orders", count);
    if (w->logs.lost_left_out > 0)
        log_u64(&l, "left_out", w->logs.lost_left_out);
    log_str(&l, "message", "another worker has these orders; the lease had run out");
    log_end(&l);
    w->logs.lost_left_out = 0;
}

/* "30000 20 4711": for how many ms; of an account that is held: how many orders were refused, the code. */
static void log_hold_reason(struct log_line *l, const char *text) {
    char reason[GATE_REASON_MAX], code[64];
    unsigned long long refused;
    if (sscanf(text, "%*u %llu %63s", &refused, code) != 2)
        return;
    gate_hold_reason(refused, strcmp(code, "-") == 0 ? "" : code, reason);
    log_str(l, "reason", reason);
}

void log_turns(const struct consumer *consumer, const redisReply *r, size_t from) {
    for (size_t i = from; i + 2 < r->elements; i += 3) {
        struct log_line l;
        const char *turn = r->element[i]->str;
        bool over = strcmp(turn, "breaker_closed") == 0 || strcmp(turn, "account_released") == 0;
        if (!log_begin(&l, over ? LOG_INFO : LOG_WARN, turn))
            continue;
        log_str(&l, "queue", consumer->config->name);
        log_str(&l, "account", r->element[i + 1]->str);
        if (!over)
            log_u64(&l, "for_ms", strtoull(r->element[i + 2]->str, NULL, 10));
        log_hold_reason(&l, r->element[i + 2]->str);
        log_end(&l);
    }
}

void log_closed(struct consumer *consumer, enum consumer_closed closed) {
    const char *queue = consumer->config->name;
    uint64_t now = clock_boot_ns();
    if (consumer->claims.closed != closed && consumer->claims.closed != CONSUMER_OPEN)
        log_msg(LOG_INFO, consumer->claims.closed == CONSUMER_FULL ? "results_drained" : "queue_resumed",
                "queue %s: claiming again", queue);
    if (closed == CONSUMER_PAUSED && consumer->claims.closed != closed)
        log_msg(LOG_INFO, "queue_paused", "queue %s: an operator has paused it; nothing is claimed", queue);
    if (closed != CONSUMER_FULL ||
        (consumer->claims.closed == closed && now - consumer->trouble.closed_logged_ns < FULL_NS))
        return;
    consumer->trouble.closed_logged_ns = now;
    log_msg(
        LOG_WARN, "results_full",
        "queue %s: results stand at results_high_water (%llu); nothing is claimed until they are consumed",
        queue, (unsigned long long)consumer->config->results_high_water);
}

void log_redis_error(struct consumer *consumer, const char *what, const char *error) {
    struct worker *w = consumer->worker;
    struct log_line l;
    uint64_t now = clock_boot_ns();
    redis_error_words(error != NULL && error[0] != '\0' ? error : "an answer of an unexpected kind",
                      w->redis.words, sizeof(w->redis.words));
    consumer->trouble.redis_full = strncmp(w->redis.words, "OOM ", 4) == 0;
    if (w->logs.error_ns != 0 && now - w->logs.error_ns < QUIET_NS) {
        w->logs.errors_left_out++;
        return;
    }
    w->logs.error_ns = now;
    if (!log_begin(&l, LOG_ERROR, "redis_error"))
        return;
    log_str(&l, "queue", consumer->config->name);
    log_str(&l, "what", what);
    log_str(&l, "message", w->redis.words);
    if (w->logs.errors_left_out > 0)
        log_u64(&l, "left_out", w->logs.errors_left_out);
    log_end(&l);
    w->logs.errors_left_out = 0;
}
