/* A consumer's open batches: what came up to be settled and begun collects in them until batches.c sends it, at once
 * where one is full. Those that Redis did not answer are kept in order. */
#include "worker/flow.h"

#define PART_MAX 512 /* orders */

uint32_t consumer_part(const struct consumer *consumer) {
    uint32_t part = (consumer->config->concurrency + PARTS - 1) / PARTS;
    return part < PART_MAX ? part : PART_MAX;
}

struct batch *batch_spare(struct consumer *consumer, enum batch_kind kind) {
    struct batch *b = consumer->turns.spare;
    if (b == NULL)
        return batch_new(kind);
    consumer->turns.spare = b->next;
    b->next = NULL;
    b->kind = kind;
    return b;
}

void batch_done(struct consumer *consumer, struct batch *b) {
    batch_reset(b);
    b->next = consumer->turns.spare;
    consumer->turns.spare = b;
}

/* Keeps a batch for consumer_resend, behind those already there. */
void consumer_unanswered(struct consumer *consumer, struct batch *b) {
    b->stray = true; /* a reload may have changed the limits by then */
    b->next = NULL;
    if (consumer->turns.resend_last != NULL)
        consumer->turns.resend_last->next = b;
    else
        consumer->turns.resend = b;
    consumer->turns.resend_last = b;
}

/* The batch being filled, or NULL when memory ran out. */
struct batch *consumer_batch(struct consumer *consumer, enum batch_kind kind) {
    struct batch **slot = kind == BATCH_BEGIN ? &consumer->turns.begin : &consumer->turns.settle;
    if (*slot != NULL && batch_full(*slot)) {
        struct batch *full = *slot;
        *slot = NULL;
        if (consumer->turns.resend != NULL || !consumer_is_up(consumer) ||
            (kind == BATCH_BEGIN && !replicas_may_begin(consumer)))
            consumer_unanswered(consumer, full);
        else
            consumer->worker->up->send_batch(consumer, full);
    }
    if (*slot == NULL)
        *slot = batch_spare(consumer, kind);
    return *slot;
}
