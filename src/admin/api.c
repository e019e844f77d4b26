/* /api/v1/status, queues, accounts, workers (docs/admin.md has their schemas). A request starts a
 * reading of the queues' figures unless one is a second old at most; while Redis is away it gets
 * the last ones, with their time. */
#include "admin/api.h"

#include <stdlib.h>
#include <string.h>

#define FRESH_MS      1000
#define ACCOUNTS_TOP  50 /* in /status: those in trouble first */
#define ACCOUNTS_PAGE 200

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

static void add_str(struct buf *b, const char *name, const char *value) {
    buf_addf(b, "\"%s\":", name);
    if (value == NULL)
        buf_add_str(b, "null");
    else
        buf_add_json_str(b, span_str(value));
    buf_add_char(b, ',');
}

static void add_u64(struct buf *b, const char *name, uint64_t value) {
    buf_addf(b, "\"%s\":%llu,", name, (unsigned long long)value);
}

static void add_bool(struct buf *b, const char *name, bool value) {
    buf_addf(b, "\"%s\":%s,", name, value ? "true" : "false");
}

/* Takes back the last comma and closes. */
static void end(struct buf *b, char bracket) {
    if (buf_ok(b) && b->len > 0 && b->data[b->len - 1] == ',')
        b->len--;
    buf_add_char(b, bracket);
}

static void add_pause(struct buf *b, const char *name, const struct pause_view *p,
                      uint64_t now_ms) {
    buf_addf(b, "\"%s\":", name);
    if (!p->on || (p->until_ms > 0 && p->until_ms <= now_ms)) {
        buf_add_str(b, "null,");
        return;
    }
    buf_add_char(b, '{');
    if (p->until_ms > 0)
        add_u64(b, "until", p->until_ms);
    else
        buf_add_str(b, "\"until\":null,");
    add_str(b, "reason", p->reason);
    end(b, '}');
    buf_add_char(b, ',');
}

/* ---- queues ---- */

static void add_histogram(struct buf *b, const char *name, const struct histogram *h) {
    buf_addf(b, "\"%s\":{\"counts\":[", name);
    for (size_t i = 0; i <= HISTOGRAM_MAX; i++)
        buf_addf(b, "%llu,", (unsigned long long)h->count[i]);
    end(b, ']');
    buf_addf(b, ",\"sum_us\":%llu},", (unsigned long long)h->sum_us);
}

static void add_here(struct buf *b, const struct lane *lane) {
    buf_add_str(b, "\"here\":{");
    add_u64(b, "inflight", lane_active(lane));
    add_u64(b, "settling", lane->orders[ORDER_SETTLING].count);
    add_u64(b, "concurrency", lane->config->concurrency);
    add_u64(b, "claimed", lane->stats.claimed);
    add_u64(b, "settled", lane->stats.settled);
    add_u64(b, "fenced", lane->stats.fenced);
    add_u64(b, "lookups", lane->stats.lookups);
    add_bool(b, "leased", lane->leased && clock_boot_ns() < lane->lease_until_ns);
    add_histogram(b, "http", &lane->stats.http);
    add_histogram(b, "pickup", &lane->stats.pickup);
    end(b, '}');
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
    buf_add_char(b, '{');
    add_str(b, "queue", v->queue);
    add_u64(b, "read_at", v->at_ms);
    add_u64(b, "jobs", v->jobs);
    add_u64(b, "waiting", v->waiting);
    add_u64(b, "delayed", v->delayed);
    add_u64(b, "inflight", inflight_of(v));
    add_u64(b, "dead", v->dead);
    add_u64(b, "results", v->results);
    add_u64(b, "workers", v->workers_alive);
    add_u64(b, "oldest_age_ms",
            v->head_since_ms > 0 && v->head_since_ms < now_ms ? now_ms - v->head_since_ms : 0);
    add_bool(b, "results_full",
             lane->config->results_high_water > 0 &&
                 v->results >= lane->config->results_high_water);
    add_pause(b, "paused", &v->pause, now_ms);
    buf_add_str(b, "\"totals\":{");
    for (size_t i = 0; i < QUEUE_COUNTERS; i++)
        add_u64(b, queue_counter_names[i], v->counters[i]);
    end(b, '}');
    buf_add_char(b, ',');
    add_here(b, lane);
    end(b, '}');
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
    end(b, ']');
}

/* ---- accounts ---- */

