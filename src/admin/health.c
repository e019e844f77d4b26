/* Liveness and readiness.
 *
 * A worker is alive if its loop turns (else nobody answers), if jobs that could be claimed are claimed, and if
 * Redis, where it answers, lets jobs be claimed at least once in liveness_after. That Redis is away or full is
 * not the worker's fault: a restart would only cost what is in flight. */
#include "admin/api.h"

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
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (!consumer_is_up(w->consumers[i])) {
            const char *error = redis_router_error(w->redis.router, w->consumers[i]->keys.slot);
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
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (w->consumers[i]->format.refused)
            return "wrong format: the data of a queue in Redis are of another format; the log says what to "
                   "do";
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (!w->consumers[i]->lease.held || now >= w->consumers[i]->lease.until_ns)
            return "no lease: Redis has not confirmed this worker";
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (w->consumers[i]->trouble.redis_full)
            return "Redis is full";
    return w->mode == WORKER_RUNNING ? NULL : "starting";
}

void handle_readyz(struct request *r) {
    const char *why = not_ready(r->admin->worker);
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ready", why == NULL);
    api_str(answer, "reason", why);
    answer_tree(r, why == NULL ? 200 : 503, answer);
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

/* The queue whose jobs cannot be claimed for longest, beyond liveness_after, or NULL. */
static const struct consumer *barred(const struct worker *w, uint64_t *barred_ms) {
    const struct consumer *worst = NULL;
    uint64_t now = clock_boot_ns(), most = w->config->liveness_after_ms;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        uint64_t since = w->consumers[i]->trouble.barred_since_ns,
                 ms = since > 0 ? (now - since) / 1000000 : 0;
        if (ms > most) {
            worst = w->consumers[i];
            *barred_ms = most = ms;
        }
    }
    return worst;
}

/* "" where all is well. */
static void unhealthy_reason(const struct admin *a, struct buf *out) {
    uint64_t ms = 0;
    char words[64];
    const struct view *view = stuck(a, &ms);
    const struct consumer *consumer = view == NULL ? barred(a->worker, &ms) : NULL;
    if (view != NULL)
        buf_addf(out, "queue %s: %llu jobs wait and nothing was claimed for %llu s", view->queue,
                 (unsigned long long)view->jobs, (unsigned long long)ms / 1000);
    if (consumer == NULL)
        return;
    consumer_barred_by(consumer, words, sizeof(words));
    buf_addf(out, "queue %s: nothing could be claimed for %llu s although Redis answers%s%s",
             consumer->keys.queue, (unsigned long long)ms / 1000, words[0] != '\0' ? ": " : "", words);
}

void handle_healthz(struct request *r) {
    const struct worker *w = r->admin->worker;
    struct buf reason;
    buf_init(&reason, 1024);
    unhealthy_reason(r->admin, &reason);
    bool healthy = reason.len == 0;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "healthy", healthy);
    api_str(answer, "mode", mode_name(w));
    api_str(answer, "redis", redis_away(w) == NULL ? "up" : "away");
    api_str(answer, "reason", healthy ? NULL : buf_cstr(&reason));
    buf_deinit(&reason);
    answer_tree(r, healthy ? 200 : 503, answer);
}
