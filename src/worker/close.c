/* Closing everything that the loop holds, in any order; when the last one is closed, what Redis did not
 * take is spooled, then the worker has stopped. */
#include "worker/spool.h"

void worker_closed_one(void *arg) {
    struct worker *w = arg;
    if (--w->timers.open_handles > 0)
        return;
    bool spool = w->end.spool_wanted;
    w->end.spool_wanted = false;
    if (!spool || !spool_write(w, worker_closed_one))
        w->end.stopped(w->end.stopped_arg, w->end.exit_code);
}

static void on_handle_closed(uv_handle_t *handle) {
    worker_closed_one(handle->data);
}

static void on_router_closed(void *arg) {
    struct worker *w = arg;
    w->redis.router = NULL;
    worker_closed_one(w);
}

/* Callbacks owed (requests, commands) are called while this goes on; they find mode STOPPED; what
 * they settle goes to the spool, if it is wanted. */
void worker_close(struct worker *w) {
    uv_handle_t *handles[] = {(uv_handle_t *)&w->timers.turn, (uv_handle_t *)&w->timers.wake,
                              (uv_handle_t *)&w->timers.beat, (uv_handle_t *)&w->timers.drain,
                              (uv_handle_t *)&w->timers.watch};
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
        uv_close(handles[i], on_handle_closed);
    if (w->http != NULL) {
        w->timers.open_handles++;
        http_pool_close(w->http, worker_closed_one, w);
    }
    if (w->tracer != NULL) {
        w->timers.open_handles++;
        /* the spool does not wait for it */
        tracer_close(w->tracer, !w->end.spool_wanted, worker_closed_one, w);
    }
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        if (w->consumers[i]->pickup.router == NULL)
            continue;
        w->timers.open_handles++;
        redis_router_close(w->consumers[i]->pickup.router, worker_closed_one, w);
    }
    if (w->redis.router != NULL) {
        w->timers.open_handles++;
        redis_router_close(w->redis.router, on_router_closed, w);
    }
}