static const char *state_of(const struct account_view *v, uint64_t now_ms) {
    if (v->pause.on && (v->pause.until_ms == 0 || v->pause.until_ms > now_ms))
        return "paused_by_operator";
    if (v->mode == 'h')
        return "held";
    if (v->mode == 'b')
        return "breaker_open";
    if (v->mode == 'p' && v->until_ms > now_ms)
        return "paused_by_provider";
    return v->waiting > 0 ? "limited" : "ok";
}

static const char *why(const char *state, const struct account_view *v) {
    if (strcmp(state, "held") == 0)
        return "the provider refuses the credentials: 401 or 403";
    if (strcmp(state, "breaker_open") == 0)
        return "the provider keeps failing; one order at a time tries";
    if (strcmp(state, "paused_by_provider") == 0)
        return "the provider asked to wait (Retry-After)";
    if (strcmp(state, "limited") == 0)
        return "at its rate or concurrency limit";
    return strcmp(state, "ok") == 0 ? NULL : v->pause.reason;
}

/* The lower, the sooner it is shown. */
static int rank(const char *state) {
    static const char *const order[] = {"held", "breaker_open", "paused_by_provider",
                                        "paused_by_operator", "limited"};
    for (int i = 0; i < 5; i++)
        if (strcmp(state, order[i]) == 0)
            return i;
    return 5;
}

static void add_account(struct buf *b, const char *queue, const struct port *port,
                        const struct account_view *v, uint64_t now_ms) {
    const struct account *account = port->account;
    const char *state = state_of(v, now_ms);
    buf_add_char(b, '{');
    add_str(b, "queue", queue);
    add_str(b, "account", account->name);
    add_str(b, "provider", account->provider->name);
    add_str(b, "state", state);
    add_str(b, "reason", why(state, v));
    uint64_t until = strcmp(state, "paused_by_operator") == 0 ? v->pause.until_ms : v->until_ms;
    if (rank(state) < 4 && until > 0)
        add_u64(b, "until", until);
    else
        buf_add_str(b, "\"until\":null,");
    add_u64(b, "waiting", v->waiting);
    add_u64(b, "concurrency", v->concurrency);
    add_u64(b, "concurrency_limit", account->concurrency);
    add_u64(b, "failures", v->failures);
    buf_addf(b, "\"tokens\":%.2f,\"rate\":%g,\"burst\":%u,", account->rate > 0 ? v->tokens : 0.0,
             account->rate, account->burst);
    buf_add_str(b, "\"here\":{");
    add_u64(b, "inflight", port->active);
    add_u64(b, "created", port->stats.results[RESULT_CREATED]);
    add_u64(b, "duplicate", port->stats.results[RESULT_DUPLICATE]);
    add_u64(b, "failed", port->stats.results[RESULT_FAILED]);
    add_u64(b, "last_created_at", port->stats.created_ms);
    buf_add_str(b, "\"attempts\":{");
    for (int i = 0; i < VERDICTS; i++)
        if (port->stats.attempts[i] > 0)
            add_u64(b, verdict_name((enum verdict)i), port->stats.attempts[i]);
    end(b, '}');
    end(b, '}');
    end(b, '}');
    buf_add_char(b, ',');
}

struct choice {
    const char *queue, *text, *state; /* NULL: any */
    uint64_t offset, limit;
};

static bool chosen(const struct choice *c, const char *queue, const char *account,
                   const char *state) {
    return (c->queue == NULL || strcmp(c->queue, queue) == 0) &&
           (c->text == NULL || strcasestr(account, c->text) != NULL) &&
           (c->state == NULL || strcmp(c->state, state) == 0 ||
            (strcmp(c->state, "troubled") == 0 && rank(state) < 5));
}

/* Those in trouble first: one pass per rank, so that nothing is sorted or allocated. */
static void add_accounts(struct buf *b, const struct admin *a, const struct choice *c) {
    uint64_t now = clock_unix_ms(), total = 0, troubled = 0, at = 0;
    buf_add_str(b, "\"accounts\":{\"list\":[");
    for (int pass = 0; pass <= 5; pass++)
        for (uint32_t i = 0; i < a->views.count; i++) {
            const struct view *view = a->views.list[i];
            const struct lane *lane = view_lane(view);
            for (uint32_t k = 0; lane != NULL && k < view->account_count; k++) {
                const struct account_view *v = &view->accounts[k];
                const struct port *port = lane_port(lane, v->name);
                const char *state = state_of(v, now);
                if (port == NULL || rank(state) != pass || !chosen(c, view->queue, v->name, state))
                    continue;
                total++;
                troubled += pass < 5;
                if (at++ >= c->offset && at <= c->offset + c->limit)
                    add_account(b, view->queue, port, v, now);
            }
        }
    end(b, ']');
    buf_addf(b, ",\"total\":%llu,\"troubled\":%llu}", (unsigned long long)total,
             (unsigned long long)troubled);
}

