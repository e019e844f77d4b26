/* HTTP call: one request from http_send to its callback.
 *
 * Happy path: a pooled handle gets the body, is added to its CURLM, and runs from the next turn of
 * the pool; on completion it is taken out of libcurl, its owner is told once, and it is pooled.
 *
 * Failure modes: all are an outcome (http_outcome.c). A replay by libcurl and a refusal of
 * `may_send` are caught before libcurl writes on a connection (http_handle.c). So is a kept connection that is not
 * to be used (http_conn.c): libcurl closes it, and the request starts again on another one. */
#include <stdlib.h>
#include <string.h>

#include "io/http_internal.h"

#define RESTARTS     4 /* connections that one request may find unfit, each before anything was sent */
#define EXPECT_ABOVE (1u << 20) /* bytes of a body from which libcurl would ask "100-continue" */

#define OWN_LINE_MAX 2048 /* bytes of a request's own header line */

static bool is_header_value(const char *s, size_t max) {
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] > 0x7e)
            return false;
    return n > 0 && n <= max;
}

static struct curl_slist *own_headers(struct http_call *c, const struct http_request *r) {
    static const char name[] = "traceparent: ";
    static char expect[] = "Expect:";
    struct curl_slist *head = c->bound->headers;
    if (r->traceparent != NULL && is_header_value(r->traceparent, sizeof(c->traceparent) - sizeof(name))) {
        memcpy(c->traceparent, name, sizeof(name) - 1);
        strcpy(c->traceparent + sizeof(name) - 1, r->traceparent);
        c->own[0] = (struct curl_slist){c->traceparent, head};
        head = &c->own[0];
    }
    if (r->body.len > EXPECT_ABOVE) {
        c->own[1] = (struct curl_slist){expect, head};
        head = &c->own[1];
    }
    if (c->own_line != NULL) {
        c->own[2] = (struct curl_slist){c->own_line, head};
        head = &c->own[2];
    }
    return head;
}

static CURLcode set_url(struct http_call *c, const char *query) {
    if (query != NULL) {
        c->url = curl_url_dup(c->bound->url);
        if (c->url == NULL || curl_url_set(c->url, CURLUPART_QUERY, query, CURLU_APPENDQUERY) != CURLUE_OK)
            return CURLE_OUT_OF_MEMORY;
    }
    return curl_easy_setopt(c->easy, CURLOPT_CURLU, query != NULL ? c->url : c->bound->url);
}

static CURLcode set_request(struct http_call *c, const struct http_request *r) {
    if (r->header != NULL &&
        (!is_header_value(r->header, OWN_LINE_MAX) || (c->own_line = strdup(r->header)) == NULL))
        return CURLE_OUT_OF_MEMORY;
    struct curl_slist *headers = own_headers(c, r);
    if (c->headers == NULL || r->query != NULL) {
        CURLcode rc = set_url(c, r->query);
        if (rc != CURLE_OK)
            return rc;
    }
    if (headers != c->headers || headers == NULL)
        curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
    c->headers = headers;
    c->body_len = 0;
    if (c->bound->method == HTTP_GET)
        return CURLE_OK;
    c->body_len = r->body.len;
    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
    return curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, r->body.ptr != NULL ? r->body.ptr : "");
}

/* Hands the request to libcurl, with nothing of it sent so far. */
static bool start(struct http_call *c, bool fresh) {
    if (c->fresh != fresh)
        curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    c->fresh = fresh;
    c->conn = NULL;
    c->opened_count = 0;
    c->error[0] = '\0';
    c->opened = c->let_go = c->refused = c->unfit = c->reused = c->early = c->says_close = false;
    return curl_multi_add_handle(c->multi->curl, c->easy) == CURLM_OK;
}

static bool start_again(struct http_call *c) {
    if (!c->unfit || c->pool->closing)
        return false;
    c->pool->stats.unfit++;
    if (c->restarts == RESTARTS)
        return false;
    c->restarts++;
    curl_multi_remove_handle(c->multi->curl, c->easy);
    return start(c, c->restarts > 1 || http_idle_none(c, http_now_ms()));
}

struct http_call *http_send(struct http_pool *pool, struct http_target *target,
                            const struct http_request *request, http_done_fn done, void *arg) {
    if (pool->closing)
        return NULL;
    struct http_call *c = http_call_take(pool, target, request->query != NULL);
    if (c == NULL)
        return NULL;
    c->done = done;
    c->arg = arg;
    c->may_send = request->may_send;
    c->started_ns = uv_hrtime();
    c->size_before = 0;
    c->restarts = 0;
    c->too_large = c->replay_refused = c->guard_refused = false;
    if (set_request(c, request) != CURLE_OK || !start(c, http_idle_none(c, c->started_ns / 1000000))) {
        http_call_give_back(c);
        return NULL;
    }
    c->running = true;
    LIST_INSERT_HEAD(&pool->running, c, running_link);
    if (pool->inflight++ == 0)
        uv_ref((uv_handle_t *)&pool->prepare);
    pool->stats.requests++;
    return c;
}

void http_call_finish(struct http_call *c, CURLcode code, bool cancelled) {
    struct http_pool *pool = c->pool;
    struct http_exchange x;
    uint64_t now_ns = uv_hrtime();
    http_conn_done(c, code, now_ns / 1000000);
    if (!cancelled && start_again(c))
        return;
    c->running = false;
    c->unresolved = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    curl_multi_remove_handle(c->multi->curl, c->easy);
    LIST_REMOVE(c, running_link);
    if (--pool->inflight == 0 && !pool->closing)
        uv_unref((uv_handle_t *)&pool->prepare);
    pool->stats.replays_refused += c->replay_refused;
    pool->stats.guards_refused += c->guard_refused;
    http_outcome(c, code, cancelled, now_ns, &x);
    c->done(c->arg, &x);
    http_call_give_back(c);
}

void http_cancel(struct http_call *call) {
    if (call->running)
        http_call_finish(call, CURLE_ABORTED_BY_CALLBACK, true);
}
