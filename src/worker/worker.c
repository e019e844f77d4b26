/* The worker as a whole: its start, its turns, its end.
 *
 *   STARTING ─ a consumer is leased → RUNNING ⇄ QUIET
 *       └──────────────┬─────────────┴──────┘
 *                      └ TERM → DRAINING ─ nothing held, every consumer left → STOPPED
 *
 * A turn (uv_prepare, once per loop iteration, before the loop sleeps): send again what was
 * unanswered, send the batches, claim, arm the blocking pick-up, set the timer for what is due next. */
#include "worker/answer_owner.h"
#include "worker/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_NS          1000000ull
#define TEXT_MAX       (512u << 20)
#define NODES_MAX      (1u << 20)
#define LEAVE_GRACE_MS 5000 /* after drain_timeout: for Redis to take the last settlements */

static void on_turn(uv_prepare_t *handle) {
    worker_turn(handle->data);
}

static void on_wake(uv_timer_t *handle) {
    ((struct worker *)handle->data)->timers.wake_at_ns = 0;
}

static void earlier(uint64_t *at, uint64_t candidate) {
    if (candidate != 0 && (*at == 0 || candidate < *at))
        *at = candidate;
}

/* The timer only ends the loop's sleep; the turn does what is due. `soon`: after one look at the sockets. */
static void set_wake(struct worker *w, uint64_t now, bool soon) {
    uint64_t at = soon ? now : 0;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        const struct consumer *consumer = w->consumers[i];
        earlier(&at, consumer->claims.look_at_ns);
        earlier(&at, consumer->pickup.poll_at_ns);
        earlier(&at, consumer->accounts.full_look_ns > now ? consumer->accounts.full_look_ns : 0);
        if (consumer->claims.look_now && consumer->claims.not_before_ns > now)
            earlier(&at, consumer->claims.not_before_ns);
        if (consumer->turns.resend != NULL)
            earlier(&at, consumer->turns.resend_at_ns > now ? consumer->turns.resend_at_ns : 0);
    }
    earlier(&at, spool_wake_ns(w, now));
    earlier(&at, grants_wake_ns(w));
    if (at == w->timers.wake_at_ns)
        return;
    w->timers.wake_at_ns = at;
    if (at == 0)
        uv_timer_stop(&w->timers.wake);
    else
        uv_timer_start(&w->timers.wake, on_wake, at > now ? (at - now + MS_NS - 1) / MS_NS : 0, 0);
}

void worker_turn(struct worker *w) {
    if (w->mode == WORKER_STOPPED)
        return;
    uint64_t now = clock_boot_ns();
    bool gathering = false;
    spool_turn(w, now);
    grants_turn(w, now);
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        struct consumer *consumer = w->consumers[i];
        consumer_follow(consumer);
        consumer_expire(consumer, now);
        consumer_wake(consumer, now);
        consumer_resend(consumer, now);
        if (consumer->turns.gathers)
            gathering = true;
        else
            consumer_flush(consumer);
        consumer->turns.gathers = false;
        if (consumer->claims.lost && !consumer->claims.orphans_out && consumer->claims.out == 0 &&
            consumer->lease.held && consumer_is_up(consumer))
            consumer_give_back_orphans(consumer);
        consumer_block_if_idle(consumer);
    }
    worker_check_retired(w);
    redis_router_flush(w->redis.router);
    set_wake(w, now, gathering);
    worker_check_drained(w);
}

/* The beat's timer is a lease late: this process, or the whole machine, stood still. Whatever was begun
 * before is fenced by order_may_send; here it is only told. */
static void tell_stall(struct worker *w) {
    uint64_t now = clock_boot_ns(), every = w->boot->lease_ms / 3;
    uint64_t gap = now > w->timers.beat_due_ns ? (now - w->timers.beat_due_ns) / MS_NS : 0;
    struct log_line l;
    w->timers.beat_due_ns = now + every * MS_NS;
    if (gap + every < w->boot->lease_ms || !log_begin(&l, LOG_WARN, "loop_stalled"))
        return;
    log_u64(&l, "ms", gap + every);
    log_u64(&l, "lease_ms", w->boot->lease_ms);
    log_str(&l, "message",
            "nothing ran for longer than the lease: nothing is begun or sent until it is renewed");
    log_end(&l);
}

