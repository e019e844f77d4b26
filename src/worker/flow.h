/* The way of an order through a lane, in this order: it is claimed, admitted and begun, dispatched to its provider, and
 * settled; batches.c sends what came up of all that in one turn. For src/worker alone. */
#ifndef DRAY_WORKER_FLOW_H
#define DRAY_WORKER_FLOW_H

#include "worker/lane.h"
#include "worker/worker.h"

/* claim.c: from Redis into orders */
/* What a script's reply says of the future, from element `at` on: now, and when to claim again. The last
 * reply is the truth. */
void lane_look(struct lane *lane, const redisReply *r, size_t at);
void lane_wake(struct lane *lane, uint64_t now_ns); /* each turn: what was to be looked at by now is */
/* How many jobs to claim now; 0: none. */
uint32_t lane_claim_due(struct lane *lane, uint64_t now_ns);
/* A claim's part of a turn's reply: whether Redis refused; what it says of the lane; its jobs. */
bool claim_refused(const redisReply *claimed);
void claim_status(struct lane *lane, const redisReply *claimed);
void claim_answered(struct lane *lane, uint32_t asked, const redisReply *claimed);
/* refused: with an error reply */
void claim_unanswered(struct lane *lane, bool refused, const char *error);
void lane_block_if_idle(struct lane *lane);
void lane_refuses_no_more(struct lane *lane); /* Redis did what it was asked */
void lane_untake(struct lane *lane);
void lane_give_back_orphans(struct lane *lane);

/* admit.c: what is claimed is read and checked, then begun or settled */
void admit(struct lane *lane, struct span token, struct span record);
/* The text that a blocking pick-up moved to `taken`: one turn claims and begins it (pick.lua). False:
 * nothing was sent; its record must be settled, or has to wait, so it is claimed like any other. */
bool admit_picked(struct lane *lane, struct span text);
/* The answer to that turn; none, or an error. The batch has the one order. */
void pick_answered(struct lane *lane, struct batch *b, const redisReply *reply);
void pick_failed(struct lane *lane, struct batch *b, const redisReply *reply, const char *error);

/* dispatch.c: begun orders leave, answers come in */
void dispatch_begun(struct lane *lane, struct batch *b, const redisReply *reply);
/* one that waits for the account's token; NULL: none does */
struct order *dispatch_waiting(const struct port *port);
void dispatch_again(struct order *o);                                         /* the token is there */
void dispatch_no_token(struct order *o, uint64_t pause_ms, const char *code); /* 0: the account is held */
void dispatch_held(struct order *o, bool may_go); /* begun, and replicas have answered */
void dispatch_cancel_all(struct lane *lane);
void dispatch_hand_back_begun(struct lane *lane); /* at the end: begins that were never answered */

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
void settle_back(struct lane *lane, struct span token, struct span begun);
void settled(struct lane *lane, struct batch *b, const redisReply *reply); /* turn.lua's part */

/* batches.c: turns: filling, sending and sending again */
struct batch *lane_batch(struct lane *lane, enum batch_kind kind);
uint32_t lane_part(const struct lane *lane); /* of its slots: what goes round together (batches.c) */
/* Sends what came up and claims what is due, unless turns are unanswered and it is little: a reply does it then. */
void lane_flush(struct lane *lane);
void lane_go_on(struct lane *lane); /* a reply was read: now, or after one more look at the sockets */
/* now; 0 only gives back what a blocking pick-up took */
void lane_send_claim(struct lane *lane, uint32_t n);
/* A turn that claims `text` and begins it. False: out of memory. */
bool lane_send_picked(struct lane *lane, struct order *order, const struct beginning *begin,
                      struct span text);
void lane_free_calls(struct lane *lane);
void lane_resend(struct lane *lane, uint64_t now_ns);
void lane_unanswered(struct lane *lane, struct batch *b);
void batch_done(struct lane *lane, struct batch *b);

/* replicas.c: nothing leaves before enough replicas know */
bool replicas_wanted(const struct lane *lane, const struct batch *b); /* the batch has orders to send */
bool replicas_may_begin(const struct lane *lane);                     /* no other batch waits */
/* The batch waits from now on; the caller sets `waited`, which calls replicas_answered. */
struct redis_wait replicas_wait(struct lane *lane, struct batch *b);
void replicas_answered(struct lane *lane, struct batch *b, long long replicas);

/* trial.c: one order, outside the queue */
void trial_begin(struct worker *w);      /* the lane is leased; from the second time on nothing */
void trial_not_picked(struct order *o);  /* it may not begin now: Redis has nothing of it */
void trial_unanswered(struct worker *w); /* nobody knows what it did */
/* what a worker would do later ends now */
void trial_decide(struct order *o, const struct outcome *outcome, struct decision *d);

#endif
