/* What a worker's own books must say after every step, whatever Redis does. */
#include "sim.h"

#define LOOK 64 /* jobs; more than any queue here has slots */

/* What a blocking pick-up took is claimed though no slot is free, and a look through a full queue asks for jobs that
 * may have to wait aside (share.c). */
static void audit_slots(unsigned worker, const struct lane *lane) {
    uint32_t slots = lane->config->concurrency,
             under_way = lane_active(lane) - lane->orders[ORDER_CLAIMED].count;
    if (under_way > slots && !lane->retiring)
        sim_fail("w%u has %u orders of %s under way; concurrency is %u", worker, under_way,
                 lane->config->name, slots);
    if ((lane->claims_out == 0 && lane->asked > 0) || lane->claims_out > PARTS ||
        lane->turns_open > lane->turns_out)
        sim_fail("w%u waits for %u jobs of %u claims in %u of %u turns", worker, lane->asked,
                 lane->claims_out, lane->turns_open, lane->turns_out);
    if (lane->asked > 1 && lane->asked < LOOK && lane_active(lane) + lane->asked > slots)
        sim_fail("w%u has %u orders of %s and asked for %u more; concurrency is %u", worker,
                 lane_active(lane), lane->config->name, lane->asked, slots);
}

void audit_worker_books(void) {
    for (unsigned i = 0; i < world.worker_count && !world.failed; i++) {
        const struct worker *w = world.workers[i].w;
        if (w != NULL && w->active > w->boot->max_inflight)
            sim_fail("w%u has %u orders under way; max_inflight is %u", i, w->active, w->boot->max_inflight);
        for (uint32_t k = 0; w != NULL && k < w->lane_count && !world.failed; k++)
            audit_slots(i, w->lanes[k]);
    }
}
