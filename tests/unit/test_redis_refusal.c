/* Servers that are there but won't serve: passwords, databases, loading, replicas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "io/redis_parts.h"
#include "redis_client.h"
#include "redis_server.h"

static struct redis_server server;
static struct client c;

static int stop_server(void **state) {
    (void)state;
    redis_server_stop(&server);
    return 0;
}

static int start_with_password(void **state) {
    static const char *const args[] = {"--requirepass", "right", "--user", "shop", "on",
                                       ">secret",       "~*",    "+@all",  NULL};
    (void)state;
    redis_server_start(&server, args);
    return 0;
}

static void connect_as(const char *username, const char *password) {
    client_init(&c);
    c.options.unix_path = server.socket;
    c.options.username = username;
    c.options.password = password;
    client_connect(&c);
}

static void test_right_passwords(void **state) {
    (void)state;
    struct answer a;
    connect_as(NULL, "right");
    client_wait_up(&c);
    client_do(&c, &a, "ACL WHOAMI");
    assert_string_equal(a.text, "default");
    client_deinit(&c);
    connect_as("shop", "secret");
    client_wait_up(&c);
    client_do(&c, &a, "ACL WHOAMI");
    assert_string_equal(a.text, "shop");
    client_deinit(&c);
}

static void assert_refused(const char *username, const char *password, const char *reason) {
    connect_as(username, password);
    client_wait_down(&c);
    assert_string_equal(c.reason, reason);
    assert_true(redis_reason_is_auth(c.reason));
    assert_int_equal(c.ups, 0);
    client_deinit(&c);
}

static void test_wrong_passwords(void **state) {
    (void)state;
    assert_refused(NULL, "wrong", "WRONGPASS invalid username-password pair or user is disabled.");
    assert_refused("shop", "right", "WRONGPASS invalid username-password pair or user is disabled.");
    assert_refused(NULL, NULL, "NOAUTH Authentication required.");
}

static bool is_up_now(void *arg) {
    (void)arg;
    return redis_conn_state(c.conn) == REDIS_UP;
}

/* The server's password is put right: the connection comes up by itself, but not in a hurry. */
static void test_a_refused_password_is_tried_slowly(void **state) {
    (void)state;
    struct answer a;
    connect_as(NULL, "new");
    client_wait_down(&c);
    uint64_t start = uv_hrtime();
    struct client admin;
    client_init(&admin);
    admin.options.unix_path = server.socket;
    admin.options.password = "right";
    client_connect(&admin);
    client_wait_up(&admin);
    client_do(&admin, &a, "CONFIG SET requirepass new");
    assert_true(client_wait(&c, is_up_now, NULL));
    assert_in_range((uv_hrtime() - start) / 1000000, 2000, 6000);
    client_do(&admin, &a, "CONFIG SET requirepass right");
    client_deinit(&admin);
    client_deinit(&c);
}

static void test_synchronous_refusal(void **state) {
    (void)state;
    struct err err = {""};
    char expected[160];
    struct redis_options o = {.unix_path = server.socket, .password = "wrong"};
    assert_null(redis_connect_sync(&o, &err));
    snprintf(expected, sizeof(expected),
             "Redis at %s: WRONGPASS invalid username-password pair or user is disabled.", server.socket);
    assert_string_equal(err.text, expected);
}

static void test_no_such_database(void **state) {
    (void)state;
    client_init(&c);
    c.options.unix_path = server.socket;
    c.options.password = "right";
    c.options.database = 99;
    client_connect(&c);
    client_wait_down(&c);
    assert_string_equal(c.reason, "ERR DB index is out of range");
    assert_false(redis_reason_is_auth(c.reason));
    client_deinit(&c);
}

/* --- */

static void test_password_where_none_is_set(void **state) {
    (void)state;
    redis_server_start(&server, NULL);
    connect_as(NULL, "unasked");
    client_wait_down(&c);
    assert_memory_equal(c.reason, "ERR AUTH <password> called without any password", 47);
    assert_true(redis_reason_is_auth(c.reason));
    client_deinit(&c);
}

