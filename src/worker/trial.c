/* One order, outside the queue.
 *
 * Happy path: a turn claims its text and begins it in one step, as it does with what a blocking pick-up took (pick.lua).
 * Where it may not go at once, nothing at all is done.
 * Failure modes: Redis does not answer that turn: whatever it did, nothing is sent; the worker does not sign off, and
 * recovery finds a job that never began, or one whose outcome is unknown. */
#include "worker/trial.h"

#include <stdio.h>
#include <string.h>

#include "queue/gate.h"
#include "worker/flow.h"

static struct consumer *only_consumer(const struct worker *w) {
    return w->consumer_count > 0 ? w->consumers[0] : NULL;
}

static void end(struct worker *w, enum trial_end how) {
    w->trial->end = how;
    w->up->drain(w);
}

static const char *gate_words(const struct gate *g) {
    switch (g->mode) {
    case 'h':
        return "the account is held, as the provider refused its credentials or its orders; `dray resume` "
               "opens it";
    case 'p':
        return "the account is paused, as the provider asked for";
    case 'b':
        return "the account's breaker is open: the provider failed several times in a row";
    default:
        return "the account is at its rate or its concurrency, or others wait for it";
    }
}

static void on_gate(void *arg, const redisReply *r, const char *error) {
    struct worker *w = arg;
    struct gate gate;
    (void)error;
    struct span stored = {NULL, 0};
    if (r != NULL && r->type == REDIS_REPLY_STRING)
        stored = (struct span){r->str, r->len};
    gate_read(stored, &gate);
    if (w->trial->why[0] == '\0')
        snprintf(w->trial->why, sizeof(w->trial->why), "%s", gate_words(&gate));
    end(w, TRIAL_STOOD);
}

static void on_pauses(void *arg, const redisReply *r, const char *error) {
    struct worker *w = arg;
    (void)error;
    for (size_t i = 0; r != NULL && r->type == REDIS_REPLY_ARRAY && i < r->elements && i < 2; i++)
        if (r->element[i]->type == REDIS_REPLY_STRING)
            snprintf(w->trial->why, sizeof(w->trial->why),
                     "the %s is paused by an operator; `dray resume` ends that",
                     i == 0 ? "queue" : "account");
}

/* Nothing in the ledger stands against it: pauses, then the account's gate. */
static void ask_gate(struct worker *w) {
    const struct consumer *consumer = only_consumer(w);
    struct span pauses = consumer->keys.key[KEY_PAUSES], accounts = consumer->keys.key[KEY_ACCOUNTS];
    redis_router_command(w->redis.router, consumer->keys.slot, on_pauses, w, "HMGET %b %s %s", pauses.ptr,
                         pauses.len, "", w->trial->account);
    redis_router_command(w->redis.router, consumer->keys.slot, on_gate, w, "HGET %b %s", accounts.ptr,
                         accounts.len, w->trial->account);
    redis_router_flush(w->redis.router);
}

static void on_entry(void *arg, const redisReply *r, const char *error) {
    struct worker *w = arg;
    (void)error;
    if (r != NULL && r->type == REDIS_REPLY_STRING) {
        snprintf(w->trial->entry, sizeof(w->trial->entry), "%s", r->str);
        end(w, TRIAL_STOOD);
    } else {
        ask_gate(w);
    }
}

/* Nothing was done: what does the ledger say? */
void trial_not_picked(struct order *o) {
    struct worker *w = o->consumer->worker;
    struct span key = buf_span(&o->ledger_key);
    redis_router_command(w->redis.router, o->consumer->keys.slot, on_entry, w, "GET %b", key.ptr, key.len);
    redis_router_flush(w->redis.router);
}

void trial_unanswered(struct worker *w) {
    only_consumer(w)->pickup.lost = true; /* does not sign off: its lease runs out */
    end(w, TRIAL_UNSURE);
}

void trial_decide(struct order *o, const struct outcome *outcome, struct decision *d) {
    struct trial *t = o->consumer->worker->trial;
    if (d->gate != 'p') /* what the provider asks of all requests; the rest is this order's */
        d->gate = '-';
    bool unclear =
        outcome != NULL && (outcome->verdict == VERDICT_UNKNOWN || outcome->verdict == VERDICT_LOOKUP);
    if (d->op != SETTLE_DONE && (d->op != SETTLE_DEAD || unclear)) {
        d->op = SETTLE_DEAD;
        d->reason = unclear ? "unknown_outcome" : "exhausted";
        d->counter = d->reason;
        d->code = outcome != NULL ? outcome->code : "not_sent";
        d->message = outcome != NULL ? NULL : "the order was not sent";
        d->ledger = unclear ? LEDGER_UNKNOWN : LEDGER_DROP;
        d->result = RESULT_FAILED;
        d->keep_header = false;
        d->due_ms = 0;
    }
    t->end = d->op == SETTLE_DONE ? TRIAL_DONE : TRIAL_DEAD;
    if (d->op == SETTLE_DEAD)
        snprintf(t->reason, sizeof(t->reason), "%s", d->reason);
}
