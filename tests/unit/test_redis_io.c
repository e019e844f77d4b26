/* The Redis connection against a real redis-server, while all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_client.h"
#include "redis_server.h"

static struct redis_server server;
static struct client c;

static int start_server(void **state) {
    (void)state;
    redis_server_start(&server, NULL);
    return 0;
}

static int stop_server(void **state) {
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static int connect_tcp(void **state) {
    (void)state;
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = server.port;
    client_connect(&c);
    client_wait_up(&c);
    return 0;
}

static int disconnect(void **state) {
    (void)state;
    client_deinit(&c);
    return 0;
}

static void test_commands_are_answered_in_order(void **state) {
    (void)state;
    struct answer a[3];
    client_send(&c, &a[0], "SET k 1", 0);
    client_send(&c, &a[1], "INCR k", 0);
    client_send(&c, &a[2], "GET k", 0);
    client_wait_answer(&c, &a[2]);
    assert_string_equal(a[0].text, "OK");
    assert_int_equal(a[1].integer, 2);
    assert_string_equal(a[2].text, "2");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(a[i].order, i + 1);
}

#define MANY 10000

static void test_ten_thousand_in_one_write(void **state) {
    (void)state;
    static struct answer a[MANY];
    struct answer del;
    client_do(&c, &del, "DEL n");
    struct redis_stats before = redis_conn_stats(c.conn);
    for (size_t i = 0; i < MANY; i++)
        client_send(&c, &a[i], "INCR n", 0);
    client_wait_answer(&c, &a[MANY - 1]);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(a[i].calls, 1);
        assert_int_equal(a[i].integer, i + 1);
    }
    struct redis_stats after = redis_conn_stats(c.conn);
    assert_int_equal(after.commands - before.commands, MANY);
    /* The socket's buffer may take such an amount in pieces, but never a piece a command. */
    assert_in_range(after.writes - before.writes, 1, 20);
    assert_int_equal(after.errors, before.errors);
}

static void test_one_write_per_turn(void **state) {
    (void)state;
    struct answer a[100];
    uint64_t before = redis_conn_stats(c.conn).writes;
    for (size_t i = 0; i < 100; i++)
        client_send(&c, &a[i], "PING", 0);
    client_wait_answer(&c, &a[99]);
    assert_int_equal(redis_conn_stats(c.conn).writes, before + 1);
}

static void test_flush_writes_at_once(void **state) {
    (void)state;
    struct answer a;
    uint64_t before = redis_conn_stats(c.conn).writes;
    client_send(&c, &a, "PING", 0);
    redis_flush(c.conn);
    assert_int_equal(redis_conn_stats(c.conn).writes, before + 1);
    client_wait_answer(&c, &a);
    assert_int_equal(redis_conn_stats(c.conn).writes, before + 1);
}

static void test_large_value(void **state) {
    (void)state;
    enum { SIZE = 5 << 20 };
    static char command[SIZE + 16];
    struct answer set, get, after;
    int n = snprintf(command, sizeof(command), "SET big ");
    memset(command + n, 'x', SIZE);
    client_send(&c, &set, command, 0);
    client_send(&c, &get, "GET big", 0);
    client_send(&c, &after, "PING", 0);
    client_wait_answer(&c, &after);
    assert_string_equal(set.text, "OK");
    assert_int_equal(get.len, SIZE);
    assert_string_equal(after.text, "PONG");
}

static void test_error_replies_are_replies(void **state) {
    (void)state;
    struct answer a, b;
    client_do(&c, &a, "CONFIG SET maxmemory 1");
    client_do(&c, &a, "SET k v");
    client_do(&c, &b, "CONFIG SET maxmemory 0");
    assert_true(a.got_reply);
    assert_int_equal(a.type, REDIS_REPLY_ERROR);
    assert_memory_equal(a.text, "OOM ", 4);
    assert_int_equal(redis_conn_stats(c.conn).errors, 1);
    assert_int_equal(redis_conn_state(c.conn), REDIS_UP);
}

static void on_twice(void *arg, const redisReply *reply, const char *error) {
    (void)error;
    assert_non_null(reply);
    *(long long *)arg += reply->integer;
}

static void test_printf_commands(void **state) {
    (void)state;
    struct answer last;
    long long sum = 0;
    redis_command(c.conn, NULL, NULL, "SET %s %b", "printf", "a\0b", (size_t)3);
    redis_command(c.conn, on_twice, &sum, "STRLEN %s", "printf");
    client_do(&c, &last, "PING");
    assert_int_equal(sum, 3);
}

static void test_unix_socket(void **state) {
    (void)state;
    client_init(&c);
    c.options.unix_path = server.socket;
    client_connect(&c);
    client_wait_up(&c);
    struct answer a;
    client_do(&c, &a, "CLIENT GETNAME");
    assert_string_equal(a.text, "test");
    assert_string_equal(redis_conn_place(c.conn), server.socket);
    client_deinit(&c);
}

static void test_host_by_name(void **state) {
    (void)state;
    client_init(&c);
    c.options.host = "localhost";
    c.options.port = server.port; /* listens on 127.0.0.1 only: ::1, if it is first, refuses */
    client_connect(&c);
    client_wait_up(&c);
    client_deinit(&c);
}

/* --- a name with two addresses, of which the first refuses --- */

int __real_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb cb, const char *node,
                          const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb cb, const char *node,
                          const char *service, const struct addrinfo *hints);

static uv_getaddrinfo_cb resolved;

static void add_an_address(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
    struct addrinfo *first = NULL;
    char port[8];
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    snprintf(port, sizeof(port), "%u", (unsigned)redis_server_free_port());
    assert_int_equal(status, 0);
    assert_int_equal(getaddrinfo("127.0.0.1", port, &hints, &first), 0);
    first->ai_next = found;
    resolved(req, 0, first);
}

