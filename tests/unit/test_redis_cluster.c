/* The router: on one server, and on a real cluster of three nodes of which slots migrate and one
 * dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/redis_cluster.h"
#include "redis_client.h"
#include "redis_server.h"

#define NODES 3

static struct redis_server nodes[NODES], replica;
static char ids[NODES][48];
static struct client c; /* for its loop */
static struct redis_options options;
static struct redis_router *router;
static unsigned ups, downs;

/* --- talking to one node --- */

static redisReply *ask(uint16_t port, const char *format, ...) {
    struct err err = {""};
    struct redis_options o = {.host = "127.0.0.1", .port = port};
    redisContext *ctx = redis_connect_sync(&o, &err);
    if (ctx == NULL)
        fail_msg("%s", err.text);
    va_list ap;
    va_start(ap, format);
    redisReply *r = redisvCommand(ctx, format, ap);
    va_end(ap);
    assert_non_null(r);
    redisFree(ctx);
    return r;
}

static void tell(uint16_t port, const char *format, ...) {
    char command[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    redisReply *r = ask(port, command);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, r->str);
    freeReplyObject(r);
}

static bool cluster_is_ok(void) {
    for (size_t i = 0; i < NODES; i++) {
        redisReply *r = ask(nodes[i].port, "CLUSTER INFO");
        bool ok =
            strstr(r->str, "cluster_state:ok") != NULL && strstr(r->str, "cluster_known_nodes:4") != NULL;
        freeReplyObject(r);
        if (!ok)
            return false;
    }
    redisReply *r = ask(replica.port, "INFO replication");
    bool linked = strstr(r->str, "master_link_status:up") != NULL;
    freeReplyObject(r);
    return linked;
}

static void wait_for(bool (*condition)(void)) {
    uint64_t deadline = uv_hrtime() + 20 * 1000000000ULL;
    while (!condition()) {
        assert_true(uv_hrtime() < deadline);
        poll(NULL, 0, 20);
    }
}

static bool replica_knows_all(void) {
    redisReply *r = ask(replica.port, "CLUSTER INFO");
    bool ok = strstr(r->str, "cluster_known_nodes:4") != NULL;
    freeReplyObject(r);
    return ok;
}

/* Three masters, the slots in thirds, and a replica of the third. */
static int start_cluster(void **state) {
    static const char *const args[] = {"--cluster-enabled",
                                       "yes",
                                       "--cluster-node-timeout",
                                       "1000",
                                       "--repl-diskless-sync-delay",
                                       "0",
                                       NULL};
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        redis_server_start(&nodes[i], args);
        redisReply *r = ask(nodes[i].port, "CLUSTER MYID");
        snprintf(ids[i], sizeof(ids[i]), "%s", r->str);
        freeReplyObject(r);
        tell(nodes[i].port, "CLUSTER ADDSLOTSRANGE %d %d", (int)i * 5461,
             i == NODES - 1 ? 16383 : (int)i * 5461 + 5460);
        tell(nodes[i].port, "CLUSTER SET-CONFIG-EPOCH %d", (int)i + 1);
    }
    redis_server_start(&replica, args);
    for (size_t i = 1; i < NODES; i++)
        tell(nodes[i].port, "CLUSTER MEET 127.0.0.1 %u", (unsigned)nodes[0].port);
    tell(replica.port, "CLUSTER MEET 127.0.0.1 %u", (unsigned)nodes[0].port);
    wait_for(replica_knows_all);
    tell(replica.port, "CLUSTER REPLICATE %s", ids[2]);
    wait_for(cluster_is_ok);
    return 0;
}

static int stop_cluster(void **state) {
    (void)state;
    for (size_t i = 0; i < NODES; i++)
        redis_server_stop(&nodes[i]);
    redis_server_stop(&replica);
    return 0;
}

/* --- a router and its answers --- */

static void on_state(void *arg, enum redis_state state, const char *place, const char *reason) {
    (void)arg, (void)reason;
    assert_non_null(place);
    ups += state == REDIS_UP;
    downs += state == REDIS_DOWN;
}

static void start_router(uint16_t port) {
    struct err err = {""};
    client_init(&c);
    ups = downs = 0;
    options = (struct redis_options){.host = "127.0.0.1", .port = port, .client_name = "router"};
    router = redis_router_new(&c.loop, &options, &c.rng, on_state, NULL, &err);
    assert_string_equal(err.text, "");
    assert_non_null(router);
}

