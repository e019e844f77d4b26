/* From spans to the endpoint.
 *
 * Happy path: spans fill a chunk; when it is full, or at the next second, a thread encodes it, the loop POSTs it over a pool of
 * its own, and the chunk is free again. At most EXPORTS_MAX chunks are under way.
 * Failure modes: the endpoint does not answer, or not with 2xx: these spans are lost and counted as failed, nothing is tried
 * again, and nothing is sent until the next second. All chunks are taken: new spans are dropped and counted. */
#include "worker/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "dray/clock.h"

#define TICK_MS     1000
#define FLUSH_MS    1000
#define EXPORTS_MAX 4
#define ANSWER_MS   10000
#define CONNECT_MS  3000
#define IDLE_MS     10000
#define QUIET_NS    60000000000ull /* between two lines that say that spans are lost */

struct chunk {
    STAILQ_ENTRY(chunk) link;
    struct tracer *tracer;
    uv_work_t work;
    char *body; /* encoded; NULL: not yet, or no memory */
    size_t count;
    struct trace_span spans[TRACE_BATCH];
};

struct tracer {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct http_pool *http;
    struct http_target *target;
    struct trace_resource resource;
    double sample;
    struct trace_stats stats;
    STAILQ_HEAD(, chunk) spare, full;
    struct chunk *filling; /* NULL: none is spare */
    uint32_t made;         /* chunks */
    uint32_t out;          /* being encoded or sent */
    uint32_t encoding;     /* of these */
    bool held;             /* the last export failed: until the next second */
    bool closing, ended;
    unsigned open; /* handles and pool that are not closed yet */
    uint64_t logged_ns;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void pump(struct tracer *t);
static void end_if_done(struct tracer *t);
static void closed_one(struct tracer *t);

/* ---- chunks ---- */

static struct chunk *take_chunk(struct tracer *t) {
    struct chunk *c = STAILQ_FIRST(&t->spare);
    if (c != NULL) {
        STAILQ_REMOVE_HEAD(&t->spare, link);
    } else if (t->made < TRACE_CHUNKS && (c = malloc(sizeof(*c))) != NULL) {
        t->made++;
        c->tracer = t;
        c->work.data = c;
        c->body = NULL;
    }
    if (c != NULL)
        c->count = 0;
    return c;
}

static void give_back(struct chunk *c) {
    free(c->body);
    c->body = NULL;
    STAILQ_INSERT_HEAD(&c->tracer->spare, c, link);
}

static void drop(struct tracer *t, struct chunk *c) {
    t->stats.dropped += c->count;
    give_back(c);
}

/* ---- sending ---- */

static void tell(struct tracer *t, const struct http_exchange *x) {
    uint64_t now = clock_boot_ns();
    if (t->ended || (t->logged_ns != 0 && now - t->logged_ns < QUIET_NS))
        return;
    t->logged_ns = now;
    log_msg(LOG_WARN, "trace_failed",
            "[trace] endpoint %s: %s (HTTP %ld); these spans are lost, orders go on. "
            "dray_trace_spans_failed_total counts them",
            http_target_place(t->target), x->answered ? "refuses spans" : x->error, x->status);
}

static void count_sent(struct tracer *t, const struct chunk *c, struct span answer) {
    uint64_t rejected = trace_rejected(answer);
    if (rejected > c->count)
        rejected = c->count;
    t->stats.failed += rejected;
    t->stats.sent += c->count - rejected;
}

static void on_answer(void *arg, const struct http_exchange *x) {
    struct chunk *c = arg;
    struct tracer *t = c->tracer;
    t->out--;
    if (x->answered && x->status / 100 == 2) {
        count_sent(t, c, x->body);
    } else {
        t->stats.failed += c->count;
        t->held = true;
        tell(t, x);
    }
    give_back(c);
    pump(t);
    end_if_done(t);
}

static void encode(uv_work_t *work) {
    struct chunk *c = work->data;
    c->body = trace_encode(&c->tracer->resource, c->spans, c->count);
}

static void on_encoded(uv_work_t *work, int status) {
    struct chunk *c = work->data;
    struct tracer *t = c->tracer;
    struct http_request request = {.body = c->body != NULL ? span_str(c->body) : (struct span){NULL, 0}};
    (void)status; /* nobody cancels it */
    t->encoding--;
    if (c->body != NULL && !t->ended && http_send(t->http, t->target, &request, on_answer, c) != NULL)
        return;
    t->out--;
    t->stats.failed += c->count;
    give_back(c);
    if (t->ended && t->encoding == 0)
        closed_one(t); /* end() has waited for it */
    end_if_done(t);
}

static void pump(struct tracer *t) {
    while (t->out < EXPORTS_MAX && !t->held && !t->ended && !STAILQ_EMPTY(&t->full)) {
        struct chunk *c = STAILQ_FIRST(&t->full);
        STAILQ_REMOVE_HEAD(&t->full, link);
        t->out++;
        t->encoding++;
        uv_queue_work(t->loop, &c->work, encode, on_encoded);
    }
}

static void close_chunk(struct tracer *t) {
    if (t->filling == NULL || t->filling->count == 0)
        return;
    STAILQ_INSERT_TAIL(&t->full, t->filling, link);
    t->filling = NULL;
    pump(t);
}

struct trace_span *tracer_slot(struct tracer *t) {
    if (t->filling == NULL)
        t->filling = take_chunk(t);
    if (t->filling == NULL || t->closing) {
        t->stats.dropped++;
        return NULL;
    }
    struct trace_span *s = &t->filling->spans[t->filling->count];
    memset(s, 0, sizeof(*s));
    return s;
}

void tracer_put(struct tracer *t) {
    if (++t->filling->count == TRACE_BATCH)
        close_chunk(t);
}

static void on_tick(uv_timer_t *timer) {
    struct tracer *t = timer->data;
    t->held = false;
    close_chunk(t);
    pump(t);
}

/* ---- beginning and end ---- */

static struct http_target *make_target(struct tracer *t, const struct config *c, struct err *err) {
    const char *const headers[] = {c->trace_header, NULL};
    size_t n = strlen(c->trace_endpoint) + sizeof("/v1/traces");
    char *url = malloc(n);
    if (url == NULL) {
        err_set(err, "out of memory");
        return NULL;
    }
    bool has_path = strchr(strstr(c->trace_endpoint, "://") + 3, '/') != NULL;
    snprintf(url, n, "%s%s", c->trace_endpoint, has_path ? "" : "/v1/traces");
    struct http_target_options options = {.method = HTTP_POST,
                                          .url = url,
                                          .headers = headers,
                                          .bearer = c->trace_token,
                                          .ca_file = c->trace_tls_ca,
                                          .user_agent = "dray/" DRAY_VERSION,
                                          .connect_timeout_ms = CONNECT_MS,
                                          .request_timeout_ms = ANSWER_MS,
                                          .idle_reuse_ms = IDLE_MS};
    struct http_target *target = http_target_new(t->http, &options, err);
    free(url);
    return target;
}

struct tracer *tracer_new(uv_loop_t *loop, const struct config *config, const char *instance,
                          struct err *err) {
    struct tracer *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        err_set(err, "out of memory");
        return NULL;
    }
    t->loop = loop;
    t->sample = config->trace_sample;
    t->resource = (struct trace_resource){config->trace_service_name, instance, DRAY_VERSION};
    STAILQ_INIT(&t->spare);
    STAILQ_INIT(&t->full);
    t->http = http_pool_new(loop, EXPORTS_MAX, err);
    if (t->http == NULL) {
        free(t);
        return NULL;
    }
    t->target = make_target(t, config, err);
    if (t->target == NULL) {
        http_pool_close(t->http, free, t);
        return NULL;
    }
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    uv_timer_start(&t->timer, on_tick, TICK_MS, TICK_MS);
    t->open = 2;
    return t;
}

