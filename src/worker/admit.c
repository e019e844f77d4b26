/* A claimed record becomes an order: read, checked, and put into the next turn's begins, or settled at
 * once (invalid, expired, too early, …). */
#include "worker/share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/order_hash.h"
#include "queue/turn.h"

/* `arg` is the order, which keeps what is found. */
static const struct account *find_account(void *arg, const char *name) {
    struct order *o = arg;
    struct account_runtime *runtime =
        name == NULL ? o->consumer->accounts.by_default : consumer_account(o->consumer, name);
    if (runtime == NULL)
        return NULL;
    runtime_unref(o->runtime);
    runtime_ref(runtime);
    o->runtime = runtime;
    return runtime->account;
}

static void read_envelope(struct order *o, struct span raw) {
    struct consumer *consumer = o->consumer;
    struct worker *w = consumer->worker;
    memset(&o->envelope, 0, sizeof(o->envelope));
    o->envelope.raw = raw;
    if (raw.len > consumer->config->max_job_bytes) {
        faults_add(&w->scratch.faults, "", "must be at most %llu bytes (max_job_bytes), is %zu",
                   (unsigned long long)consumer->config->max_job_bytes, raw.len);
        return;
    }
    uint32_t faults =
        envelope_parse(&o->envelope, &w->scratch.doc, raw, find_account, o, consumer->keys.hash_tag,
                       &o->decoded, &w->scratch.faults, &w->scratch.warnings, &o->account);
    buf_add_span(&o->warnings, buf_span(&w->scratch.warnings.list));
    o->envelope.raw = raw;
    if (o->envelope.reply_to.ptr != NULL && queue_keys_owns(&consumer->keys, o->envelope.reply_to)) {
        faults_add(&w->scratch.faults, "reply_to", "must not be one of the queue's own keys");
        o->envelope.reply_to = (struct span){NULL, 0}; /* the fault itself goes to results */
        return;
    }
    if (faults > 0 || o->account == NULL)
        return;
    order_hash(o->envelope.order, o->hash);
    queue_keys_order(&consumer->keys, span_str(o->account->name), o->envelope.order_key, &o->ledger_key);
}

/* What begin.lua is told of it. */
static struct beginning beginning_of(struct order *o) {
    o->looking_up = o->header.phase != PHASE_SEND;
    return (struct beginning){.claim = o->claim,
                              .kind = o->looking_up ? 'L' : 'P',
                              .account = o->account->name,
                              .limits = buf_span(&o->runtime->limits),
                              .hash = o->hash,
                              .worker = o->consumer->keys.worker,
                              .ledger_key = buf_span(&o->ledger_key)};
}

static void begin(struct order *o) {
    struct beginning beginning = beginning_of(o);
    if (o->trace.on)
        trace_begins(o);
    struct part *b = consumer_open_part(o->consumer, PART_BEGIN);
    if (b != NULL && part_add_begin(b, o, &o->consumer->keys, &beginning)) {
        order_move(o, ORDER_BEGINNING);
        return;
    }
    struct decision d;
    life_hand_back(&o->header, false, &d);
    settle(o, &(struct settle_context){.decision = &d});
}

static void wait_for_slot(struct order *o, uint64_t ms) {
    struct decision d;
    life_hand_back(&o->header, false, &d);
    d.op = SETTLE_WAIT;
    d.due_ms = ms;
    d.keep_header = true;
    d.counter = "slot_waits";
    settle(o, &(struct settle_context){.decision = &d});
}

/* Reads the record into `o`; true: nothing stands against beginning it, else `d` says what to do. */
static bool read_record(struct order *o, bool fresh, struct span record, struct decision *d) {
    struct worker *w = o->consumer->worker;
    struct span raw = {NULL, 0};
    buf_add_span(&o->record, record);
    faults_reset(&w->scratch.faults);
    faults_reset(&w->scratch.warnings);
    if (!buf_ok(&o->record) ||
        record_header_parse(&o->header, fresh, buf_span(&o->record), &w->scratch.doc, &raw) < 0) {
        /* No record of ours, or no memory for it: the text stays as it is, for a person to look at. */
        raw = buf_span(&o->record);
        faults_add(&w->scratch.faults, "", "is no record of dray's");
        memset(&o->envelope, 0, sizeof(o->envelope));
        o->envelope.raw = raw;
    } else {
        read_envelope(o, raw);
    }
    if (w->tracer != NULL)
        trace_claimed(o);
    struct admission a = {.header = &o->header,
                          .envelope = &o->envelope,
                          .account = o->account,
                          .faults = w->scratch.faults.count,
                          .now_ms = clock_unix_ms()};
    o->begun_unix_ms = a.now_ms;
    bool goes = life_admit(&a, &w->rng, d);
    if (goes && o->warnings.len > 0 && o->header.attempts == 0 && o->header.phase == PHASE_SEND)
        log_warnings(o); /* not again with each retry */
    return goes;
}

