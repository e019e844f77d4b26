/* clock.h and the loop: time is the world's, seen through each worker's own clocks. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

uint64_t clock_unix_ms(void) {
    int64_t offset = world.current != NULL ? world.current->unix_offset_ms : 0;
    return (uint64_t)((int64_t)(START_UNIX_MS + world.now_ns / MS) + offset);
}

uint64_t clock_unix_ns(void) {
    return clock_unix_ms() * MS;
}

uint64_t clock_boot_ns(void) {
    return world.now_ns + (world.current != NULL ? world.current->boot_offset_ns : SECOND);
}

int __wrap_rng_seed_os(struct rng *r); /* the linker puts it in rng_seed_os's place */
int __wrap_rng_seed_os(struct rng *r) {
    rng_seed(r, rng_u64(&world.rng));
    return 0;
}

void enter(struct sim_worker *s) {
    world.current = s;
    s->turn_due = true;
}

void leave(void) {
    world.current = NULL;
}

static struct timer *timer_of(const void *handle) {
    struct sim_worker *s = world.current;
    for (unsigned i = 0; i < HANDLES_MAX; i++)
        if (s->timers[i].handle == handle)
            return &s->timers[i];
    return NULL;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *handle) {
    (void)loop;
    struct timer *t = timer_of(NULL);
    if (t == NULL)
        abort();
    *t = (struct timer){.handle = (uv_handle_t *)handle};
    return 0;
}

int uv_timer_start(uv_timer_t *handle, uv_timer_cb fire, uint64_t timeout, uint64_t repeat) {
    struct timer *t = timer_of(handle);
    t->fire = fire;
    t->due_ns = world.now_ns + timeout * MS;
    t->repeat_ns = repeat * MS;
    t->active = true;
    return 0;
}

int uv_timer_stop(uv_timer_t *handle) {
    timer_of(handle)->active = false;
    return 0;
}

int uv_is_active(const uv_handle_t *handle) {
    return timer_of(handle)->active;
}

uint64_t uv_timer_get_due_in(const uv_timer_t *handle) {
    const struct timer *t = timer_of(handle);
    return t->due_ns > world.now_ns ? (t->due_ns - world.now_ns) / MS : 0;
}

uint64_t uv_now(const uv_loop_t *loop) {
    (void)loop;
    return clock_boot_ns() / MS;
}

int uv_prepare_init(uv_loop_t *loop, uv_prepare_t *handle) {
    (void)loop;
    world.current->prepare = handle;
    return 0;
}

int uv_prepare_start(uv_prepare_t *handle, uv_prepare_cb turn) {
    (void)handle;
    world.current->turn = turn;
    return 0;
}

static void defer(struct deferred d) {
    struct sim_worker *s = world.current;
    if (s->deferred_count == DEFERRED_MAX)
        abort();
    s->deferred[s->deferred_count++] = d;
}

void uv_close(uv_handle_t *handle, uv_close_cb closed) {
    struct sim_worker *s = world.current;
    struct timer *t = timer_of(handle);
    if (t != NULL)
        memset(t, 0, sizeof(*t));
    else
        s->turn = NULL;
    defer((struct deferred){.close = closed, .arg = handle});
}

/* Done at once; a crashed worker's threads are gone. */
int uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb after) {
    bool crashed = world.current->crashed;
    (void)loop;
    if (!crashed)
        run(work);
    defer((struct deferred){.after = after, .arg = work, .status = crashed ? UV_ECANCELED : 0});
    return 0;
}

void loop_fire(struct sim_worker *s, struct timer *t) {
    note("w%u timer", s->number);
    enter(s);
    t->active = t->repeat_ns > 0;
    t->due_ns = world.now_ns + t->repeat_ns;
    t->fire((uv_timer_t *)t->handle);
    leave();
}

/* One owed close callback. */
void loop_deferred(struct sim_worker *s) {
    struct deferred d = s->deferred[0];
    memmove(s->deferred, s->deferred + 1, --s->deferred_count * sizeof(d));
    enter(s);
    if (d.close != NULL)
        d.close(d.arg);
    else
        d.after(d.arg, s->crashed ? UV_ECANCELED : d.status); /* its thread died with it */
    leave();
}

uint64_t loop_next_due(const struct sim_worker *s) {
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < HANDLES_MAX; i++)
        if (s->timers[i].active && s->timers[i].due_ns < at)
            at = s->timers[i].due_ns;
    return at;
}
