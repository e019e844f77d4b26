/* What a worker's own books must say after every step, whatever Redis does. */
#include "sim.h"

#define LOOK 32 /* jobs that a look asks for at least (claim.c); more than any queue here has slots */

/* What a blocking pick-up took is claimed though no slot is free, and a look through a full queue asks for jobs that
 * may have to wait aside (share.c). */
static void audit_slots(unsigned worker, const struct consumer *consumer) {
    uint32_t slots = consumer->config->concurrency,
             under_way = consumer_active(consumer) - consumer->orders.in[ORDER_CLAIMED].count;
    if (under_way > slots && !consumer->retiring)
        sim_fail("w%u has %u orders of %s under way; concurrency is %u", worker, under_way,
                 consumer->config->name, slots);
    if ((consumer->claims.out == 0 && consumer->claims.asked > 0) || consumer->claims.out > PARTS ||
        consumer->turns.open > consumer->turns.out)
        sim_fail("w%u waits for %u jobs of %u claims in %u of %u turns", worker, consumer->claims.asked,
                 consumer->claims.out, consumer->turns.open, consumer->turns.out);
    if (consumer->claims.asked > 1 && consumer->claims.asked < LOOK &&
        consumer_active(consumer) + consumer->claims.asked > slots)
        sim_fail("w%u has %u orders of %s and asked for %u more; concurrency is %u", worker,
                 consumer_active(consumer), consumer->config->name, consumer->claims.asked, slots);
}

void audit_worker_books(void) {
    for (unsigned i = 0; i < world.worker_count && !world.failed; i++) {
        const struct worker *w = world.workers[i].w;
        if (w != NULL && w->active > w->boot->max_inflight)
            sim_fail("w%u has %u orders under way; max_inflight is %u", i, w->active, w->boot->max_inflight);
        for (uint32_t k = 0; w != NULL && k < w->consumer_count && !world.failed; k++)
            audit_slots(i, w->consumers[k]);
    }
}