static void on_closed(void *arg) {
    *(bool *)arg = true;
}

static bool is_true(void *arg) {
    return *(bool *)arg;
}

static void stop_router(void) {
    bool closed = false;
    redis_router_close(router, on_closed, &closed);
    assert_true(client_wait(&c, is_true, &closed));
    client_deinit(&c);
}

static bool slot_is_up(void *arg) {
    return redis_router_state(router, *(uint16_t *)arg) == REDIS_UP;
}

static void wait_for_slot(uint16_t slot) {
    assert_true(client_wait(&c, slot_is_up, &slot));
}

struct result {
    unsigned calls;
    bool got_reply;
    long long integer;
    char text[128];
};

static void on_result(void *arg, const redisReply *reply, const char *error) {
    struct result *r = arg;
    r->calls++;
    r->got_reply = reply != NULL;
    r->integer = reply != NULL ? reply->integer : 0;
    snprintf(r->text, sizeof(r->text), "%s", reply == NULL ? error : reply->str != NULL ? reply->str : "");
}

static bool has_result(void *arg) {
    return ((struct result *)arg)->calls > 0;
}

static struct result run(const char *format, const char *key) {
    struct result r = {0};
    redis_router_command(router, redis_slot(span_str(key)), on_result, &r, format, key);
    assert_true(client_wait(&c, has_result, &r));
    assert_int_equal(r.calls, 1);
    return r;
}

/* A key of the node's third of the slots. */
static void key_of(size_t node, char *key, size_t size) {
    for (unsigned i = 0;; i++) {
        snprintf(key, size, "dray:{queue-%u}:jobs", i);
        size_t third = redis_slot(span_str(key)) / 5461U;
        if ((third < NODES ? third : NODES - 1) == node)
            return;
    }
}

/* --- tests --- */

static void test_slots_of_keys(void **state) {
    (void)state;
    assert_int_equal(redis_slot(span_str("123456789")), 0x31c3);
    assert_int_equal(redis_slot(span_str("")), 0);
    assert_int_equal(redis_slot(span_str("dray:{q}:jobs")), redis_slot(span_str("q")));
    assert_int_equal(redis_slot(span_str("{a}{b}")), redis_slot(span_str("a")));
    static const char *const keys[] = {"foo{}{bar}", "foo{{bar}}zap", "foo{bar}{zap}",
                                       "{",          "a}b{c",         "\xc3\xa9{x}"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        redisReply *r = ask(nodes[0].port, "CLUSTER KEYSLOT %s", keys[i]);
        assert_int_equal(redis_slot(span_str(keys[i])), r->integer);
        freeReplyObject(r);
    }
}

static void test_single_server(void **state) {
    (void)state;
    struct redis_server single;
    redis_server_start(&single, NULL);
    start_router(single.port);
    wait_for_slot(7);
    assert_false(redis_router_is_cluster(router));
    assert_int_equal(ups, 1);
    assert_string_equal(run("SET %s 1", "k").text, "OK");
    assert_int_equal(run("INCR %s", "k").integer, 2);
    redis_server_kill(&single);
    struct result lost = run("INCR %s", "k");
    assert_false(lost.got_reply);
    redis_server_again(&single);
    wait_for_slot(7);
    assert_true(run("GET %s", "k").got_reply);
    stop_router();
    redis_server_stop(&single);
}

static void test_each_key_on_its_node(void **state) {
    (void)state;
    char key[64];
    start_router(nodes[0].port);
    for (size_t i = 0; i < NODES; i++) {
        key_of(i, key, sizeof(key));
        wait_for_slot(redis_slot(span_str(key)));
        assert_string_equal(run("SET %s 1", key).text, "OK");
        redisReply *r = ask(nodes[i].port, "EXISTS %s", key);
        assert_int_equal(r->integer, 1);
        freeReplyObject(r);
    }
    assert_true(redis_router_is_cluster(router));
    assert_int_equal(redis_router_stats(router).errors, 0); /* nothing had to be redirected */
    stop_router();
}

/* Commands given before anything is known find their node too. */
static void test_moved_before_the_map_is_known(void **state) {
    (void)state;
    char key[64];
    key_of(1, key, sizeof(key));
    start_router(nodes[0].port);
    assert_string_equal(run("SET %s 1", key).text, "OK");
    assert_string_equal(run("GET %s", key).text, "1");
    stop_router();
}

struct waited {
    struct result first;
    unsigned calls;
    long long replicas;
};

