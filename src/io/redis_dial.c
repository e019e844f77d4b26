/* Opens the socket of one Redis connection.
 *
 * Happy path: timer(0) → numeric address, or uv_getaddrinfo → connect(2) → writable → done(fd).
 * Failure modes: the name is not found or not in time; an address refuses, is unreachable or
 * silent: the next one is tried, and the last one's reason is reported. A look-up that is too slow
 * can't be stopped (the thread sits in getaddrinfo); it is left alone and frees itself when it
 * returns.
 *
 * Every handle is an allocation of its own that its close callback frees, so that a dial can go at
 * any moment. */
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
    struct lookup *lookup;         /* or NULL */
    struct addrinfo *found;        /* or NULL */
    const struct addrinfo *trying; /* in `found`; NULL for a Unix socket */
    bool named;                    /* the host is a name, so reasons tell the address */
    uv_poll_t *poll;               /* or NULL */
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

static void finish(struct redis_dial *d, int fd) {
    struct redis_dial gone = *d;
    d->fd = -1;
    dial_free(d);
    gone.done(gone.arg, fd, fd >= 0 ? "" : gone.reason);
}

/* Notes why the address at hand did not work. */
static void note(struct redis_dial *d, const char *what) {
    char numeric[INET6_ADDRSTRLEN] = "";
    if (d->named && d->trying != NULL)
        getnameinfo(d->trying->ai_addr, d->trying->ai_addrlen, numeric, sizeof(numeric), NULL, 0,
                    NI_NUMERICHOST);
    if (numeric[0] != '\0')
        snprintf(d->reason, sizeof(d->reason), "%s (%s)", what, numeric);
    else
        snprintf(d->reason, sizeof(d->reason), "%s", what);
}

static void note_timeout(struct redis_dial *d, const char *what) {
    char text[96];
    snprintf(text, sizeof(text), "%s within %u ms", what, (unsigned)d->timeout_ms);
    note(d, text);
}

static void set_options(int fd, int family) {
    int one = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S,
        probes = KEEPALIVE_PROBES;
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
        d->trying = d->trying->ai_next;
    try_next(d);
}

static void on_connected(uv_poll_t *poll, int status, int events) {
    struct redis_dial *d = poll->data;
    (void)events;
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0 && status < 0)
        error = -status; /* libuv says EBADF for all that ails a socket: only where it knows no
                            better */
    if (error != 0) {
        note(d, uv_strerror(-error));
        fail_address(d);
        return;
    }
    finish(d, d->fd);
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
        d->trying = d->trying->ai_next;
    }
    finish(d, -1);
}

static void dial_unix(struct redis_dial *d) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t len = strlen(d->address.unix_path);
    if (len >= sizeof(sa.sun_path)) {
        note(d, "the socket's path is too long (108 bytes at most)");
        finish(d, -1);
        return;
    }
    memcpy(sa.sun_path, d->address.unix_path, len);
    int rc = open_socket(d, (struct sockaddr *)&sa, sizeof(sa));
    if (rc != 0) {
        note(d, uv_strerror(rc));
        finish(d, -1);
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
        snprintf(d->reason, sizeof(d->reason), "cannot resolve %s: %s", d->address.host,
                 uv_strerror(status));
        finish(d, -1);
        return;
    }
    d->found = found;
    d->trying = found;
    try_next(d);
}

static void on_lookup_timeout(uv_timer_t *timer) {
    struct redis_dial *d = timer->data;
    note_timeout(d, "the name was not resolved");
    finish(d, -1);
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
        finish(d, -1);
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
    const struct addrinfo numeric = {.ai_family = AF_UNSPEC,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(d->address.host, port, &numeric, &d->found) != 0) {
        d->found = NULL;
        look_up(d, port);
        return;
    }
    d->trying = d->found;
    try_next(d);
}

struct redis_dial *redis_dial_start(uv_loop_t *loop, const struct redis_address *address,
                                    uint32_t timeout_ms, redis_dial_fn done, void *arg) {
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
    uv_timer_init(loop, timer);
    timer->data = d;
    uv_timer_start(timer, on_start, 0, 0);
    return d;
}

void redis_dial_cancel(struct redis_dial *d) {
    if (d != NULL)
        dial_free(d);
}
