/* The connections of the blocking pick-up: one a queue, as long as there are any to be had.
 *
 * Happy path: the consumer's node is there → a connection of its own → BLMOVE waits on it (claim.c).
 * Failure modes: Redis takes no more clients (maxclients): half of those that this worker has are given back, since
 * producers and operators need some, and no more are opened until a reload. A proxy or a firewall lets no second
 * one through: after GIVE_UP attempts it is left alone for AGAIN_NS. A consumer without one asks for jobs over the
 * worker's own connection, with plain claims: soon after one that found some, then ever more rarely, once in
 * POLL_MOST_MS at least. So every queue is served, whatever Redis lets through, and nothing is taken that
 * a lost reply could lose. */
#include "worker/flow.h"

#include <string.h>

#define AT_ONCE       8 /* connections that are being made: how many there may be shows before all are asked for */
#define GIVE_UP       3 /* attempts in a row */
#define AGAIN_NS      60000000000ull
#define LOG_EVERY_NS  60000000000ull
#define POLL_FIRST_MS 20
#define POLL_MOST_MS  1000
#define MS_NS         1000000ull

static bool is_up(const struct consumer *consumer) {
    return consumer->pickup.router != NULL &&
           redis_router_state(consumer->pickup.router, consumer->keys.slot) == REDIS_UP;
}

bool pickup_blocks(const struct consumer *consumer) {
    return !consumer->pickup.leaves && is_up(consumer);
}

uint32_t worker_connections(const struct worker *w) {
    uint32_t n = w->redis.router != NULL ? redis_router_connections(w->redis.router) : 0;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        n += w->consumers[i]->pickup.router != NULL ? redis_router_connections(w->consumers[i]->pickup.router)
                                                    : 0;
    return n;
}

/* What the worker says of itself in Redis is written with the next beat. */
static void changed(struct consumer *consumer) {
    consumer->lease.info_stale = true;
}

static void log_once(struct worker *w, const char *queue, const char *reason) {
    uint64_t now = clock_boot_ns();
    struct log_line l;
    if (w->pickups.logged_ns != 0 && now - w->pickups.logged_ns < LOG_EVERY_NS)
        return;
    w->pickups.logged_ns = now;
    if (!log_begin(&l, LOG_WARN, "pickup_shared"))
        return;
    if (queue != NULL)
        log_str(&l, "queue", queue);
    log_u64(&l, "queues", w->consumer_count);
    log_u64(&l, "connections", w->pickups.open);
    log_str(&l, "reason", reason);
    log_str(
        &l, "message",
        "not every queue has a connection of its own for the pick-up; the others' jobs are asked for over "
        "the worker's one, once a second at least: raise Redis's maxclients or let more connections "
        "through, then reload (HUP), or set pickup_connections");
    log_end(&l);
}

void pickup_close(struct consumer *consumer) {
    struct worker *w = consumer->worker;
    if (consumer->pickup.router == NULL)
        return;
    struct redis_stats s = redis_router_stats(consumer->pickup.router);
    w->pickups.gone.commands += s.commands;
    w->pickups.gone.writes += s.writes;
    w->pickups.gone.reconnects += s.reconnects;
    w->pickups.gone.errors += s.errors;
    redis_router_close(consumer->pickup.router, NULL, NULL);
    consumer->pickup.router = NULL;
    consumer->pickup.leaves = false;
    consumer->claims.look_now = true;
    w->pickups.open--;
    changed(consumer);
}

static void give_back(struct consumer *consumer) {
    if (!consumer->pickup.blocking) {
        pickup_close(consumer);
        return;
    }
    consumer->pickup.leaves = true; /* claim.c closes it when the pick-up has ended */
    consumer_stop_pickup(consumer);
}

/* Whoever is refused leaves room. */
static void shrink(struct worker *w, const char *reason) {
    uint32_t up = 0, kept = 0;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        up += is_up(w->consumers[i]);
    w->pickups.most = up / 2;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        struct consumer *consumer = w->consumers[i];
        if (is_up(consumer) && kept < w->pickups.most)
            kept++;
        else if (consumer->pickup.router != NULL)
            give_back(consumer);
    }
    log_once(w, NULL, reason);
}

static void on_state(void *arg, enum redis_state state, const char *place, const char *reason) {
    struct consumer *consumer = arg;
    struct worker *w = consumer->worker;
    (void)place;
    if (w->mode == WORKER_STOPPED)
        return;
    if (state == REDIS_UP) {
        consumer->pickup.failures = 0;
        changed(consumer);
        pickups_open(w);
    }
    if (state != REDIS_DOWN || consumer->pickup.leaves || !consumer_is_up(consumer) || is_up(consumer) ||
        redis_reason_is_moved(reason))
        return; /* Redis itself is away or has moved, which the worker's own connection is about to meet */
    changed(consumer);
    if (strncmp(reason, "ERR max number of clients", 25) == 0) {
        shrink(w, reason);
    } else if (++consumer->pickup.failures >= GIVE_UP) {
        consumer->pickup.failures = 0;
        consumer->pickup.not_before_ns = clock_boot_ns() + AGAIN_NS;
        log_once(w, consumer->keys.queue, reason);
        give_back(consumer);
        pickups_open(w);
    }
}

static void open_one(struct consumer *consumer) {
    struct worker *w = consumer->worker;
    struct err err;
    consumer->pickup.router = redis_router_new(w->loop, &w->redis.options, &w->rng, on_state, consumer, &err);
    if (consumer->pickup.router != NULL)
        w->pickups.open++;
    else
        consumer->pickup.not_before_ns = clock_boot_ns() + AGAIN_NS; /* out of memory */
}

void pickups_open(struct worker *w) {
    uint64_t now = clock_boot_ns();
    uint32_t connecting = 0;
    if (w->mode == WORKER_STOPPED || w->mode == WORKER_DRAINING)
        return;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        connecting += w->consumers[i]->pickup.router != NULL && !is_up(w->consumers[i]);
    for (uint32_t i = 0; i < w->consumer_count && connecting < AT_ONCE && w->pickups.open < w->pickups.most;
         i++) {
        struct consumer *consumer = w->consumers[i];
        if (consumer->pickup.router != NULL || consumer->retiring || !consumer_is_up(consumer) ||
            now < consumer->pickup.not_before_ns)
            continue;
        open_one(consumer);
        connecting++;
    }
}

void pickups_anew(struct worker *w) {
    w->pickups.most = w->boot->pickup_connections;
    w->pickups.logged_ns = 0;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        w->consumers[i]->pickup.not_before_ns = 0;
    pickups_open(w);
}

void pickups_beat(struct worker *w) {
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (w->consumers[i]->pickup.leaves)
            consumer_stop_pickup(w->consumers[i]); /* the first time may have come too early */
    pickups_open(w);
}

void pickup_poll(struct consumer *consumer, uint64_t now_ns) {
    consumer->pickup.poll_ms = consumer->pickup.poll_ms == 0                 ? POLL_FIRST_MS
                               : consumer->pickup.poll_ms * 2 < POLL_MOST_MS ? consumer->pickup.poll_ms * 2
                                                                             : POLL_MOST_MS;
    consumer->pickup.poll_at_ns = now_ns + consumer->pickup.poll_ms * MS_NS;
}

void consumer_stop_pickup(struct consumer *consumer) {
    if (consumer->pickup.blocking)
        redis_router_unblock(consumer->pickup.router, consumer->worker->redis.router);
}
