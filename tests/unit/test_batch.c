/* What is written into a batch of settlements is read back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "queue/batch.h"

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
    assert_int_equal(b->claim, CLAIM_UNSURE); /* whoever reads it back has to ask */
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
     .claim = CLAIM_COUNTED,
     .limits = S("\1limits"),
     .counter = "created",
     .account = "shop",
     .gate = 's',
     .result = S("{\"id\":\"$5\\r\\n\"}"),
     .ledger = S("C h 1 [\"2\"]"),
     .ledger_key = S("dray:{orders}:order:shop:a b:c@1 d")},
    {.op = SETTLE_DONE,
     .claim = CLAIM_HELD,
     .gate = '-',
     .result = S("\r\n$3\r\n"),
     .results_key = S("dray:{orders}:mine")},
    {.op = SETTLE_DEAD,
     .claim = CLAIM_BEGUN,
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
     .claim = CLAIM_BEGUN,
     .counter = "retried",
     .account = "shop",
     .gate = 'f',
     .due_ms = 300000,
     .body = S("N {\"n\":1}")},
    {.op = SETTLE_WAIT,
     .claim = CLAIM_BEGUN,
     .counter = "held",
     .account = "shop",
     .gate = 'h',
     .body = S("")},
    {.op = SETTLE_BACK, .claim = CLAIM_UNSURE, .counter = "handed_back", .gate = '-'},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static void test_each_is_read_as_it_was_written(void **state) {
    (void)state;
    struct batch *b = batch_new(BATCH_SETTLE);
    struct batch_reader r;
    struct settlement s;
    char token[TOKEN_SIZE] = "0.1f";
    for (size_t i = 0; i < SAMPLES; i++) {
        token[0] = (char)('0' + i);
        assert_true(batch_add_settlement(b, NULL, &keys, token, &samples[i]));
    }
    batch_reader_init(&r, b);
    for (size_t i = 0; i < SAMPLES; i++) {
        token[0] = (char)('0' + i);
        assert_true(batch_read(&r, &keys, &s));
        assert_string_equal(r.token, token);
        same(&samples[i], &s);
    }
    assert_false(batch_read(&r, &keys, &s));
    batch_free(b);
}

static void add_done(struct batch *b, const char *token, const char *account, const char *limits) {
    struct settlement s = {
        .op = SETTLE_DONE, .claim = CLAIM_BEGUN, .gate = 's', .account = account, .limits = span_str(limits)};
    assert_true(batch_add_settlement(b, NULL, &keys, token, &s));
}

static void test_neighbours_of_one_account_are_a_run(void **state) {
    (void)state;
    struct batch *b = batch_new(BATCH_SETTLE);
    add_done(b, "9.1f", "shop", "\1a");
    add_done(b, "8.1f", "shop", "\1a");
    add_done(b, "10.1f", "shop2", "\1a");
    add_done(b, "11.1f", "shop", "\1b");
    add_done(b, "12.1f", "shop", NULL);
    assert_int_equal(b->run_count, 4);
    const struct batch_run expected[] = {{2, 1, 1}, {1, 1, 1}, {1, 2, 1}, {1, 0, 1}};
    assert_memory_equal(b->runs, expected, sizeof(expected));
    assert_int_equal(b->limits.count, 2);
    assert_int_equal(b->lowest, 8);
    assert_true(b->stray);
    batch_free(b);
}

static void test_what_a_batch_says_of_itself(void **state) {
    (void)state;
    struct batch *b = batch_new(BATCH_SETTLE);
    assert_true(b->lowest == UINT64_MAX);
    add_done(b, "5.1f", "shop", "\1a");
    assert_false(b->stray || b->dies || b->doubtful);
    assert_true(batch_add_settlement(b, NULL, &keys, "6.1f", &samples[2]));
    assert_true(b->dies);
    assert_true(batch_add_settlement(b, NULL, &keys, "7.1f", &samples[5]));
    assert_true(b->doubtful);
    batch_reset(b);
    assert_false(b->stray || b->dies || b->doubtful);
    assert_true(b->lowest == UINT64_MAX && b->limits.count == 0 && b->ops.count == 0 && b->run_count == 0);
    batch_free(b);
}

/* A byte names a run's limits and op: a batch is full before it runs out of them. */
static void test_many_different_ops_fill_a_batch(void **state) {
    (void)state;
    struct batch *b = batch_new(BATCH_SETTLE);
    uint32_t n = 0;
    for (; !batch_full(b); n++) {
        struct settlement s = {
            .op = SETTLE_RETRY, .claim = CLAIM_BEGUN, .gate = 'p', .gate_ms = 1000 + n, .account = "shop"};
        assert_true(batch_add_settlement(b, NULL, &keys, "5.1f", &s));
    }
    assert_int_equal(n, DISTINCT_MAX);
    struct settlement s = {
        .op = SETTLE_RETRY, .claim = CLAIM_BEGUN, .gate = 'p', .gate_ms = 1, .account = "shop"};
    size_t before = b->firsts.len;
    assert_false(batch_add_settlement(b, NULL, &keys, "5.1f", &s));
    assert_int_equal(b->count, DISTINCT_MAX);
    assert_int_equal(b->firsts.len, before);
    batch_free(b);
}

static void test_what_the_ledger_is_to_say(void **state) {
    (void)state;
    struct batch *b = batch_new(BATCH_BEGIN);
    struct beginning begin = {.token = "7.123f",
                              .kind = 'P',
                              .account = "shop",
                              .limits = S("\1a"),
                              .hash = "0123456789abcdef0123456789abcdef",
                              .worker = "w.1",
                              .ledger_key = S("k")};
    assert_true(batch_add_begin(b, NULL, &begin));
    assert_string_equal(buf_cstr(&b->firsts), "$45\r\nS 0123456789abcdef0123456789abcdef w.1 7.123f\r\n");
    assert_string_equal(buf_cstr(&b->tokens), "$6\r\n7.123f\r\n");
    assert_string_equal(buf_cstr(&b->accounts), "$4\r\nshop\r\n");
    assert_int_equal(b->runs[0].what, 'P');
    batch_free(b);
}

static void test_of_an_empty_batch_nothing(void **state) {
    (void)state;
    struct batch *b = batch_new(BATCH_SETTLE);
    struct batch_reader r;
    struct settlement s;
    batch_reader_init(&r, b);
    assert_false(batch_read(&r, &keys, &s));
    batch_free(b);
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
        cmocka_unit_test(test_what_a_batch_says_of_itself),
        cmocka_unit_test(test_many_different_ops_fill_a_batch),
        cmocka_unit_test(test_what_the_ledger_is_to_say),
        cmocka_unit_test(test_of_an_empty_batch_nothing),
        cmocka_unit_test(test_ops_by_name),
    };
    return cmocka_run_group_tests_name("batch", tests, start, stop);
}
