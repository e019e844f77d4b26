/* The way of an order through a consumer, in this order: it is claimed (claim.h), admitted and begun, dispatched to its
 * provider, and settled; turns.h: what came up of all that is sent in one turn. For src/worker alone. */
#ifndef DRAY_WORKER_FLOW_H
#define DRAY_WORKER_FLOW_H

#include "worker/internal.h"

/* admit.c: what is claimed is read and checked, then begun or settled */
void admit(struct consumer *consumer, const struct claim *claim, bool fresh, struct span record);
/* The text that a blocking pick-up moved to `taken`: one turn claims and begins it (pick.lua). False:
 * nothing was sent; its record must be settled, or has to wait, so it is claimed like any other. */
bool admit_picked(struct consumer *consumer, struct span text);
/* The one order of a trial: the consumer is leased. From the second time on nothing. */
void trial_begin(struct worker *w);
/* The answer to that turn; none, or an error. The part has the one order. */
void pick_answered(struct consumer *consumer, struct part *b, const redisReply *reply);
void pick_failed(struct consumer *consumer, struct part *b, const redisReply *reply, const char *error);

/* dispatch.c: begun orders leave, answers come in */
void dispatch_begun(struct consumer *consumer, struct part *b, const redisReply *reply);
void dispatch_again(struct order *o);                                         /* the token is there */
void dispatch_no_token(struct order *o, uint64_t pause_ms, const char *code); /* 0: the account is held */
void dispatch_held(struct order *o, bool may_go); /* begun, and replicas have answered */
void dispatch_cancel_all(struct consumer *consumer);

/* settle.c: decisions become settlements */
struct settle_context {
    const struct decision *decision;
    const struct outcome *outcome; /* or NULL */
    struct span ledger_entry;      /* or absent */
    const struct faults *faults;   /* or NULL */
    struct span answer;            /* what came; for the history */
    uint64_t ms;                   /* how long the attempt took */
    bool attempt, control;         /* put it into the history; as a control */
};
void settle(struct order *o, const struct settle_context *c);
void settle_back(struct consumer *consumer, const struct claim *claim, char letter, struct span account_key);
/* Handed back as it came. `begun`: Redis let it go. */
void order_hand_back(struct order *o, bool begun);
void settle_back_begun(struct consumer *consumer); /* at the end: begins that were never answered */
/* A held account whose credentials were replaced meanwhile is not held. */
void order_credentials_refused(const struct order *o, struct decision *d);
void settled(struct consumer *consumer, struct part *b, const redisReply *reply); /* turn.lua's part */

/* replicas.c: nothing leaves before enough replicas know */
/* The part has orders to send. */
bool replicas_wanted(const struct consumer *consumer, const struct part *b);
/* No other part waits. */
static inline bool replicas_may_begin(const struct consumer *consumer) {
    return !consumer->worker->replicas_waiting;
}
/* The part waits from now on; the caller sets `waited`, which calls replicas_answered. */
struct redis_wait replicas_wait(struct consumer *consumer, struct part *b);
void replicas_answered(struct consumer *consumer, struct part *b, long long replicas);

/* trial.c: one order, outside the queue */
void trial_not_picked(struct order *o);  /* it may not begin now: Redis has nothing of it */
void trial_unanswered(struct worker *w); /* nobody knows what it did */
/* what a worker would do later ends now */
void trial_decide(struct order *o, const struct outcome *outcome, struct decision *d);

#endif