static uv_getaddrinfo_t *hanging;

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *req, uv_getaddrinfo_cb cb, const char *node,
                          const char *service, const struct addrinfo *hints) {
    if (strcmp(node, "hangs.test") == 0) {
        hanging = req;
        resolved = cb;
        return 0;
    }
    if (strcmp(node, "two-addresses.test") != 0)
        return __real_uv_getaddrinfo(loop, req, cb, node, service, hints);
    resolved = cb;
    return __real_uv_getaddrinfo(loop, req, add_an_address, "127.0.0.1", service, hints);
}

static void test_the_next_address_is_tried(void **state) {
    (void)state;
    client_init(&c);
    c.options.host = "two-addresses.test";
    c.options.port = server.port;
    client_connect(&c);
    client_wait_up(&c);
    assert_int_equal(c.downs, 0);
    client_deinit(&c);
}

/* The thread that looks the name up comes back after everybody has gone. */
static void test_a_lookup_that_hangs_is_left_behind(void **state) {
    (void)state;
    client_init(&c);
    c.options.host = "hangs.test";
    c.options.port = server.port;
    c.options.connect_timeout_ms = 50;
    client_connect(&c);
    client_wait_down(&c);
    assert_string_equal(c.reason, "the name was not resolved within 50 ms");
    client_deinit(&c);
    assert_non_null(hanging);
    resolved(hanging, UV_ECANCELED, NULL);
}

static void test_database(void **state) {
    (void)state;
    struct answer a;
    client_init(&c);
    c.options.unix_path = server.socket;
    c.options.database = 3;
    client_connect(&c);
    client_wait_up(&c);
    client_do(&c, &a, "SET only-in-three 1");
    client_do(&c, &a, "SELECT 0");
    client_do(&c, &a, "EXISTS only-in-three");
    assert_int_equal(a.integer, 0);
    client_deinit(&c);
}

/* A blocking command may take its block time on top of the command timeout. */
static void test_blocking_command(void **state) {
    (void)state;
    struct answer block, push, get;
    client_init(&c);
    c.options.unix_path = server.socket;
    c.options.command_timeout_ms = 150;
    client_connect(&c);
    client_wait_up(&c);
    client_send(&c, &block, "BLMOVE empty other LEFT RIGHT 0.4", 400);
    client_wait_answer(&c, &block);
    assert_true(block.got_reply);
    assert_int_equal(block.type, REDIS_REPLY_NIL);
    client_send(&c, &push, "RPUSH empty v", 0);
    client_send(&c, &get, "BLMOVE empty other LEFT RIGHT 0", 1000);
    client_wait_answer(&c, &get);
    assert_string_equal(get.text, "v");
    assert_int_equal(c.downs, 0);
    client_deinit(&c);
}

static void test_resp_writer(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    redis_resp_begin(&b, 4);
    redis_resp_str(&b, "SET");
    redis_resp_arg(&b, (struct span){"\0\r\n", 3});
    redis_resp_arg(&b, (struct span){"", 0});
    redis_resp_u64(&b, UINT64_MAX);
    static const char expected[] =
        "*4\r\n$3\r\nSET\r\n$3\r\n\0\r\n\r\n$0\r\n\r\n$20\r\n18446744073709551615\r\n";
    assert_int_equal(b.len, sizeof(expected) - 1);
    assert_memory_equal(b.data, expected, b.len);
    buf_deinit(&b);
}

static void test_synchronous_connection(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = {.host = "127.0.0.1", .port = server.port, .database = 5};
    redisContext *ctx = redis_connect_sync(&o, &err);
    assert_non_null(ctx);
    redisReply *r = redisCommand(ctx, "CLIENT INFO");
    assert_non_null(r);
    assert_non_null(strstr(r->str, "db=5"));
    freeReplyObject(r);
    redisFree(ctx);
}

static void test_synchronous_connection_times_out(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = {.unix_path = server.socket, .command_timeout_ms = 100};
    redisContext *ctx = redis_connect_sync(&o, &err);
    assert_non_null(ctx);
    assert_null(redisCommand(ctx, "BLPOP nothing 0"));
    assert_int_not_equal(ctx->err, 0);
    redisFree(ctx);
}

static void test_synchronous_connection_refused(void **state) {
    (void)state;
    struct err err = {""};
    char expected[80];
    struct redis_options o = {.host = "127.0.0.1", .port = redis_server_free_port()};
    assert_null(redis_connect_sync(&o, &err));
    snprintf(expected, sizeof(expected), "Redis at 127.0.0.1:%u: connection refused", (unsigned)o.port);
    assert_string_equal(err.text, expected);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, connect_tcp, disconnect)

int main(void) {
    const struct CMUnitTest tests[] = {
        CONNECTED(test_commands_are_answered_in_order),
        CONNECTED(test_ten_thousand_in_one_write),
        CONNECTED(test_one_write_per_turn),
        CONNECTED(test_flush_writes_at_once),
        CONNECTED(test_large_value),
        CONNECTED(test_error_replies_are_replies),
        CONNECTED(test_printf_commands),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_host_by_name),
        cmocka_unit_test(test_the_next_address_is_tried),
        cmocka_unit_test(test_a_lookup_that_hangs_is_left_behind),
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_blocking_command),
        cmocka_unit_test(test_resp_writer),
        cmocka_unit_test(test_synchronous_connection),
        cmocka_unit_test(test_synchronous_connection_times_out),
        cmocka_unit_test(test_synchronous_connection_refused),
    };
    return cmocka_run_group_tests_name("redis_io", tests, start_server, stop_server);
}
