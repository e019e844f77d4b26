/* HTTP pool: several CURLMs on one uv loop.
 *
 * Happy path: a socket or timer event is handed to the CURLM it belongs to; the CURLM is put on
 * `ready`. Before the loop sleeps and after it woke (prepare, check), every ready CURLM runs its
 * zero timeout, and what it completed is delivered. So callbacks never run inside libcurl, and a
 * completion is read also when it was the last transfer.
 *
 * Failure modes: libcurl's timer is called back early by uv's cached clock (libcurl is asked again
 * when it wants to be called); callbacks that keep starting requests which fail at once (bounded
 * per turn; `again` keeps the loop awake). Closing is done from the loop, never inside a callback:
 * completed calls are delivered, the rest cancelled, then handles are closed. */
#include <stdlib.h>

#include "io/http_internal.h"

#define ROUNDS 4 /* times that each CURLM may come up in one turn of the loop */
#define SPARE_CONNECTIONS                                                                                    \
    16L /* kept per CURLM beyond those in use: other hosts, a burst's rest                         \
         */

void http_multi_ready(struct http_multi *m) {
    if (m->queued)
        return;
    m->queued = true;
    STAILQ_INSERT_TAIL(&m->pool->ready, m, ready_link);
}

static void on_timer(uv_timer_t *timer) {
    struct http_multi *m = timer->data;
    m->armed = UINT64_MAX;
    if (m->due == UINT64_MAX)
        return;
    uint64_t now = uv_now(m->pool->loop);
    if (now < m->due) { /* it was put off meanwhile */
        m->armed = m->due;
        uv_timer_start(timer, on_timer, m->due - now, 0);
        return;
    }
    m->due = UINT64_MAX;
    m->kick = m->fired = true;
    http_multi_ready(m);
}

/* libcurl moves its timer on almost every request, mostly to a later time. So the uv timer is only moved to an
 * earlier one. `ms`: -1 none, 0 at once. */
static int on_curl_timer(CURLM *curl, long ms, void *arg) {
    (void)curl;
    struct http_multi *m = arg;
    m->due = UINT64_MAX;
    if (ms == 0) {
        m->kick = true;
        http_multi_ready(m);
    } else if (ms > 0) {
        m->due = uv_now(m->pool->loop) + (uint64_t)ms;
        if (m->due < m->armed) {
            m->armed = m->due;
            uv_timer_start(&m->timer, on_timer, (uint64_t)ms, 0);
        }
    }
    return 0;
}

static void kick(struct http_multi *m) {
    int running;
    bool fired = m->fired;
    m->kick = m->fired = false;
    curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
    if (!fired || m->kick || m->due != UINT64_MAX)
        return;
    /* libcurl does nothing when it is called too early, and does not tell the time again. */
    long ms = -1;
    curl_multi_timeout(m->curl, &ms);
    on_curl_timer(m->curl, ms, m);
}

static void deliver(struct http_multi *m) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(m->curl, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message dies with the handle's removal */
        struct http_call *c = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        http_call_finish(c, code, false);
    }
}

static void on_closed(uv_handle_t *handle) {
    http_handle_closed(handle->data);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct http_multi *m = handle->data;
    http_handle_closed(m->pool);
}

static void pool_free(struct http_pool *pool) {
    for (size_t i = 0; i < pool->multi_count; i++)
        curl_multi_cleanup(pool->multis[i].curl);
    curl_share_cleanup(pool->share);
    for (size_t i = 0; i < pool->spare_count; i++)
        buf_deinit(&pool->spare[i]);
    http_idle_free(pool);
    free(pool->sockets);
    free(pool->multis);
    free(pool);
}

void http_handle_closed(struct http_pool *pool) {
    if (--pool->handles > 0 || !pool->closing)
        return;
    void (*closed)(void *) = pool->closed;
    void *arg = pool->closed_arg;
    pool_free(pool);
    curl_global_cleanup();
    if (closed != NULL)
        closed(arg);
}

static void close_handles(struct http_pool *pool) {
    for (size_t i = 0; i < pool->multi_count; i++) {
        curl_multi_cleanup(pool->multis[i].curl); /* closes its connections */
        pool->multis[i].curl = NULL;
        uv_close((uv_handle_t *)&pool->multis[i].timer, on_timer_closed);
    }
    http_socket_close_handles(pool);
    uv_close((uv_handle_t *)&pool->prepare, on_closed);
    uv_close((uv_handle_t *)&pool->check, on_closed);
    uv_close((uv_handle_t *)&pool->again, on_closed);
}

