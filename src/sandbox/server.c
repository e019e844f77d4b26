/* The sandbox's server: libmicrohttpd (epoll) in one thread of ours, which also keeps the time of
 * delayed answers. Everything but the start and the stop happens in that thread.
 *
 * A request: its headers come, its body is gathered, then it is handled at once. An answer that is
 * due later is kept with its connection suspended until then; a client that leaves meanwhile is
 * noticed when it is due. A hang-up is libmicrohttpd's reaction to a handler that says no. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/internal.h"

/* Delayed answers are due at whole ticks: libmicrohttpd walks over all suspended connections
 * whenever one is resumed, so they are resumed together. */
#define TICK_NS   1000000u
#define NODES_MAX 200000 /* JSON values in a request */

static bool is_control(const char *path) {
    return strncmp(path, "/_sandbox", 9) == 0 && (path[9] == '\0' || path[9] == '/');
}

static void handle_provider(struct sandbox *s, struct request *r, struct reply *reply) {
    uint16_t i = 0;
    while (i < endpoint_count && strcmp(r->path, endpoints[i].path) != 0)
        i++;
    if (strcmp(r->method, "GET") == 0 || lookup_is_search(r->path)) {
        lookup_handle(s, r, reply);
    } else if (i == endpoint_count) {
        reply_nowhere(s, reply);
    } else if (strcmp(r->method, "POST") == 0) {
        create_handle(s, r, i, reply);
    } else {
        reply_error(s, i, reply, 405, "status", "only POST and GET are played here");
    }
}

static void dispatch(struct sandbox *s, struct request *r, struct reply *reply) {
    if (is_control(r->path))
        control_handle(s, r, reply);
    else
        handle_provider(s, r, reply);
}

/* Handles the request. Its answer is ready afterwards. */
static void prepare(struct sandbox *s, struct request *r, uint64_t *delay_ms) {
    struct reply reply = {.kind = REPLY_SEND, .status = 500, .content_type = "application/json"};
    buf_reset(&s->out);
    dispatch(s, r, &reply);
    r->prepared = true;
    r->kind = reply.kind;
    r->status = reply.status;
    if (reply.kind != REPLY_HANGUP && buf_ok(&s->out))
        r->response = response_make(s, &reply);
    if (reply.again_ms > 0)
        response_keep_for_again(s, r, &reply);
    r->keep_ms = reply.keep_ms > 0 ? reply.keep_ms : s->trouble.keep_ms;
    *delay_ms = reply.delay_ms;
    if (s->out.cap > BODY_MAX * 4)
        buf_deinit(&s->out), buf_init(&s->out, OUT_MAX);
}

static bool delay(struct sandbox *s, struct request *r, uint64_t ms) {
    uint64_t due_ns = clock_boot_ns() + ms * 1000000;
    r->due_ns = due_ns - due_ns % TICK_NS + TICK_NS;
    if (delays_push(&s->delays, r) != 0)
        return false;
    MHD_suspend_connection(r->connection);
    return true;
}

static struct line *line_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **line,
                          enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *line = line_opened(fd);
    } else {
        line_closed(arg, *line);
        *line = NULL;
    }
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state) {
    struct sandbox *s = arg;
    struct request *r = *state;
    (void)version;
    if (r == NULL) {
        *state = sandbox_request_new(s, connection, method, path);
        if (line_of(connection) != NULL)
            line_request_begins(s, line_of(connection));
        return *state == NULL ? MHD_NO : MHD_YES;
    }
    if (*size > 0) {
        if (r->too_large || r->body.len + *size > BODY_MAX)
            r->too_large = true;
        else
            buf_add(&r->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!r->prepared) {
        uint64_t delay_ms;
        prepare(s, r, &delay_ms);
        if (delay_ms > 0 && delay(s, r, delay_ms))
            return MHD_YES;
    }
    /* No response: the connection is closed. */
    return r->response == NULL ? MHD_NO : MHD_queue_response(connection, r->status, r->response);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    if (*state != NULL && why == MHD_REQUEST_TERMINATED_COMPLETED_OK && line_of(connection) != NULL)
        line_answered(arg, line_of(connection), *state);
    if (*state != NULL)
        sandbox_request_done(arg, *state);
    *state = NULL;
}

static void resume_due(struct sandbox *s, uint64_t now_ns) {
    struct request *r;
    while ((r = delays_top(&s->delays)) != NULL && r->due_ns <= now_ns) {
        delays_remove(&s->delays, r);
        MHD_resume_connection(r->connection);
    }
}

/* Waits until libmicrohttpd or a delayed answer wants to go on. */
static void wait_for_work(struct sandbox *s, bool *stop) {
    struct pollfd fds[] = {{s->epoll_fd, POLLIN, 0}, {s->stop_fd, POLLIN, 0}};
    struct timespec *timeout = NULL, ts;
    MHD_UNSIGNED_LONG_LONG mhd_ms;
    uint64_t wait_ns = UINT64_MAX, now_ns = clock_boot_ns();
    if (MHD_get_timeout(s->daemon, &mhd_ms) == MHD_YES)
        wait_ns = mhd_ms * 1000000;
    const struct request *next = delays_top(&s->delays);
    uint64_t due_ns = lines_next_ns(s);
    if (next != NULL && next->due_ns < due_ns)
        due_ns = next->due_ns;
    if (due_ns != UINT64_MAX) {
        uint64_t left = due_ns > now_ns ? due_ns - now_ns : 0;
        wait_ns = left < wait_ns ? left : wait_ns;
    }
    if (wait_ns != UINT64_MAX) {
        ts = (struct timespec){(time_t)(wait_ns / 1000000000), (long)(wait_ns % 1000000000)};
        timeout = &ts;
    }
    ppoll(fds, 2, timeout, NULL);
    *stop = (fds[1].revents & POLLIN) != 0;
}

static void *serve(void *arg) {
    struct sandbox *s = arg;
    for (bool stop = false; !stop;) {
        wait_for_work(s, &stop);
        resume_due(s, clock_boot_ns());
        lines_act(s, clock_boot_ns());
        MHD_run(s->daemon);
    }
    resume_due(s, UINT64_MAX); /* libmicrohttpd wants no suspended connection when it stops */
    MHD_run(s->daemon);
    return NULL;
}

/* As many connections as the system lets this process have. */
static unsigned raise_connection_limit(void) {
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return 1000;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
    getrlimit(RLIMIT_NOFILE, &l);
    rlim_t spare = l.rlim_cur > 200 ? l.rlim_cur - 100 : l.rlim_cur / 2;
    return spare > 60000 ? 60000 : (unsigned)spare;
}

static int listen_on(struct sandbox *s, struct err *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE}, *a;
    char port[8];
    snprintf(port, sizeof port, "%u", s->options.port);
    int rc = getaddrinfo(s->options.host, port, &hints, &a);
    if (rc != 0)
        return err_set(err, "%s: %s", s->options.host, gai_strerror(rc));
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
        err_set(err, "cannot listen on %s:%s: %s", s->options.host, port, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    } else {
        char name[8];
        getnameinfo((struct sockaddr *)&bound, len, NULL, 0, name, sizeof name, NI_NUMERICSERV);
        s->port = (uint16_t)atoi(name);
    }
    freeaddrinfo(a);
    return fd;
}

