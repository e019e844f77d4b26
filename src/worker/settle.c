/* Decisions become settlements: texts are written straight into the consumer's open part. */
#include "worker/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/render.h"

static uint64_t first_claim_ms(const struct order *o) {
    return o->header.first_ms > 0 && o->header.first_ms < o->begun_unix_ms ? o->header.first_ms
                                                                           : o->begun_unix_ms;
}

/* All attempts so far, this one behind the old ones, or in the last one's place. */
static void write_history(struct buf *out, const struct order *o, const struct settle_context *c) {
    const struct record_header *header = &o->header;
    struct render_attempt attempt = {.outcome = c->outcome,
                                     .answer = c->answer,
                                     .at_ms = o->begun_unix_ms,
                                     .ms = c->ms,
                                     .lookup = o->looking_up,
                                     .control = c->control,
                                     .times = 1};
    struct span before = header->history;
    buf_reset(out);
    if (c->attempt && header->last.text.ptr != NULL) {
        bool alike = c->decision->free && header->last.lookup == o->looking_up &&
                     span_is(header->last.code, c->outcome->code);
        if (alike || before.len > HISTORY_MAX) {
            attempt.times = header->last.times + 1;
            attempt.since_ms = header->last.since_ms;
            before.len = (size_t)(header->last.text.ptr - before.ptr);
            if (before.len > 0)
                before.len--; /* the comma */
        }
    }
    buf_add_span(out, before);
    if (!c->attempt)
        return;
    if (out->len > 0)
        buf_add_char(out, ',');
    render_attempt(out, &attempt);
}

static void write_texts(struct order *o, const struct settle_context *c, struct settlement *s,
                        char dead_id[64]) {
    struct worker *w = o->consumer->worker;
    const struct decision *d = c->decision;
    struct record_header header = d->header;
    struct render_known known = {.outcome = c->outcome, .ledger_entry = c->ledger_entry};
    struct render_job job = {.queue = o->consumer->config->name,
                             .worker = w->id,
                             .envelope = &o->envelope,
                             .account = o->account,
                             .header = &header,
                             .claimed_ms = first_claim_ms(o),
                             .warnings = buf_span(&o->warnings),
                             .now_ms = clock_unix_ms()};
    bool dead = d->op == SETTLE_DEAD, parks = d->op == SETTLE_RETRY || d->op == SETTLE_WAIT;
    if (dead || (parks && !d->keep_header)) {
        write_history(&w->scratch.history, o, c);
        header.history = buf_span(&w->scratch.history);
    }
    buf_reset(&w->scratch.body);
    if (dead) {
        snprintf(dead_id, 64, "%llu-%llu", (unsigned long long)job.now_ms,
                 (unsigned long long)o->claim.number);
        s->dead_id = dead_id;
        render_dead(&w->scratch.body, &job, d, &known, c->faults, header.history, dead_id);
    } else if (parks && !d->keep_header) {
        record_header_write(&header, &w->scratch.body);
    }
    s->body = buf_span(&w->scratch.body);
    buf_reset(&w->scratch.result);
    if (d->result != RESULT_NONE && o->envelope.id.ptr != NULL) {
        render_result(&w->scratch.result, &job, d, &known, c->faults, dead ? dead_id : NULL);
        s->result = buf_span(&w->scratch.result);
        if (o->envelope.reply_to.ptr != NULL)
            s->results_key = o->envelope.reply_to;
    }
    if (d->ledger != LEDGER_KEEP && o->ledger_key.len > 0) {
        buf_reset(&w->scratch.ledger);
        render_ledger(&w->scratch.ledger, d->ledger, o->hash, &known, job.now_ms, dead ? dead_id : "");
        s->ledger = buf_span(&w->scratch.ledger);
        s->ledger_key = buf_span(&o->ledger_key);
    }
}

/* With what code the order, or its account, was refused; of the account, the status says more than the body does. */
static const char *gate_code(const struct settle_context *c) {
    const struct outcome *o = c->outcome;
    if (o == NULL || (c->decision->gate != 'r' && c->decision->gate != 'h'))
        return NULL;
    if (c->decision->gate == 'h' && (o->http_status == 401 || o->http_status == 403))
        return o->http_status == 401 ? "http_401" : "http_403";
    return o->code[0] != '\0' ? o->code : NULL;
}

/* Where the provider refuses all of an account's orders alike, it waits instead of being dead (settle.lua). */
static bool may_wait_instead(const struct decision *d) {
    return d->op == SETTLE_DEAD && d->gate == 'r';
}

static void note_created(const struct order *o, const struct decision *d) {
    uint64_t number = d->result == RESULT_CREATED ? o->claim.number : 0;
    if (o->runtime != NULL && number > o->runtime->created_number)
        o->runtime->created_number = number;
}

