/* The Redis connection against a real redis-server. */
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

static void test_one_write_per_turn(void **state) {
    (void)state;
    static struct answer a[1000];
    uint64_t before = redis_conn_stats(c.conn).writes;
    for (size_t i = 0; i < 1000; i++)
        client_send(&c, &a[i], "PING", 0);
    client_wait_answer(&c, &a[999]);
    assert_int_equal(redis_conn_stats(c.conn).writes, before + 1);
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
    client_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commands_are_answered_in_order, connect_tcp,
                                        disconnect),
        cmocka_unit_test_setup_teardown(test_one_write_per_turn, connect_tcp, disconnect),
        cmocka_unit_test(test_unix_socket),
    };
    return cmocka_run_group_tests_name("redis_io", tests, start_server, stop_server);
}
