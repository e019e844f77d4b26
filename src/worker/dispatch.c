/* Begun orders leave as HTTP requests; their answers are classified and settled.
 *
 * Happy path: G → http_send → answer → outcome → decision → settlement in this turn's part.
 * Failure modes: begin refuses (waits elsewhere: the order is gone from here; lost: another worker has
 * it; duplicate, conflict, unknown, busy: settled without sending). The lease runs out between begin
 * and the body's first byte: order_may_send says no, the order is handed back. */
#include "worker/answer_owner.h"
#include "worker/lookup.h"

#include "dray/outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_answer(void *arg, const struct http_exchange *x);
static void conclude(struct order *o, const struct http_exchange *x, const struct outcome *outcome);

/* A target of its own where the path holds the key. */
static struct http_call *send_parts(struct order *o, struct http_request *request) {
    struct worker *w = o->consumer->worker;
    struct request_parts parts;
    struct target_spec spec;
    struct account with;
    struct err err;
    if (request_build(o->account, &o->envelope, &o->wire, &parts) < 0)
        return NULL;
    request->body = parts.body;
    request->header = parts.header;
    if (parts.path == NULL)
        return http_send(w->http, o->runtime->create, request, on_answer, o);
    struct http_call *call = NULL;
    if (target_spec_init(&spec, grant_account(o->runtime, &with), request_method(o->account), parts.path,
                         &err) == 0) {
        struct http_target *target = http_target_new(w->http, &spec.options, &err);
        if (target != NULL)
            call = http_send(w->http, target, request, on_answer, o);
        http_target_unref(target);
    }
    target_spec_deinit(&spec);
    return call;
}

/* The order has begun, and is SENDING. */
static void send_now(struct order *o) {
    struct worker *w = o->consumer->worker;
    char traceparent[64], traced[TRACEPARENT_SIZE];
    size_t n = o->envelope.traceparent.len;
    if (n >= sizeof(traceparent))
        n = 0;
    memcpy(traceparent, n > 0 ? o->envelope.traceparent.ptr : "", n);
    traceparent[n] = '\0';
    if (o->trace.on)
        trace_sends(o, traced);
    if (o->trace.on && n > 0)
        /* of the request's span; a job without one sends none */
        memcpy(traceparent, traced, sizeof(traced));
    struct http_request request = {
        .body = o->envelope.order, .traceparent = n > 0 ? traceparent : NULL, .may_send = order_may_send};
    o->call = o->runtime->plain ? http_send(w->http, o->runtime->create, &request, on_answer, o)
                                : send_parts(o, &request);
    if (o->call == NULL)
        order_hand_back(o, true);
}

static void send_order(struct order *o) {
    uint64_t now = clock_unix_ms();
    stats_picked_up(o, now);
    o->begun_unix_ms = now;
    order_move(o, ORDER_SENDING);
    if (o->runtime->grant == NULL || grant_ready(o))
        send_now(o);
}

/* A firewall refuses single orders, and where nothing else of the account is under way, nobody shows that it was this
 * one: but an order that was claimed later, and created. Of a 401 that says little: credentials end at a moment. */
static void note_refusal(const struct order *o, const struct outcome *outcome, struct decision *d) {
    if (d->header.refused == 0 || d->gate != 'h')
        return;
    if (o->header.refused == 0)
        d->header.refused_at = o->claim.number;
    if (outcome->http_status == 403 && o->runtime->created_number > d->header.refused_at)
        d->header.refused_at = 0;
}

/* ---- orders that wait for their account's token (grant.c) ---- */

void dispatch_again(struct order *o) {
    o->waits_token = false;
    if (o->consumer->worker->mode != WORKER_RUNNING)
        order_hand_back(o, true);
    else if (o->looking_up)
        order_look_up_now(o);
    else
        send_now(o);
}

/* Nothing was sent. */
void dispatch_no_token(struct order *o, uint64_t pause_ms, const char *code) {
    struct http_exchange x = {.phase = "connect", .error = "no access token"};
    struct outcome outcome;
    o->waits_token = false;
    outcome_clear(&outcome, 0);
    outcome.retry_after_ms = pause_ms;
    outcome_set(&outcome, pause_ms > 0 ? VERDICT_PAUSE : VERDICT_HOLD, code,
                "the token endpoint gave no access token; the worker's log says why");
    if (o->looking_up)
        order_not_looked_up(o, &outcome);
    else
        conclude(o, &x, &outcome);
}

