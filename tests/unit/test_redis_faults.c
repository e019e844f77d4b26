/* The Redis connection when the server dies, hangs, refuses, or is cut off at any byte: every
 * callback is called exactly once, in order, and the connection comes back by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/redis_parts.h"
#include "redis_client.h"
#include "redis_server.h"

static struct redis_server server;
static struct client c;

/* Without HELLO, as behind some proxies; and its answer has one length then. */
static int start_server(void **state) {
    static const char *const args[] = {"--rename-command", "HELLO", "", NULL};
    (void)state;
    redis_server_start(&server, args);
    return 0;
}

static int stop_server(void **state) {
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static void connect_to(uint16_t port) {
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = port;
    client_connect(&c);
}

static bool has_come_back(void *arg) {
    (void)arg;
    return c.ups == 2;
}

/* --- loss --- */

#define PENDING 100

static void assert_all_failed(struct answer *a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a[i].calls, 1);
        assert_false(a[i].got_reply);
        assert_int_equal(a[i].order, i + 1);
        assert_int_not_equal(a[i].text[0], '\0');
    }
}

static void test_killed_with_commands_pending(void **state) {
    (void)state;
    struct answer a[PENDING], after;
    connect_to(server.port);
    client_wait_up(&c);
    redis_server_pause(&server);
    for (size_t i = 0; i < PENDING; i++)
        client_send(&c, &a[i], "INCR n", 0);
    redis_flush(c.conn);
    redis_server_kill(&server);
    client_wait_down(&c);
    assert_all_failed(a, PENDING);
    assert_int_equal(c.callbacks_at_down, PENDING);
    redis_server_again(&server);
    assert_true(client_wait(&c, has_come_back, NULL));
    client_do(&c, &after, "PING");
    assert_string_equal(after.text, "PONG");
    assert_true(redis_conn_stats(c.conn).reconnects >= 1);
    assert_int_equal(c.callbacks, PENDING + 1);
    client_deinit(&c);
}

static void test_command_timeout(void **state) {
    (void)state;
    struct answer a[3];
    client_init(&c);
    c.options.unix_path = server.socket;
    c.options.command_timeout_ms = 100;
    client_connect(&c);
    client_wait_up(&c);
    redis_server_pause(&server);
    for (size_t i = 0; i < 3; i++)
        client_send(&c, &a[i], "PING", 0);
    client_wait_down(&c);
    redis_server_resume(&server);
    assert_all_failed(a, 3);
    assert_string_equal(a[0].text, "a command was not answered within 100 ms");
    assert_string_equal(c.reason, a[0].text);
    assert_true(client_wait(&c, has_come_back, NULL));
    client_deinit(&c);
}

static void test_answers_that_waited_for_a_paused_process(void **state) {
    (void)state;
    struct answer a;
    client_init(&c);
    c.options.unix_path = server.socket;
    c.options.command_timeout_ms = 50;
    client_connect(&c);
    client_wait_up(&c);
    client_send(&c, &a, "PING", 0);
    redis_flush(c.conn);
    poll(NULL, 0, 100); /* this process is away for longer than the timeout */
    client_wait_answer(&c, &a);
    assert_string_equal(a.text, "PONG");
    assert_int_equal(c.downs, 0);
    client_deinit(&c);
}

static void test_close_with_commands_pending(void **state) {
    (void)state;
    struct answer a[10];
    connect_to(server.port);
    client_wait_up(&c);
    redis_server_pause(&server);
    for (size_t i = 0; i < 10; i++)
        client_send(&c, &a[i], "PING", 0);
    client_close(&c);
    redis_server_resume(&server);
    assert_all_failed(a, 10);
    assert_string_equal(a[0].text, "the connection was closed");
    assert_int_equal(c.downs, 0);
    client_deinit(&c);
}

static void close_now(void *arg, const redisReply *reply, const char *error) {
    (void)reply, (void)error;
    bool *closed = arg;
    if (!*closed)
        redis_conn_close(c.conn, NULL, NULL);
    *closed = true;
}

static void test_close_in_a_reply_callback(void **state) {
    (void)state;
    struct answer before, after;
    bool closed = false;
    connect_to(server.port);
    client_wait_up(&c);
    client_send(&c, &before, "PING", 0);
    redis_command(c.conn, close_now, &closed, "PING");
    client_send(&c, &after, "PING", 0);
    client_wait_answer(&c, &after);
    assert_true(before.got_reply);
    assert_true(closed);
    assert_false(after.got_reply);
    c.conn = NULL;
    client_deinit(&c);
}

