/* /api/v1/status, queues, accounts, workers (docs/admin.md has their schemas). A request starts a
 * reading of the queues' figures unless one is a second old at most; while Redis is away it gets
 * the last ones, with their time. */
#include "admin/api.h"

#include <stdlib.h>
#include <string.h>

#define FRESH_MS 1000

void api_read(struct admin *a) {
    for (struct request *r = a->wait_first, *next; r != NULL; r = next) {
        next = r->wait_next;
        if (r->on_view == NULL)
            continue;
        r->on_view(r);
        request_done(r);
    }
}

static void with_view(struct request *r, handler_fn answer) {
    struct admin *a = r->admin;
    uint64_t at = views_read_at(&a->views);
    if (a->views.stale || clock_unix_ms() > at + FRESH_MS)
        views_read(&a->views);
    if (a->views.reading == 0) {
        answer(r);
        return;
    }
    r->on_view = answer;
    request_wait(r, &r->slot);
}

/* ---- queues ---- */

static void add_counts(cJSON *o, const char *name, const uint64_t *counts, size_t n) {
    cJSON *list = cJSON_AddArrayToObject(o, name);
    for (size_t i = 0; i < n; i++) {
        cJSON *count = cJSON_CreateNumber((double)counts[i]);
        if (!cJSON_AddItemToArray(list, count))
            cJSON_Delete(count);
    }
}

static void add_histogram(cJSON *o, const char *name, const struct histogram *h) {
    cJSON *histogram = cJSON_AddObjectToObject(o, name);
    add_counts(histogram, "counts", h->count, HISTOGRAM_MAX + 1);
    tree_add_u64(histogram, "sum_us", h->sum_us);
}

static void add_here(cJSON *o, const struct consumer *consumer) {
    cJSON *here = cJSON_AddObjectToObject(o, "here");
    tree_add_u64(here, "inflight", consumer_active(consumer));
    tree_add_u64(here, "settling", consumer->orders.in[ORDER_SETTLING].count);
    tree_add_u64(here, "concurrency", consumer->config->concurrency);
    tree_add_u64(here, "claimed", consumer->stats.claimed);
    tree_add_u64(here, "settled", consumer->stats.settled);
    tree_add_u64(here, "fenced", consumer->stats.fenced);
    tree_add_u64(here, "lookups", consumer->stats.lookups);
    cJSON_AddBoolToObject(here, "redis_full", consumer->trouble.redis_full);
    api_str(here, "pickup_mode", pickup_blocks(consumer) ? "blocking" : "polling");
    cJSON_AddBoolToObject(here, "leased", consumer->lease.held && clock_boot_ns() < consumer->lease.until_ns);
    add_histogram(here, "http", &consumer->stats.http);
    add_histogram(here, "pickup", &consumer->stats.pickup);
}

static uint64_t inflight_of(const struct view *v) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < v->worker_count; i++)
        sum += v->workers[i].inflight;
    return sum;
}

static void add_queue(cJSON *o, const struct view *v, const struct consumer *consumer, uint64_t now_ms) {
    uint64_t oldest = view_oldest_ms(v);
    api_str(o, "queue", v->queue);
    tree_add_u64(o, "read_at", v->at_ms);
    tree_add_u64(o, "jobs", v->jobs);
    tree_add_u64(o, "waiting", v->waiting);
    tree_add_u64(o, "delayed", v->delayed);
    tree_add_u64(o, "inflight", inflight_of(v));
    tree_add_u64(o, "dead", v->dead);
    tree_add_u64(o, "results", v->results);
    tree_add_u64(o, "workers", v->workers_alive);
    tree_add_u64(o, "oldest_age_ms", oldest > 0 && oldest < now_ms ? now_ms - oldest : 0);
    tree_add_u64(o, "queued", v->jobs + v->waiting + v->overdue);
    cJSON_AddBoolToObject(o, "results_full",
                          consumer->config->results_high_water > 0 &&
                              v->results >= consumer->config->results_high_water);
    api_pause(o, "paused", &v->pause, now_ms);
    cJSON *totals = cJSON_AddObjectToObject(o, "totals");
    for (size_t i = 0; i < QUEUE_COUNTERS; i++)
        tree_add_u64(totals, queue_counter_names[i], v->counters[i]);
    add_here(o, consumer);
}

