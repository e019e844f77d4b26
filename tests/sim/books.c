/* What a worker's own books must say after every step, whatever Redis does. */
#include "sim.h"

void audit_worker_books(void) {
    for (unsigned i = 0; i < world.worker_count && !world.failed; i++) {
        const struct worker *w = world.workers[i].w;
        if (w != NULL && w->active > w->boot->max_inflight)
            sim_fail("w%u has %u orders under way; max_inflight is %u", i, w->active, w->boot->max_inflight);
    }
}