static void test_close_while_callbacks_fail(void **state) {
    (void)state;
    struct answer before, after;
    bool closed = false;
    connect_to(server.port);
    client_wait_up(&c);
    redis_server_pause(&server);
    client_send(&c, &before, "PING", 0);
    redis_command(c.conn, close_now, &closed, "PING");
    client_send(&c, &after, "PING", 0);
    redis_flush(c.conn);
    redis_server_kill(&server);
    client_wait_answer(&c, &after);
    assert_false(before.got_reply);
    assert_true(closed);
    assert_false(after.got_reply);
    c.conn = NULL;
    client_deinit(&c);
    redis_server_again(&server);
}

struct again {
    struct answer answer;
    unsigned failures;
};

static void send_again(void *arg, const redisReply *reply, const char *error) {
    struct again *again = arg;
    (void)error;
    assert_null(reply);
    assert_int_not_equal(redis_conn_state(c.conn), REDIS_UP);
    if (again->failures++ == 0)
        client_send(&c, &again->answer, "PING", 0);
    assert_int_equal(again->answer.calls, 0); /* never from within the call */
}

static void test_commands_given_while_down(void **state) {
    (void)state;
    struct again again = {0};
    connect_to(server.port);
    client_wait_up(&c);
    redis_server_pause(&server);
    redis_command(c.conn, send_again, &again, "PING");
    redis_flush(c.conn);
    redis_server_kill(&server);
    client_wait_down(&c);
    client_wait_answer(&c, &again.answer);
    assert_false(again.answer.got_reply);
    assert_string_equal(again.answer.text, c.reason);
    assert_int_equal(again.failures, 1);
    client_deinit(&c);
    redis_server_again(&server);
}

/* --- can't connect --- */

static bool has_failed_often(void *arg) {
    (void)arg;
    return c.downs >= 5;
}

static void test_refused(void **state) {
    (void)state;
    connect_to(redis_server_free_port());
    uint64_t start = uv_hrtime();
    assert_true(client_wait(&c, has_failed_often, NULL));
    /* Backoffs of at most 100, 200, 400 and 800 ms lie between five attempts. */
    assert_in_range((uv_hrtime() - start) / 1000000, 10, 3000);
    assert_string_equal(c.reason, "connection refused");
    assert_int_equal(redis_conn_stats(c.conn).reconnects, 4);
    client_deinit(&c);
}

static void test_backoff_grows_to_five_seconds(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    static const uint64_t ceilings[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
    for (uint32_t n = 0; n < 200; n++) {
        uint64_t ceiling = n < 9 ? ceilings[n] : 5000, most = 0;
        for (int i = 0; i < 1000; i++) {
            uint64_t ms = redis_backoff_ms(n, "connection refused", &rng);
            assert_in_range(ms, 1, ceiling);
            most = ms > most ? ms : most;
        }
        assert_true(most > ceiling * 9 / 10);
        assert_in_range(redis_backoff_ms(n, "NOAUTH x", &rng), 2500, 5000);
    }
}

static void test_no_such_socket(void **state) {
    (void)state;
    client_init(&c);
    c.options.unix_path = "/nonexistent/redis.sock";
    client_connect(&c);
    client_wait_down(&c);
    assert_string_equal(c.reason, "no such file or directory");
    assert_string_equal(redis_conn_place(c.conn), "/nonexistent/redis.sock");
    client_deinit(&c);
}

static void test_no_such_host(void **state) {
    (void)state;
    client_init(&c);
    c.options.host = "no-such-host.invalid";
    c.options.port = 1;
    client_connect(&c);
    client_wait_down(&c);
    assert_memory_equal(c.reason, "cannot resolve no-such-host.invalid: ", 36);
    client_deinit(&c);
}

static int listen_on_loopback(uint16_t *port, int backlog) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

static void test_silent_peer(void **state) {
    (void)state;
    uint16_t port;
    int fd = listen_on_loopback(&port, 8); /* the kernel accepts; nobody speaks */
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = port;
    c.options.connect_timeout_ms = 100;
    client_connect(&c);
    client_wait_down(&c);
    assert_string_equal(c.reason, "no answer to the greeting within 100 ms");
    client_deinit(&c);
    close(fd);
}

/* A listener whose queue is full: the kernel drops further attempts without a word. */
static void test_unreachable_peer(void **state) {
    (void)state;
    uint16_t port;
    int fd = listen_on_loopback(&port, 0), waiting[8];
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < 8; i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(waiting[i], (struct sockaddr *)&sa, sizeof(sa));
    }
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = port;
    c.options.connect_timeout_ms = 100;
    client_connect(&c);
    client_wait_down(&c);
    assert_string_equal(c.reason, "no connection within 100 ms");
    client_deinit(&c);
    for (size_t i = 0; i < 8; i++)
        close(waiting[i]);
    close(fd);
}

