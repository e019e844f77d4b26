/* http.h: requests whose fate the scheduler draws. A request that left goes on its way even when
 * its worker is gone: it reaches the provider before `land_until_ns`, or never. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"

struct http_target {
    unsigned refs;
    bool post;
    char *url;
    uint64_t timeout_ns;
};

struct http_pool *http_pool_new(uv_loop_t *loop, uint32_t max_inflight, struct err *err) {
    (void)loop, (void)max_inflight, (void)err;
    struct http_pool *p = calloc(1, sizeof(*p));
    p->owner = world.current;
    world.current->pool = p;
    return p;
}

void http_pool_close(struct http_pool *pool, void (*closed)(void *arg), void *arg) {
    pool->closing = true;
    pool->closed = closed;
    pool->closed_arg = arg;
}

struct http_target *http_target_new(struct http_pool *pool, const struct http_target_options *options,
                                    struct err *err) {
    (void)pool, (void)err;
    struct http_target *t = calloc(1, sizeof(*t));
    t->refs = 1;
    t->post = options->method != HTTP_GET;
    t->url = strdup(options->url);
    t->timeout_ns = options->request_timeout_ms * MS;
    return t;
}

void http_target_unref(struct http_target *t) {
    if (t == NULL || --t->refs > 0)
        return;
    free(t->url);
    free(t);
}

/* Answers are not shifted here: each call has its own. */
const char *http_target_place(const struct http_target *t) {
    return t->url;
}

void http_doubt(struct http_call *c) {
    (void)c;
}

void http_pool_on_stray(struct http_pool *pool, http_stray_fn fn, void *arg) {
    (void)pool, (void)fn, (void)arg;
}

static unsigned number_behind(const char *text, size_t len, const char *mark, unsigned none) {
    const char *at = memmem(text, len, mark, strlen(mark));
    return at != NULL ? (unsigned)strtoul(at + strlen(mark), NULL, 10) : none;
}

static uint64_t query_time(const char *query, const char *name) {
    const char *at = strstr(query, name);
    uint64_t ms = 0;
    if (at == NULL)
        return 0;
    at += strlen(name);
    if (rfc3339_parse((struct span){at, strcspn(at, "&")}, &ms) != 0)
        abort();
    return ms;
}

struct http_call *http_send(struct http_pool *pool, struct http_target *target,
                            const struct http_request *request, http_done_fn done, void *arg) {
    if (pool->closing)
        return NULL;
    struct http_call *c = calloc(1, sizeof(*c));
    const char *query = request->query != NULL ? request->query : "";
    char where[2048];
    int n = snprintf(where, sizeof(where), "%s?%s", target->url, query);
    c->owner = pool->owner;
    c->number = world.call_numbers++;
    c->post = target->post;
    c->account = number_behind(where, (size_t)n, "//a", ACCOUNTS);
    if (c->post)
        c->key = number_behind(request->body.ptr, request->body.len, "key-", KEYS_PER_ACCOUNT);
    else
        c->key = number_behind(where, (size_t)n, "key-", KEYS_PER_ACCOUNT);
    c->window_from_ms = query_time(query, "createStartTime=");
    c->window_to_ms = query_time(query, "createEndTime=");
    c->may_send = request->may_send;
    c->done = done;
    c->arg = arg;
    c->started_ns = world.now_ns;
    c->deadline_ns = world.now_ns + target->timeout_ns;
    buf_init(&c->answer, 1u << 20);
    struct http_call **end = &world.calls;
    while (*end != NULL)
        end = &(*end)->next;
    *end = c;
    note("w%u h%u %s a%u key-%u", c->owner->number, c->number, c->post ? "POST" : "GET", c->account, c->key);
    return c;
}

