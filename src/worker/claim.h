/* From Redis into orders: claims, and when they are due. */
#ifndef DRAY_WORKER_CLAIM_H
#define DRAY_WORKER_CLAIM_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/log.h"

#define CLAIM_BYTES (4u << 20)

struct consumer;

struct consumer_claims {
    /* batch_read.c; turns.c for a pick-up */
    uint32_t out;   /* claims whose texts are not here, and pick-ups that are unanswered */
    uint32_t asked; /* jobs that these claims may still bring; a pick-up's is an order already */
    /* turns.c, admit.c: the number of our last batch */
    uint64_t batches;
    /* claim.c; admit.c for a pick-up's answer */
    bool more; /* the last claim got all it asked for: there is more work */
    /* claim.c */
    size_t longest;              /* record of the last claim that gave any; 0: none yet */
    uint64_t look_at_ns;         /* when there may be work; 0: nothing known to come */
    enum consumer_closed closed; /* why nothing may be claimed */
    /* claim.c, admit.c, beat.c, dispatch.c, consumer.c: claims that no order here knows of are to be looked for, as a
     * claim's reply was lost, or what Redis knows of us was */
    bool lost;
    /* claim.c, beat.c: they are being looked for */
    bool orphans_out;
    /* claim.c, admit.c: our last batch of which an answer came; what Redis has of later ones was never begun */
    uint64_t told;
    /* claim.c, replicas.c: after an error */
    uint64_t not_before_ns;
    /* whoever learns that there may be work; turns.c takes it back when it asks */
    bool look_now;
};

/* look.c */
/* What a script's reply says of the future, from element `at` on: now, and when to claim again. The last
 * reply is the truth. */
void consumer_look(struct consumer *consumer, const redisReply *r, size_t at);
/* Each turn: what was to be looked at by now is. */
void consumer_wake(struct consumer *consumer, uint64_t now_ns);

/* claim.c */
/* How many jobs to claim now; 0: none. */
uint32_t consumer_claim_due(struct consumer *consumer, uint64_t now_ns);
/* What a claim's answer says of the batch (claim.lua). */
struct claimed {
    uint64_t number;  /* the first job's, less one */
    uint32_t count;   /* 0: nothing was claimed */
    uint32_t records; /* the first ones are records; the others are texts of fresh jobs */
};

/* A claim's part of a turn's reply: whether Redis refused; what it says of the consumer; of the batch. */
bool claim_refused(const redisReply *claimed);
void claim_status(struct consumer *consumer, const redisReply *claimed);
void claim_answered(struct consumer *consumer, uint32_t asked, const redisReply *reply,
                    struct claimed *claimed);
/* The batch's texts, in their order: as many as it has claims. */
void claim_texts(struct consumer *consumer, uint64_t batch, const struct claimed *claimed,
                 const redisReply *texts);
/* refused: with an error reply */
void claim_unanswered(struct consumer *consumer, bool refused, const char *error);
void consumer_block_if_idle(struct consumer *consumer);
void consumer_refuses_no_more(struct consumer *consumer); /* Redis did what it was asked */
void consumer_untake(struct consumer *consumer);
void consumer_give_back_orphans(struct consumer *consumer);

#endif
