/* /metrics: Prometheus text format 0.0.4, or OpenMetrics 1.0, which has exemplars. docs/admin.md lists the names. Label values are names of
 * queues and accounts ([A-Za-z0-9_.-], so that nothing is to be escaped) and words of dray's own;
 * never an id. */
#include "admin/metrics.h"

#include <string.h>

#include "admin/process.h"
#include "worker/spool.h"

/* ---- queues ---- */

static void queue_value(struct exposition *x, const char *name, const char *queue, uint64_t v) {
    buf_addf(x->out, "%s{queue=\"%s\"} %llu\n", name, queue, (unsigned long long)v);
}

struct queue_metric {
    const char *name, *type, *help;
    uint64_t (*get)(const struct consumer *consumer,
                    const struct view *view); /* `view` may be NULL: consumer only */
    bool from_redis;
};

static uint64_t get_jobs(const struct consumer *l, const struct view *v) {
    return (void)l, v->jobs;
}
static uint64_t get_results(const struct consumer *l, const struct view *v) {
    return (void)l, v->results;
}
static uint64_t get_dead(const struct consumer *l, const struct view *v) {
    return (void)l, v->dead;
}
static uint64_t get_delayed(const struct consumer *l, const struct view *v) {
    return (void)l, v->delayed;
}
static uint64_t get_waiting(const struct consumer *l, const struct view *v) {
    return (void)l, v->waiting;
}
static uint64_t get_workers(const struct consumer *l, const struct view *v) {
    return (void)l, v->workers_alive;
}
static uint64_t get_paused(const struct consumer *l, const struct view *v) {
    return (void)l, pause_holds(&v->pause, clock_unix_ms());
}
static uint64_t get_full(const struct consumer *l, const struct view *v) {
    return l->config->results_high_water > 0 && v->results >= l->config->results_high_water;
}
static uint64_t get_leased(const struct consumer *l, const struct view *v) {
    return (void)v, l->lease.held && clock_boot_ns() < l->lease.until_ns;
}
static uint64_t get_redis_full(const struct consumer *l, const struct view *v) {
    return (void)v, l->trouble.redis_full;
}
static uint64_t get_polled(const struct consumer *l, const struct view *v) {
    return (void)v, !pickup_blocks(l);
}
static uint64_t get_inflight(const struct consumer *l, const struct view *v) {
    return (void)v, consumer_active(l);
}
static uint64_t get_settling(const struct consumer *l, const struct view *v) {
    return (void)v, l->orders.in[ORDER_SETTLING].count;
}
static uint64_t get_claimed(const struct consumer *l, const struct view *v) {
    return (void)v, l->stats.claimed;
}
static uint64_t get_settled(const struct consumer *l, const struct view *v) {
    return (void)v, l->stats.settled;
}
static uint64_t get_fenced(const struct consumer *l, const struct view *v) {
    return (void)v, l->stats.fenced;
}
static uint64_t get_invalid(const struct consumer *l, const struct view *v) {
    return (void)v, l->stats.invalid;
}

static const struct queue_metric queue_metrics[] = {
    {"dray_queue_jobs", "gauge", "Jobs pushed and not yet taken.", get_jobs, true},
    {"dray_queue_results", "gauge", "Results that no consumer has taken yet.", get_results, true},
    {"dray_queue_dead", "gauge", "Dead letters.", get_dead, true},
    {"dray_queue_delayed", "gauge", "Jobs that wait for a time (retry, not_before).", get_delayed, true},
    {"dray_queue_waiting", "gauge", "Jobs that wait for their account.", get_waiting, true},
    {"dray_queue_workers", "gauge", "Workers with a lease on the queue.", get_workers, true},
    {"dray_queue_paused", "gauge", "1 while an operator has paused the queue.", get_paused, true},
    {"dray_queue_results_full", "gauge", "1 while claiming stops because results are not consumed.", get_full,
     true},
    {"dray_queue_redis_full", "gauge", "1 while the queue's Redis refuses this worker for want of memory.",
     get_redis_full, false},
    {"dray_queue_polled", "gauge",
     "1 while the queue has no connection of its own for the pick-up, and its jobs are asked for.",
     get_polled, false},
    {"dray_queue_leased", "gauge", "1 while this worker's lease on the queue holds.", get_leased, false},
    {"dray_inflight_orders", "gauge", "Orders that this worker has claimed and not yet settled.",
     get_inflight, false},
    {"dray_settling_orders", "gauge", "Orders whose outcome waits for Redis to take it.", get_settling,
     false},
    {"dray_claimed_jobs_total", "counter", "Jobs this worker has claimed.", get_claimed, false},
    {"dray_settled_jobs_total", "counter", "Claims this worker has settled.", get_settled, false},
    {"dray_fenced_claims_total", "counter", "Claims that another worker had meanwhile.", get_fenced, false},
    {"dray_unattributed_failures_total", "counter", "Failed results of jobs without a known account.",
     get_invalid, false},
};