static void conclude(struct order *o, const struct http_exchange *x, const struct outcome *outcome) {
    struct worker *w = o->consumer->worker;
    struct decision d;
    life_answered(&o->header, o->account, life_max_attempts(o->account, &o->envelope), x, outcome,
                  o->begun_unix_ms, &w->rng, &d);
    order_credentials_refused(o, &d);
    note_refusal(o, outcome, &d);
    stats_answered(o, outcome->verdict, x->duration_us);
    if (o->trace.on)
        trace_answered(o, x, outcome);
    log_attempt(o, outcome, &d, x->duration_us / 1000);
    if (w->trial != NULL)
        w->trial->answered(w->trial->arg, x, outcome);
    settle(o, &(struct settle_context){.decision = &d,
                                       .outcome = outcome,
                                       .answer = x->body,
                                       .ms = x->duration_us / 1000,
                                       .attempt = true});
}

static void on_answer(void *arg, const struct http_exchange *x) {
    struct order *o = arg;
    struct worker *w = o->consumer->worker;
    struct outcome outcome;
    struct http_call *call = o->call;
    o->call = NULL;
    classify_create(o->account, &o->envelope, x, clock_unix_ms(), &w->scratch.doc, &outcome);
    if (o->trace.on && o->runtime->grant != NULL && x->status == 401)
        trace_answered(o, x, &outcome); /* it may be sent again */
    if (x->answered && x->status == 401 && outcome.verdict == VERDICT_HOLD && grant_renew(o))
        return;
    answer_owner_check(o, call, x, &outcome);
    if (outcome.verdict == VERDICT_CREATED)
        control_remember(o, clock_unix_ms());
    conclude(o, x, &outcome);
}

struct answer { /* begin.lua's, to one job */
    char letter;
    struct span text; /* or absent */
};

/* A ledger entry "U hash ms dead_id" names the dead letter that must be resolved first. */
static void point_at_first(const struct answer *a, struct decision *d, char message[static 256]) {
    const char *id = a->text.len > 0 ? memrchr(a->text.ptr, ' ', a->text.len) : NULL;
    if (a->letter != 'U' || id == NULL)
        return;
    snprintf(message, 256, "%s: see dead letter %.*s", d->message, (int)(a->text.ptr + a->text.len - id - 1),
             id + 1);
    d->message = message;
}

static void refused(struct order *o, const struct answer *a) {
    struct decision d;
    char message[256];
    life_refused(&o->header, a->letter, &o->consumer->worker->rng, &d);
    point_at_first(a, &d, message);
    settle(o, &(struct settle_context){.decision = &d, .ledger_entry = a->text});
}

void dispatch_held(struct order *o, bool may_go) {
    if (o->trace.on)
        trace_admitted(o);
    if (!may_go || o->consumer->worker->mode != WORKER_RUNNING)
        order_hand_back(o, true);
    else if (o->looking_up)
        order_look_up(o);
    else
        send_order(o);
}

static void dispatch_one(struct order *o, const struct answer *a) {
    struct consumer *consumer = o->consumer;
    if (o->trace.on)
        trace_admitted(o);
    switch (a->letter) {
    case 'G':
        o->lease_epoch = consumer->lease.epoch;
        dispatch_held(o, true);
        return;
    case 'W':
        if (o->trace.on)
            trace_ended(o, "wait");
        order_move(o, ORDER_FREE);
        return;
    case 'L':
        if (o->trace.on)
            trace_ended(o, "lost");
        consumer->stats.fenced++;
        consumer->turns.lost_begins++;
        order_move(o, ORDER_FREE);
        return;
    default:
        refused(o, a);
    }
}

/* The text that belongs to a letter of begin's reply; `next` counts those that were read. */
static struct span text_of(const redisReply *reply, char letter, size_t *next) {
    if ((letter != 'D' && letter != 'U' && letter != 'W') || *next >= reply->elements)
        return (struct span){NULL, 0};
    const redisReply *text = reply->element[(*next)++];
    return (struct span){text->str, text->len};
}

void dispatch_begun(struct consumer *consumer, struct part *b, const redisReply *reply) {
    b->answered = b->waits;
    size_t texts = 1;
    for (uint32_t i = 0; i < b->count; i++) {
        struct order *o = b->items[i];
        o->lease_epoch = consumer->lease.epoch;
        order_set_deadline(o, b->sent_ns);
        struct answer a = {.letter = reply->element[0]->str[i]};
        a.text = text_of(reply, a.letter, &texts);
        if (b->waits && !o->looking_up && a.letter == 'G')
            continue; /* held until replicas know of it */
        b->items[i] = NULL;
        dispatch_one(o, &a);
    }
    if (!b->waits)
        part_done(consumer, b);
    if (consumer->turns.lost_begins > 0) {
        log_lost(consumer, "begin", consumer->turns.lost_begins);
        consumer->turns.lost_begins = 0;
        consumer->claims.lost = true; /* the lease may have run out under claims that still are ours */
        consumer->lease.held = false;
        consumer_beat(consumer);
    }
}

void dispatch_cancel_all(struct consumer *consumer) {
    for (struct order *o; (o = consumer->orders.in[ORDER_SENDING].first) != NULL;) {
        if (o->waits_token)
            order_hand_back(o, true);
        else
            http_cancel(o->call);
    }
}
