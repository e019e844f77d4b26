/* Workers come, die and go. A crash frees the worker's memory and changes nothing in Redis. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void on_stopped(void *arg, int exit_code) {
    struct sim_worker *s = arg;
    note("w%u stopped, exit code %d", s->number, exit_code);
    s->stopped = true;
}

struct sim_worker *worker_start(void) {
    struct err err = {""};
    if (world.worker_count == WORKERS_MAX)
        return NULL;
    struct sim_worker *s = &world.workers[world.worker_count];
    memset(s, 0, sizeof(*s));
    s->number = world.worker_count++;
    s->boot_offset_ns = SECOND + draw(1000) * SECOND;
    s->unix_offset_ms = (int64_t)draw(4000) - 2000;
    enter(s);
    s->w = worker_new(NULL, world.config, true, on_stopped, s, &err);
    leave();
    if (s->w == NULL || err.text[0] != '\0') {
        sim_fail("worker_new: %s", err.text);
        return NULL;
    }
    s->w->redis.rights_unchecked = true;
    note("w%u starts as %s", s->number, s->w->id);
    return s;
}

static void close_routers(struct worker *w) {
    for (uint32_t i = 0; i < w->consumer_count; i++)
        redis_router_close(w->consumers[i]->pickup.router, NULL, NULL);
    redis_router_close(w->redis.router, NULL, NULL);
}

void worker_crash(struct sim_worker *s) {
    note("w%u crashes", s->number);
    s->crashed = true;
    enter(s);
    if (s->w->mode != WORKER_STOPPED) /* else it did so itself */
        close_routers(s->w);
    conn_forget(s);
    calls_forget(s);
    while (s->deferred_count > 0) {
        loop_deferred(s);
        enter(s);
    }
    free(s->pool);
    worker_free(s->w);
    leave();
    s->w = NULL;
    memset(s->timers, 0, sizeof(s->timers));
    s->turn = NULL;
}

void worker_reap(struct sim_worker *s) {
    for (struct redis_conn *c = world.conns; c != NULL; c = c->next)
        if (c->owner == s)
            return;
    if (s->deferred_count > 0)
        return;
    enter(s);
    worker_free(s->w);
    leave();
    s->w = NULL;
}

unsigned workers_alive(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < world.worker_count; i++)
        n += world.workers[i].w != NULL && !world.workers[i].draining && !world.workers[i].stopped;
    return n;
}