static void add_queues(struct exposition *x, const struct admin *a) {
    for (size_t m = 0; m < sizeof(queue_metrics) / sizeof(queue_metrics[0]); m++) {
        const struct queue_metric *metric = &queue_metrics[m];
        metrics_head(x, metric->name, metric->type, metric->help);
        for (uint32_t i = 0; i < a->worker->consumer_count; i++) {
            const struct consumer *consumer = a->worker->consumers[i];
            const struct view *view = views_find(&a->views, consumer->keys.queue);
            if (!metric->from_redis || (view != NULL && view->at_ms > 0))
                queue_value(x, metric->name, consumer->keys.queue, metric->get(consumer, view));
        }
    }
}

static void add_ages(struct exposition *x, const struct admin *a) {
    uint64_t now = clock_unix_ms();
    metrics_head(x, "dray_queue_oldest_job_age_seconds", "gauge",
                 "Age of what has waited longest: queued, for its account, or past its time.");
    for (uint32_t i = 0; i < a->views.count; i++) {
        const struct view *v = a->views.list[i];
        uint64_t oldest = view_oldest_ms(v), since = oldest > 0 && oldest < now ? oldest : now;
        if (v->at_ms > 0)
            buf_addf(x->out, "dray_queue_oldest_job_age_seconds{queue=\"%s\"} %.3f\n", v->queue,
                     (double)(now - since) / 1000);
    }
    metrics_head(x, "dray_queue_read_timestamp_seconds", "gauge",
                 "When the queue's figures were last read from Redis.");
    for (uint32_t i = 0; i < a->views.count; i++)
        if (a->views.list[i]->at_ms > 0)
            buf_addf(x->out, "dray_queue_read_timestamp_seconds{queue=\"%s\"} %.3f\n",
                     a->views.list[i]->queue, (double)a->views.list[i]->at_ms / 1000);
}

static void add_dead_reasons(struct exposition *x, const struct admin *a) {
    metrics_head(x, "dray_dead_letters_total", "counter",
                 "Jobs this worker has moved to the dead letters, by reason.");
    for (uint32_t i = 0; i < a->worker->consumer_count; i++)
        for (size_t k = 0; k < DEAD_REASONS; k++)
            buf_addf(x->out, "dray_dead_letters_total{queue=\"%s\",reason=\"%s\"} %llu\n",
                     a->worker->consumers[i]->keys.queue, dead_reason_names[k],
                     (unsigned long long)a->worker->consumers[i]->stats.dead[k]);
}

static void add_histograms(struct exposition *x, const struct admin *a) {
    metrics_head(x, "dray_http_request_duration_seconds", "histogram",
                 "Requests to providers, look-ups included, from the start to the whole answer.");
    for (uint32_t i = 0; i < a->worker->consumer_count; i++)
        metrics_histogram(x, "dray_http_request_duration_seconds", a->worker->consumers[i]->keys.queue,
                          &a->worker->consumers[i]->stats.http, http_bounds_us);
    metrics_head(x, "dray_pickup_duration_seconds", "histogram",
                 "From enqueued_at (where a job has none: from its claim) to its first attempt.");
    for (uint32_t i = 0; i < a->worker->consumer_count; i++)
        metrics_histogram(x, "dray_pickup_duration_seconds", a->worker->consumers[i]->keys.queue,
                          &a->worker->consumers[i]->stats.pickup, pickup_bounds_us);
}

/* ---- the worker ---- */

static void add_redis(struct exposition *x, const struct worker *w) {
    struct redis_stats sum = redis_router_stats(w->redis.router), gone = w->pickups.gone;
    sum.commands += gone.commands;
    sum.writes += gone.writes;
    sum.reconnects += gone.reconnects;
    sum.errors += gone.errors;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        if (w->consumers[i]->pickup.router == NULL)
            continue;
        struct redis_stats s = redis_router_stats(w->consumers[i]->pickup.router);
        sum.commands += s.commands;
        sum.writes += s.writes;
        sum.reconnects += s.reconnects;
        sum.errors += s.errors;
    }
    metrics_one(x, "dray_redis_up", "gauge", "1 while the Redis of every queue is there.",
                redis_away(w) == NULL);
    metrics_head(x, "dray_redis_noeviction", "gauge",
                 "1 where Redis throws no key away when it is full: maxmemory-policy noeviction, "
                 "or no maxmemory.");
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (w->consumers[i]->eviction != EVICTION_UNKNOWN)
            queue_value(x, "dray_redis_noeviction", w->consumers[i]->keys.queue,
                        w->consumers[i]->eviction == EVICTION_NONE);
    metrics_one(x, "dray_redis_connections", "gauge", "Connections to Redis that are up.",
                worker_connections(w));
    metrics_one(x, "dray_redis_commands_total", "counter", "Commands sent to Redis.", sum.commands);
    metrics_one(x, "dray_redis_writes_total", "counter", "Writes to Redis's sockets: round trips, about.",
                sum.writes);
    metrics_one(x, "dray_redis_reconnects_total", "counter", "Connections made again.", sum.reconnects);
    metrics_one(x, "dray_redis_errors_total", "counter", "Error replies and lost connections.", sum.errors);
}

