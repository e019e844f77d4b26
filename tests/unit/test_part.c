/* What is written into a part of settlements is read back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "queue/part.h"

static struct queue_keys keys;

static int start(void **state) {
    (void)state;
    return queue_keys_init(&keys, "dray", "orders", "w.1");
}

static int stop(void **state) {
    (void)state;
    queue_keys_deinit(&keys);
    return 0;
}

static void same_span(struct span a, struct span b) {
    assert_int_equal(a.ptr == NULL, b.ptr == NULL);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr != NULL ? a.ptr : "", b.ptr != NULL ? b.ptr : "", a.len);
}

static void same_text(const char *a, const char *b) {
    assert_int_equal(a == NULL, b == NULL);
    assert_string_equal(a != NULL ? a : "", b != NULL ? b : "");
}

static void same(const struct settlement *a, const struct settlement *b) {
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->claim.batch, b->claim.batch);
    assert_int_equal(a->claim.place, b->claim.place);
    same_text(a->counter, b->counter);
    same_text(a->account, b->account);
    assert_int_equal(a->gate, b->gate);
    assert_int_equal(a->gate_ms, b->gate_ms);
    same_text(a->gate_code, b->gate_code);
    assert_int_equal(a->due_ms, b->due_ms);
    same_text(a->dead_id, b->dead_id);
    same_span(a->body, b->body);
    same_span(a->result, b->result);
    same_span(a->results_key, b->results_key);
    same_span(a->ledger, b->ledger);
    same_span(a->ledger_key, b->ledger_key);
}

#define S(text)                                                                                              \
    { text, sizeof(text) - 1 } /* SPAN_LIT is no constant */

static const struct settlement samples[] = {
    {.op = SETTLE_DONE,
     .limits = S("\1limits"),
     .counter = "created",
     .account = "shop",
     .gate = 's',
     .result = S("{\"id\":\"$5\\r\\n\"}"),
     .ledger = S("C h 1 [\"2\"]"),
     .ledger_key = S("dray:{orders}:order:shop:a b:c@1 d")},
    {.op = SETTLE_DONE, .gate = '-', .result = S("\r\n$3\r\n"), .results_key = S("dray:{orders}:mine")},
    {.op = SETTLE_DEAD,
     .counter = "rejected",
     .account = "a.b_c-d",
     .gate = 'p',
     .gate_ms = 3600000,
     .dead_id = "1700000000000-12.345f",
     .body = S("{}"),
     .ledger = S("D"),
     .results_key = S("dray:{orders}:yours"),
     .result = S("{}"),
     .ledger_key = S("k")},
    {.op = SETTLE_RETRY,
     .counter = "retried",
     .account = "shop",
     .gate = 'f',
     .due_ms = 300000,
     .body = S("N {\"n\":1}")},
    {.op = SETTLE_WAIT, .counter = "held", .account = "shop", .gate = 'h', .body = S("")},
    {.op = SETTLE_BACK, .counter = "handed_back", .gate = '-'},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static void test_each_is_read_as_it_was_written(void **state) {
    (void)state;
    struct part *b = part_new(PART_SETTLE);
    struct part_reader r;
    struct settlement s;
    struct settlement written[SAMPLES];
    for (size_t i = 0; i < SAMPLES; i++) {
        written[i] = samples[i];
        written[i].claim = (struct claim){.batch = 1ull << (4 * i), .place = (uint16_t)(257 * i)};
        assert_true(part_add_settlement(b, NULL, &keys, &written[i]));
    }
    part_reader_init(&r, b);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_true(part_read(&r, &keys, &s));
        same(&written[i], &s);
    }
    assert_false(part_read(&r, &keys, &s));
    part_free(b);
}

static struct claim claim_of(const char *token) {
    struct claim claim;
    assert_int_equal(claim_parse(span_str(token), &claim), 0);
    return claim;
}