void settle(struct order *o, const struct settle_context *c) {
    struct consumer *consumer = o->consumer;
    struct settle_context tried = *c;
    struct decision last = *c->decision;
    const struct decision *d = c->decision;
    char dead_id[64] = "";
    if (consumer->worker->trial != NULL) {
        trial_decide(o, c->outcome, &last);
        tried.decision = d = &last;
        c = &tried;
    }
    bool told = o->runtime != NULL && o->runtime->current; /* else its limits may be old, and Redis's count */
    struct settlement s = {.op = d->op,
                           .counter = d->counter,
                           .gate = d->gate,
                           .gate_ms = d->gate_ms,
                           .gate_code = gate_code(c),
                           .due_ms = d->due_ms,
                           .claim = o->claim,
                           .account = o->account != NULL ? o->account->name : NULL,
                           .limits = told ? buf_span(&o->runtime->limits) : (struct span){NULL, 0}};
    write_texts(o, c, &s, dead_id);
    if (consumer->worker->trial != NULL)
        memcpy(consumer->worker->trial->dead_id, dead_id, sizeof(dead_id));
    if (o->trace.on)
        trace_decided(o, d);
    note_created(o, d);
    o->may_wait = may_wait_instead(d);
    if (!o->may_wait)
        stats_decided(o, d);
    struct part *b = consumer_open_part(consumer, PART_SETTLE);
    struct worker *w = consumer->worker;
    bool ok = buf_ok(&w->scratch.body) && buf_ok(&w->scratch.result) && buf_ok(&w->scratch.history) &&
              buf_ok(&w->scratch.ledger);
    order_move(o, ORDER_SETTLING);
    if (w->trial != NULL)
        w->up->drain(w);
    if (b != NULL && ok && part_add_settlement(b, o, &consumer->keys, &s))
        return;
    /* Out of memory: the claim stays in Redis as begun, and the order here, so that nobody takes the claim
     * for one that was never sent. When this worker ends, recovery makes it unknown, never lost. */
    log_msg(LOG_ERROR, "settle_failed",
            "no memory for a settlement; the order is left to recovery. Lower max_inflight or max_job_bytes");
}

/* Gives back a claim that this worker was never told of, or never begun. Where it has begun (by its letter, lua/claims.lua), the reply that
 * would have let it go was lost, so nothing was sent; its ledger entry goes too. Where it began since it was looked at (a
 * begin that ran late), Redis leaves it, and the next beat counts it again. */
void settle_back(struct consumer *consumer, const struct claim *claim, char letter, struct span account_key) {
    struct settlement s = {.op = SETTLE_BACK, .claim = *claim, .counter = "handed_back", .gate = '-'};
    struct buf *key = &consumer->worker->scratch.path;
    char account[NAME_MAX_LEN + 1];
    const char *colon = account_key.len > 0 ? memchr(account_key.ptr, ':', account_key.len) : NULL;
    size_t n = colon != NULL ? (size_t)(colon - account_key.ptr) : 0;
    if (letter != CLAIM_HELD && n > 0 && n < sizeof(account)) {
        memcpy(account, account_key.ptr, n);
        account[n] = '\0';
        s.account = account;
        buf_reset(key);
        buf_add_span(key, consumer->keys.order_prefix);
        buf_add_span(key, account_key);
        s.ledger_key = buf_span(key);
        if (letter == 'P' || letter == 'p')
            s.ledger = SPAN_LIT("D");
    }
    struct part *b = consumer_open_part(consumer, PART_SETTLE);
    if (b != NULL)
        part_add_settlement(b, NULL, &consumer->keys, &s);
}

void settled(struct consumer *consumer, struct part *b, const redisReply *reply) {
    uint32_t lost = 0, wrong = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        struct order *o = b->items[i];
        char letter = reply->element[0]->str[i];
        if (letter == 'W') {
            wrong++;
            continue;
        }
        lost += letter == 'L' && o != NULL && !b->repeated;
        consumer->stats.settled++;
        if (consumer->worker->trial != NULL)
            consumer->worker->trial->settled = letter == 'O';
        if (o != NULL && o->trace.on)
            trace_ended(o, letter == 'L' ? "lost" : letter == 'H' ? "wait" : NULL);
        if (o != NULL && o->may_wait && letter == 'O')
            stats_rejected(o);
        if (o != NULL && letter == 'H')
            log_waits(o);
        if (o != NULL)
            order_move(o, ORDER_FREE);
        b->items[i] = NULL;
    }
    log_turns(consumer, reply, 1);
    if (lost > 0) {
        consumer->stats.fenced += lost;
        log_lost(consumer, "settle", lost);
    }
    if (wrong == 0) {
        part_done(consumer, b);
    } else {
        struct span key = consumer->keys.key[KEY_RESULTS];
        char text[256];
        snprintf(text, sizeof(text),
                 "WRONGTYPE %.*s is no list; nothing was done; rename it, then results go on", (int)key.len,
                 key.ptr);
        log_redis_error(consumer, "settle", text);
        consumer->turns.resend_at_ns = clock_boot_ns() + 1000000000ull;
        consumer_unanswered(consumer, b);
    }
    consumer->worker->up->check_drained(consumer->worker);
}

void order_hand_back(struct order *o, bool begun) {
    struct decision d;
    life_hand_back(&o->header, begun, &d);
    settle(o, &(struct settle_context){.decision = &d});
}

/* Refused credentials that were replaced meanwhile say nothing of the new ones; else the files are
 * looked at now, not at the next second. */
void order_credentials_refused(const struct order *o, struct decision *d) {
    if (d->gate != 'h')
        return;
    if (o->runtime->current) {
        o->consumer->worker->up->check_secrets(o->consumer->worker);
    } else {
        d->gate = '-';
        d->header.refused = o->header.refused;
    }
}

void settle_back_begun(struct consumer *consumer) {
    while (consumer->orders.in[ORDER_BEGINNING].first != NULL)
        order_hand_back(consumer->orders.in[ORDER_BEGINNING].first, true);
}
