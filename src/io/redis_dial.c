/* Opens the socket of one Redis connection.
 *
 * Happy path: timer(0) → numeric address, or uv_getaddrinfo → connect(2) → writable → done(fd).
 * Failure modes: the name is not found or not in time. An address refuses, is unreachable or silent, or the
 * caller rejects the server behind it: the next one is tried; the last one's reason is reported. A look-up of a
 * name that is too slow can't be stopped, as its thread sits in getaddrinfo: it is left alone and frees itself
 * when it returns.
 *
 * Every handle is an allocation of its own that its close callback frees, so that a dial can go at any moment. */
#include "io/redis_dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESSES_MAX        16 /* of one name that are tried */
#define KEEPALIVE_IDLE_S     15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES     3

struct lookup {
    uv_getaddrinfo_t req;
    struct redis_dial *dial; /* NULL: nobody waits any more */
};

struct redis_dial {
    uv_loop_t *loop;
    struct redis_address address;
    uint32_t timeout_ms;
    redis_dial_fn done;
    void *arg;
    uv_timer_t *timer;
    struct lookup *lookup;                           /* or NULL */
    struct sockaddr_storage last;                    /* to be tried last; family 0: none */
    struct addrinfo *found;                          /* or NULL */
    const struct addrinfo *order[ADDRESSES_MAX + 1]; /* of `found`, as they are tried, up to NULL */
    size_t at;                                       /* in `order` */
    const struct addrinfo *trying;                   /* order[at]; NULL for a Unix socket */
    bool named;                                      /* the host is a name, so reasons tell the address */
    uv_poll_t *poll;                                 /* or NULL */
    int fd;
    char reason[256];
};

static void free_handle(uv_handle_t *h) {
    free(h);
}

static void close_poll(struct redis_dial *d) {
    if (d->poll != NULL)
        uv_close((uv_handle_t *)d->poll, free_handle);
    d->poll = NULL;
}

static void dial_free(struct redis_dial *d) {
    close_poll(d);
    if (d->timer != NULL)
        uv_close((uv_handle_t *)d->timer, free_handle);
    if (d->lookup != NULL) {
        d->lookup->dial = NULL;
        uv_cancel((uv_req_t *)&d->lookup->req);
    }
    if (d->found != NULL)
        freeaddrinfo(d->found);
    if (d->fd >= 0)
        close(d->fd);
    free(d);
}

static void fail(struct redis_dial *d) {
    struct redis_dial gone = *d;
    dial_free(d);
    gone.done(gone.arg, -1, gone.reason);
}

void redis_dial_describe(const struct redis_dial *d, char *out, size_t size) {
    char numeric[INET6_ADDRSTRLEN] = "";
    if (d->named && d->trying != NULL)
        getnameinfo(d->trying->ai_addr, d->trying->ai_addrlen, numeric, sizeof(numeric), NULL, 0,
                    NI_NUMERICHOST);
    snprintf(out, size, numeric[0] != '\0' ? " (%s)" : "%s", numeric);
}

/* Notes why the address at hand did not work. */
static void note(struct redis_dial *d, const char *what) {
    char where[INET6_ADDRSTRLEN + 4];
    redis_dial_describe(d, where, sizeof(where));
    snprintf(d->reason, sizeof(d->reason), "%s%s", what, where);
}

static void note_timeout(struct redis_dial *d, const char *what) {
    char text[96];
    snprintf(text, sizeof(text), "%s within %u ms", what, (unsigned)d->timeout_ms);
    note(d, text);
}

static void set_options(int fd, int family) {
    int one = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S, probes = KEEPALIVE_PROBES;
    if (family == AF_UNIX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void try_next(struct redis_dial *d);

/* The address at hand failed. */
static void fail_address(struct redis_dial *d) {
    close_poll(d);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    if (d->trying != NULL)
        d->trying = d->order[++d->at];
    try_next(d);
}

/* The dial stays open, for the addresses that are left. */
static void succeed(struct redis_dial *d) {
    int fd = d->fd;
    d->fd = -1;
    close_poll(d);
    uv_timer_stop(d->timer);
    d->done(d->arg, fd, "");
}

static void on_connected(uv_poll_t *poll, int status, int events) {
    struct redis_dial *d = poll->data;
    (void)events;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0 && status < 0)
        /* libuv says EBADF for any fault of a socket: another reason is better, where there is one */
        error = -status;
    if (error != 0) {
        note(d, uv_strerror(-error));
        fail_address(d);
        return;
    }
    succeed(d);
}

static void on_connect_timeout(uv_timer_t *timer) {
    struct redis_dial *d = timer->data;
    note_timeout(d, "no connection");
    fail_address(d);
}

/* Returns 0 when connected or on the way; else a negative uv error. */
static int open_socket(struct redis_dial *d, const struct sockaddr *sa, socklen_t len) {
    d->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0)
        return -errno;
    set_options(d->fd, sa->sa_family);
    if (connect(d->fd, sa, len) != 0 && errno != EINPROGRESS)
        return -errno;
    d->poll = malloc(sizeof(*d->poll));
    if (d->poll == NULL)
        return UV_ENOMEM;
    int rc = uv_poll_init(d->loop, d->poll, d->fd);
    if (rc != 0) {
        free(d->poll);
        d->poll = NULL;
        return rc;
    }
    d->poll->data = d;
    uv_poll_start(d->poll, UV_WRITABLE, on_connected);
    return uv_timer_start(d->timer, on_connect_timeout, d->timeout_ms, 0);
}