void admit(struct consumer *consumer, const struct claim *claim, bool fresh, struct span record) {
    struct order *o = order_get(consumer);
    struct decision d;
    uint64_t wait_ms;
    if (o == NULL) {
        settle_back(consumer, claim, CLAIM_HELD, SPAN_LIT(""));
        return;
    }
    o->claim = *claim;
    if (!read_record(o, fresh, record, &d))
        settle(o, &(struct settle_context){.decision = &d, .faults = &consumer->worker->scratch.faults});
    else if ((wait_ms = share_wait_ms(o->runtime)) > 0)
        wait_for_slot(o, wait_ms);
    else
        begin(o);
}

/* Redis did not claim it: the long way, if there is one, says why. */
static void not_picked(struct order *o) {
    struct consumer *consumer = o->consumer;
    consumer->claims.look_now = true;
    if (consumer->worker->trial != NULL)
        trial_not_picked(o);
    order_move(o, ORDER_FREE);
}

/* The part's only item is done with; a WAIT behind it may still be unanswered (replicas.c). */
static void pick_done(struct consumer *consumer, struct part *b) {
    b->items[0] = NULL;
    b->answered = b->waits;
    if (!b->waits)
        part_done(consumer, b);
}

void pick_failed(struct consumer *consumer, struct part *b, const redisReply *reply, const char *error) {
    struct order *o = b->items[0];
    struct worker *w = consumer->worker;
    if (reply != NULL) {
        log_redis_error(consumer, "pick", error);
        not_picked(o);
    } else {
        consumer->claims.lost =
            w->trial == NULL; /* else nobody gives it back: it must not get into the queue */
        order_move(o, ORDER_FREE);
        if (w->trial != NULL)
            trial_unanswered(w);
    }
    pick_done(consumer, b);
}

void pick_answered(struct consumer *consumer, struct part *b, const redisReply *reply) {
    const redisReply *claimed = reply->element[TURN_CLAIMED], *begun = reply->element[TURN_BEGUN];
    struct order *o = b->items[0];
    char letter = begun->element[0]->len > 0 ? begun->element[0]->str[0] : '\0';
    bool picked = claimed->elements > 2 && letter != '\0';
    if (!picked || (consumer->worker->trial != NULL && letter != 'G')) {
        not_picked(o);
        pick_done(consumer, b);
        return;
    }
    o->claim.number = strtoull(claimed->element[1]->str, NULL, 10) + 1;
    if (o->claim.batch > consumer->claims.told)
        consumer->claims.told = o->claim.batch;
    consumer->stats.claimed++;
    consumer->claims.more =
        strtoull(claimed->element[2]->str, NULL, 10) > 0; /* it was not alone, however long it took */
    dispatch_begun(consumer, b, begun);
}

bool admit_picked(struct consumer *consumer, struct span text) {
    struct order *o = order_get(consumer);
    struct decision d;
    if (o == NULL)
        return false;
    o->claim = (struct claim){.batch = ++consumer->claims.batches};
    if (!read_record(o, true, text, &d) || share_wait_ms(o->runtime) > 0) {
        order_discard(o);
        return false;
    }
    struct beginning beginning = beginning_of(o);
    if (!consumer->worker->up->send_picked(consumer, o, &beginning, text)) {
        order_discard(o);
        return false;
    }
    if (o->trace.on)
        trace_begins(o);
    order_move(o, ORDER_BEGINNING);
    return true;
}

void trial_begin(struct worker *w) {
    if (w->trial_begun)
        return;
    w->trial_begun = true;
    if (!admit_picked(w->consumers[0], w->trial->job)) {
        w->trial->end = TRIAL_NOTHING;
        w->up->drain(w);
    }
    redis_router_flush(w->redis.router);
}