/* ---- workers ---- */

static void add_workers(struct buf *b, const struct admin *a) {
    buf_add_str(b, "\"workers\":[");
    for (uint32_t i = 0; i < a->views.count; i++) {
        const struct view *v = a->views.list[i];
        for (uint32_t k = 0; k < v->worker_count; k++) {
            const struct worker_view *w = &v->workers[k];
            buf_add_char(b, '{');
            add_str(b, "queue", v->queue);
            add_str(b, "worker", w->id);
            add_bool(b, "this", strcmp(w->id, a->worker->id) == 0);
            add_u64(b, "inflight", w->inflight);
            add_u64(b, "lease_until", w->lease_until_ms);
            add_bool(b, "alive", w->lease_until_ms > v->redis_ms);
            buf_addf(b, "\"info\":%s},", w->info[0] == '{' ? w->info : "null");
        }
    }
    end(b, ']');
}

/* ---- the worker itself ---- */

static void add_this(struct buf *b, const struct request *r) {
    const struct admin *a = r->admin;
    const struct worker *w = a->worker;
    uint64_t now = clock_unix_ms(), at = views_read_at(&a->views);
    add_u64(b, "at", now);
    buf_add_str(b, "\"worker\":{");
    add_str(b, "id", w->id);
    add_str(b, "version", DRAY_VERSION);
    add_str(b, "mode", mode_name(w));
    add_str(b, "not_ready", not_ready(w));
    add_u64(b, "uptime_ms", now > w->started_unix_ms ? now - w->started_unix_ms : 0);
    add_u64(b, "inflight", w->active);
    add_u64(b, "max_inflight", w->boot->max_inflight);
    end(b, '}');
    buf_add_str(b, ",\"redis\":{");
    const char *away = redis_away(w);
    add_bool(b, "up", away == NULL);
    add_str(b, "error", away);
    add_u64(b, "read_at", at);
    end(b, '}');
    buf_add_str(b, ",\"access\":{");
    add_bool(b, "token_configured", w->config->admin_token != NULL);
    add_bool(b, "may_act", r->with_token);
    end(b, '}');
}

static void add_bounds(struct buf *b) {
    buf_add_str(b, "\"bounds_us\":{\"http\":[");
    for (size_t i = 0; i < HISTOGRAM_MAX; i++)
        buf_addf(b, "%llu,", (unsigned long long)http_bounds_us[i]);
    end(b, ']');
    buf_add_str(b, ",\"pickup\":[");
    for (size_t i = 0; i < HISTOGRAM_MAX; i++)
        buf_addf(b, "%llu,", (unsigned long long)pickup_bounds_us[i]);
    end(b, ']');
    buf_add_char(b, '}');
}

static void answer_status(struct request *r) {
    struct buf *b = &r->out;
    struct choice top = {.limit = ACCOUNTS_TOP};
    buf_add_char(b, '{');
    add_this(b, r);
    buf_add_char(b, ',');
    add_queues(b, r->admin);
    buf_add_char(b, ',');
    add_accounts(b, r->admin, &top);
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

bool query_number(struct request *r, const char *name, uint64_t otherwise, uint64_t most,
                  uint64_t *value) {
    const char *text = request_query(r, name);
    *value = otherwise;
    if (text == NULL || text[0] == '\0')
        return true;
    size_t n = strlen(text);
    if (n <= 15 && strspn(text, "0123456789") == n && strtoull(text, NULL, 10) <= most) {
        *value = strtoull(text, NULL, 10);
        return true;
    }
    answer_error(r, 400, "bad_query", "%s must be a number, at most %llu", name,
                 (unsigned long long)most);
    return false;
}

static void answer_accounts(struct request *r) {
    struct choice c = {.queue = request_query(r, "queue"),
                       .text = request_query(r, "text"),
                       .state = request_query(r, "state")};
    if (!query_number(r, "offset", 0, 1000000, &c.offset) ||
        !query_number(r, "limit", ACCOUNTS_TOP, ACCOUNTS_PAGE, &c.limit))
        return;
    buf_add_char(&r->out, '{');
    add_accounts(&r->out, r->admin, &c);
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
