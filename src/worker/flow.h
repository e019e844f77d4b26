/* The way of an order through a consumer, in this order: it is claimed, admitted and begun, dispatched to its provider, and
 * settled; batches.c sends what came up of all that in one turn. For src/worker alone. */
#ifndef DRAY_WORKER_FLOW_H
#define DRAY_WORKER_FLOW_H

#include "worker/consumer.h"
#include "worker/worker.h"

/* claim.c: from Redis into orders */
/* What a script's reply says of the future, from element `at` on: now, and when to claim again. The last
 * reply is the truth. */
void consumer_look(struct consumer *consumer, const redisReply *r, size_t at);
void consumer_wake(struct consumer *consumer,
                   uint64_t now_ns); /* each turn: what was to be looked at by now is */
/* How many jobs to claim now; 0: none. */
uint32_t consumer_claim_due(struct consumer *consumer, uint64_t now_ns);
/* A claim's part of a turn's reply: whether Redis refused; what it says of the consumer; its jobs. */
bool claim_refused(const redisReply *claimed);
void claim_status(struct consumer *consumer, const redisReply *claimed);
void claim_answered(struct consumer *consumer, uint32_t asked, const redisReply *claimed);
/* refused: with an error reply */
void claim_unanswered(struct consumer *consumer, bool refused, const char *error);
void consumer_block_if_idle(struct consumer *consumer);
void consumer_refuses_no_more(struct consumer *consumer); /* Redis did what it was asked */
void consumer_untake(struct consumer *consumer);
void consumer_give_back_orphans(struct consumer *consumer);

/* admit.c: what is claimed is read and checked, then begun or settled */
void admit(struct consumer *consumer, struct span token, struct span record);
/* The text that a blocking pick-up moved to `taken`: one turn claims and begins it (pick.lua). False:
 * nothing was sent; its record must be settled, or has to wait, so it is claimed like any other. */
bool admit_picked(struct consumer *consumer, struct span text);
/* The answer to that turn; none, or an error. The batch has the one order. */
void pick_answered(struct consumer *consumer, struct batch *b, const redisReply *reply);
void pick_failed(struct consumer *consumer, struct batch *b, const redisReply *reply, const char *error);

/* dispatch.c: begun orders leave, answers come in */
void dispatch_begun(struct consumer *consumer, struct batch *b, const redisReply *reply);
/* one that waits for the account's token; NULL: none does */
struct order *dispatch_waiting(const struct account_runtime *runtime);
void dispatch_again(struct order *o);                                         /* the token is there */
void dispatch_no_token(struct order *o, uint64_t pause_ms, const char *code); /* 0: the account is held */
void dispatch_held(struct order *o, bool may_go); /* begun, and replicas have answered */
void dispatch_cancel_all(struct consumer *consumer);
void dispatch_hand_back_begun(struct consumer *consumer); /* at the end: begins that were never answered */

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
void settle_back(struct consumer *consumer, struct span token, struct span begun);
void settled(struct consumer *consumer, struct batch *b, const redisReply *reply); /* turn.lua's part */

/* batches.c: turns: filling, sending and sending again */
struct batch *consumer_batch(struct consumer *consumer, enum batch_kind kind);
/* Of its slots: what goes round together (batches.c). */
uint32_t consumer_part(const struct consumer *consumer);
/* Sends what came up and claims what is due, unless turns are unanswered and it is little: a reply does it then. */
void consumer_flush(struct consumer *consumer);
/* A reply was read: sends now, or after one more look at the sockets. */
void consumer_go_on(struct consumer *consumer);
/* now; 0 only gives back what a blocking pick-up took */
void consumer_send_claim(struct consumer *consumer, uint32_t n);
/* A turn that claims `text` and begins it. False: out of memory. */
bool consumer_send_picked(struct consumer *consumer, struct order *order, const struct beginning *begin,
                          struct span text);
void consumer_free_calls(struct consumer *consumer);
void consumer_resend(struct consumer *consumer, uint64_t now_ns);
void consumer_unanswered(struct consumer *consumer, struct batch *b);
void batch_done(struct consumer *consumer, struct batch *b);

/* replicas.c: nothing leaves before enough replicas know */
bool replicas_wanted(const struct consumer *consumer,
                     const struct batch *b);              /* the batch has orders to send */
bool replicas_may_begin(const struct consumer *consumer); /* no other batch waits */
/* The batch waits from now on; the caller sets `waited`, which calls replicas_answered. */
struct redis_wait replicas_wait(struct consumer *consumer, struct batch *b);
void replicas_answered(struct consumer *consumer, struct batch *b, long long replicas);

/* trial.c: one order, outside the queue */
void trial_begin(struct worker *w);      /* the consumer is leased; from the second time on nothing */
void trial_not_picked(struct order *o);  /* it may not begin now: Redis has nothing of it */
void trial_unanswered(struct worker *w); /* nobody knows what it did */
/* what a worker would do later ends now */
void trial_decide(struct order *o, const struct outcome *outcome, struct decision *d);

#endif
