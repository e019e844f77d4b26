/* HTTP sockets: one uv_poll handle per descriptor number that libcurl uses. It is kept until the pool closes,
 * and stopped while nobody wants events.
 *
 * Happy path: libcurl opens a socket through http_socket_open, says in http_socket_event what it waits for, and
 * closes it through http_socket_close. Once a connection has carried a whole exchange it is `steady`: uv goes
 * on watching it between requests, which saves two epoll_ctl for each.
 * Failure modes:
 * - libcurl 7.88 closes a socket whose connection was never completed, and its resolver's pair, without
 *   telling. So these are stopped as soon as libcurl stops waiting for them: epoll_ctl on a closed descriptor
 *   would make libuv abort. The next socket can get the same number while libcurl believes to be waiting for it
 *   already.
 * - The peer closes a connection that nobody uses: watching stops, and libcurl notices on the next use.
 * - uv stops a handle by itself on POLLERR: it is started again unless libcurl let go. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/http_internal.h"

static void watch(struct http_socket *s, int mask);

static struct http_socket *find(const struct http_pool *pool, curl_socket_t fd) {
    return fd >= 0 && (size_t)fd < pool->socket_cap ? pool->sockets[fd] : NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct http_socket *s = poll->data;
    if (status < 0)
        s->mask = 0;
    if (!s->active) {
        bool on = false;
        if (status >= 0)
            http_conn_stirred(&s->conn, &on);
        if (!on && !s->active)
            watch(s, 0);
        return;
    }
    /* Not CURL_CSELECT_ERR: libcurl would call it a send error, instead of asking the socket. */
    int what = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;
    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    int running;
    http_multi_ready(s->multi);
    curl_multi_socket_action(s->multi->curl, s->fd, what, &running);
    if (s->active)
        watch(s, s->want);
}

static void watch(struct http_socket *s, int mask) {
    if (mask == s->mask)
        return;
    s->mask = mask;
    if (mask == 0)
        uv_poll_stop(&s->poll);
    else
        uv_poll_start(&s->poll, mask, on_poll);
}

static int reserve(struct http_pool *pool, curl_socket_t fd) {
    if ((size_t)fd < pool->socket_cap)
        return 0;
    size_t cap = (size_t)fd * 2 + 64;
    struct http_socket **sockets = realloc(pool->sockets, cap * sizeof(struct http_socket *));
    if (sockets == NULL)
        return -1;
    memset(sockets + pool->socket_cap, 0, (cap - pool->socket_cap) * sizeof(struct http_socket *));
    pool->sockets = sockets;
    pool->socket_cap = cap;
    return 0;
}

static struct http_socket *find_or_add(struct http_pool *pool, curl_socket_t fd) {
    struct http_socket *s = find(pool, fd);
    if (s != NULL || reserve(pool, fd) < 0)
        return s;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (struct http_socket){.pool = pool, .fd = fd};
    if (uv_poll_init(pool->loop, &s->poll, fd) < 0) {
        free(s);
        return NULL;
    }
    uv_unref((uv_handle_t *)&s->poll);
    s->poll.data = s;
    pool->sockets[fd] = s;
    pool->handles++;
    return s;
}

int http_socket_event(CURL *easy, curl_socket_t fd, int what, void *multi, void *unused) {
    (void)easy, (void)unused;
    struct http_multi *m = multi;
    struct http_socket *s = what == CURL_POLL_REMOVE ? find(m->pool, fd) : find_or_add(m->pool, fd);
    if (s == NULL)
        return 0; /* out of memory: that transfer runs into its timeout */
    if (what == CURL_POLL_REMOVE) {
        s->active = false;
        watch(s, s->steady && s->mask != 0 ? UV_READABLE : 0);
        return 0;
    }
    s->multi = m;
    s->active = true;
    s->want = ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
    watch(s, s->want);
    return 0;
}

curl_socket_t http_socket_open(struct http_multi *m, const struct curl_sockaddr *address) {
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    struct http_socket *s = find_or_add(m->pool, fd);
    if (s == NULL) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    s->steady = false;
    if (s->mask != 0) { /* the number's last socket was closed behind our back */
        watch(s, 0);
        watch(s, s->active ? s->want : 0);
    }
    m->pool->stats.connections++;
    return fd;
}

void http_socket_keep(struct http_pool *pool, curl_socket_t fd) {
    struct http_socket *s = find(pool, fd);
    if (s == NULL)
        return;
    s->steady = true;
    if (!s->active)
        watch(s, UV_READABLE);
}

struct http_conn *http_socket_conn(struct http_pool *pool, curl_socket_t fd) {
    struct http_socket *s = find(pool, fd);
    return s != NULL ? &s->conn : NULL;
}

int http_socket_close(void *pool, curl_socket_t fd) {
    struct http_socket *s = find(pool, fd);
    if (s != NULL) {
        http_conn_gone(&s->conn);
        s->active = s->steady = false;
        watch(s, 0);
    }
    return close(fd);
}

static void on_closed(uv_handle_t *handle) {
    struct http_socket *s = handle->data;
    http_handle_closed(s->pool);
    free(s);
}

void http_socket_close_handles(struct http_pool *pool) {
    for (size_t fd = 0; fd < pool->socket_cap; fd++)
        if (pool->sockets[fd] != NULL)
            uv_close((uv_handle_t *)&pool->sockets[fd]->poll, on_closed);
}