static void on_beat_timer(uv_timer_t *handle) {
    struct worker *w = handle->data;
    tell_stall(w);
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        consumer_beat(w->consumers[i]);
        consumer_note_barred(w->consumers[i], clock_boot_ns());
        if (w->mode == WORKER_QUIET)
            consumer_untake(w->consumers[i]);
        if (w->mode == WORKER_QUIET || w->mode == WORKER_DRAINING || w->consumers[i]->retiring)
            consumer_stop_pickup(w->consumers[i]); /* the first time may have come too early */
    }
    pickups_beat(w);
    redis_router_flush(w->redis.router);
}

void worker_became_ready(struct worker *w) {
    if (w->mode == WORKER_STARTING)
        w->mode = WORKER_RUNNING;
    for (uint32_t i = 0; i < w->consumer_count && !w->start.ready_logged; i++)
        if (!w->consumers[i]->lease.held)
            return;
    if (w->start.ready_logged)
        return;
    w->start.ready_logged = true;
    if (w->trial != NULL) {
        trial_begin(w);
        return;
    }
    service_ready(w);
    struct log_line l;
    if (!log_begin(&l, LOG_INFO, "ready"))
        return;
    log_str(&l, "worker", w->id);
    log_str(&l, "version", DRAY_VERSION);
    log_u64(&l, "queues", w->consumer_count);
    log_u64(&l, "accounts", w->config->account_count);
    log_end(&l);
}

/* Redis cannot be reached at the start: the process ends, unless it was told to wait. */
static void start_failed(struct worker *w, const char *place, const char *reason) {
    bool refused = strstr(reason, "NOAUTH") != NULL || strstr(reason, "WRONGPASS") != NULL ||
                   strstr(reason, "NOPERM") != NULL || strstr(reason, "invalid password") != NULL;
    log_msg(LOG_ERROR, refused ? "redis_refused" : "redis_unreachable", "Redis at %s: %s%s", place, reason,
            refused ? "" : " ([redis] url says where it is)");
    w->end.exit_code = refused ? 1 : 3;
    w->mode = WORKER_STOPPED;
    worker_close(w);
}

static void on_redis_state(void *arg, enum redis_state state, const char *place, const char *reason) {
    struct worker *w = arg;
    if (w->mode == WORKER_STOPPED)
        return;
    if (state == REDIS_UP) {
        if (w->redis.is_down)
            log_msg(LOG_INFO, "redis_up", "Redis at %s answers again", place);
        w->redis.is_down = false;
        w->redis.was_up = true; /* each consumer goes on in worker_turn, when its own node is there */
    } else if (state == REDIS_DOWN) {
        if (!w->redis.was_up && !w->start.wait_for_redis)
            start_failed(w, place, reason != NULL ? reason : "no reason given");
        else
            log_msg(LOG_WARN, "redis_down", "Redis at %s: %s", place, reason != NULL ? reason : "");
        w->redis.is_down = true;
    }
}

static void init_handles(struct worker *w) {
    uv_prepare_init(w->loop, &w->timers.turn);
    uv_timer_init(w->loop, &w->timers.wake);
    uv_timer_init(w->loop, &w->timers.beat);
    uv_timer_init(w->loop, &w->timers.drain);
    uv_timer_init(w->loop, &w->timers.watch);
    w->timers.turn.data = w->timers.wake.data = w->timers.beat.data = w->timers.drain.data =
        w->timers.watch.data = w;
    w->timers.open_handles = 5;
    uint64_t every = w->boot->lease_ms / 3;
    uv_prepare_start(&w->timers.turn, on_turn);
    uv_timer_start(&w->timers.beat, on_beat_timer, every, every);
    w->timers.beat_due_ns = clock_boot_ns() + every * MS_NS;
}

static void init_scratch(struct worker *w) {
    struct buf *texts[] = {&w->scratch.body,   &w->scratch.result, &w->scratch.history,
                           &w->scratch.ledger, &w->scratch.cmd,    &w->scratch.path};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        buf_init(texts[i], TEXT_MAX);
    json_init(&w->scratch.doc, NODES_MAX);
    faults_init(&w->scratch.faults);
    faults_init(&w->scratch.warnings);
}

