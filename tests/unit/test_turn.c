/* A turn's reply is read strictly: what is not one is no answer, and the turn counts as not done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/repeats.h"
#include "queue/turn.h"

static struct batch two = {.count = 2};

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

static void test_an_answer_says_that_bundles_are_folded_no_longer(void **state) {
    (void)state;
    const struct turn nothing = {0};
    redisReply *reply = reply_of("*6\r\n$1\r\n5\r\n$2\r\n-1\r\n" NONE NONE NONE "$8\r\nUNFOLDED\r\n");
    assert_true(turn_reply_ok(&nothing, reply) && turn_unfolded(reply));
    freeReplyObject(reply);
    reply = reply_of(HEAD NONE NONE NONE);
    assert_true(turn_reply_ok(&nothing, reply) && !turn_unfolded(reply));
    freeReplyObject(reply);
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
        HEAD NONE NONE "*3\r\n$2\r\nOK\r\n$1\r\n7\r\n$1\r\n8\r\n",
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

/* Where NUMBERS of turn.lua has its bits, and what is behind the bundles' counts. */
#define BITS    16
#define DOUBLES 23

static double double_at(const char *p) {
    double v;
    memcpy(&v, p, sizeof(v)); /* the machines that tests run on are little-endian */
    return v;
}

static void add_begin(struct batch *b, const char *token, const char *account, const char *limits) {
    struct beginning begin = {.token = token,
                              .kind = 'P',
                              .account = account,
                              .limits = span_str(limits),
                              .hash = "0123456789abcdef0123456789abcdef",
                              .worker = "w",
                              .ledger_key = span_str(account)};
    assert_true(batch_add_begin(b, NULL, &begin));
}

static void add_done(struct batch *b, const struct queue_keys *keys, const char *token, const char *account,
                     const char *limits) {
    struct settlement s = {
        .op = SETTLE_DONE, .claim = CLAIM_BEGUN, .gate = 's', .account = account, .limits = span_str(limits)};
    assert_true(batch_add_settlement(b, NULL, keys, token, &s));
}

struct made {
    struct queue_keys keys;
    struct buf cmd;
    struct span args[ARGS_MAX];
    struct batch *settle, *begin;
};

static void make(struct made *m) {
    *m = (struct made){.settle = batch_new(BATCH_SETTLE), .begin = batch_new(BATCH_BEGIN)};
    assert_int_equal(queue_keys_init(&m->keys, "dray", "orders", "w"), 0);
    buf_init(&m->cmd, 1u << 16);
}

static void unmake(struct made *m) {
    batch_free(m->settle);
    batch_free(m->begin);
    buf_deinit(&m->cmd);
    queue_keys_deinit(&m->keys);
}

/* Both batches name limits by their own places; the turn has one list. */
static void test_limits_of_both_batches_are_told_once(void **state) {
    (void)state;
    struct made m;
    make(&m);
    add_done(m.settle, &m.keys, "21.1f", "one", "A");
    add_done(m.settle, &m.keys, "22.1f", "two", "B");
    add_begin(m.begin, "33.1f", "three", "C");
    add_begin(m.begin, "34.1f", "four", "B");
    add_begin(m.begin, "35.1f", "five", "D");
    struct turn turn = {.settle = m.settle,
                        .begin = m.begin,
                        .claims = true,
                        .claim_n = 7,
                        .claim_bytes = 1000,
                        .first_pop = 3,
                        .number = 99,
                        .answered = 98,
                        .highest = 35,
                        .limits_version = "v"};
    turn_write(&turn, &m.cmd, &m.keys);
    size_t n = args_of(&m.cmd, m.args);
    assert_int_equal(n, 6 + 4 + 1 + 5 + 2 * 3 + 3 * 2); /* head, limits, op, accounts, columns */
    assert_true(span_is(m.args[3], "v"));
    const char *expected[] = {"A", "B", "C", "D", "Osb", "one", "two", "three", "four", "five", "33.1f"};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_true(span_is(m.args[6 + i], expected[i]));
    const char runs[] = {1, 1, 1, 1, 2, 1, 1, 3, 'P', 1, 2, 'P', 1, 4, 'P'};
    assert_true(span_eq(m.args[2], (struct span){runs, sizeof(runs)}));
    const char *numbers = m.args[1].ptr;
    const unsigned counts[] = {2, 2, 3, 3, 4, 1, 3, (unsigned)m.keys.order_prefix.len};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(u16_at(numbers + 2 * i), counts[i]);
    assert_int_equal(u16_at(numbers + BITS), 4);
    assert_int_equal(numbers[18], 0);
    const double values[] = {99, 98, 35, 21, 7, 1000, 0};
    for (size_t i = 0; i < 7; i++)
        assert_true(double_at(numbers + DOUBLES + 8 * i) == values[i]);
    assert_int_equal(m.args[1].len, DOUBLES + 56);
    unmake(&m);
}

