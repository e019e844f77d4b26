/* A consumer's open parts: what came up to be settled and begun collects in them until turns.c sends it, at once
 * where one is full. Those that Redis did not answer are kept in order. */
#include "worker/flow.h"

#define PART_MAX 512 /* orders */

uint32_t consumer_third(const struct consumer *consumer) {
    uint32_t part = (consumer->config->concurrency + PARTS - 1) / PARTS;
    return part < PART_MAX ? part : PART_MAX;
}

struct part *part_spare(struct consumer *consumer, enum part_kind kind) {
    struct part *b = consumer->turns.spare;
    if (b == NULL)
        return part_new(kind);
    consumer->turns.spare = b->next;
    b->next = NULL;
    b->kind = kind;
    return b;
}

void part_done(struct consumer *consumer, struct part *b) {
    part_reset(b);
    b->next = consumer->turns.spare;
    consumer->turns.spare = b;
}

/* Keeps a part for consumer_resend, behind those already there. */
void consumer_unanswered(struct consumer *consumer, struct part *b) {
    b->stray = true; /* a reload may have changed the limits by then */
    b->next = NULL;
    if (consumer->turns.resend_last != NULL)
        consumer->turns.resend_last->next = b;
    else
        consumer->turns.resend = b;
    consumer->turns.resend_last = b;
}

/* The part being filled, or NULL when memory ran out. */
struct part *consumer_open_part(struct consumer *consumer, enum part_kind kind) {
    struct part **slot = kind == PART_BEGIN ? &consumer->turns.begin : &consumer->turns.settle;
    if (*slot != NULL && part_full(*slot)) {
        struct part *full = *slot;
        *slot = NULL;
        if (consumer->turns.resend != NULL || !consumer_is_up(consumer) ||
            (kind == PART_BEGIN && !replicas_may_begin(consumer)))
            consumer_unanswered(consumer, full);
        else
            consumer->worker->up->send_part(consumer, full);
    }
    if (*slot == NULL)
        *slot = part_spare(consumer, kind);
    return *slot;
}