static void test_tokens(void **state) {
    (void)state;
    char token[TOKEN_SIZE];
    struct claim claim = claim_of("4711.511");
    assert_true(claim.batch == 4711 && claim.place == 511);
    claim_token(&claim, token);
    assert_string_equal(token, "4711.511");
    claim_token(&(struct claim){.batch = UINT64_MAX, .place = UINT16_MAX}, token);
    assert_string_equal(token, "18446744073709551615.65535");
    const char *const none[] = {"",    "1",    "1.",   ".1", "1.1f", "1.65536", "9007199254740993.1",
                                "a.1", "1 .1", "1.1.1"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_int_equal(claim_parse(span_str(none[i]), &claim), -1);
}

static void add_done(struct part *b, const char *token, const char *account, const char *limits) {
    struct settlement s = {.op = SETTLE_DONE,
                           .claim = claim_of(token),
                           .gate = 's',
                           .account = account,
                           .limits = span_str(limits)};
    assert_true(part_add_settlement(b, NULL, &keys, &s));
}

static void test_neighbours_of_one_account_are_a_run(void **state) {
    (void)state;
    struct part *b = part_new(PART_SETTLE);
    add_done(b, "9.1", "shop", "\1a");
    add_done(b, "8.1", "shop", "\1a");
    add_done(b, "10.1", "shop2", "\1a");
    add_done(b, "11.1", "shop", "\1b");
    add_done(b, "12.1", "shop", NULL);
    assert_int_equal(b->run_count, 4);
    const struct part_run expected[] = {{2, 1, 1}, {1, 1, 1}, {1, 2, 1}, {1, 0, 1}};
    assert_memory_equal(b->runs, expected, sizeof(expected));
    assert_int_equal(b->limits.count, 2);
    assert_true(b->stray);
    part_free(b);
}

static void test_what_a_part_says_of_itself(void **state) {
    (void)state;
    struct part *b = part_new(PART_SETTLE);
    add_done(b, "5.1", "shop", "\1a");
    assert_false(b->stray || b->dies);
    assert_true(part_add_settlement(b, NULL, &keys, &samples[2]));
    assert_true(b->dies);
    part_reset(b);
    assert_false(b->stray || b->dies);
    assert_true(b->limits.count == 0 && b->ops.count == 0 && b->run_count == 0);
    part_free(b);
}

/* A byte names a run's limits and op: a part is full before it runs out of them. */
static void test_many_different_ops_fill_a_part(void **state) {
    (void)state;
    struct part *b = part_new(PART_SETTLE);
    uint32_t n = 0;
    for (; !part_full(b); n++) {
        struct settlement s = {.op = SETTLE_RETRY, .gate = 'p', .gate_ms = 1000 + n, .account = "shop"};
        assert_true(part_add_settlement(b, NULL, &keys, &s));
    }
    assert_int_equal(n, DISTINCT_MAX);
    struct settlement s = {.op = SETTLE_RETRY, .gate = 'p', .gate_ms = 1, .account = "shop"};
    size_t before = b->firsts.len;
    assert_false(part_add_settlement(b, NULL, &keys, &s));
    assert_int_equal(b->count, DISTINCT_MAX);
    assert_int_equal(b->firsts.len, before);
    part_free(b);
}

static void test_what_the_ledger_is_to_say(void **state) {
    (void)state;
    struct part *b = part_new(PART_BEGIN);
    struct beginning begin = {.claim = {.batch = 7, .place = 300},
                              .kind = 'P',
                              .account = "shop",
                              .limits = S("\1a"),
                              .hash = "0123456789abcdef0123456789abcdef",
                              .worker = "w.1",
                              .ledger_key = S("k")};
    assert_true(part_add_begin(b, NULL, &keys, &begin));
    assert_string_equal(buf_cstr(&b->firsts), "$44\r\nS 0123456789abcdef0123456789abcdef w.1 7.300\r\n");
    assert_true(span_is(buf_span(&b->places), "\1\54\1")); /* 300 = 0x12c */
    assert_string_equal(buf_cstr(&b->lists), "$25\r\ndray:{orders}:batch:w.1:7\r\n");
    assert_string_equal(buf_cstr(&b->batches.resp), "$1\r\n7\r\n");
    assert_string_equal(buf_cstr(&b->accounts), "$4\r\nshop\r\n");
    assert_int_equal(b->runs[0].what, 'P');
    part_free(b);
}

/* A batch is named once, whatever comes of it; of too many the part is full. */
static void test_batches_are_named_once(void **state) {
    (void)state;
    struct part *b = part_new(PART_SETTLE);
    add_done(b, "9.0", "shop", "\1a");
    add_done(b, "8.1", "shop", "\1a");
    add_done(b, "9.2", "shop", "\1a");
    assert_true(span_eq(buf_span(&b->places), (struct span){"\1\0\0\2\1\0\1\2\0", 9}));
    assert_string_equal(buf_cstr(&b->lists),
                        "$25\r\ndray:{orders}:batch:w.1:9\r\n$25\r\ndray:{orders}:batch:w.1:8\r\n");
    char token[TOKEN_SIZE];
    for (uint64_t n = 10; !part_full(b); n++) {
        claim_token(&(struct claim){.batch = n}, token);
        add_done(b, token, "shop", "\1a");
    }
    assert_int_equal(b->batches.count, DISTINCT_MAX);
    part_free(b);
}

static void test_the_state_of_a_batch(void **state) {
    (void)state;
    struct batch_state b;
    static const char packed[] = "\0\0\0\0\0\x67\xb2\x40" /* 4711 */
                                 "\3\0\0\0\1\0\2\0-P."
                                 "\1\0\4\0a:k1\2\0\3\0b:c";
    struct span whole = {packed, sizeof(packed) - 1}, key;
    uint16_t place;
    assert_int_equal(batch_state_read(whole, &b), 0);
    assert_true(b.first == 4711 && b.count == 3 && b.due == 0 && b.passed == 1 && b.left == 2);
    assert_true(span_is(b.letters, "-P."));
    assert_true(batch_next_begun(&b, &place, &key) && place == 1 && span_is(key, "a:k1"));
    assert_true(batch_next_begun(&b, &place, &key) && place == 2 && span_is(key, "b:c"));
    assert_false(batch_next_begun(&b, &place, &key));
    for (whole.len = 0; whole.len < 19; whole.len++)
        assert_int_equal(batch_state_read(whole, &b), -1);
    for (; whole.len < sizeof(packed) - 1; whole.len++) {
        int begun = 0;
        assert_int_equal(batch_state_read(whole, &b), 0);
        while (batch_next_begun(&b, &place, &key))
            begun++;
        assert_true(begun < 2);
    }
}

static void test_of_an_empty_part_nothing(void **state) {
    (void)state;
    struct part *b = part_new(PART_SETTLE);
    struct part_reader r;
    struct settlement s;
    part_reader_init(&r, b);
    assert_false(part_read(&r, &keys, &s));
    part_free(b);
}

static void test_ops_by_name(void **state) {
    (void)state;
    for (int i = 0; i < SETTLE_OPS; i++)
        assert_int_equal(settle_op_parse(span_str(settle_op_names[i])), i);
    assert_int_equal(settle_op_parse(SPAN_LIT("don")), -1);
    assert_int_equal(settle_op_parse((struct span){NULL, 0}), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_read_as_it_was_written),
        cmocka_unit_test(test_neighbours_of_one_account_are_a_run),
        cmocka_unit_test(test_what_a_part_says_of_itself),
        cmocka_unit_test(test_batches_are_named_once),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_the_state_of_a_batch),
        cmocka_unit_test(test_many_different_ops_fill_a_part),
        cmocka_unit_test(test_what_the_ledger_is_to_say),
        cmocka_unit_test(test_of_an_empty_part_nothing),
        cmocka_unit_test(test_ops_by_name),
    };
    return cmocka_run_group_tests_name("part", tests, start, stop);
}