/* Every bundle that the script may touch is among its keys, once; those that ended are named, and no claim of theirs
 * that Redis may hold again is forgotten. */
static void test_bundles(void **state) {
    (void)state;
    struct queue_keys keys;
    struct buf cmd;
    struct span args[ARGS_MAX];
    struct batch *begin = batch_new(BATCH_BEGIN);
    assert_int_equal(queue_keys_init(&keys, "dray", "orders", "w"), 0);
    buf_init(&cmd, 1u << 16);
    add_begin(begin, "33.1b", "three", "C");
    bundle_set_add(&begin->bundles, 255);
    bundle_set_add(&begin->bundles, 9);
    bundle_set_add(&begin->bundles, 0);
    struct turn turn = {.begin = begin,
                        .claims = true,
                        .claim_n = 7,
                        .number = 2,
                        .bundle = 12,
                        .ended = {9, 64},
                        .ended_n = 2,
                        .ended_lowest = 31,
                        .calm = true};
    turn_write(&turn, &cmd, &keys);
    assert_int_equal(args_of(&cmd, args), 6 + 1 + 1 + 2);
    assert_int_equal(args[1].len, DOUBLES + 56 + 2);
    assert_int_equal(args[1].ptr[18], 12);
    assert_true(double_at(args[1].ptr + DOUBLES + 24) == 31);
    assert_memory_equal(args[1].ptr + DOUBLES + 56, "\t@", 2);
    const char *at = buf_cstr(&cmd);
    const char *names[] = {"$24\r\ndray:{orders}:bundle:w:9\r\n", "$25\r\ndray:{orders}:bundle:w:12\r\n",
                           "$25\r\ndray:{orders}:bundle:w:64\r\n", "$26\r\ndray:{orders}:bundle:w:255\r\n"};
    for (size_t i = 0; i < 4; i++) {
        at = strstr(at, names[i]); /* in this order */
        assert_non_null(at);
        assert_null(strstr(at + 1, names[i]));
    }
    batch_reset(begin);
    assert_int_equal(bundle_set_count(&begin->bundles), 0);
    bundle_set_fill(&begin->bundles);
    assert_int_equal(bundle_set_count(&begin->bundles), 255);
    batch_free(begin);
    buf_deinit(&cmd);
    queue_keys_deinit(&keys);
}

static void add_of_bundle(struct batch *settle, struct batch *begin, const struct queue_keys *keys,
                          const char *token, uint8_t n) {
    const struct beginning b = {.token = token,
                                .kind = 'P',
                                .account = "a",
                                .limits = SPAN_LIT("L"),
                                .bundle = n,
                                .hash = "0123456789abcdef0123456789abcdef",
                                .worker = "w",
                                .ledger_key = span_str(token)};
    const struct settlement s = {.op = SETTLE_DONE,
                                 .claim = CLAIM_BEGUN,
                                 .gate = 's',
                                 .account = "a",
                                 .bundle = n,
                                 .limits = SPAN_LIT("L"),
                                 .counter = "created",
                                 .result = SPAN_LIT("r"),
                                 .ledger = SPAN_LIT("C x"),
                                 .ledger_key = span_str(token)};
    if (begin != NULL)
        assert_true(batch_add_begin(begin, NULL, &b));
    if (settle != NULL)
        assert_true(batch_add_settlement(settle, NULL, keys, token, &s));
}

