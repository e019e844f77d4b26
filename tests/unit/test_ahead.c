/* Turns whose results go ahead of them: how they are composed, what becomes of the answer, and several commands as one
 * against a real redis-server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "queue/turn.h"
#include "redis_client.h"
#include "redis_server.h"

static struct redis_server server;

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

/* --- what is sent --- */

struct made {
    struct queue_keys keys;
    struct buf limits, cmd;
    struct batch *settle, *begin;
    struct turn turn;
};

static void add_done(struct made *m, const char *token, const char *key, const char *result) {
    struct settlement s = {.op = SETTLE_DONE,
                           .claim = CLAIM_BEGUN,
                           .gate = 's',
                           .account = "shop",
                           .counter = "created",
                           .limits = buf_span(&m->limits),
                           .result = span_str(result),
                           .ledger = SPAN_LIT("C x"),
                           .ledger_key = span_str(key)};
    assert_true(batch_add_settlement(m->settle, NULL, &m->keys, token, &s));
}

static void make(struct made *m) {
    *m = (struct made){.settle = batch_new(BATCH_SETTLE), .begin = batch_new(BATCH_BEGIN)};
    assert_int_equal(queue_keys_init(&m->keys, "dray", "orders", "w"), 0);
    buf_init(&m->limits, 200);
    buf_init(&m->cmd, 1u << 16);
    turn_pack_limits(&(struct turn_limits){0, 1, 0, 10, 30000, 60000, 0, 77777}, &m->limits);
    add_done(m, "21.1f", "key-1", "one");
    add_done(m, "22.1f", "key-2", "two");
    m->turn = (struct turn){.settle = m->settle, .calm = true, .number = 99};
}

static void unmake(struct made *m) {
    batch_free(m->settle);
    batch_free(m->begin);
    buf_deinit(&m->limits);
    buf_deinit(&m->cmd);
    queue_keys_deinit(&m->keys);
}

static void test_it_is_one_transaction(void **state) {
    (void)state;
    static const char head[] =
        "*1\r\n$5\r\nMULTI\r\n"
        "*4\r\n$5\r\nLPUSH\r\n$21\r\ndray:{orders}:results\r\n$3\r\none\r\n$3\r\ntwo\r\n"
        "*4\r\n$6\r\nPSETEX\r\n$5\r\nkey-1\r\n$5\r\n77777\r\n$3\r\nC x\r\n"
        "*4\r\n$6\r\nPSETEX\r\n$5\r\nkey-2\r\n$5\r\n77777\r\n$3\r\nC x\r\n"
        "*31\r\n$7\r\nEVALSHA\r\n";
    static const char tail[] = "$21\r\ndray:{orders}:results\r\n$19\r\ndray:{orders}:stats\r\n$22\r\ndray:{"
                               "orders}:claims:w\r\n$1\r\nw\r\n"
                               /* 99 as a double */
                               "$8\r\n\0\0\0\0\0\xc0\x58\x40\r\n$1\r\n2\r\n$3\r\none\r\n*1\r\n$4\r\nEXEC\r\n";
    struct made m;
    make(&m);
    assert_true(turn_may_go_ahead(&m.turn));
    m.turn.ahead = true;
    assert_int_equal(turn_write(&m.turn, &m.cmd, &m.keys), 6);
    assert_memory_equal(m.cmd.data, head, sizeof(head) - 1);
    assert_memory_equal(m.cmd.data + m.cmd.len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
    const char *script = m.cmd.data + sizeof(head) - 1, *end = m.cmd.data + m.cmd.len;
    /* the script knows neither keys nor results */
    assert_null(memmem(script, (size_t)(end - script), "key-1", 5));
    assert_null(memmem(script, (size_t)(end - script), "$3\r\ntwo", 7));
    assert_non_null(memmem(script, (size_t)(end - script), "$5\r\n21.1f\r\n$5\r\n22.1f\r\n", 22));
    unmake(&m);
}

static void test_only_a_calm_turn_that_goes_out_for_the_first_time(void **state) {
    (void)state;
    struct made m;
    make(&m);
    struct turn uncalm = m.turn, empty = {.claims = true, .claim_n = 3, .calm = true}, with_begin = m.turn;
    uncalm.calm = false;
    with_begin.begin = m.begin;
    assert_false(turn_may_go_ahead(&uncalm));
    assert_false(turn_may_go_ahead(&empty));
    assert_true(turn_may_go_ahead(&with_begin));
    m.begin->sent = true;
    assert_false(turn_may_go_ahead(&with_begin));
    m.settle->sent = true;
    assert_false(turn_may_go_ahead(&m.turn));
    m.settle->sent = false;
    m.settle->doubtful = true;
    assert_false(turn_may_go_ahead(&m.turn));
    unmake(&m);
}

static void test_results_that_are_pushed_are_not_sent_again(void **state) {
    (void)state;
    struct made m;
    make(&m);
    batch_results_pushed(m.settle);
    assert_false(turn_may_go_ahead(&m.turn));
    turn_write(&m.turn, &m.cmd, &m.keys);
    assert_null(memmem(m.cmd.data, m.cmd.len, "one", 3));
    assert_non_null(memmem(m.cmd.data, m.cmd.len, "22.1f\r\n$0\r\n\r\n$0\r\n\r\n$3\r\nC x\r\n", 28));
    unmake(&m);
}

/* --- the answer --- */

static enum turn_ahead read_ahead(const char *resp, int *type) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    redisReaderFeed(reader, resp, strlen(resp));
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    const redisReply *own = reply;
    enum turn_ahead what = turn_read_ahead(&own);
    *type = own->type;
    freeReplyObject(reply);
    redisReaderFree(reader);
    return what;
}

