/* Ending: TERM drains, a second TERM does not wait (the program's matter); then everything is closed.
 *
 * Drain: nothing is claimed or sent any more; orders not begun are given back as they came; requests
 * under way may end within drain_timeout, then they are cut off and become unknown (looked up by
 * others). When nothing is held, each consumer leaves its queue's workers; then connections close.
 * Redis away, or refusing: LEAVE_GRACE_MS after the last request has ended the worker ends all the same.
 * What it could not settle goes to the spool; the rest is recovered when its lease runs out. */
#include "worker/flow.h"

#include <stdlib.h>

#define LEAVE_GRACE_MS 5000

static void on_grace_over(uv_timer_t *handle) {
    struct worker *w = handle->data;
    uint32_t held = 0;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        held += consumer_held(w->consumers[i]);
    log_msg(LOG_WARN, "drain_incomplete", "Redis did not take everything in time; %u orders are not settled",
            held);
    w->mode = WORKER_STOPPED;
    w->end.spool_wanted = true;
    worker_close(w);
}

static void on_drain_timeout(uv_timer_t *handle) {
    struct worker *w = handle->data;
    uint32_t cut = 0;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        cut += w->consumers[i]->orders.in[ORDER_SENDING].count;
        dispatch_cancel_all(w->consumers[i]);
    }
    if (cut > 0)
        log_msg(LOG_WARN, "drain_timeout", "%u requests were cut off; their outcome is looked up", cut);
    worker_check_drained(w);
}

/* Nothing more can come: all that is left is for Redis to take it. */
static void end_if_idle(struct worker *w) {
    uint32_t sending = 0;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        sending += w->consumers[i]->orders.in[ORDER_SENDING].count;
    if (w->end.begun || sending > 0)
        return;
    w->end.begun = true;
    uv_timer_start(&w->timers.drain, on_grace_over, LEAVE_GRACE_MS, 0);
}

void worker_drain(struct worker *w) {
    if (w->mode == WORKER_STOPPED || w->mode == WORKER_DRAINING)
        return;
    bool started = w->mode != WORKER_STARTING;
    w->mode = WORKER_DRAINING;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        consumer_stop_pickup(w->consumers[i]);
    log_msg(LOG_INFO, "draining", "%u orders are under way", w->active);
    service_draining(w);
    uv_timer_start(&w->timers.drain, on_drain_timeout, started ? w->config->drain_timeout_ms : 0, 0);
}

void worker_quiet(struct worker *w) {
    if (w->mode != WORKER_RUNNING)
        return;
    w->mode = WORKER_QUIET;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        consumer_stop_pickup(w->consumers[i]);
    log_msg(LOG_INFO, "quiet", "claiming nothing until HUP");
}

void worker_resume(struct worker *w) {
    if (w->mode != WORKER_QUIET)
        return;
    w->mode = WORKER_RUNNING;
    log_msg(LOG_INFO, "resumed", "claiming again");
    for (uint32_t i = 0; i < w->consumer_count; i++)
        w->consumers[i]->claims.look_now = true;
}

void worker_dump(const struct worker *w) {
    struct log_line l;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        const struct consumer *consumer = w->consumers[i];
        if (!log_begin(&l, LOG_INFO, "state"))
            return;
        log_str(&l, "queue", consumer->config->name);
        log_bool(&l, "redis_up", consumer_is_up(consumer));
        log_bool(&l, "leased", consumer->lease.held);
        log_u64(&l, "beginning", consumer->orders.in[ORDER_BEGINNING].count);
        log_u64(&l, "sending", consumer->orders.in[ORDER_SENDING].count);
        log_u64(&l, "settling", consumer->orders.in[ORDER_SETTLING].count);
        log_u64(&l, "claimed", consumer->stats.claimed);
        log_u64(&l, "settled", consumer->stats.settled);
        log_u64(&l, "fenced", consumer->stats.fenced);
        log_u64(&l, "lookups", consumer->stats.lookups);
        log_end(&l);
    }
}

void worker_check_drained(struct worker *w) {
    if (w->mode != WORKER_DRAINING)
        return;
    end_if_idle(w);
    bool all_left = true;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        consumer_leave(w->consumers[i]);
        all_left = all_left && w->consumers[i]->left;
    }
    if (!all_left)
        return;
    w->mode = WORKER_STOPPED;
    log_msg(LOG_INFO, "stopped", "everything is settled or handed back");
    worker_close(w);
}