static int worker_init(struct worker *w, struct err *err) {
    snprintf(w->id, sizeof(w->id), "%s.%08llx", w->boot->worker_name,
             (unsigned long long)(rng_u64(&w->rng) & 0xffffffffu));
    w->http = http_pool_new(w->loop, w->boot->max_inflight, err);
    if (w->http != NULL)
        http_pool_on_stray(w->http, answer_owner_stray, w);
    w->redis.router = redis_router_new(w->loop, &w->redis.options, &w->rng, on_redis_state, w, err);
    if (w->http == NULL || w->redis.router == NULL)
        return -1;
    if (w->boot->trace_endpoint != NULL && w->trial == NULL &&
        (w->tracer = tracer_new(w->loop, w->boot, w->id, err)) == NULL)
        return -1;
    w->caller = queue_caller_new(w->redis.router);
    w->consumers = calloc(w->config->queue_count, sizeof(struct consumer *));
    if (w->caller == NULL || w->consumers == NULL)
        return err_set(err, "out of memory");
    for (uint32_t i = 0; i < w->config->queue_count; i++) {
        if (w->trial != NULL && strcmp(w->config->queues[i].name, w->trial->queue) != 0)
            continue;
        w->consumers[w->consumer_count] = consumer_new(w, &w->config->queues[i], err);
        if (w->consumers[w->consumer_count] == NULL)
            return -1;
        w->consumer_count++;
    }
    pickups_anew(w);
    return 0;
}

static const struct worker_up up = {
    .ready = worker_became_ready,
    .drain = worker_drain,
    .check_drained = worker_check_drained,
    .check_secrets = worker_check_secrets,
    .beat = consumer_beat,
    .send_part = consumer_send_part,
    .send_claim = consumer_send_claim,
    .send_picked = consumer_send_picked,
    .flush = consumer_flush,
    .go_on = consumer_go_on,
    .token_there = dispatch_again,
    .no_token = dispatch_no_token,
};

struct worker *worker_new(uv_loop_t *loop, struct config *config, bool wait_for_redis,
                          void (*stopped)(void *arg, int exit_code), void *arg, struct err *err) {
    return worker_new_for(loop, config, NULL, wait_for_redis, stopped, arg, err);
}

struct worker *worker_new_for(uv_loop_t *loop, struct config *config, struct trial *trial,
                              bool wait_for_redis, void (*stopped)(void *arg, int exit_code), void *arg,
                              struct err *err) {
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL || rng_seed_os(&w->rng) < 0) {
        free(w);
        err_set(err, "out of memory or random numbers");
        return NULL;
    }
    w->loop = loop;
    w->up = &up;
    w->config = config_ref(config);
    w->boot = config_ref(config);
    w->redis.config = config_ref(config);
    w->redis.options = config->redis;
    w->trial = trial;
    w->start.wait_for_redis = wait_for_redis;
    w->end.stopped = stopped;
    w->end.stopped_arg = arg;
    w->start.unix_ms = clock_unix_ms();
    init_scratch(w);
    init_handles(w);
    if (worker_init(w, err) < 0) {
        w->mode = WORKER_STOPPED;
        w->end.exit_code = 1;
        worker_close(w);
        return w;
    }
    if (trial != NULL)
        return w;
    worker_watch_secrets(w);
    spool_start(w);
    return w;
}

void worker_free(struct worker *w) {
    if (w == NULL)
        return;
    grants_end(w);
    for (uint32_t i = 0; i < w->consumer_count; i++)
        consumer_free(w->consumers[i]);
    free(w->consumers);
    tracer_free(w->tracer);
    spool_free(w);
    queue_caller_free(w->caller);
    struct buf *texts[] = {&w->scratch.body,   &w->scratch.result, &w->scratch.history,
                           &w->scratch.ledger, &w->scratch.cmd,    &w->scratch.path};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        buf_deinit(texts[i]);
    free(w->told);
    json_deinit(&w->scratch.doc);
    faults_deinit(&w->scratch.faults);
    faults_deinit(&w->scratch.warnings);
    config_unref(w->config);
    config_unref(w->boot);
    config_unref(w->redis.config);
    free(w);
}

struct worker *worker_try(uv_loop_t *loop, struct config *config, struct trial *trial,
                          void (*stopped)(void *arg, int exit_code), void *arg, struct err *err) {
    trial->end = TRIAL_NOTHING;
    trial->settled = false;
    trial->entry[0] = trial->why[0] = trial->reason[0] = trial->dead_id[0] = '\0';
    return worker_new_for(loop, config, trial, false, stopped, arg, err);
}