static bool is_loading(void *arg) {
    (void)arg;
    return strncmp(c.reason, "LOADING ", 8) == 0;
}

static void test_loading_server_is_waited_for(void **state) {
    (void)state;
    static const char *const args[] = {"--key-load-delay", "500", "--loading-process-events-interval-bytes",
                                       "1024", NULL};
    struct answer a;
    redis_server_start(&server, args);
    client_init(&c);
    c.options.unix_path = server.socket;
    client_connect(&c);
    client_wait_up(&c);
    client_do(&c, &a, "DEBUG POPULATE 2000 key 100");
    client_do(&c, &a, "SAVE");
    redis_server_kill(&server);
    redis_server_again(&server);
    assert_true(client_wait(&c, is_loading, NULL));
    client_wait_up(&c);
    client_do(&c, &a, "DBSIZE");
    assert_int_equal(a.integer, 2000);
    client_deinit(&c);
}

static void start_replica_of_nobody(void) {
    static char port[8];
    static const char *const args[] = {"--replicaof", "127.0.0.1", port, NULL};
    snprintf(port, sizeof(port), "%u", (unsigned)redis_server_free_port());
    redis_server_start(&server, args);
}

/* Over a connection of hiredis' own, which takes replicas. */
static void tell(const char *command) {
    redisContext *ctx = redisConnectUnix(server.socket);
    assert_non_null(ctx);
    redisReply *r = redisCommand(ctx, command);
    assert_non_null(r);
    assert_string_equal(r->str, "OK");
    freeReplyObject(r);
    redisFree(ctx);
}

static void connect_to_host(const char *host) {
    client_init(&c);
    c.options.host = host;
    c.options.port = server.port;
    client_connect(&c);
}

static void test_a_replica_is_refused(void **state) {
    (void)state;
    struct answer a;
    struct err err = {""};
    start_replica_of_nobody();
    connect_to_host("127.0.0.1");
    client_wait_down(&c);
    assert_string_equal(c.reason, "the server is a replica, not a master");
    assert_int_equal(c.ups, 0);
    assert_null(redis_connect_sync(&c.options, &err));
    assert_non_null(strstr(err.text, ": the server is a replica, not a master"));
    tell("REPLICAOF NO ONE");
    client_wait_up(&c);
    client_do(&c, &a, "SET k v");
    assert_string_equal(a.text, "OK");
    client_deinit(&c);
}

/* The connection stays up while its server becomes a replica: it is made anew, however it was named. */
static void loses_its_master(const char *host) {
    struct answer a, b;
    redis_server_start(&server, NULL);
    connect_to_host(host);
    client_wait_up(&c);
    tell("REPLICAOF 127.0.0.1 1");
    client_do(&c, &a, "PING");
    assert_string_equal(a.text, "PONG");
    client_send(&c, &a, "EVAL return(redis.call('set',KEYS[1],'v')) 1 k", 0);
    client_send(&c, &b, "PING", 0);
    client_wait_down(&c);
    assert_true(a.got_reply);
    assert_non_null(strstr(a.text, "READONLY "));
    assert_int_equal(b.calls, 1);
    assert_non_null(strstr(c.reason, "READONLY "));
    tell("REPLICAOF NO ONE");
    client_wait_up(&c);
    client_do(&c, &a, "SET k v");
    assert_string_equal(a.text, "OK");
    client_deinit(&c);
}

static void test_readonly_ends_the_connection_to_an_address(void **state) {
    (void)state;
    loses_its_master("127.0.0.1");
}

static void test_readonly_ends_the_connection_to_a_name(void **state) {
    (void)state;
    loses_its_master("localhost");
}

/* A proxy that does not know HELLO: the write shows it. */
static void test_a_replica_that_knows_no_hello(void **state) {
    (void)state;
    struct answer a;
    static const char *const args[] = {"--rename-command", "HELLO", "",  "--replicaof",
                                       "127.0.0.1",        "1",     NULL};
    redis_server_start(&server, args);
    connect_to_host("127.0.0.1");
    client_wait_up(&c);
    client_do(&c, &a, "SET k v");
    client_wait_down(&c);
    assert_memory_equal(c.reason, "READONLY ", 9);
    client_deinit(&c);
}

