/* Turns: their parts are filled, sent together with a claim, and sent again. */
#ifndef DRAY_WORKER_TURNS_H
#define DRAY_WORKER_TURNS_H

#include "queue/turn.h"

#define PARTS 3 /* a queue's slots go round in so many, and so many turns and claims may be under way */

struct consumer;
struct order;
struct turn_call;

struct consumer_turns {
    /* turns.c, part_open.c */
    struct part *begin, *settle;       /* being filled; NULL: none */
    struct part *resend, *resend_last; /* unanswered or refused; sent again in order */
    struct part *spare;
    struct turn_call *spare_calls;
    uint32_t out;  /* calls of turn.lua under way */
    uint32_t open; /* of these, those whose own reply is still to come (WAIT's comes behind it) */
    /* turns.c, settle.c: boot clock, not before that */
    uint64_t resend_at_ns;
    /* turns.c, worker.c: the next turn waits for one more look at the sockets */
    bool gathers;
    /* dispatch.c: of the part being read */
    uint32_t lost_begins;
};

/* part_open.c */
/* The part being filled, or NULL when memory ran out. */
struct part *consumer_open_part(struct consumer *consumer, enum part_kind kind);
struct part *part_spare(struct consumer *consumer,
                        enum part_kind kind); /* an empty one; NULL: out of memory */
void part_done(struct consumer *consumer, struct part *b);
/* Keeps a part for consumer_resend, behind those already there. */
void consumer_unanswered(struct consumer *consumer, struct part *b);
/* Of its slots: what goes round together (turns.c says why). */
uint32_t consumer_third(const struct consumer *consumer);

/* turns.c */
void consumer_send_part(struct consumer *consumer, struct part *b); /* alone */
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

#endif