static int start_daemon(struct sandbox *s, struct err *err) {
    int fd = listen_on(s, err);
    if (fd < 0)
        return -1;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL,
        NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT, raise_connection_limit(),
        MHD_OPTION_END);
    if (s->daemon == NULL) {
        close(fd);
        return err_set(err, "libmicrohttpd does not start");
    }
    s->epoll_fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return 0;
}

static int find_modules(struct sandbox *s, struct err *err) {
    for (uint16_t i = 0; i < endpoint_count; i++) {
        s->modules[i] = provider_find(endpoints[i].name);
        if (s->modules[i] == NULL && i != ENDPOINT_JSON)
            return err_set(err, "there is no provider %s", endpoints[i].name);
    }
    return 0;
}

static void sandbox_free(struct sandbox *s) {
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    while (s->free_requests != NULL) {
        struct request *next = s->free_requests->next_free;
        buf_deinit(&s->free_requests->body);
        free(s->free_requests);
        s->free_requests = next;
    }
    delays_deinit(&s->delays);
    callers_deinit(s);
    tally_deinit(&s->tally);
    buf_deinit(&s->out);
    buf_deinit(&s->scratch);
    json_deinit(&s->doc);
    json_deinit(&s->stored_doc);
    faults_deinit(&s->faults);
    free(s);
}

void sandbox_options_init(struct sandbox_options *o) {
    *o = (struct sandbox_options){.host = "127.0.0.1",
                                  .trouble = {.slow_ms = 5000},
                                  .seed = 1,
                                  .remember = 1000000,
                                  .memory = 1ull << 30};
}

struct sandbox *sandbox_start(const struct sandbox_options *options, struct err *err) {
    struct sandbox *s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, "out of memory"), NULL;
    s->options = *options;
    s->trouble = options->trouble;
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->callers = calloc(CALLERS_MAX, sizeof *s->callers);
    buf_init(&s->out, OUT_MAX);
    buf_init(&s->scratch, BODY_MAX);
    json_init(&s->doc, NODES_MAX);
    json_init(&s->stored_doc, NODES_MAX);
    faults_init(&s->faults);
    rng_seed(&s->rng, options->seed);
    if (s->stop_fd < 0 || s->callers == NULL)
        err_set(err, "out of memory or of file descriptors");
    else if (tally_init(&s->tally, options->remember, options->memory, err) == 0 &&
             find_modules(s, err) == 0 && start_daemon(s, err) == 0) {
        int rc = pthread_create(&s->thread, NULL, serve, s);
        if (rc == 0)
            return s;
        err_set(err, "no thread: %s", strerror(rc));
    }
    sandbox_free(s);
    return NULL;
}

uint16_t sandbox_port(const struct sandbox *s) {
    return s->port;
}

void sandbox_stop(struct sandbox *s, struct sandbox_totals *totals) {
    if (s == NULL)
        return;
    const uint64_t one = 1;
    ssize_t n = write(s->stop_fd, &one, sizeof one);
    (void)n; /* an eventfd at 0 takes it */
    pthread_join(s->thread, NULL);
    if (totals != NULL)
        *totals = s->tally.totals;
    sandbox_free(s);
}