static void call_unlink(struct http_call *c) {
    struct http_call **at = &world.calls;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

static void call_free(struct http_call *c) {
    buf_deinit(&c->answer);
    free(c);
}

/* The owner hears of its end; the request itself may still be on its way. */
static void end(struct http_call *c, const struct http_exchange *x) {
    struct http_call seen = *c;
    bool goes_on = c->state == CALL_SENT && c->post;
    if (goes_on) {
        c->owner = NULL;
        uint64_t last = world.now_ns + world.config->accounts[c->account]->lookup_delay_ms * MS - 1;
        if (c->land_until_ns > last)
            c->land_until_ns = last;
    } else {
        call_unlink(c);
    }
    seen.done(seen.arg, x);
    if (!goes_on)
        call_free(c);
}

static struct http_exchange exchange(const struct http_call *c, const char *phase, const char *error) {
    return (struct http_exchange){.sent = c->state != CALL_NEW,
                                  .phase = phase,
                                  .error = error,
                                  .body = {"", 0},
                                  .duration_us = (world.now_ns - c->started_ns) / 1000};
}

static void finish(struct http_call *c, const struct http_exchange *x) {
    enter(c->owner);
    end(c, x);
    leave();
}

void http_cancel(struct http_call *c) {
    struct http_exchange x = exchange(c, "receive", "cancelled");
    x.cancelled = true;
    note("h%u cancelled", c->number);
    end(c, &x);
}

uint32_t http_inflight(const struct http_pool *pool) {
    uint32_t n = 0;
    for (const struct http_call *c = world.calls; c != NULL; c = c->next)
        n += c->owner == pool->owner;
    return n;
}

/* The connection is there, and the first byte is about to leave. */
void call_ready(struct http_call *c) {
    struct http_exchange barred = exchange(c, "connect", "");
    if (outage_bars(c, &barred)) {
        finish(c, &barred);
        return;
    }
    enter(c->owner);
    bool yes = c->may_send == NULL || c->may_send(c->arg) || mutated("may-send");
    leave();
    if (!yes) {
        struct http_exchange x = exchange(c, "send", "refused by its owner");
        x.guard_refused = true;
        note("h%u may not leave", c->number);
        finish(c, &x);
        return;
    }
    note("h%u leaves", c->number);
    if (c->post)
        audit_sending(c);
    c->state = CALL_SENT;
    c->land_until_ns = c->deadline_ns;
}

void call_refuse(struct http_call *c) {
    note("h%u connection refused", c->number);
    struct http_exchange x = exchange(c, "connect", "connection refused");
    finish(c, &x);
}

void call_land(struct http_call *c) {
    provider_answer(c);
    if (c->owner == NULL) {
        call_unlink(c);
        call_free(c);
    }
}

void call_deliver(struct http_call *c) {
    struct http_exchange x = exchange(c, "done", "");
    x.answered = true;
    x.status = c->status;
    x.body = c->answer.len > 0 ? buf_span(&c->answer) : (struct span){"", 0};
    if (c->retry_after[0] != '\0')
        x.retry_after = span_str(c->retry_after);
    note("h%u answer %ld to w%u", c->number, c->status, c->owner->number);
    finish(c, &x);
}

void call_hang_up(struct http_call *c) {
    struct http_exchange x = exchange(c, "receive", "connection reset");
    note("h%u hangs up", c->number);
    finish(c, &x);
}

void call_time_out(struct http_call *c) {
    struct http_exchange x = exchange(c, "timeout", "timed out");
    note("h%u times out", c->number);
    finish(c, &x);
}

void call_lose(struct http_call *c) {
    note("h%u never arrives", c->number);
    call_unlink(c);
    call_free(c);
}

void call_repeat_late(const struct http_call *c) {
    struct http_call *late = calloc(1, sizeof(*late));
    late->number = c->number;
    late->account = c->account;
    late->key = c->key;
    late->post = true;
    late->state = CALL_SENT;
    late->land_until_ns = world.now_ns + world.config->accounts[c->account]->lookup_delay_ms * MS - 1;
    buf_init(&late->answer, 1u << 20);
    late->next = world.calls;
    world.calls = late;
}

/* Of a worker that crashed: what has left goes on. */
void calls_forget(struct sim_worker *s) {
    for (struct http_call *c = world.calls, *next; c != NULL; c = next) {
        next = c->next;
        if (c->owner != s)
            continue;
        if (c->state == CALL_SENT && c->post) {
            c->owner = NULL;
        } else {
            call_unlink(c);
            call_free(c);
        }
    }
}

static struct http_call *any_call(const struct sim_worker *s) {
    struct http_call *c = world.calls;
    while (c != NULL && c->owner != s)
        c = c->next;
    return c;
}

void pool_finish_close(struct sim_worker *s) {
    struct http_pool *p = s->pool;
    struct http_call *c;
    enter(s);
    while ((c = any_call(s)) != NULL)
        http_cancel(c);
    s->pool = NULL;
    p->closed(p->closed_arg);
    leave();
    free(p);
}