/* A peer that answers each connection with fixed bytes and then closes it. */
struct fake {
    int fd;
    const char *says;
    pthread_t thread;
};

static void *run_fake(void *arg) {
    struct fake *f = arg;
    int fd;
    while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
        ssize_t n = send(fd, f->says, strlen(f->says), MSG_NOSIGNAL);
        (void)n;
        shutdown(fd, SHUT_WR);
        char rest[4096];
        while (recv(fd, rest, sizeof(rest), 0) > 0) {
        }
        close(fd);
    }
    return NULL;
}

static void meet_fake(const char *says, const char *reason) {
    struct fake f = {.says = says};
    uint16_t port;
    f.fd = listen_on_loopback(&port, 8);
    assert_int_equal(pthread_create(&f.thread, NULL, run_fake, &f), 0);
    connect_to(port);
    client_wait_down(&c);
    assert_string_equal(c.reason, reason);
    assert_int_equal(c.ups, 0);
    client_deinit(&c);
    shutdown(f.fd, SHUT_RDWR);
    pthread_join(f.thread, NULL);
    close(f.fd);
}

static void test_peers_that_refuse_or_are_not_redis(void **state) {
    (void)state;
    meet_fake("", "the server closed the connection");
    meet_fake("HTTP/1.1 400 Bad Request\r\n\r\n", "Protocol error, got \"H\" as reply type byte");
    meet_fake("-ERR max number of clients reached\r\n", "ERR max number of clients reached");
    meet_fake("-LOADING Redis is loading the dataset in memory\r\n",
              "LOADING Redis is loading the dataset in memory");
    meet_fake("-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required.");
}

