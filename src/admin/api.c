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

static void add_histogram(struct buf *b, const char *name, const struct histogram *h) {
    buf_addf(b, "\"%s\":{\"counts\":[", name);
    for (size_t i = 0; i <= HISTOGRAM_MAX; i++)
        buf_addf(b, "%llu,", (unsigned long long)h->count[i]);
    api_end(b, ']');
    buf_addf(b, ",\"sum_us\":%llu},", (unsigned long long)h->sum_us);
}

static void add_here(struct buf *b, const struct lane *lane) {
    buf_add_str(b, "\"here\":{");
    api_u64(b, "inflight", lane_active(lane));
    api_u64(b, "settling", lane->orders[ORDER_SETTLING].count);
    api_u64(b, "concurrency", lane->config->concurrency);
    api_u64(b, "claimed", lane->stats.claimed);
    api_u64(b, "settled", lane->stats.settled);
    api_u64(b, "fenced", lane->stats.fenced);
    api_u64(b, "lookups", lane->stats.lookups);
    api_bool(b, "redis_full", lane->redis_full);
    api_str(b, "pickup_mode", pickup_blocks(lane) ? "blocking" : "polling");
    api_bool(b, "leased", lane->leased && clock_boot_ns() < lane->lease_until_ns);
    add_histogram(b, "http", &lane->stats.http);
    add_histogram(b, "pickup", &lane->stats.pickup);
    api_end(b, '}');
    buf_add_char(b, ',');
}

static uint64_t inflight_of(const struct view *v) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < v->worker_count; i++)
        sum += v->workers[i].inflight;
    return sum;
}

static void add_queue(struct buf *b, const struct view *v, const struct lane *lane,
                      uint64_t now_ms) {
    uint64_t oldest = view_oldest_ms(v);
    buf_add_char(b, '{');
    api_str(b, "queue", v->queue);
    api_u64(b, "read_at", v->at_ms);
    api_u64(b, "jobs", v->jobs);
    api_u64(b, "waiting", v->waiting);
    api_u64(b, "delayed", v->delayed);
    api_u64(b, "inflight", inflight_of(v));
    api_u64(b, "dead", v->dead);
    api_u64(b, "results", v->results);
    api_u64(b, "workers", v->workers_alive);
    api_u64(b, "oldest_age_ms",
            oldest > 0 && oldest < now_ms ? now_ms - oldest : 0);
    api_u64(b, "queued", v->jobs + v->waiting + v->overdue);
    api_bool(b, "results_full",
             lane->config->results_high_water > 0 &&
                 v->results >= lane->config->results_high_water);
    api_pause(b, "paused", &v->pause, now_ms);
    buf_add_str(b, "\"totals\":{");
    for (size_t i = 0; i < QUEUE_COUNTERS; i++)
        api_u64(b, queue_counter_names[i], v->counters[i]);
    api_end(b, '}');
    buf_add_char(b, ',');
    add_here(b, lane);
    api_end(b, '}');
    buf_add_char(b, ',');
}

static void add_queues(struct buf *b, const struct admin *a) {
    uint64_t now = clock_unix_ms();
    buf_add_str(b, "\"queues\":[");
    for (uint32_t i = 0; i < a->views.count; i++) {
        const struct lane *lane = view_lane(a->views.list[i]);
        if (lane != NULL)
            add_queue(b, a->views.list[i], lane, now);
    }
    api_end(b, ']');
}

/* ---- workers ---- */

static void add_workers(struct buf *b, const struct admin *a) {
    buf_add_str(b, "\"workers\":[");
    for (uint32_t i = 0; i < a->views.count; i++) {
        const struct view *v = a->views.list[i];
        for (uint32_t k = 0; k < v->worker_count; k++) {
            const struct worker_view *w = &v->workers[k];
            buf_add_char(b, '{');
            api_str(b, "queue", v->queue);
            api_str(b, "worker", w->id);
            api_bool(b, "this", strcmp(w->id, a->worker->id) == 0);
            api_u64(b, "inflight", w->inflight);
            api_u64(b, "lease_until", w->lease_until_ms);
            api_bool(b, "alive", w->lease_until_ms > v->redis_ms);
            buf_addf(b, "\"info\":%s},", w->info[0] == '{' ? w->info : "null");
        }
    }
    api_end(b, ']');
}

/* ---- the worker itself ---- */

static void add_this(struct buf *b, const struct request *r) {
    const struct admin *a = r->admin;
    const struct worker *w = a->worker;
    uint64_t now = clock_unix_ms(), at = views_read_at(&a->views);
    api_u64(b, "at", now);
    buf_add_str(b, "\"worker\":{");
    api_str(b, "id", w->id);
    api_str(b, "version", DRAY_VERSION);
    api_str(b, "mode", mode_name(w));
    api_str(b, "not_ready", not_ready(w));
    api_u64(b, "uptime_ms", now > w->started_unix_ms ? now - w->started_unix_ms : 0);
    api_u64(b, "inflight", w->active);
    api_u64(b, "max_inflight", w->boot->max_inflight);
    api_end(b, '}');
    buf_add_str(b, ",\"redis\":{");
    const char *away = redis_away(w);
    api_bool(b, "up", away == NULL);
    api_str(b, "error", away);
    api_u64(b, "connections", worker_connections(w));
    api_u64(b, "read_at", at);
    api_end(b, '}');
    buf_add_str(b, ",\"access\":{");
    api_bool(b, "token_configured", admin_has_tokens(w->config));
    api_str(b, "who", r->with_token ? r->who : NULL);
    api_bool(b, "may_act", r->with_token);
    api_end(b, '}');
}

static void add_bounds(struct buf *b) {
    buf_add_str(b, "\"bounds_us\":{\"http\":[");
    for (size_t i = 0; i < HISTOGRAM_MAX; i++)
        buf_addf(b, "%llu,", (unsigned long long)http_bounds_us[i]);
    api_end(b, ']');
    buf_add_str(b, ",\"pickup\":[");
    for (size_t i = 0; i < HISTOGRAM_MAX; i++)
        buf_addf(b, "%llu,", (unsigned long long)pickup_bounds_us[i]);
    api_end(b, ']');
    buf_add_char(b, '}');
}

static void answer_status(struct request *r) {
    struct buf *b = &r->out;
    buf_add_char(b, '{');
    add_this(b, r);
    buf_add_char(b, ',');
    add_queues(b, r->admin);
    buf_add_char(b, ',');
    api_accounts_top(b, r->admin);
    buf_add_char(b, ',');
    add_workers(b, r->admin);
    buf_add_char(b, ',');
    add_bounds(b);
    buf_add_char(b, '}');
    answer_json(r, 200);
}

static void answer_queues(struct request *r) {
    buf_add_char(&r->out, '{');
    add_queues(&r->out, r->admin);
    buf_add_char(&r->out, '}');
    answer_json(r, 200);
}

static void answer_workers(struct request *r) {
    buf_add_char(&r->out, '{');
    add_workers(&r->out, r->admin);
    buf_add_char(&r->out, '}');
    answer_json(r, 200);
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