/* What of NUMBERS tells which bundles begins and settlements are of; the counts, then the bundles. */
static void assert_of(struct batch *settle, struct batch *begin, const char *expected, size_t len,
                      bool calm) {
    struct queue_keys keys;
    struct buf cmd;
    struct span args[ARGS_MAX];
    assert_int_equal(queue_keys_init(&keys, "dray", "orders", "w"), 0);
    buf_init(&cmd, 1u << 16);
    turn_write(&(struct turn){.settle = settle, .begin = begin, .calm = true, .ended = {7}, .ended_n = 1},
               &cmd, &keys);
    args_of(&cmd, args);
    assert_int_equal(args[1].len, DOUBLES + 56 + len - 4 + 1);
    assert_memory_equal(args[1].ptr + 19, expected, 4);
    assert_memory_equal(args[1].ptr + DOUBLES + 56, expected + 4, len - 4);
    assert_int_equal(args[1].ptr[args[1].len - 1], 7);
    assert_int_equal((u16_at(args[1].ptr + BITS) & 32) != 0, calm);
    buf_deinit(&cmd);
    queue_keys_deinit(&keys);
}

static void test_bundles_of_begins_and_settlements(void **state) {
    (void)state;
    struct queue_keys keys;
    struct batch *settle = batch_new(BATCH_SETTLE), *begin = batch_new(BATCH_BEGIN);
    assert_int_equal(queue_keys_init(&keys, "dray", "orders", "w"), 0);
    add_of_bundle(NULL, begin, &keys, "21.1b", 9);
    add_of_bundle(NULL, begin, &keys, "22.1b", 9);
    add_of_bundle(NULL, begin, &keys, "23.2b", 64);
    add_of_bundle(NULL, begin, &keys, "24.2f", 0);
    add_of_bundle(settle, NULL, &keys, "11.1b", 3);
    add_of_bundle(settle, NULL, &keys, "12.1b", 3);
    assert_of(settle, begin, "\3\0\2\1\t@\3", 7, true);
    add_of_bundle(settle, NULL, &keys, "13.1f", 0);
    assert_of(settle, begin, "\3\0\2\1\t@\3", 7, true);
    batch_reset(settle);
    add_of_bundle(settle, NULL, &keys, "11.1b", 200);
    assert_of(settle, begin, "\3\0\2\1\t@\310", 7, true);
    add_of_bundle(settle, NULL, &keys, "12.1b", 0); /* of a bundle, but of which is not known */
    assert_of(settle, begin, "\3\0\2\1\t@\310", 7, false);
    batch_reset(settle);
    batch_reset(begin);
    add_of_bundle(settle, begin, &keys, "31.1f", 0);
    assert_of(settle, begin, "\0\0\0\0", 4, false); /* the same order ends and begins */
    batch_free(settle);
    batch_free(begin);
    queue_keys_deinit(&keys);
}

/* Where settlements are in their bundles; the keys of a bundle that begins in order, and nothing of another. */
static void test_places_and_keys_of_bundles(void **state) {
    (void)state;
    struct made m;
    make(&m);
    struct beginning b = {.kind = 'P',
                          .account = "a",
                          .limits = SPAN_LIT("L"),
                          .hash = "0123456789abcdef0123456789abcdef",
                          .worker = "w"};
    const struct {
        const char *token, *key;
        uint8_t bundle;
        uint16_t which;
    } begins[] = {{"21.1b", "dray:{orders}:order:a:one", 9, 0},
                  {"31.2b", "dray:{orders}:order:a:x", 12, 1},
                  {"22.1b", "dray:{orders}:order:a:", 9, 1},
                  {"30.2b", "dray:{orders}:order:a:y", 12, 0},
                  {"40.2f", "dray:{orders}:order:a:z", 0, 0}};
    for (size_t i = 0; i < 5; i++) {
        b.token = begins[i].token, b.ledger_key = span_str(begins[i].key);
        b.bundle = begins[i].bundle, b.which = begins[i].which;
        assert_true(batch_add_begin(m.begin, NULL, &b));
    }
    struct settlement s = {.op = SETTLE_DONE,
                           .claim = CLAIM_BEGUN,
                           .gate = 's',
                           .account = "a",
                           .limits = SPAN_LIT("L"),
                           .bundle = 3,
                           .which = 0x201};
    assert_true(batch_add_settlement(m.settle, NULL, &m.keys, "11.1b", &s));
    s.bundle = 0, s.which = 0;
    assert_true(batch_add_settlement(m.settle, NULL, &m.keys, "12.1f", &s));
    turn_write(&(struct turn){.settle = m.settle, .begin = m.begin}, &m.cmd, &m.keys);
    args_of(&m.cmd, m.args);
    assert_true(span_eq(m.args[5], (struct span){"\3\101\0\2\0\1\0\1", 8}));
    assert_true(span_eq(m.args[6], (struct span){"\5\0a:one\2\0a:", 11}));
    assert_true(span_is(m.args[7], ""));
    assert_true(span_is(m.args[8], "L"));
    unmake(&m);
}

