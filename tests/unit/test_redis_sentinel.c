/* Finding the master through sentinels, and following it: one primary, one replica, three
 * sentinels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_client.h"
#include "redis_server.h"

#define SENTINELS 3

static struct redis_server primary, replica, sentinels[SENTINELS];
static char places[SENTINELS + 1][32];
static const char *list[SENTINELS + 2];
static struct client c;

/* How many entries an array reply has; -1 if it is none. */
static long entries(uint16_t port, const char *command) {
    struct err err;
    struct redis_options o = {.host = "127.0.0.1", .port = port};
    redisContext *ctx = redis_connect_sync(&o, &err);
    if (ctx == NULL)
        return -1;
    redisReply *r = redisCommand(ctx, command);
    long n = r != NULL && r->type == REDIS_REPLY_ARRAY ? (long)r->elements : -1;
    freeReplyObject(r);
    redisFree(ctx);
    return n;
}

static void tell(uint16_t port, const char *command) {
    redisContext *ctx = redisConnect("127.0.0.1", port);
    assert_non_null(ctx);
    redisReply *r = redisCommand(ctx, command);
    assert_non_null(r);
    assert_string_equal(r->str, "OK");
    freeReplyObject(r);
    redisFree(ctx);
}

static bool know_each_other(void) {
    for (size_t i = 0; i < SENTINELS; i++) {
        if (entries(sentinels[i].port, "SENTINEL SENTINELS master") != SENTINELS - 1 ||
            entries(sentinels[i].port, "SENTINEL REPLICAS master") != 1)
            return false;
    }
    return true;
}

static void start_replica(struct redis_server *s, uint16_t master_port) {
    static char port[8];
    static const char *const args[] = {"--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay",
                                       "0",           NULL};
    snprintf(port, sizeof(port), "%u", (unsigned)master_port);
    redis_server_start(s, args);
}

/* The first sentinel of the list does not exist. */
static int start_all(void **state) {
    (void)state;
    static const char *const args[] = {"--repl-diskless-sync-delay", "0", NULL};
    redis_server_start(&primary, args);
    start_replica(&replica, primary.port);
    snprintf(places[0], sizeof(places[0]), "127.0.0.1:%u", (unsigned)redis_server_free_port());
    list[0] = places[0];
    for (size_t i = 0; i < SENTINELS; i++) {
        redis_server_start_sentinel(&sentinels[i], primary.port, 2);
        snprintf(places[i + 1], sizeof(places[i + 1]), "127.0.0.1:%u", (unsigned)sentinels[i].port);
        list[i + 1] = places[i + 1];
    }
    uint64_t deadline = uv_hrtime() + 20 * 1000000000ULL;
    while (!know_each_other()) {
        if (uv_hrtime() > deadline)
            return -1;
        poll(NULL, 0, 50);
    }
    return 0;
}

static int stop_all(void **state) {
    (void)state;
    for (size_t i = 0; i < SENTINELS; i++)
        redis_server_stop(&sentinels[i]);
    redis_server_stop(&replica);
    redis_server_stop(&primary);
    return 0;
}

static struct redis_options through_sentinels(void) {
    return (struct redis_options){.sentinels = list, .sentinel_master = "master"};
}

static void assert_place(const char *place, uint16_t port) {
    char expected[32];
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", (unsigned)port);
    assert_string_equal(place, expected);
}

static void test_finds_the_master(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = through_sentinels();
    redisContext *ctx = redis_connect_sync(&o, &err);
    assert_string_equal(err.text, "");
    assert_non_null(ctx);
    redisReply *r = redisCommand(ctx, "SET k v");
    assert_string_equal(r->str, "OK");
    freeReplyObject(r);
    redisFree(ctx);
}

static void test_unknown_name(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = through_sentinels();
    o.sentinel_master = "nobody";
    assert_null(redis_connect_sync(&o, &err));
    assert_memory_equal(err.text, "Redis at the sentinels: sentinel 127.0.0.1:", 43);
    assert_non_null(strstr(err.text, ": does not know a master named nobody"));
}

static void test_sentinels_out_of_reach(void **state) {
    (void)state;
    const char *const bad[] = {places[0], "not a host:port", NULL};
    struct err err = {""};
    struct redis_options o = {.sentinels = bad, .sentinel_master = "master"};
    assert_null(redis_connect_sync(&o, &err));
    assert_non_null(strstr(err.text, "sentinel not a host:port: cannot resolve"));
}