static void add_queues(cJSON *answer, const struct admin *a) {
    uint64_t now = clock_unix_ms();
    cJSON *list = cJSON_AddArrayToObject(answer, "queues");
    for (uint32_t i = 0; i < a->views.count; i++) {
        const struct consumer *consumer = view_consumer(a->views.list[i]);
        if (consumer != NULL)
            add_queue(api_element(list), a->views.list[i], consumer, now);
    }
}

/* ---- workers ---- */

/* Adds what a worker wrote of itself; null if that is no object. */
static void add_info(cJSON *o, const char *text) {
    cJSON *info = cJSON_ParseWithOpts(text, NULL, true);
    if (cJSON_IsObject(info) && cJSON_AddItemToObject(o, "info", info))
        return;
    cJSON_Delete(info);
    cJSON_AddNullToObject(o, "info");
}

static void add_workers(cJSON *answer, const struct admin *a) {
    cJSON *list = cJSON_AddArrayToObject(answer, "workers");
    for (uint32_t i = 0; i < a->views.count; i++) {
        const struct view *v = a->views.list[i];
        for (uint32_t k = 0; k < v->worker_count; k++) {
            const struct worker_view *w = &v->workers[k];
            cJSON *o = api_element(list);
            api_str(o, "queue", v->queue);
            api_str(o, "worker", w->id);
            cJSON_AddBoolToObject(o, "this", strcmp(w->id, a->worker->id) == 0);
            tree_add_u64(o, "inflight", w->inflight);
            tree_add_u64(o, "lease_until", w->lease_until_ms);
            cJSON_AddBoolToObject(o, "alive", w->lease_until_ms > v->redis_ms);
            add_info(o, w->info);
        }
    }
}

/* ---- the worker itself ---- */

static void add_this(cJSON *answer, const struct request *r) {
    const struct admin *a = r->admin;
    const struct worker *w = a->worker;
    uint64_t now = clock_unix_ms(), at = views_read_at(&a->views);
    tree_add_u64(answer, "at", now);
    cJSON *o = cJSON_AddObjectToObject(answer, "worker");
    api_str(o, "id", w->id);
    api_str(o, "version", DRAY_VERSION);
    api_str(o, "mode", mode_name(w));
    api_str(o, "not_ready", not_ready(w));
    tree_add_u64(o, "uptime_ms", now > w->start.unix_ms ? now - w->start.unix_ms : 0);
    tree_add_u64(o, "inflight", w->active);
    tree_add_u64(o, "max_inflight", w->boot->max_inflight);
    o = cJSON_AddObjectToObject(answer, "redis");
    const char *away = redis_away(w);
    cJSON_AddBoolToObject(o, "up", away == NULL);
    api_str(o, "error", away);
    tree_add_u64(o, "connections", worker_connections(w));
    tree_add_u64(o, "read_at", at);
    o = cJSON_AddObjectToObject(answer, "access");
    cJSON_AddBoolToObject(o, "token_configured", admin_has_tokens(w->config));
    api_str(o, "who", r->with_token ? r->who : NULL);
    cJSON_AddBoolToObject(o, "may_act", r->with_token);
}

static void add_bounds(cJSON *answer) {
    cJSON *bounds = cJSON_AddObjectToObject(answer, "bounds_us");
    add_counts(bounds, "http", http_bounds_us, HISTOGRAM_MAX);
    add_counts(bounds, "pickup", pickup_bounds_us, HISTOGRAM_MAX);
}

static void answer_status(struct request *r) {
    cJSON *answer = cJSON_CreateObject();
    add_this(answer, r);
    add_queues(answer, r->admin);
    api_accounts_top(answer, r->admin);
    add_workers(answer, r->admin);
    add_bounds(answer);
    answer_tree(r, 200, answer);
}

static void answer_queues(struct request *r) {
    cJSON *answer = cJSON_CreateObject();
    add_queues(answer, r->admin);
    answer_tree(r, 200, answer);
}

static void answer_workers(struct request *r) {
    cJSON *answer = cJSON_CreateObject();
    add_workers(answer, r->admin);
    answer_tree(r, 200, answer);
}

void handle_status(struct request *r) {
    with_view(r, answer_status);
}

void handle_queues(struct request *r) {
    with_view(r, answer_queues);
}

void handle_accounts(struct request *r) {
    with_view(r, answer_accounts);
}

void handle_workers(struct request *r) {
    with_view(r, answer_workers);
}