static void closed_one(struct tracer *t) {
    if (--t->open == 0)
        t->closed(t->closed_arg);
}

static void on_pool_closed(void *arg) {
    closed_one(arg);
}

static void on_timer_closed(uv_handle_t *handle) {
    closed_one(handle->data);
}

/* What is under way is cut off; threads are waited for, who only encode. */
static void end(struct tracer *t) {
    t->ended = true;
    for (struct chunk *c; (c = STAILQ_FIRST(&t->full)) != NULL;) {
        STAILQ_REMOVE_HEAD(&t->full, link);
        drop(t, c);
    }
    t->open += t->encoding > 0; /* on_encoded gives it back */
    http_pool_close(t->http, on_pool_closed, t);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void end_if_done(struct tracer *t) {
    if (t->closing && !t->ended && (t->held || (t->out == 0 && STAILQ_EMPTY(&t->full))))
        end(t);
}

static void on_flush_over(uv_timer_t *timer) {
    struct tracer *t = timer->data;
    if (!t->ended)
        end(t);
}

void tracer_close(struct tracer *t, bool flush, void (*closed)(void *arg), void *arg) {
    t->closing = true;
    t->closed = closed;
    t->closed_arg = arg;
    t->held = false;
    close_chunk(t);
    if (!flush) {
        end(t);
        return;
    }
    uv_timer_start(&t->timer, on_flush_over, FLUSH_MS, 0);
    pump(t);
    end_if_done(t);
}

void tracer_free(struct tracer *t) {
    if (t == NULL)
        return;
    for (struct chunk *c; (c = STAILQ_FIRST(&t->spare)) != NULL;) {
        STAILQ_REMOVE_HEAD(&t->spare, link);
        free(c);
    }
    free(t->filling);
    http_target_unref(t->target);
    free(t);
}

struct trace_stats tracer_stats(const struct tracer *t) {
    return t != NULL ? t->stats : (struct trace_stats){0};
}

double tracer_sample(const struct tracer *t) {
    return t->sample;
}