/* A sentinel that takes the replica for the master. */
static void test_a_replica_will_not_do(void **state) {
    (void)state;
    struct redis_server wrong;
    char place[32];
    const char *const one[] = {place, NULL};
    struct err err = {""};
    redis_server_start_sentinel(&wrong, replica.port, 9);
    snprintf(place, sizeof(place), "127.0.0.1:%u", (unsigned)wrong.port);
    struct redis_options o = {.sentinels = one, .sentinel_master = "master"};
    assert_null(redis_connect_sync(&o, &err));
    assert_non_null(strstr(err.text, "the node that the sentinels name is not (yet) a master"));
    redis_server_stop(&wrong);
}

/* The sentinels' own password, and a user of theirs. */
static void test_sentinels_that_ask_for_a_password(void **state) {
    (void)state;
    struct redis_server guarded;
    char place[32];
    const char *const one[] = {place, NULL};
    struct err err = {""};
    redis_server_start_sentinel(&guarded, primary.port, 9);
    snprintf(place, sizeof(place), "127.0.0.1:%u", (unsigned)guarded.port);
    tell(guarded.port, "ACL SETUSER shop on >word +auth +ping +sentinel|get-master-addr-by-name");
    tell(guarded.port, "ACL SETUSER poor on >word +auth +ping");
    tell(guarded.port, "ACL SETUSER default on >right ~* &* +@all");
    struct redis_options o = {.sentinels = one, .sentinel_master = "master"};
    assert_null(redis_connect_sync(&o, &err));
    assert_non_null(strstr(err.text, "NOAUTH Authentication required. Set sentinel_password"));
    o.sentinel_password = "wrong";
    assert_null(redis_connect_sync(&o, &err));
    assert_non_null(strstr(err.text, "WRONGPASS "));
    assert_non_null(strstr(err.text, "See sentinel_username and sentinel_password"));
    o.sentinel_username = "poor";
    o.sentinel_password = "word";
    assert_null(redis_connect_sync(&o, &err));
    assert_non_null(strstr(err.text, "needs +sentinel|get-master-addr-by-name"));
    o.sentinel_username = "shop";
    redisFree(redis_connect_sync(&o, &err));
    o.sentinel_username = NULL;
    o.sentinel_password = "right";
    redisContext *ctx = redis_connect_sync(&o, &err);
    assert_non_null(ctx);
    redisFree(ctx);
    redis_server_stop(&guarded);
}

static uint16_t expected_port;

static bool is_up_there(void *arg) {
    (void)arg;
    char place[32];
    snprintf(place, sizeof(place), "127.0.0.1:%u", (unsigned)expected_port);
    return redis_conn_state(c.conn) == REDIS_UP && strcmp(redis_conn_place(c.conn), place) == 0;
}

static void test_follows_a_failover(void **state) {
    (void)state;
    struct answer a;
    client_init(&c);
    c.options.sentinels = list;
    c.options.sentinel_master = "master";
    client_connect(&c);
    client_wait_up(&c);
    assert_place(redis_conn_place(c.conn), primary.port);
    redis_server_kill(&primary);
    client_wait_down(&c);
    expected_port = replica.port;
    assert_true(client_wait(&c, is_up_there, NULL));
    client_do(&c, &a, "SET after failover");
    assert_string_equal(a.text, "OK");
    client_deinit(&c);
}

/* The master becomes a replica while the connection stays: the first READONLY sends us looking. */
static void test_readonly_asks_the_sentinels_again(void **state) {
    (void)state;
    struct answer a, b;
    client_init(&c);
    c.options.sentinels = list;
    c.options.sentinel_master = "master";
    client_connect(&c);
    client_wait_up(&c);
    assert_place(redis_conn_place(c.conn), replica.port);
    char command[64];
    snprintf(command, sizeof(command), "REPLICAOF 127.0.0.1 %u", (unsigned)primary.port);
    client_send(&c, &a, command, 0);
    client_send(&c, &b, "SET k v", 0);
    client_wait_down(&c);
    assert_memory_equal(b.text, "READONLY ", 9);
    assert_memory_equal(c.reason, "READONLY ", 9);
    client_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_master),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_sentinels_out_of_reach),
        cmocka_unit_test(test_a_replica_will_not_do),
        cmocka_unit_test(test_sentinels_that_ask_for_a_password),
        cmocka_unit_test(test_follows_a_failover),
        cmocka_unit_test(test_readonly_asks_the_sentinels_again),
    };
    return cmocka_run_group_tests_name("redis_sentinel", tests, start_all, stop_all);
}
