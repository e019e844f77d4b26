/* HTTP handles: libcurl's easy handles, kept and used again.
 *
 * A handle keeps the options of the target that it served last. A request takes, in this order:
 * 1. a handle of its own target: that costs a handful of setopts, and finds the CURLM that has its connection;
 * 2. the handle that was used last, if its target is alike: two setopts more. So a thousand shops of one
 *   provider share a few warm handles and connections;
 * 3. any other handle, reset, but only if the pool has as many as it may need; else a new one. */
#include <stdlib.h>
#include <string.h>

#include "io/http_internal.h"

static size_t on_answer(char *data, size_t size, size_t n, void *arg) {
    struct http_call *c = arg;
    struct http_pool *pool = c->pool;
    n *= size;
    if (c->answer.data == NULL && pool->spare_count > 0)
        c->answer = pool->spare[--pool->spare_count];
    c->too_large = n > c->answer.max - c->answer.len;
    buf_add(&c->answer, data, n);
    return buf_ok(&c->answer) ? n : 0;
}

long http_request_size(const struct http_call *c) {
    long size = 0;
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &size);
    return size;
}

/* A POST may be written again only if no byte of it has left. */
static bool is_replay(const struct http_call *c) {
    return c->let_go && c->bound->method != HTTP_GET && http_request_size(c) > c->size_before;
}

static void refuse_replay(struct http_call *c) {
    if (!c->replay_refused)
        http_refused_replay(c);
    c->replay_refused = true;
}

/* libcurl calls this on every connection, new or reused, right before it writes a request on it,
 * also when it starts again after the first connection died. */
static int on_before_request(void *arg, char *ip, char *local_ip, int port, int local_port) {
    (void)local_ip;
    struct http_call *c = arg;
    if (is_replay(c)) {
        refuse_replay(c);
        return CURL_PREREQFUNC_ABORT;
    }
    if (!http_conn_fit(c, ip, port, local_port)) {
        c->unfit = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (c->may_send != NULL && !c->may_send(c->arg)) {
        c->guard_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (!c->let_go)
        c->size_before = http_request_size(c); /* a proxy's CONNECT is counted too */
    c->let_go = true;
    return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)purpose;
    struct http_call *c = arg;
    if (is_replay(c)) { /* why connect at all */
        refuse_replay(c);
        return CURL_SOCKET_BAD;
    }
    c->let_go = c->let_go && c->bound->method == HTTP_GET; /* no byte has left: begin anew */
    c->opened = true;
    curl_socket_t fd = http_socket_open(c->multi, address);
    c->opened_fds[c->opened_count++ % HTTP_OPENED] = fd;
    return fd;
}

/* What every handle has. QUICK_EXIT: without it libcurl joins the resolver's thread when a transfer
 * ends while its name is looked up, which blocks the loop for as long as DNS is dead. */
static CURLcode apply_common(struct http_call *c) {
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_SHARE, c->pool->share);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_before_request);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, http_socket_close);
    curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, c->pool);
    /* None is asked for (http_target.c); one that comes all the same is decoded. */
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "identity");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, 30L); /* seconds; http_idle.c asks for much less */
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 4096L);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 16384L); /* libcurl's least */
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
}

static int bind_target(struct http_call *c, struct http_target *t, bool fresh) {
    if (!fresh && c->bound != NULL && http_target_alike(c->bound, t)) {
        c->bound = t;
        c->headers = NULL; /* the request sets URL and headers */
        return 0;
    }
    curl_easy_reset(c->easy);
    c->bound = NULL;
    c->fresh = c->listens = false;
    if (apply_common(c) != CURLE_OK || http_target_apply(t, c->easy) != CURLE_OK)
        return -1;
    c->bound = t;
    c->headers = NULL;
    return 0;
}

static struct http_call *call_new(struct http_pool *pool) {
    struct http_call *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->easy = curl_easy_init();
    if (c->easy == NULL) {
        free(c);
        return NULL;
    }
    c->pool = pool;
    c->multi = &pool->multis[pool->calls++ / HTTP_PER_MULTI % pool->multi_count];
    buf_init(&c->answer, HTTP_ANSWER_MAX);
    return c;
}

static struct http_call *take_idle(struct http_pool *pool, struct http_target *t) {
    struct http_call *c = LIST_FIRST(&t->idle);
    if (c == NULL) {
        c = TAILQ_LAST(&pool->idle, http_idle);
        if (c != NULL && (c->bound == NULL || !http_target_alike(c->bound, t)))
            c = NULL;
    }
    if (c == NULL) {
        c = TAILQ_FIRST(&pool->idle);
        if (c == NULL || (c->bound != NULL && pool->calls < pool->max_inflight))
            return NULL;
    }
    TAILQ_REMOVE(&pool->idle, c, idle_link);
    if (c->bound != NULL)
        LIST_REMOVE(c, target_link);
    return c;
}

static void put_idle(struct http_call *c) {
    if (c->bound == NULL) {
        TAILQ_INSERT_HEAD(&c->pool->idle, c, idle_link);
        return;
    }
    TAILQ_INSERT_TAIL(&c->pool->idle, c, idle_link);
    LIST_INSERT_HEAD(&c->bound->idle, c, target_link);
}

struct http_call *http_call_take(struct http_pool *pool, struct http_target *t, bool fresh) {
    struct http_call *c = take_idle(pool, t);
    if (c == NULL && (c = call_new(pool)) == NULL)
        return NULL;
    if ((fresh || c->bound != t) && bind_target(c, t, fresh) < 0) {
        put_idle(c);
        return NULL;
    }
    t->refs++;
    return c;
}

static void release_answer(struct http_call *c) {
    struct http_pool *pool = c->pool;
    if (c->answer.data == NULL)
        return;
    buf_reset(&c->answer);
    if (c->answer.cap > HTTP_SPARE_ANSWER_MAX || pool->spare_count == HTTP_SPARE_ANSWERS) {
        buf_deinit(&c->answer);
        return;
    }
    pool->spare[pool->spare_count++] = c->answer;
    buf_init(&c->answer, HTTP_ANSWER_MAX);
}

/* A handle that had its own URL, was refused a replay (libcurl counts retries on the handle over its
 * whole life), or found no host (libcurl 8.14 leaks the name with the next resolution) starts from
 * scratch. */
void http_call_give_back(struct http_call *c) {
    struct http_target *t = c->bound;
    if (c->url != NULL || c->replay_refused || c->unresolved) {
        curl_easy_reset(c->easy);
        c->bound = NULL;
    }
    curl_url_cleanup(c->url);
    c->url = NULL;
    free(c->own_line);
    c->own_line = NULL;
    release_answer(c);
    put_idle(c);
    http_target_unref(t);
}

void http_call_free_idle(struct http_pool *pool) {
    struct http_call *c;
    while ((c = TAILQ_FIRST(&pool->idle)) != NULL) {
        TAILQ_REMOVE(&pool->idle, c, idle_link);
        if (c->bound != NULL)
            LIST_REMOVE(c, target_link);
        curl_easy_cleanup(c->easy);
        buf_deinit(&c->answer);
        free(c);
    }
}
