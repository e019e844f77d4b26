/* HTTP connections: which one a request is on, and whether it may be.
 *
 * Happy path: right before a request is written, libcurl says which addresses its connection has; the local
 * port names the connection. A connection that was opened for this request is noted then. When the request is
 * done, the connection is idle and watched: a byte that nobody asked for, or its end, is seen when it comes.
 * Failure modes: the connection is spoiled, was idle for too long, is closed, or bytes wait on it: the request
 * takes another one (http_call.c), and nothing of it was sent. Where more addresses were tried than are
 * remembered, the connection is not known for sure: it carries the request that it was opened for, and no
 * other. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "io/http_internal.h"

static struct http_conn *find(struct http_pool *pool, const char *ip, int port, int local_port) {
    struct http_conn *k;
    LIST_FOREACH(k, &pool->conns[local_port % HTTP_CONN_BUCKETS], bucket_link)
    if (k->local_port == local_port && k->port == port && strcmp(k->ip, ip) == 0)
        return k;
    return NULL;
}

static int local_port_of(curl_socket_t fd) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return -1;
    if (a.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&a)->sin_port);
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port) : -1;
}

/* The connection that was opened for this call; NULL: it is not known. */
static struct http_conn *note(struct http_call *c, const char *ip, int port, int local_port) {
    for (uint32_t i = 0; i < c->opened_count && i < HTTP_OPENED; i++) {
        curl_socket_t fd = c->opened_fds[i];
        struct http_conn *k = http_socket_conn(c->pool, fd);
        if (k == NULL || k->bound || local_port_of(fd) != local_port)
            continue;
        *k = (struct http_conn){.pool = c->pool,
                                .multi = c->multi,
                                .host = c->bound->where,
                                .fd = fd,
                                .serial = k->serial,
                                .bound = true,
                                .port = port,
                                .local_port = local_port,
                                .idle_since_ms = http_now_ms()};
        strncpy(k->ip, ip, sizeof(k->ip) - 1);
        strcpy(k->owner, c->bound->owner);
        LIST_INSERT_HEAD(&c->pool->conns[local_port % HTTP_CONN_BUCKETS], k, bucket_link);
        http_silence_learn(c, k);
        return k;
    }
    return NULL;
}

static void unlist(struct http_conn *k) {
    if (k->listed)
        TAILQ_REMOVE(&k->host->idle, k, idle_link);
    k->listed = false;
}

void http_conn_spoil(struct http_conn *k) {
    k->spoiled = true;
    unlist(k);
    if (!k->multiplexed || k->users == 0)
        shutdown(k->fd, SHUT_RDWR); /* libcurl finds it closed and gives it up */
}

static bool is_fit(struct http_call *c, struct http_conn *k, uint64_t now_ms) {
    c->idle_ms = now_ms - k->idle_since_ms;
    if (k->spoiled || (k->used && k->users == 0 && !http_idle_allows(k, c->bound, now_ms)))
        return false;
    switch (http_silence(k)) {
    case LOOK_TALKS:
        http_silence_stray(k);
        return false;
    case LOOK_CLOSED:
        if (k->used && k->users == 0)
            http_idle_closed(k->host, c->idle_ms);
        return false;
    default:
        return true;
    }
}

bool http_conn_fit(struct http_call *c, const char *ip, int port, int local_port) {
    if (http_conn_holds(c)) /* a GET that libcurl repeats; streams of its connection go on */
        c->conn->users--;
    c->conn = NULL;
    if (local_port <= 0)
        return c->opened;
    struct http_conn *k = find(c->pool, ip, port, local_port);
    if (k == NULL && (k = note(c, ip, port, local_port)) == NULL)
        return c->opened;
    uint64_t now_ms = http_now_ms();
    if (!is_fit(c, k, now_ms)) {
        http_conn_spoil(k);
        return false;
    }
    unlist(k);
    c->conn = k;
    c->left_ms = now_ms;
    c->conn_serial = k->serial;
    c->reused = k->used;
    k->used = true;
    k->users++;
    if (k->multiplexed)
        http_refused_listen(c);
    return true;
}

bool http_conn_holds(const struct http_call *c) {
    return c->conn != NULL && c->conn->bound && c->conn->serial == c->conn_serial;
}

/* The peer closed it under a request: it had been idle for too long. */
static bool died(const struct http_call *c, CURLcode code) {
    return c->reused && (c->replay_refused || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
                         code == CURLE_SEND_ERROR);
}

static void time_answer(const struct http_call *c, struct http_conn *k, uint64_t now_ms) {
    uint64_t took = now_ms - c->left_ms + 1;
    if (k->answer_ms == 0 || took < k->answer_ms)
        k->answer_ms = took;
}

void http_conn_done(struct http_call *c, CURLcode code, uint64_t now_ms) {
    struct http_conn *k = c->conn;
    if (k != NULL && died(c, code))
        http_idle_closed(c->bound->where, c->idle_ms);
    if (!http_conn_holds(c))
        return;
    strcpy(k->owner, c->bound->owner);
    k->idle_since_ms = now_ms;
    if (code == CURLE_OK)
        time_answer(c, k, now_ms);
    if (--k->users == 0 && !k->spoiled && !c->says_close && (code == CURLE_OK || k->multiplexed)) {
        TAILQ_INSERT_HEAD(&k->host->idle, k, idle_link);
        k->listed = true;
        http_socket_keep(k->pool, k->fd);
    }
    if (c->early || (k->spoiled && k->users == 0))
        http_conn_spoil(k);
}

void http_doubt(struct http_call *call) {
    if (http_conn_holds(call))
        http_conn_spoil(call->conn);
}

void http_conn_stirred(struct http_conn *k, bool *watch) {
    *watch = false;
    if (!k->bound || !k->listed)
        return;
    switch (http_silence(k)) {
    case LOOK_TALKS:
        http_silence_stray(k);
        return;
    case LOOK_CLOSED:
        http_idle_closed(k->host, http_now_ms() - k->idle_since_ms);
        http_conn_spoil(k);
        return;
    default:
        *watch = !k->multiplexed; /* a ticket has been read; a frame has not */
    }
}

void http_conn_gone(struct http_conn *k) {
    if (!k->bound)
        return;
    unlist(k);
    LIST_REMOVE(k, bucket_link);
    k->bound = false;
    k->ssl = NULL;
    k->serial++;
}