/* Answers the greeting and one command, then resets the connection. */
static void *run_resetting(void *arg) {
    const struct fake *f = arg;
    char b[4096];
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fd = accept(f->fd, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        const char *says = i == 0 ? "+OK\r\n-ERR no HELLO\r\n+PONG\r\n" : "+FIRST\r\n";
        assert_true(recv(fd, b, sizeof(b), 0) > 0);
        assert_int_equal(send(fd, says, strlen(says), MSG_NOSIGNAL), strlen(says));
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    return NULL;
}

/* What arrived before the connection broke did run, also if a write is the first to notice. */
static void test_answers_are_read_after_a_write_fails(void **state) {
    (void)state;
    struct answer first, second;
    struct fake f = {0};
    uint16_t port;
    f.fd = listen_on_loopback(&port, 8);
    assert_int_equal(pthread_create(&f.thread, NULL, run_resetting, &f), 0);
    connect_to(port);
    client_wait_up(&c);
    client_send(&c, &first, "PING", 0);
    redis_flush(c.conn);
    pthread_join(f.thread, NULL);
    client_send(&c, &second, "PING", 0);
    redis_flush(c.conn);
    assert_int_equal(first.calls + second.calls, 0); /* never from within the call */
    client_wait_down(&c);
    assert_string_equal(first.text, "FIRST");
    assert_int_equal(second.calls, 1);
    assert_false(second.got_reply);
    client_deinit(&c);
    close(f.fd);
}

/* --- cut off at any byte --- */

struct proxy {
    int listener;
    uint16_t port, to;
    size_t cut; /* bytes of the server's that get through */
    pthread_t thread;
};

static int dial_loopback(uint16_t port) {
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

/* One connection; ends when either side does or the last byte has passed. */
static void *run_proxy(void *arg) {
    struct proxy *p = arg;
    char b[4096];
    int client_fd = accept(p->listener, NULL, NULL), server_fd = dial_loopback(p->to);
    struct pollfd fds[2] = {{.fd = client_fd, .events = POLLIN}, {.fd = server_fd, .events = POLLIN}};
    size_t left = p->cut;
    while (left > 0 && poll(fds, 2, 10000) > 0) {
        ssize_t n;
        if (fds[0].revents != 0) {
            n = recv(client_fd, b, sizeof(b), 0);
            if (n <= 0 || send(server_fd, b, (size_t)n, MSG_NOSIGNAL) != n)
                break;
        }
        if (fds[1].revents != 0) {
            n = recv(server_fd, b, left < sizeof(b) ? left : sizeof(b), 0);
            if (n <= 0 || send(client_fd, b, (size_t)n, MSG_NOSIGNAL) != n)
                break;
            left -= (size_t)n;
        }
    }
    close(server_fd);
    close(client_fd);
    return NULL;
}

static bool is_up_or_down(void *arg) {
    (void)arg;
    return c.ups + c.downs > 0;
}

static bool is_down_once(void *arg) {
    (void)arg;
    return c.downs > 0;
}

/* Returns how many of the commands were answered. */
static size_t exchange_cut_at(size_t cut, struct answer *a, size_t n) {
    struct proxy p = {.to = server.port, .cut = cut};
    p.listener = listen_on_loopback(&p.port, 8);
    assert_int_equal(pthread_create(&p.thread, NULL, run_proxy, &p), 0);
    connect_to(p.port);
    assert_true(client_wait(&c, is_up_or_down, NULL));
    size_t replies = 0;
    memset(a, 0, n * sizeof(*a));
    if (c.ups > 0) {
        for (size_t i = 0; i < n; i++)
            client_send(&c, &a[i], i % 2 == 0 ? "LRANGE list 0 -1" : "INCR n", 0);
        assert_true(client_wait(&c, is_down_once, NULL));
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(a[i].calls, 1);
            assert_int_equal(a[i].order, i + 1);
            assert_true(!a[i].got_reply || replies == i); /* the answered ones come first */
            replies += a[i].got_reply;
        }
        assert_int_equal(c.callbacks_at_down, n);
    }
    client_deinit(&c);
    shutdown(p.listener, SHUT_RDWR);
    pthread_join(p.thread, NULL);
    close(p.listener);
    return replies;
}

/* How long the server's answer to HELLO is, which it was told not to know. */
static size_t length_of_hello(void) {
    char b[512];
    int fd = dial_loopback(server.port);
    assert_true(send(fd, "HELLO 2\r\n", 9, MSG_NOSIGNAL) == 9);
    ssize_t n = recv(fd, b, sizeof(b), 0);
    close(fd);
    assert_true(n > 2 && b[0] == '-' && b[n - 1] == '\n');
    return (size_t)n;
}

static void test_cut_at_any_byte(void **state) {
    (void)state;
    enum { COMMANDS = 4 };
    struct answer a[COMMANDS];
    static const char handshake[] = "+OK\r\n+PONG\r\n";
    static const char list[] = "*2\r\n$1\r\na\r\n$3\r\nbcd\r\n", number[] = ":1000\r\n";
    connect_to(server.port);
    client_wait_up(&c);
    client_do(&c, &a[0], "DEL list");
    client_do(&c, &a[0], "RPUSH list a bcd");
    client_do(&c, &a[0], "SET n 1000");
    client_deinit(&c);
    size_t ends[COMMANDS]; /* bytes up to the end of each command's answer */
    size_t total = sizeof(handshake) - 1 + length_of_hello();
    for (size_t i = 0; i < COMMANDS; i++)
        ends[i] = total += i % 2 == 0 ? sizeof(list) - 1 : sizeof(number) - 1;
    for (size_t cut = 0; cut <= total; cut++) {
        size_t expected = 0;
        while (expected < COMMANDS && ends[expected] <= cut)
            expected++;
        assert_int_equal(exchange_cut_at(cut, a, COMMANDS), expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_with_commands_pending),
        cmocka_unit_test(test_command_timeout),
        cmocka_unit_test(test_answers_that_waited_for_a_paused_process),
        cmocka_unit_test(test_close_with_commands_pending),
        cmocka_unit_test(test_close_in_a_reply_callback),
        cmocka_unit_test(test_close_while_callbacks_fail),
        cmocka_unit_test(test_commands_given_while_down),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_backoff_grows_to_five_seconds),
        cmocka_unit_test(test_no_such_socket),
        cmocka_unit_test(test_no_such_host),
        cmocka_unit_test(test_silent_peer),
        cmocka_unit_test(test_unreachable_peer),
        cmocka_unit_test(test_peers_that_refuse_or_are_not_redis),
        cmocka_unit_test(test_answers_are_read_after_a_write_fails),
        cmocka_unit_test(test_cut_at_any_byte),
    };
    return cmocka_run_group_tests_name("redis_faults", tests, start_server, stop_server);
}
