/* Starts, pauses, kills and restarts a redis-server for a test. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_DEADLINE_MS 20000

static _Noreturn void die(const char *what) {
    fprintf(stderr, "redis_server: %s: %s\n", what, strerror(errno));
    exit(99);
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

#define BUS      10000 /* a cluster's node also listens so many ports higher */
#define PORT_MAX (65535 - BUS)

/* 0: it is not. */
static uint16_t free_port(uint16_t wanted) {
    struct sockaddr_in sa = loopback(wanted);
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("no socket");
    bool is_free =
        bind(fd, (struct sockaddr *)&sa, len) == 0 && getsockname(fd, (struct sockaddr *)&sa, &len) == 0;
    close(fd);
    return is_free ? ntohs(sa.sin_port) : 0;
}

uint16_t redis_server_free_port(void) {
    for (int i = 0; i < 1000; i++) {
        uint16_t port = free_port(0);
        if (port != 0 && port <= PORT_MAX && free_port((uint16_t)(port + BUS)) != 0)
            return port;
    }
    die("no free port that is low enough");
}

/* Whether the server answers PING with anything. On its own socket, where it has one: at the port may be another. */
static bool answers(const struct redis_server *s) {
    struct sockaddr_in in = loopback(s->port);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 1};
    char answer[1];
    bool own = s->socket[0] != '\0';
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", s->socket);
    int fd = socket(own ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    bool ok = fd >= 0 &&
              connect(fd, own ? (struct sockaddr *)&un : (struct sockaddr *)&in,
                      own ? sizeof(un) : sizeof(in)) == 0 &&
              send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && recv(fd, answer, 1, 0) == 1;
    close(fd);
    return ok;
}

static void run_child(const struct redis_server *s) {
    char log[64];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(log, sizeof(log), "%s/log", s->dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(98);
    signal(SIGPIPE, SIG_DFL);
    const char *other = getenv("TESTS_REDIS"); /* valkey-server */
    execvp(other != NULL ? other : "redis-server", (char *const *)(uintptr_t)s->args);
    _exit(97);
}

static void print_log(const struct redis_server *s) {
    char line[512], log[64];
    snprintf(log, sizeof(log), "%s/log", s->dir);
    FILE *f = fopen(log, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        fputs(line, stderr);
    if (f != NULL)
        fclose(f);
}

static _Noreturn void not_started(const struct redis_server *s) {
    print_log(s);
    die("the server did not start; its log is above");
}

/* False: it ended, as one does whose port another has taken meanwhile. */
static bool launch(struct redis_server *s) {
    s->pid = fork();
    if (s->pid < 0)
        die("fork");
    if (s->pid == 0)
        run_child(s);
    int64_t deadline = now_ms() + START_DEADLINE_MS;
    while (!answers(s)) {
        int status;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid)
            return false;
        if (now_ms() > deadline)
            not_started(s);
        poll(NULL, 0, 5);
    }
    return true;
}

void redis_server_again(struct redis_server *s) {
    if (!launch(s))
        not_started(s);
}

static void take_port(struct redis_server *s) {
    s->port = redis_server_free_port();
    snprintf(s->port_text, sizeof(s->port_text), "%u", (unsigned)s->port);
}

static void prepare(struct redis_server *s) {
    *s = (struct redis_server){.dir = "/tmp/dray-redis-XXXXXX"};
    if (mkdtemp(s->dir) == NULL)
        die("mkdtemp");
    take_port(s);
}

void redis_server_start(struct redis_server *s, const char *const *args) {
    prepare(s);
    snprintf(s->socket, sizeof(s->socket), "%s/redis.sock", s->dir);
    const char *base[] = {"redis-server", "--port", s->port_text, "--unixsocket",
                          s->socket,      "--dir",  s->dir,       "--bind",
                          "127.0.0.1",    "--save", "",           "--enable-debug-command",
                          "yes"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(base) / sizeof(*base); i++)
        s->args[n++] = base[i];
    for (size_t i = 0; args != NULL && args[i] != NULL && n < REDIS_SERVER_ARGS_MAX - 1; i++)
        s->args[n++] = args[i];
    for (int i = 0; !launch(s); i++) {
        if (i == 5)
            not_started(s);
        take_port(s);
    }
}

void redis_server_start_sentinel(struct redis_server *s, uint16_t master_port, unsigned quorum) {
    prepare(s);
    snprintf(s->file, sizeof(s->file), "%s/sentinel.conf", s->dir);
    FILE *f = fopen(s->file, "w");
    if (f == NULL)
        die("sentinel.conf");
    fprintf(f,
            "port %s\nbind 127.0.0.1\ndir %s\n"
            "sentinel monitor master 127.0.0.1 %u %u\n"
            "sentinel down-after-milliseconds master 3000\n"
            "sentinel failover-timeout master 3000\n",
            s->port_text, s->dir, (unsigned)master_port, quorum);
    fclose(f);
    const char *base[] = {"redis-server", s->file, "--sentinel"};
    for (size_t i = 0; i < sizeof(base) / sizeof(*base); i++)
        s->args[i] = base[i];
    redis_server_again(s);
}

void redis_server_kill(struct redis_server *s) {
    if (s->pid == 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void redis_server_pause(struct redis_server *s) {
    int status;
    kill(s->pid, SIGSTOP);
    waitpid(s->pid, &status, WUNTRACED);
}

void redis_server_resume(struct redis_server *s) {
    kill(s->pid, SIGCONT);
}

void redis_server_stop(struct redis_server *s) {
    char command[80];
    redis_server_kill(s);
    snprintf(command, sizeof(command), "rm -rf '%s'", s->dir);
    if (s->dir[0] != '\0' && system(command) != 0)
        die("rm");
    s->dir[0] = '\0';
}
