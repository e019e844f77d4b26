/* Liveness and readiness.
 *
 * Alive: the loop turns (else nobody answers), and jobs that could be claimed are claimed. Redis
 * being away, or refusing, is not the worker's fault: a restart would only cost what is in flight.
 */
#include "admin/admin.h"

#include <stdio.h>

#define STUCK_LEASES 4

const char *mode_name(const struct worker *w) {
    static const char *const names[] = {
        [WORKER_STARTING] = "starting", [WORKER_RUNNING] = "running", [WORKER_QUIET] = "quiet",
        [WORKER_DRAINING] = "draining", [WORKER_STOPPED] = "stopped",
    };
    return names[w->mode];
}

const char *redis_away(const struct worker *w) {
    if (w->mode == WORKER_STOPPED)
        return "the worker is stopping";
    for (uint32_t i = 0; i < w->lane_count; i++)
        if (!lane_is_up(w->lanes[i])) {
            const char *error = redis_router_error(w->redis, w->lanes[i]->keys.slot);
            return error[0] != '\0' ? error : "connecting";
        }
    return NULL;
}

const char *not_ready(const struct worker *w) {
    uint64_t now = clock_boot_ns();
    if (w->mode == WORKER_QUIET)
        return "quiet: claims nothing until HUP";
    if (w->mode == WORKER_DRAINING || w->mode == WORKER_STOPPED)
        return "draining: the worker is about to end";
    if (redis_away(w) != NULL)
        return "Redis is away";
    for (uint32_t i = 0; i < w->lane_count; i++)
        if (!w->lanes[i]->leased || now >= w->lanes[i]->lease_until_ns)
            return "no lease: Redis has not confirmed this worker";
    return w->mode == WORKER_RUNNING ? NULL : "starting";
}

void handle_readyz(struct request *r) {
    const char *why = not_ready(r->admin->worker);
    buf_addf(&r->out, "{\"ready\":%s,\"reason\":", why == NULL ? "true" : "false");
    if (why == NULL)
        buf_add_str(&r->out, "null}");
    else
        buf_addf(&r->out, "\"%s\"}", why);
    answer_json(r, why == NULL ? 200 : 503);
}

/* The queue that has waited longest although it could have been claimed from, or NULL. */
static const struct view *stuck(const struct admin *a, uint64_t *stuck_ms) {
    const struct view *worst = NULL;
    uint64_t now = clock_boot_ns(), most = STUCK_LEASES * a->worker->boot->lease_ms;
    for (uint32_t i = 0; i < a->views.count; i++) {
        uint64_t ms = view_stuck_ns(a->views.list[i], now) / 1000000;
        if (ms > most) {
            worst = a->views.list[i];
            *stuck_ms = most = ms;
        }
    }
    return worst;
}

void handle_healthz(struct request *r) {
    const struct worker *w = r->admin->worker;
    uint64_t ms = 0;
    const struct view *view = stuck(r->admin, &ms);
    buf_addf(&r->out, "{\"healthy\":%s,\"mode\":\"%s\",\"redis\":\"%s\",\"reason\":",
             view == NULL ? "true" : "false", mode_name(w), redis_away(w) == NULL ? "up" : "away");
    if (view == NULL)
        buf_add_str(&r->out, "null}");
    else
        buf_addf(&r->out, "\"queue %s: %llu jobs wait and nothing was claimed for %llu s\"}",
                 view->queue, (unsigned long long)view->jobs, (unsigned long long)ms / 1000);
    answer_json(r, view == NULL ? 200 : 503);
}
