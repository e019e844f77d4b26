/* A turn's reply is read strictly: what is not one is no answer, and the turn counts as not done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/turn.h"

static struct part two = {.count = 2};

/* The reply that a server's bytes make. */
static redisReply *reply_of(const char *resp) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, resp, strlen(resp)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static bool is_ok(const struct turn *turn, const char *resp) {
    redisReply *reply = reply_of(resp);
    bool ok = turn_reply_ok(turn, reply);
    freeReplyObject(reply);
    return ok;
}

#define HEAD "*5\r\n$1\r\n5\r\n$2\r\n-1\r\n"
#define NONE "*0\r\n"
#define TWO  "*1\r\n$2\r\nGG\r\n"

static void test_answers(void **state) {
    (void)state;
    const struct turn nothing = {0}, settles = {.settle = &two}, begins = {.begin = &two},
                      claims = {.claims = true};
    assert_true(is_ok(&nothing, HEAD NONE NONE NONE));
    assert_true(is_ok(&settles, HEAD TWO NONE NONE));
    assert_true(is_ok(&begins, HEAD NONE TWO NONE));
    assert_true(is_ok(&claims, HEAD NONE NONE "*1\r\n$2\r\nOK\r\n"));
}

static void test_what_is_no_answer(void **state) {
    (void)state;
    const struct turn settles = {.settle = &two}, begins = {.begin = &two}, claims = {.claims = true};
    static const char *const bad[] = {
        "+OK\r\n",
        "-ERR no\r\n",
        ":5\r\n",
        "*0\r\n",
        "*4\r\n$1\r\n5\r\n$2\r\n-1\r\n" NONE NONE,
        "*6\r\n$1\r\n5\r\n$2\r\n-1\r\n" NONE NONE NONE NONE,
        HEAD NONE NONE NONE,
        HEAD "*1\r\n$1\r\nG\r\n"
             "*1\r\n$1\r\nG\r\n"
             "*1\r\n:1\r\n",
        HEAD "*1\r\n$3\r\nGGG\r\n"
             "*1\r\n$3\r\nGGG\r\n"
             "$2\r\nOK\r\n",
        HEAD "*1\r\n:22\r\n"
             "*1\r\n:22\r\n"
             "*1\r\n*0\r\n",
        HEAD "$2\r\nGG\r\n"
             "$2\r\nGG\r\n"
             "+OK\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(is_ok(&settles, bad[i]));
        assert_false(is_ok(&begins, bad[i]));
        assert_false(is_ok(&claims, bad[i]));
    }
    assert_false(turn_reply_ok(&settles, NULL));
}

static void test_a_refusal_to_begin(void **state) {
    (void)state;
    const struct turn both = {.settle = &two, .begin = &two};
    redisReply *reply = reply_of(HEAD TWO "*2\r\n$0\r\n\r\n$7\r\nOOM bad\r\n" NONE);
    assert_true(turn_reply_ok(&both, reply));
    assert_string_equal(turn_begin_refused(reply), "OOM bad");
    freeReplyObject(reply);
    reply = reply_of(HEAD TWO TWO NONE);
    assert_null(turn_begin_refused(reply));
    freeReplyObject(reply);
    assert_false(is_ok(&both, HEAD TWO "*1\r\n$0\r\n\r\n" NONE));
}

/* --- what is sent --- */

#define ARGS_MAX 64

/* A command's arguments behind the keys, as spans of its RESP. Returns how many. */
static size_t args_of(const struct buf *cmd, struct span args[static ARGS_MAX]) {
    const char *at = (const char *)memchr(cmd->data, '\n', cmd->len) + 1, *end = cmd->data + cmd->len;
    size_t n = 0, keys = 0;
    for (size_t i = 0; at < end; i++) {
        char *text;
        size_t len = strtoul(at + 1, &text, 10);
        struct span arg = {text + 2, len};
        if (i == 2)
            keys = strtoul(arg.ptr, NULL, 10);
        if (i >= 3 + keys)
            args[n++] = arg;
        assert_true(n < ARGS_MAX);
        at = arg.ptr + len + 2;
    }
    return n;
}