static void try_next(struct redis_dial *d) {
    while (d->trying != NULL) {
        int rc = open_socket(d, d->trying->ai_addr, d->trying->ai_addrlen);
        if (rc == 0)
            return;
        note(d, uv_strerror(rc));
        if (d->fd >= 0)
            close(d->fd);
        d->fd = -1;
        d->trying = d->order[++d->at];
    }
    fail(d);
}

static void on_next(uv_timer_t *timer) {
    try_next(timer->data);
}

bool redis_dial_next(struct redis_dial *d) {
    if (d->trying == NULL || d->order[d->at + 1] == NULL)
        return false;
    d->trying = d->order[++d->at];
    uv_timer_start(d->timer, on_next, 0, 0);
    return true;
}

struct sockaddr_storage redis_dial_peer(const struct redis_dial *d) {
    struct sockaddr_storage peer = {0};
    if (d->trying != NULL)
        memcpy(&peer, d->trying->ai_addr, d->trying->ai_addrlen);
    return peer;
}

static bool is_last(const struct redis_dial *d, const struct addrinfo *a) {
    return d->last.ss_family != 0 && a->ai_addrlen <= sizeof(d->last) &&
           memcmp(a->ai_addr, &d->last, a->ai_addrlen) == 0;
}

/* Those beyond ADDRESSES_MAX are left out. */
static void try_all(struct redis_dial *d, struct addrinfo *found) {
    size_t n = 0;
    d->found = found;
    for (int round = 0; round < 2; round++)
        for (const struct addrinfo *a = found; a != NULL && n < ADDRESSES_MAX; a = a->ai_next)
            if (is_last(d, a) == (round == 1))
                d->order[n++] = a;
    d->trying = d->order[0];
    try_next(d);
}

static void dial_unix(struct redis_dial *d) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len = strlen(d->address.unix_path);
    if (len >= sizeof(sa.sun_path)) {
        note(d, "the socket's path is too long (108 bytes at most)");
        fail(d);
        return;
    }
    memcpy(sa.sun_path, d->address.unix_path, len);
    int rc = open_socket(d, (struct sockaddr *)&sa, sizeof(sa));
    if (rc != 0) {
        note(d, uv_strerror(rc));
        fail(d);
    }
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
    struct lookup *l = (struct lookup *)req->data;
    struct redis_dial *d = l->dial;
    free(l);
    if (d == NULL) {
        uv_freeaddrinfo(found);
        return;
    }
    d->lookup = NULL;
    if (status != 0) {
        snprintf(d->reason, sizeof(d->reason), "cannot resolve %s: %s", d->address.host, uv_strerror(status));
        fail(d);
        return;
    }
    try_all(d, found);
}

static void on_lookup_timeout(uv_timer_t *timer) {
    struct redis_dial *d = timer->data;
    note_timeout(d, "the name was not resolved");
    fail(d);
}

static void look_up(struct redis_dial *d, const char *port) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *l = calloc(1, sizeof(*l));
    int rc = UV_ENOMEM;
    d->named = true;
    if (l != NULL) {
        l->dial = d;
        l->req.data = l;
        rc = uv_getaddrinfo(d->loop, &l->req, on_lookup, d->address.host, port, &hints);
    }
    if (rc != 0) {
        free(l);
        note(d, uv_strerror(rc));
        fail(d);
        return;
    }
    d->lookup = l;
    uv_timer_start(d->timer, on_lookup_timeout, d->timeout_ms, 0);
}

static void on_start(uv_timer_t *timer) {
    struct redis_dial *d = timer->data;
    if (d->address.unix_path != NULL) {
        dial_unix(d);
        return;
    }
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)d->address.port);
    const struct addrinfo numeric = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(d->address.host, port, &numeric, &found) != 0)
        look_up(d, port);
    else
        try_all(d, found);
}

struct redis_dial *redis_dial_start(uv_loop_t *loop, const struct redis_address *address,
                                    const struct sockaddr_storage *last, uint32_t timeout_ms,
                                    redis_dial_fn done, void *arg) {
    struct redis_dial *d = calloc(1, sizeof(*d));
    uv_timer_t *timer = malloc(sizeof(*timer));
    if (d == NULL || timer == NULL) {
        free(d);
        free(timer);
        return NULL;
    }
    *d = (struct redis_dial){.loop = loop,
                             .address = *address,
                             .timeout_ms = timeout_ms,
                             .done = done,
                             .arg = arg,
                             .timer = timer,
                             .fd = -1};
    if (last != NULL)
        d->last = *last;
    uv_timer_init(loop, timer);
    timer->data = d;
    uv_timer_start(timer, on_start, 0, 0);
    return d;
}

void redis_dial_cancel(struct redis_dial *d) {
    if (d != NULL)
        dial_free(d);
}