static int bits_of(struct batch *settle, struct batch *begin) {
    struct queue_keys keys;
    struct buf cmd;
    struct span args[ARGS_MAX];
    assert_int_equal(queue_keys_init(&keys, "dray", "orders", "w"), 0);
    buf_init(&cmd, 1u << 16);
    turn_write(&(struct turn){.settle = settle, .begin = begin, .calm = true}, &cmd, &keys);
    args_of(&cmd, args);
    int bits = (int)u16_at(args[1].ptr + BITS);
    buf_deinit(&cmd);
    queue_keys_deinit(&keys);
    return bits;
}

static void test_what_is_not_to_be_trusted_is_said(void **state) {
    (void)state;
    struct batch plain = {.lowest = UINT64_MAX}, repeated = plain, doubtful = plain, dies = plain,
                 stray = plain;
    repeated.repeated = doubtful.doubtful = dies.dies = stray.stray = true;
    assert_int_equal(bits_of(&plain, &plain), 0);
    assert_int_equal(bits_of(&repeated, &plain), 1);
    assert_int_equal(bits_of(&plain, &repeated), 2);
    assert_int_equal(bits_of(&doubtful, &plain), 2);
    assert_int_equal(bits_of(&plain, &doubtful), 2);
    assert_int_equal(bits_of(&dies, NULL), 8);
    assert_int_equal(bits_of(&stray, NULL), 16);
    assert_int_equal(bits_of(NULL, &stray), 16);
}

/* Bits of a turn that settles `s` and begins `begin` twice, the second time with another ledger key. `flag`: of which
 * batch something more is known, and what; NULL: nothing. */
static int calm_bits(struct settlement s, struct beginning begin, const char *other_key,
                     void (*flag)(struct batch *, struct batch *)) {
    struct queue_keys keys;
    struct batch *settle = batch_new(BATCH_SETTLE), *begins = batch_new(BATCH_BEGIN);
    assert_int_equal(queue_keys_init(&keys, "dray", "orders", "w"), 0);
    assert_true(batch_add_settlement(settle, NULL, &keys, "21.1f", &s));
    assert_true(batch_add_begin(begins, NULL, &begin));
    begin.ledger_key = span_str(other_key);
    assert_true(batch_add_begin(begins, NULL, &begin));
    if (flag != NULL)
        flag(settle, begins);
    int bits = bits_of(settle, begins);
    batch_free(settle);
    batch_free(begins);
    queue_keys_deinit(&keys);
    return bits;
}

static void settled_before(struct batch *settle, struct batch *begins) {
    (void)begins;
    settle->repeated = true;
}

static void begun_before(struct batch *settle, struct batch *begins) {
    (void)settle;
    begins->repeated = true;
}

static void limits_may_be_old(struct batch *settle, struct batch *begins) {
    (void)settle;
    begins->stray = true;
}