static void test_a_cluster_that_stays_down(void **state) {
    (void)state;
    struct redis_standstill s = {0};
    static const char down[] = "CLUSTERDOWN The cluster is down";
    assert_false(redis_standstill_goes_on(&s, down, 1000));
    assert_false(redis_standstill_goes_on(&s, "CLUSTERDOWN Hash slot not served", 9000));
    assert_false(redis_standstill_goes_on(&s, down, 1000 + REDIS_STANDSTILL_MS - 1));
    assert_true(redis_standstill_goes_on(&s, down, 1000 + REDIS_STANDSTILL_MS));
    assert_false(redis_standstill_goes_on(&s, down, 7000));
    assert_false(redis_standstill_goes_on(&s, down, 60000)); /* another one */
    assert_false(redis_standstill_goes_on(&s, "ERR", 70000));
}

static void assert_words(const char *text, const char *expected) {
    char out[200];
    redis_error_words(text, out, sizeof(out));
    assert_string_equal(out, expected);
}

static void test_errors_as_people_read_them(void **state) {
    (void)state;
    assert_words("OOM command not allowed when used memory > 'maxmemory'. script: "
                 "8f1a0c1e8f1a0c1e8f1a0c1e8f1a0c1e8f1a0c1e, on @user_script:26.",
                 "OOM command not allowed when used memory > 'maxmemory'.");
    assert_words("ERR Error running script (call to f_8f1a0c1e): @user_script:12: @user_script: 12: -OOM "
                 "command not allowed",
                 "OOM command not allowed");
    assert_words("NOPERM this user has no permissions to run the 'hset' command",
                 "NOPERM this user has no permissions to run the 'hset' command");
    char small[8];
    redis_error_words("READONLY You", small, sizeof(small));
    assert_string_equal(small, "READONL");
}

static void test_who_refuses_and_who_is_away(void **state) {
    (void)state;
    assert_true(redis_reason_is_refusal("WRONGPASS invalid username-password pair"));
    assert_true(redis_reason_is_refusal("READONLY You can't write against a read only replica."));
    assert_true(redis_reason_is_refusal("the server is a replica, not a master (10.0.0.7)"));
    assert_false(redis_reason_is_refusal("LOADING Redis is loading the dataset in memory"));
    assert_false(redis_reason_is_refusal("connection refused"));
    assert_false(redis_reason_is_refusal("TLS: the server's certificate is not accepted: expired"));
    assert_false(redis_reason_is_refusal(""));
}

int main(void) {
    const struct CMUnitTest with_password[] = {
        cmocka_unit_test(test_right_passwords),
        cmocka_unit_test(test_wrong_passwords),
        cmocka_unit_test(test_a_refused_password_is_tried_slowly),
        cmocka_unit_test(test_synchronous_refusal),
        cmocka_unit_test(test_no_such_database),
    };
    const struct CMUnitTest own_server[] = {
        cmocka_unit_test_teardown(test_password_where_none_is_set, stop_server),
        cmocka_unit_test_teardown(test_loading_server_is_waited_for, stop_server),
        cmocka_unit_test_teardown(test_a_replica_is_refused, stop_server),
        cmocka_unit_test_teardown(test_readonly_ends_the_connection_to_an_address, stop_server),
        cmocka_unit_test_teardown(test_readonly_ends_the_connection_to_a_name, stop_server),
        cmocka_unit_test_teardown(test_a_replica_that_knows_no_hello, stop_server),
        cmocka_unit_test(test_a_cluster_that_stays_down),
        cmocka_unit_test(test_errors_as_people_read_them),
        cmocka_unit_test(test_who_refuses_and_who_is_away),
    };
    int failed =
        cmocka_run_group_tests_name("redis_password", with_password, start_with_password, stop_server);
    return failed + cmocka_run_group_tests_name("redis_refusal", own_server, NULL, NULL);
}