static unsigned u16_at(const char *p) {
    return (unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8;
}

/* Where NUMBERS of turn_call.lua has its bits, and what is behind them. */
#define BITS    16
#define DOUBLES 18

static double double_at(const char *p) {
    double v;
    memcpy(&v, p, sizeof(v)); /* the machines that tests run on are little-endian */
    return v;
}

static struct claim claim_of(const char *token) {
    struct claim claim;
    assert_int_equal(claim_parse(span_str(token), &claim), 0);
    return claim;
}

static void add_begin(struct part *b, const struct queue_keys *keys, const char *token, const char *account,
                      const char *limits) {
    struct beginning begin = {.claim = claim_of(token),
                              .kind = 'P',
                              .account = account,
                              .limits = span_str(limits),
                              .hash = "0123456789abcdef0123456789abcdef",
                              .worker = "w",
                              .ledger_key = span_str(account)};
    assert_true(part_add_begin(b, NULL, keys, &begin));
}

static void add_done(struct part *b, const struct queue_keys *keys, const char *token, const char *account,
                     const char *limits) {
    struct settlement s = {.op = SETTLE_DONE,
                           .claim = claim_of(token),
                           .gate = 's',
                           .account = account,
                           .limits = span_str(limits)};
    assert_true(part_add_settlement(b, NULL, keys, &s));
}

struct made {
    struct queue_keys keys;
    struct buf cmd;
    struct span args[ARGS_MAX];
    struct part *settle, *begin;
};

static void make(struct made *m) {
    *m = (struct made){.settle = part_new(PART_SETTLE), .begin = part_new(PART_BEGIN)};
    assert_int_equal(queue_keys_init(&m->keys, "dray", "orders", "w"), 0);
    buf_init(&m->cmd, 1u << 16);
}

static void unmake(struct made *m) {
    part_free(m->settle);
    part_free(m->begin);
    buf_deinit(&m->cmd);
    queue_keys_deinit(&m->keys);
}

/* Both parts name limits and batches by their own places; the turn has one list of each. */
static void test_what_both_parts_name_is_told_once(void **state) {
    (void)state;
    struct made m;
    make(&m);
    add_done(m.settle, &m.keys, "3.0", "one", "A");
    add_done(m.settle, &m.keys, "2.7", "two", "B");
    add_begin(m.begin, &m.keys, "4.0", "three", "C");
    add_begin(m.begin, &m.keys, "2.8", "four", "B");
    add_begin(m.begin, &m.keys, "5.1", "five", "D");
    struct turn turn = {.settle = m.settle,
                        .begin = m.begin,
                        .claims = true,
                        .claim_n = 7,
                        .claim_bytes = 1000,
                        .batch = 6,
                        .limits_version = "v"};
    turn_write(&turn, &m.cmd, &m.keys);
    size_t n = args_of(&m.cmd, m.args);
    assert_int_equal(n, 7 + 4 + 1 + 4 + 5 + 3 + 2 * 2); /* head, limits, op, batches, accounts, columns */
    assert_true(span_is(m.args[3], "v") && span_is(m.args[5], ""));
    const char *expected[] = {"A", "B", "C",   "D",   "Os",    "3",    "2",
                              "4", "5", "one", "two", "three", "four", "five"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(span_is(m.args[7 + i], expected[i]));
    const char runs[] = {1, 1, 1, 1, 2, 1, 1, 3, 'P', 1, 2, 'P', 1, 4, 'P'};
    assert_true(span_eq(m.args[2], (struct span){runs, sizeof(runs)}));
    const char places[] = {1, 0, 0, 2, 7, 0, 3, 0, 0, 2, 8, 0, 4, 1, 0};
    assert_true(span_eq(m.args[6], (struct span){places, sizeof(places)}));
    static const char lists[] = "$23\r\ndray:{orders}:batch:w:3\r\n$23\r\ndray:{orders}:batch:w:2\r\n"
                                "$23\r\ndray:{orders}:batch:w:4\r\n$23\r\ndray:{orders}:batch:w:5\r\n";
    assert_non_null(strstr(buf_cstr(&m.cmd), lists));
    const char *numbers = m.args[1].ptr;
    const unsigned counts[] = {2, 2, 3, 3, 4, 1, 4, (unsigned)m.keys.order_prefix.len};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(u16_at(numbers + 2 * i), counts[i]);
    assert_int_equal(u16_at(numbers + BITS), 2);
    const double values[] = {6, 7, 1000, 0};
    for (size_t i = 0; i < 4; i++)
        assert_true(double_at(numbers + DOUBLES + 8 * i) == values[i]);
    assert_int_equal(m.args[1].len, DOUBLES + 32);
    unmake(&m);
}

/* The job that a pick-up gave: it is the one of the batch that the turn makes. */
static void test_a_picked_up_text_goes_along(void **state) {
    (void)state;
    struct made m;
    make(&m);
    add_begin(m.begin, &m.keys, "8.0", "one", "A");
    struct turn turn = {.begin = m.begin, .batch = 8, .picked = SPAN_LIT("the text"), .outside = true};
    turn_write(&turn, &m.cmd, &m.keys);
    assert_int_equal(args_of(&m.cmd, m.args), 7 + 1 + 1 + 1 + 1);
    assert_true(span_is(m.args[5], "the text"));
    assert_true(span_is(m.args[8], "8"));
    assert_true(span_is(m.args[10], "S 0123456789abcdef0123456789abcdef w 8.0"));
    assert_int_equal(u16_at(m.args[1].ptr + BITS), 16);
    assert_true(double_at(m.args[1].ptr + DOUBLES) == 8);
    unmake(&m);
}

static int bits_of(struct part *settle, struct part *begin) {
    struct queue_keys keys;
    struct buf cmd;
    struct span args[ARGS_MAX];
    assert_int_equal(queue_keys_init(&keys, "dray", "orders", "w"), 0);
    buf_init(&cmd, 1u << 16);
    turn_write(&(struct turn){.settle = settle, .begin = begin}, &cmd, &keys);
    args_of(&cmd, args);
    int bits = (int)u16_at(args[1].ptr + BITS);
    buf_deinit(&cmd);
    queue_keys_deinit(&keys);
    return bits;
}

static void test_what_the_script_must_know_is_said(void **state) {
    (void)state;
    struct part plain = {0}, repeated = plain, dies = plain, stray = plain;
    repeated.repeated = dies.dies = stray.stray = true;
    assert_int_equal(bits_of(&plain, &plain), 0);
    assert_int_equal(bits_of(&repeated, &plain), 1);
    assert_int_equal(bits_of(&plain, &repeated), 0);
    assert_int_equal(bits_of(&dies, NULL), 4);
    assert_int_equal(bits_of(&stray, NULL), 8);
    assert_int_equal(bits_of(NULL, &stray), 8);
}

static void test_limits_are_packed_as_the_scripts_read_them(void **state) {
    (void)state;
    struct buf out;
    buf_init(&out, 200);
    turn_pack_limits(&(struct turn_limits){0.5, 120, 3, 10, 30000, 60000, 20, 604800000}, &out);
    assert_int_equal(out.data[0], 1);
    const double values[] = {0.5, 120, 3, 10, 30000, 60000, 20};
    for (size_t i = 0; i < 7; i++)
        assert_true(double_at(out.data + 1 + 8 * i) == values[i]);
    assert_true(span_is((struct span){out.data + 57, out.len - 57}, "604800000"));
    buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_a_refusal_to_begin),
        cmocka_unit_test(test_what_both_parts_name_is_told_once),
        cmocka_unit_test(test_what_the_script_must_know_is_said),
        cmocka_unit_test(test_a_picked_up_text_goes_along),
        cmocka_unit_test(test_limits_are_packed_as_the_scripts_read_them),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
