/* What a worker's own books must say after every step, whatever Redis does. */
#include "sim.h"

/* Orders of a bundle's claims, whatever became of the bundle itself. */
static void count_claims(const struct lane *lane, uint32_t claims[BUNDLES]) {
    for (int s = 0; s < ORDER_STATES; s++)
        for (const struct order *o = lane->orders[s].first; o != NULL; o = o->next)
            claims[o->bundle]++;
    if (lane->bundles.awaited > 0)
        claims[lane->bundles.awaited] = lane->bundles.count; /* its orders come with the texts */
}

static void check_bundles(unsigned worker, const struct lane *lane) {
    const struct bundles *all = &lane->bundles;
    const char *queue = lane->config->name;
    uint32_t claims[BUNDLES] = {0};
    count_claims(lane, claims);
    for (unsigned n = 1; n < BUNDLES; n++)
        if (all->of[n].claims != claims[n])
            sim_fail("w%u %s: bundle %u counts %u claims of %u", worker, queue, n, all->of[n].claims,
                     claims[n]);
    if (lane->turns_out == 0 && all->in[BUNDLE_OFFERED] + all->in[BUNDLE_TELLING] > 0)
        sim_fail("w%u %s: a bundle waits for a turn that is not under way", worker, queue);
    if (!lane->orphans_out && all->in[BUNDLE_LOOKING] > 0)
        sim_fail("w%u %s: a bundle waits for what nobody asks", worker, queue);
}

void audit_worker_books(void) {
    for (unsigned i = 0; i < world.worker_count && !world.failed; i++) {
        const struct worker *w = world.workers[i].w;
        if (w != NULL && w->active > w->boot->max_inflight)
            sim_fail("w%u has %u orders under way; max_inflight is %u", i, w->active, w->boot->max_inflight);
        for (uint32_t k = 0; w != NULL && k < w->lane_count; k++)
            check_bundles(i, w->lanes[k]);
    }
}
