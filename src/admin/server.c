/* The server: libmicrohttpd in external epoll mode on the worker's loop.
 *
 * Happy path: the epoll descriptor is readable → MHD_run → on_request (headers: routed; body:
 * gathered; end: handled) → the answer is queued. A handler that needs Redis waits: its connection
 * is suspended until the reply (request.c). Failure modes: Redis does not answer in ADMIN_WAIT_MS: 503. A body
 * above 1 MiB: 413. Headers above HEADERS_MAX: 431 by libmicrohttpd. A slow client is cut off
 * (clients.c). Too many connections: more wait in the listen queue until one ends. */
#include "admin/admin.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_MAX (16u << 10) /* memory of one connection: its headers and its write buffer */
#define IDLE_S      15u
#define REFRESH_MS  5000

static void run(struct admin *a);

static void on_timeout(uv_timer_t *timer) {
    run(timer->data);
}

static struct client *client_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static enum MHD_Result send_answer(struct request *r) {
    struct MHD_Response *response = answer_response(r);
    if (response == NULL)
        return MHD_NO;
    if (r->status >= 400)
        r->admin->refused++;
    enum MHD_Result queued = MHD_queue_response(r->connection, r->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result gather(struct request *r, const char *data, size_t *size) {
    buf_add(&r->body, data, *size);
    *size = 0;
    return buf_ok(&r->body) ? MHD_YES : MHD_NO; /* a chunked body that is too large: hang up */
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state) {
    struct request *r = *state;
    (void)version;
    if (r == NULL) {
        *state = r = request_new(arg, connection);
        if (r == NULL)
            return MHD_NO;
        clients_touch(client_of(connection));
        return route(r, method, path) ? MHD_YES : send_answer(r);
    }
    if (*size > 0)
        return gather(r, data, size);
    if (r->status == 0)
        r->route->handle(r);
    if (r->status == 0)
        return MHD_YES; /* suspended */
    return send_answer(r);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    (void)arg, (void)why;
    if (*state != NULL)
        request_free(*state);
    *state = NULL;
    clients_touch(client_of(connection));
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    struct client *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = c = calloc(1, sizeof(*c));
        if (c == NULL)
            abort(); /* Redis holds every job's state; another worker recovers */
        c->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        clients_started(arg, c);
    } else if (c != NULL) {
        clients_remove(c);
        free(c);
        *context = NULL;
    }
}

static void run(struct admin *a) {
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(a->daemon);
    if (MHD_get_timeout(a->daemon, &ms) == MHD_YES)
        uv_timer_start(&a->timeout, on_timeout, ms, 0);
    else
        uv_timer_stop(&a->timeout);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    run(poll->data);
}

/* ---- start and end ---- */

static int bind_to(const struct addrinfo *address) {
    int one = 1, fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, 511) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* "host:port" or "[::1]:port", as the configuration has checked. */
static int listen_on(const char *where, struct err *err) {
    char host[256];
    const char *colon = strrchr(where, ':');
    size_t n = colon != NULL ? (size_t)(colon - where) : 0;
    if (colon == NULL || n >= sizeof(host))
        return err_set(err, "[admin] listen: %s is no host:port", where);
    bool brackets = n > 1 && where[0] == '[';
    snprintf(host, sizeof(host), "%.*s", (int)(brackets ? n - 2 : n), brackets ? where + 1 : where);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE}, *a;
    int rc = getaddrinfo(host, colon + 1, &hints, &a);
    if (rc != 0)
        return err_set(err, "[admin] listen: %s: %s", where, gai_strerror(rc));
    int fd = bind_to(a);
    if (fd < 0)
        err_set(err, "[admin] listen: cannot listen on %s: %s%s", where, strerror(errno),
                errno == EADDRINUSE ? "; is another worker running here? Choose another port, or off" : "");
    freeaddrinfo(a);
    return fd;
}

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strncmp(host, "::ffff:127.", 11) == 0;
}

static void note_address(struct admin *a, int fd) {
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char host[64], port[8];
    struct log_line l;
    a->beyond_loopback = true;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0 ||
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    a->beyond_loopback = !is_loopback(host);
    if (!log_begin(&l, LOG_INFO, "admin_listening"))
        return;
    log_str(&l, "host", host);
    log_u64(&l, "port", strtoull(port, NULL, 10));
    log_end(&l);
}

static struct MHD_Daemon *start_daemon(struct admin *a, int fd) {
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, a,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, ADMIN_CONNECTIONS,
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)HEADERS_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, a, MHD_OPTION_END);
}

static void init_handles(struct admin *a) {
    uv_timer_init(a->loop, &a->timeout);
    uv_timer_init(a->loop, &a->cutter);
    uv_timer_init(a->loop, &a->waiting);
    uv_timer_init(a->loop, &a->refresh);
    uv_poll_init(a->loop, &a->poll, MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    a->timeout.data = a->cutter.data = a->waiting.data = a->refresh.data = a->poll.data = a;
    a->on_timeout = on_timeout;
    a->open_handles = 5;
    uv_poll_start(&a->poll, UV_READABLE, on_readable);
}

int admin_new(struct admin **out, uv_loop_t *loop, const struct config *config, struct err *err) {
    *out = NULL;
    if (strcmp(config->admin_listen, "off") == 0)
        return 0;
    struct admin *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return err_set(err, "out of memory");
    a->loop = loop;
    letter_init(&a->letter);
    int fd = listen_on(config->admin_listen, err);
    if (fd >= 0) {
        note_address(a, fd);
        a->daemon = start_daemon(a, fd);
        if (a->daemon == NULL) {
            close(fd);
            err_set(err, "the admin server does not start: %s", strerror(errno));
        }
    }
    if (a->daemon == NULL) {
        free(a);
        return -1;
    }
    init_handles(a);
    *out = a;
    return 0;
}

static void on_read(void *arg) {
    api_read(arg);
}

static void on_refresh(uv_timer_t *timer) {
    views_read(&((struct admin *)timer->data)->views);
}

void admin_watch(struct admin *a, struct worker *w) {
    if (a == NULL || w->mode == WORKER_STOPPED)
        return; /* it could not start, and ends */
    uint64_t beat = w->boot->lease_ms / 3, every = beat < REFRESH_MS ? beat : REFRESH_MS;
    views_init(&a->views, w, on_read, a);
    a->worker = w;
    uv_timer_start(&a->refresh, on_refresh, 100, every);
}

static void on_closed(uv_handle_t *handle) {
    struct admin *a = handle->data;
    if (--a->open_handles > 0)
        return;
    views_deinit(&a->views);
    letter_deinit(&a->letter);
    free(a);
}

void admin_close(struct admin *a) {
    if (a == NULL)
        return;
    a->closing = true;
    while (a->wait_first != NULL) {
        answer_error(a->wait_first, 503, "stopping", "the worker is stopping");
        request_done(a->wait_first);
    }
    MHD_run(a->daemon); /* lets what was resumed be answered: none may be suspended below */
    uv_handle_t *handles[] = {(uv_handle_t *)&a->poll, (uv_handle_t *)&a->timeout, (uv_handle_t *)&a->cutter,
                              (uv_handle_t *)&a->waiting, (uv_handle_t *)&a->refresh};
    uv_poll_stop(&a->poll);
    MHD_stop_daemon(a->daemon);
    for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
        uv_close(handles[i], on_closed);
}