static void on_waited(void *arg, long long replicas) {
    struct waited *w = arg;
    assert_int_equal(w->first.calls, 1); /* in this order */
    w->calls++;
    w->replicas = replicas;
}

static bool has_waited(void *arg) {
    return ((struct waited *)arg)->calls > 0;
}

static struct waited set_and_wait(const char *key, uint32_t replicas) {
    struct waited w = {.replicas = -2};
    struct redis_wait wait = {.replicas = replicas, .wait_ms = 300, .waited = on_waited};
    struct buf b;
    buf_init(&b, 1024);
    redis_resp_begin(&b, 3);
    redis_resp_str(&b, "SET");
    redis_resp_str(&b, key);
    redis_resp_str(&b, "1");
    redis_router_send_wait(router, redis_slot(span_str(key)), buf_span(&b), &wait, on_result, &w);
    buf_deinit(&b);
    assert_true(client_wait(&c, has_waited, &w));
    assert_int_equal(w.first.calls, 1);
    assert_int_equal(w.calls, 1);
    return w;
}

/* The seed has no replica; the node that it names has one, whose answer counts. */
static void test_wait_goes_where_its_command_goes(void **state) {
    (void)state;
    char key[64];
    key_of(2, key, sizeof(key));
    start_router(nodes[0].port);
    struct waited w = set_and_wait(key, 1); /* before the map is known: MOVED */
    assert_string_equal(w.first.text, "OK");
    assert_int_equal(w.replicas, 1);
    w = set_and_wait(key, 2);
    assert_string_equal(w.first.text, "OK");
    assert_int_equal(w.replicas, 1);
    stop_router();
}

static void test_wait_on_a_lost_connection(void **state) {
    (void)state;
    struct redis_server single;
    redis_server_start(&single, NULL);
    start_router(single.port);
    wait_for_slot(7);
    assert_int_equal(set_and_wait("k", 0).replicas, 0);
    redis_server_kill(&single);
    struct waited w = set_and_wait("k", 0);
    assert_false(w.first.got_reply);
    assert_int_equal(w.replicas, -1);
    stop_router();
    redis_server_stop(&single);
}

static void test_close_with_commands_pending(void **state) {
    (void)state;
    char key[64];
    struct result r[NODES][10] = {0};
    start_router(nodes[0].port);
    wait_for_slot(0);
    for (size_t i = 0; i < NODES; i++) {
        key_of(i, key, sizeof(key));
        for (size_t n = 0; n < 10; n++)
            redis_router_command(router, redis_slot(span_str(key)), on_result, &r[i][n], "INCR %s", "{x}");
    }
    stop_router();
    for (size_t i = 0; i < NODES; i++) {
        for (size_t n = 0; n < 10; n++) {
            assert_int_equal(r[i][n].calls, 1);
            assert_false(r[i][n].got_reply);
        }
    }
}

#define TAGGED 200 /* counters in the slot that migrates */

struct load {
    uint16_t slot;
    unsigned sent, answered, lost, errors;
    unsigned limit, open;
    char error[128];
};

static void on_load(void *arg, const redisReply *reply, const char *error) {
    struct load *l = arg;
    l->open--;
    l->answered += reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    l->lost += reply == NULL;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        l->errors++;
        snprintf(l->error, sizeof(l->error), "%s", reply->str);
    }
    (void)error;
}

/* Keeps 50 INCRs under way. Every third is of a script over two keys, which meets TRYAGAIN. */
static bool load_more(void *arg) {
    struct load *l = arg;
    static const char script[] = "redis.call('incr',KEYS[1]) return redis.call('incr',KEYS[2])";
    while (l->open < 50 && l->sent < l->limit) {
        char a[32], b[32];
        snprintf(a, sizeof(a), "{hot}:%u", l->sent % TAGGED);
        snprintf(b, sizeof(b), "{hot}:%u", (l->sent + TAGGED / 2) % TAGGED);
        if (l->sent % 3 == 0)
            redis_router_command(router, l->slot, on_load, l, "EVAL %s 2 %s %s", script, a, b);
        else
            redis_router_command(router, l->slot, on_load, l, "INCR %s", a);
        l->sent++;
        l->open++;
    }
    return l->open == 0 && l->sent == l->limit;
}