#define RAN  "*5\r\n$1\r\n5\r\n$2\r\n-1\r\n*0\r\n*0\r\n*0\r\n"
#define HEAD "*4\r\n:1\r\n+OK\r\n"

static void test_answers(void **state) {
    (void)state;
    int type;
    const redisReply *none = NULL;
    assert_int_equal(read_ahead(HEAD RAN ":0\r\n", &type), TURN_RAN);
    assert_int_equal(type, REDIS_REPLY_ARRAY);
    assert_int_equal(read_ahead(HEAD "*1\r\n$5\r\nAGAIN\r\n:1\r\n", &type), TURN_AGAIN);
    assert_int_equal(read_ahead(HEAD "-NOSCRIPT No matching script\r\n:1\r\n", &type), TURN_AGAIN);
    assert_int_equal(read_ahead("-EXECABORT Transaction discarded\r\n", &type), TURN_AGAIN);
    assert_int_equal(read_ahead(HEAD "-ERR bad\r\n:0\r\n", &type), TURN_PUSHED);
    assert_int_equal(type, REDIS_REPLY_ERROR);
    assert_int_equal(read_ahead("-ERR EXEC without MULTI\r\n", &type), TURN_UNKNOWN);
    assert_int_equal(read_ahead(HEAD RAN "-NOPERM\r\n", &type), TURN_UNKNOWN);
    assert_int_equal(read_ahead("*-1\r\n", &type), TURN_UNKNOWN);
    assert_int_equal(turn_read_ahead(&none), TURN_UNKNOWN);
}

/* --- several commands as one --- */

struct seen {
    unsigned calls;
    int type;
    size_t elements;
};

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct seen *s = arg;
    (void)error;
    s->calls++;
    s->type = reply != NULL ? reply->type : 0;
    s->elements = reply != NULL ? reply->elements : 0;
}

static void test_a_group_has_one_answer(void **state) {
    (void)state;
    static const char group[] = "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$"
                                "4\r\nINCR\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n";
    static const char refused[] = "*1\r\n$5\r\nMULTI\r\n*1\r\n$6\r\nNOSUCH\r\n*1\r\n$4\r\nEXEC\r\n";
    struct client c;
    struct answer before, between, after;
    struct seen good = {0}, bad = {0}, late = {0};
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = server.port;
    client_connect(&c);
    client_wait_up(&c);
    client_send(&c, &before, "PING", 0);
    redis_send_group(c.conn, SPAN_LIT(group), 3, on_reply, &good);
    client_send(&c, &between, "GET a", 0);
    redis_send_group(c.conn, SPAN_LIT(refused), 2, on_reply, &bad);
    client_send(&c, &after, "PING", 0);
    client_wait_answer(&c, &after);
    assert_string_equal(before.text, "PONG");
    assert_string_equal(between.text, "2");
    assert_string_equal(after.text, "PONG");
    assert_int_equal(good.calls, 1);
    assert_int_equal(good.type, REDIS_REPLY_ARRAY);
    assert_int_equal(good.elements, 2);
    assert_int_equal(bad.calls, 1);
    assert_int_equal(bad.type, REDIS_REPLY_ERROR);
    redis_send_group(c.conn, SPAN_LIT(group), 3, on_reply, &late);
    client_close(&c); /* it is owed one callback all the same */
    assert_int_equal(late.calls, 1);
    client_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_one_transaction),
        cmocka_unit_test(test_only_a_calm_turn_that_goes_out_for_the_first_time),
        cmocka_unit_test(test_results_that_are_pushed_are_not_sent_again),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_a_group_has_one_answer),
    };
    return cmocka_run_group_tests_name("ahead", tests, start_server, stop_server);
}