static void add_http(struct exposition *x, const struct worker *w) {
    struct http_stats s = http_pool_stats(w->http);
    metrics_one(x, "dray_http_requests_total", "counter", "Requests to providers, look-ups included.",
                s.requests);
    metrics_one(x, "dray_http_connections_total", "counter", "Connections made to providers.", s.connections);
    metrics_one(x, "dray_http_replays_refused_total", "counter", "Orders that libcurl would have sent twice.",
                s.replays_refused);
    metrics_one(x, "dray_http_guards_refused_total", "counter",
                "Orders not sent because the lease had run out.", s.guards_refused);
    metrics_one(
        x, "dray_http_unfit_connections_total", "counter",
        "Kept connections not used again, with nothing sent: idle for too long, closed, or not silent.",
        s.unfit);
    metrics_one(x, "dray_http_inflight_requests", "gauge", "Requests to providers under way.",
                http_inflight(w->http));
}

static void add_trace(struct exposition *x, const struct worker *w) {
    struct trace_stats s = tracer_stats(w->tracer);
    metrics_one(x, "dray_trace_spans_sent_total", "counter", "Spans that the trace endpoint has taken.",
                s.sent);
    metrics_one(x, "dray_trace_spans_failed_total", "counter",
                "Spans lost because the trace endpoint did not take them.", s.failed);
    metrics_one(x, "dray_trace_spans_dropped_total", "counter",
                "Spans lost because the trace endpoint was too slow for them.", s.dropped);
}

static void add_process(struct exposition *x, const struct admin *a) {
    struct process_stats p;
    process_read(&p);
    metrics_head(x, "dray_process_cpu_seconds_total", "counter", "CPU time of this process.");
    buf_addf(x->out, "dray_process_cpu_seconds_total %.3f\n", p.cpu_seconds);
    metrics_one(x, "dray_process_resident_memory_bytes", "gauge", "Memory of this process.", p.rss_bytes);
    metrics_one(x, "dray_process_open_fds", "gauge", "Open file descriptors.", p.open_fds);
    metrics_one(x, "dray_process_max_fds", "gauge", "The limit of open file descriptors.", p.max_fds);
    metrics_head(x, "dray_process_start_time_seconds", "gauge", "When this worker started, Unix time.");
    buf_addf(x->out, "dray_process_start_time_seconds %.3f\n", (double)a->worker->start.unix_ms / 1000);
    metrics_one(x, "dray_log_lines_dropped_total", "counter",
                "Log lines dropped because stderr was too slow.", log_dropped());
    metrics_one(x, "dray_admin_requests_total", "counter", "Requests to this admin server.", a->requests);
    metrics_one(x, "dray_admin_refused_requests_total", "counter", "Of these, answered with 400 or above.",
                a->refused);
    metrics_one(x, "dray_admin_connections", "gauge", "Open connections to this admin server.", a->clients);
    metrics_one(x, "dray_admin_connections_cut_total", "counter", "Slow connections that were cut off.",
                a->cut);
}

/* A loop over files: there are as many as workers that ended while Redis was away. */
static uint64_t spooled(const struct worker *w) {
    uint64_t left = 0;
    for (const struct spool_file *f = w->spool != NULL ? w->spool->files : NULL; f != NULL; f = f->next) {
        uint64_t done = f->settled + f->lost + f->bad;
        left += f->lines > done ? f->lines - done : 0;
    }
    return left;
}

static void add_worker(struct exposition *x, const struct worker *w) {
    metrics_head(x, "dray_build_info", "gauge", "1, with the version as a label.");
    buf_addf(x->out, "dray_build_info{version=\"%s\",libmicrohttpd=\"%s\",libuv=\"%s\"} 1\n", DRAY_VERSION,
             MHD_get_version(), uv_version_string());
    metrics_head(x, "dray_worker_mode", "gauge", "1 at the worker's mode.");
    static const char *const modes[] = {"starting", "running", "quiet", "draining"};
    for (size_t i = 0; i < 4; i++)
        buf_addf(x->out, "dray_worker_mode{mode=\"%s\"} %d\n", modes[i], strcmp(mode_name(w), modes[i]) == 0);
    metrics_one(x, "dray_ready", "gauge", "1 while /readyz answers 200.", not_ready(w) == NULL);
    metrics_one(x, "dray_spool_settlements", "gauge",
                "Settlements in the spool that Redis has not taken yet.", spooled(w));
    metrics_one(x, "dray_max_inflight_orders", "gauge", "max_inflight.", w->boot->max_inflight);
}

void handle_metrics(struct request *r) {
    const struct admin *a = r->admin;
    const char *accept = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Accept");
    struct exposition exposition = {.out = &r->out, .open = metrics_wants_open(accept)}, *x = &exposition;
    add_worker(x, a->worker);
    add_queues(x, a);
    add_ages(x, a);
    add_dead_reasons(x, a);
    add_histograms(x, a);
    metrics_accounts(x, a);
    add_redis(x, a->worker);
    add_http(x, a->worker);
    add_trace(x, a->worker);
    add_process(x, a);
    if (x->open)
        buf_add_str(x->out, "# EOF\n");
    r->status = 200;
    r->content_type = x->open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                              : "text/plain; version=0.0.4; charset=utf-8";
}