/* Moves the keys of a slot in small steps, with load between them. */
static void migrate(struct load *l, size_t from, size_t to) {
    unsigned slot = l->slot;
    tell(nodes[to].port, "CLUSTER SETSLOT %u IMPORTING %s", slot, ids[from]);
    tell(nodes[from].port, "CLUSTER SETSLOT %u MIGRATING %s", slot, ids[to]);
    while (true) {
        redisReply *keys = ask(nodes[from].port, "CLUSTER GETKEYSINSLOT %u 20", slot);
        size_t n = keys->elements;
        for (size_t i = 0; i < n; i++)
            tell(nodes[from].port, "MIGRATE 127.0.0.1 %u %s 0 5000", (unsigned)nodes[to].port,
                 keys->element[i]->str);
        freeReplyObject(keys);
        if (n == 0)
            break;
        for (unsigned turns = 0; turns < 3; turns++) {
            load_more(l);
            uv_run(&c.loop, UV_RUN_ONCE);
        }
    }
    tell(nodes[to].port, "CLUSTER SETSLOT %u NODE %s", slot, ids[to]);
    tell(nodes[from].port, "CLUSTER SETSLOT %u NODE %s", slot, ids[to]);
}

static long long sum_of_counters(void) {
    long long sum = 0;
    for (unsigned i = 0; i < TAGGED; i++) {
        char key[32];
        snprintf(key, sizeof(key), "{hot}:%u", i);
        sum += strtoll(run("GET %s", key).text, NULL, 10);
    }
    return sum;
}

static void test_slot_migrates_under_load(void **state) {
    (void)state;
    struct load l = {.slot = redis_slot(span_str("hot")), .limit = 1000000};
    size_t from = l.slot / 5461U, to = (from + 1) % NODES;
    start_router(nodes[from].port);
    wait_for_slot(l.slot);
    while (l.answered < 1000) {
        load_more(&l);
        uv_run(&c.loop, UV_RUN_ONCE);
    }
    migrate(&l, from, to);
    l.limit = l.sent + 1000;
    assert_true(client_wait(&c, load_more, &l));
    uint64_t redirections = redis_router_stats(router).errors;
    l.limit = l.sent + 1000;
    assert_true(client_wait(&c, load_more, &l));
    assert_int_equal(redis_router_stats(router).errors, redirections); /* the map was learned */
    assert_string_equal(l.error, "");
    assert_int_equal(l.lost, 0);
    assert_int_equal(l.answered, l.sent); /* each called back once, none with an error */
    unsigned scripts = (l.sent + 2) / 3;
    assert_int_equal(sum_of_counters(), (long long)l.sent + scripts); /* and each ran once */
    assert_true(redis_router_stats(router).errors > 0);               /* there were redirections */
    migrate(&l, to, from);
    stop_router();
}

static bool third_node_is_replaced(void *arg) {
    (void)arg;
    char key[64];
    key_of(2, key, sizeof(key));
    return redis_router_state(router, redis_slot(span_str(key))) == REDIS_UP;
}

static void test_follows_a_failover(void **state) {
    (void)state;
    char key[64];
    key_of(2, key, sizeof(key));
    uint16_t slot = redis_slot(span_str(key));
    start_router(nodes[0].port);
    wait_for_slot(slot);
    run("SET %s 0", key);
    redis_server_pause(&nodes[2]);
    struct result lost = {0};
    redis_router_command(router, slot, on_result, &lost, "INCR %s", key);
    redis_router_flush(router);
    redis_server_kill(&nodes[2]);
    assert_true(client_wait(&c, has_result, &lost));
    assert_false(lost.got_reply);
    assert_true(client_wait(&c, third_node_is_replaced, NULL));
    assert_string_equal(run("SET %s 1", key).text, "OK");
    redisReply *r = ask(replica.port, "GET %s", key);
    assert_string_equal(r->str, "1");
    freeReplyObject(r);
    assert_true(downs > 0);
    stop_router();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_of_keys),
        cmocka_unit_test(test_single_server),
        cmocka_unit_test(test_each_key_on_its_node),
        cmocka_unit_test(test_moved_before_the_map_is_known),
        cmocka_unit_test(test_wait_goes_where_its_command_goes),
        cmocka_unit_test(test_wait_on_a_lost_connection),
        cmocka_unit_test(test_close_with_commands_pending),
        cmocka_unit_test(test_slot_migrates_under_load),
        cmocka_unit_test(test_follows_a_failover),
    };
    return cmocka_run_group_tests_name("redis_cluster", tests, start_cluster, stop_cluster);
}