static void tear_down(struct http_pool *pool) {
    if (uv_is_closing((uv_handle_t *)&pool->prepare))
        return;
    for (size_t i = 0; i < pool->multi_count; i++)
        deliver(&pool->multis[i]);
    while (!LIST_EMPTY(&pool->running))
        http_call_finish(LIST_FIRST(&pool->running), CURLE_ABORTED_BY_CALLBACK, true);
    http_call_free_idle(pool);
    close_handles(pool);
}

static void on_again(uv_idle_t *idle) {
    (void)idle;
}

static void turn(struct http_pool *pool) {
    size_t left = ROUNDS * pool->multi_count;
    while (!pool->closing && left-- > 0 && !STAILQ_EMPTY(&pool->ready)) {
        struct http_multi *m = STAILQ_FIRST(&pool->ready);
        STAILQ_REMOVE_HEAD(&pool->ready, ready_link);
        m->queued = false;
        if (m->kick)
            kick(m);
        deliver(m);
    }
    if (pool->closing)
        tear_down(pool);
    else if (!STAILQ_EMPTY(&pool->ready))
        uv_idle_start(&pool->again, on_again);
    else
        uv_idle_stop(&pool->again);
}

static void on_prepare(uv_prepare_t *prepare) {
    turn(prepare->data);
}

static void on_check(uv_check_t *check) {
    turn(check->data);
}

static int multi_init(struct http_pool *pool, struct http_multi *m) {
    *m = (struct http_multi){.pool = pool, .due = UINT64_MAX, .armed = UINT64_MAX};
    m->curl = curl_multi_init();
    if (m->curl == NULL)
        return -1;
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, http_socket_event);
    curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, HTTP_PER_MULTI + SPARE_CONNECTIONS);
    return 0;
}

static struct http_pool *pool_alloc(uint32_t max_inflight) {
    struct http_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    STAILQ_INIT(&pool->ready);
    LIST_INIT(&pool->running);
    TAILQ_INIT(&pool->idle);
    pool->max_inflight = max_inflight > 0 ? max_inflight : 1;
    size_t multis = (pool->max_inflight + HTTP_PER_MULTI - 1) / HTTP_PER_MULTI;
    pool->multis = calloc(multis, sizeof(*pool->multis));
    pool->share = curl_share_init();
    bool ok = pool->multis != NULL && pool->share != NULL;
    for (; ok && pool->multi_count < multis; pool->multi_count++)
        ok = multi_init(pool, &pool->multis[pool->multi_count]) == 0;
    if (ok)
        return pool;
    pool_free(pool);
    return NULL;
}

static void start_handles(struct http_pool *pool) {
    uv_prepare_init(pool->loop, &pool->prepare);
    uv_check_init(pool->loop, &pool->check);
    uv_idle_init(pool->loop, &pool->again);
    pool->prepare.data = pool->check.data = pool->again.data = pool;
    uv_prepare_start(&pool->prepare, on_prepare);
    uv_check_start(&pool->check, on_check);
    uv_unref((uv_handle_t *)&pool->prepare);
    uv_unref((uv_handle_t *)&pool->check);
    for (size_t i = 0; i < pool->multi_count; i++) {
        uv_timer_init(pool->loop, &pool->multis[i].timer);
        uv_unref((uv_handle_t *)&pool->multis[i].timer);
        pool->multis[i].timer.data = &pool->multis[i];
    }
    pool->handles = 3 + pool->multi_count;
}

struct http_pool *http_pool_new(uv_loop_t *loop, uint32_t max_inflight, struct err *err) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err_set(err, "HTTP: libcurl %s did not start", curl_version());
        return NULL;
    }
    struct http_pool *pool = pool_alloc(max_inflight);
    if (pool == NULL) {
        curl_global_cleanup();
        err_set(err, "HTTP: out of memory for %u requests in flight", max_inflight);
        return NULL;
    }
    curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    pool->loop = loop;
    pool->looks_itself = curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000;
    start_handles(pool);
    return pool;
}

void http_pool_close(struct http_pool *pool, void (*closed)(void *arg), void *arg) {
    pool->closing = true;
    pool->closed = closed;
    pool->closed_arg = arg;
    uv_ref((uv_handle_t *)&pool->prepare);
    uv_idle_start(&pool->again, on_again);
}

void http_pool_on_stray(struct http_pool *pool, http_stray_fn fn, void *arg) {
    pool->on_stray = fn;
    pool->stray_arg = arg;
}

uint32_t http_inflight(const struct http_pool *pool) {
    return pool->inflight;
}

struct http_stats http_pool_stats(const struct http_pool *pool) {
    return pool->stats;
}