static void test_only_what_is_usual_may_be_calm(void **state) {
    (void)state;
    const struct settlement usual = {.op = SETTLE_DONE,
                                     .claim = CLAIM_BEGUN,
                                     .gate = 's',
                                     .account = "one",
                                     .counter = "created",
                                     .limits = SPAN_LIT("A"),
                                     .result = SPAN_LIT("r"),
                                     .ledger = SPAN_LIT("C x"),
                                     .ledger_key = SPAN_LIT("key-1")};
    const struct beginning start = {.token = "33.1f",
                                    .kind = 'P',
                                    .account = "one",
                                    .limits = SPAN_LIT("A"),
                                    .worker = "w",
                                    .hash = "0123456789abcdef0123456789abcdef",
                                    .ledger_key = SPAN_LIT("key-2")};
    assert_int_equal(calm_bits(usual, start, "key-3", NULL), 32);
    struct settlement s[10];
    for (size_t i = 0; i < 10; i++)
        s[i] = usual;
    s[0].op = SETTLE_DEAD, s[1].claim = CLAIM_HELD, s[2].claim = CLAIM_UNSURE, s[3].gate = 'f',
    s[4].counter = NULL;
    s[5].result = s[6].ledger = s[7].limits = (struct span){NULL, 0};
    s[8].results_key = SPAN_LIT("list"), s[9].ledger = SPAN_LIT("D");
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(calm_bits(s[i], start, "key-3", NULL) & 32, 0);
    struct beginning b[3] = {start, start, start};
    b[0].kind = 'L', b[1].token = "33.1g", b[2].limits = (struct span){NULL, 0};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(calm_bits(usual, b[i], "key-3", NULL) & 32, 0);
    assert_int_equal(calm_bits(usual, start, "key-2", NULL), 0); /* two of a key */
    assert_int_equal(calm_bits(usual, start, "key-1", NULL), 0);
    assert_int_equal(calm_bits(usual, start, "key-3", settled_before), 1);
    assert_int_equal(calm_bits(usual, start, "key-3", begun_before), 2);
    assert_int_equal(calm_bits(usual, start, "key-3", limits_may_be_old), 16);
}

/* Keys that differ in their first letters only, in their last, or only in how long they are. */
static void name_key(char text[512], unsigned form, unsigned i) {
    memset(text, 'x', 300);
    text[form == 2 ? 1 + i % 290 : 290] = '\0';
    char digits[8];
    snprintf(digits, sizeof(digits), "%05u", form == 2 ? i / 290 : i);
    memcpy(form == 1 ? text + strlen(text) - 5 : text, digits, form == 2 ? 1 : 5);
    if (form == 2)
        text[0] = (char)('a' + i / 290);
}

static void test_a_key_that_is_there_twice_is_found(void **state) {
    (void)state;
    for (unsigned form = 0; form < 3; form++) {
        struct batch *settle = batch_new(BATCH_SETTLE), *begin = batch_new(BATCH_BEGIN);
        char text[512];
        for (unsigned i = 0; i < BATCH_ITEMS; i++) {
            name_key(text, form, i);
            redis_resp_str(&begin->keys, text);
            /* the first of them is the last to begin */
            name_key(text, form, i + BATCH_ITEMS - (form == 0));
            redis_resp_str(&settle->keys, text);
        }
        begin->count = settle->count = BATCH_ITEMS;
        assert_int_equal(batch_keys_repeat(settle, begin), form == 0);
        assert_true(batch_keys_repeat(begin, begin));
        batch_free(settle);
        batch_free(begin);
    }
}

static void test_numbers_go_on(void **state) {
    (void)state;
    assert_int_equal(turn_number(0, 5000), 5000);
    assert_int_equal(turn_number(5000, 4000), 5001);
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
        cmocka_unit_test(test_only_what_is_usual_may_be_calm),
        cmocka_unit_test(test_a_key_that_is_there_twice_is_found),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_an_answer_says_that_bundles_are_folded_no_longer),
        cmocka_unit_test(test_a_refusal_to_begin),
        cmocka_unit_test(test_limits_of_both_batches_are_told_once),
        cmocka_unit_test(test_what_is_not_to_be_trusted_is_said),
        cmocka_unit_test(test_bundles),
        cmocka_unit_test(test_bundles_of_begins_and_settlements),
        cmocka_unit_test(test_places_and_keys_of_bundles),
        cmocka_unit_test(test_numbers_go_on),
        cmocka_unit_test(test_limits_are_packed_as_the_scripts_read_them),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
