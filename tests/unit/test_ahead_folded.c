/* Turns of folded bundles: their begins' ledger entries go ahead of them, and nobody names their claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "queue/fold.h"
#include "queue/turn.h"

struct made {
    struct queue_keys keys;
    struct buf cmd;
    struct batch *settle, *begin;
};

static char packed_limits[80]; /* of an account whose requests are counted or not */

static struct span limits_counted(bool counted) {
    struct buf out;
    buf_init(&out, sizeof(packed_limits));
    turn_pack_limits(
        &(struct turn_limits){.rate = 1, .burst = 1, .concurrency = counted ? 3 : 0, .ledger_ttl_ms = 5},
        &out);
    memcpy(packed_limits, out.data, out.len);
    struct span limits = {packed_limits, out.len};
    buf_deinit(&out);
    return limits;
}

static void add_folded(struct batch *begin, uint8_t bundle, uint16_t which, const char *key, bool counted) {
    const struct beginning b = {.token = bundle > 0 ? "33.1b" : "33.1f",
                                .kind = 'P',
                                .account = "a",
                                .limits = limits_counted(counted),
                                .bundle = bundle,
                                .which = which,
                                .hash = "0123456789abcdef0123456789abcdef",
                                .worker = "w",
                                .ledger_key = span_str(key)};
    assert_true(batch_add_begin(begin, NULL, &b));
}

static void make(struct made *m) {
    *m = (struct made){.settle = batch_new(BATCH_SETTLE), .begin = batch_new(BATCH_BEGIN)};
    assert_int_equal(queue_keys_init(&m->keys, "dray", "orders", "w"), 0);
    buf_init(&m->cmd, 1u << 16);
    add_folded(m->begin, 9, 0, "dray:{orders}:order:a:one", true);
    add_folded(m->begin, 9, 1, "dray:{orders}:order:a:two", true);
    const struct settlement s = {.op = SETTLE_DONE,
                                 .claim = CLAIM_COUNTED,
                                 .gate = 's',
                                 .account = "a",
                                 .bundle = 3,
                                 .limits = limits_counted(true),
                                 .counter = "created",
                                 .result = SPAN_LIT("r"),
                                 .ledger = SPAN_LIT("C x"),
                                 .ledger_key = SPAN_LIT("dray:{orders}:order:a:zero")};
    assert_true(batch_add_settlement(m->settle, NULL, &m->keys, "11.7b", &s));
}

static void unmake(struct made *m) {
    batch_free(m->settle);
    batch_free(m->begin);
    buf_deinit(&m->cmd);
    queue_keys_deinit(&m->keys);
}

static void test_which_begins_may_be_folded(void **state) {
    (void)state;
    struct batch *begin = batch_new(BATCH_BEGIN);
    add_folded(begin, 9, 0, "k1", true);
    add_folded(begin, 12, 0, "k2", true);
    add_folded(begin, 9, 1, "k3", true);
    assert_true(fold_may(begin));
    add_folded(begin, 9, 2, "k4", false); /* not counted as the others are */
    assert_false(fold_may(begin));
    batch_reset(begin);
    add_folded(begin, 9, 0, "k1", false);
    assert_true(fold_may(begin));
    add_folded(begin, 9, 2, "k2", false); /* one is missing before it */
    assert_false(fold_may(begin));
    batch_reset(begin);
    add_folded(begin, 9, 1, "k2", false);
    assert_false(fold_may(begin));
    batch_reset(begin);
    add_folded(begin, 9, 0, "k1", false);
    add_folded(begin, 0, 0, "k2", false); /* of no bundle */
    assert_false(fold_may(begin));
    batch_free(begin);
}

/* The pieces are in the transaction, in this order. */
static void assert_contains(const struct buf *cmd, const char *const pieces[]) {
    const char *at = cmd->data, *end = cmd->data + cmd->len;
    for (size_t i = 0; pieces[i] != NULL; i++) {
        at = memmem(at, (size_t)(end - at), pieces[i], strlen(pieces[i]));
        if (at == NULL)
            fail_msg("%s is not there", pieces[i]);
        at += strlen(pieces[i]);
    }
}

static bool has(const struct buf *cmd, const char *piece) {
    return memmem(cmd->data, cmd->len, piece, strlen(piece)) != NULL;
}

static void test_folded_begins_go_ahead_and_folded_ends_are_not_named(void **state) {
    (void)state;
    struct made m;
    make(&m);
    struct turn turn = {.settle = m.settle, .begin = m.begin, .number = 5, .calm = true, .ahead = true};
    /* MULTI, LPUSH, SET, EVALSHA, EVAL; then EXEC */
    assert_int_equal(turn_write(&turn, &m.cmd, &m.keys), 1 + 1 + 1 + 1 + 1);
    assert_true(has(&m.cmd, "$5\r\n11.7b\r\n") && has(&m.cmd, "$5\r\n33.1b\r\n") &&
                !has(&m.cmd, "MSETNX\r\n"));
    turn.ends_folded = true;
    turn_write(&turn, &m.cmd, &m.keys);
    assert_true(!has(&m.cmd, "$5\r\n11.7b\r\n") && has(&m.cmd, "$5\r\n33.1b\r\n"));
    turn.begins_folded = true;
    assert_int_equal(turn_write(&turn, &m.cmd, &m.keys), 6);
    assert_true(!has(&m.cmd, "$5\r\n11.7b\r\n") && !has(&m.cmd, "$5\r\n33.1b\r\n"));
    static const char entry[] = "$42\r\nS 0123456789abcdef0123456789abcdef w 33.1b\r\n";
    const char *const pieces[] = {"MULTI\r\n",
                                  "LPUSH\r\n",
                                  "PSETEX\r\n",
                                  "*5\r\n$6\r\nMSETNX\r\n$25\r\ndray:{orders}:order:a:one\r\n",
                                  entry,
                                  "$25\r\ndray:{orders}:order:a:two\r\n",
                                  entry,
                                  "EVALSHA\r\n",
                                  "$25\r\ndray:{orders}:order:a:one\r\n",
                                  entry,
                                  "*13\r\n$4\r\nEVAL\r\n",
                                  entry,
                                  "$20\r\ndray:{orders}:order:\r\n$14\r\n\5",
                                  "EXEC\r\n",
                                  NULL};
    assert_contains(&m.cmd, pieces);
    unmake(&m);
}

/* Its head says how many arguments it has, whatever is left out. */
static void test_the_count_of_arguments_is_right(void **state) {
    (void)state;
    struct made m;
    make(&m);
    for (int folded = 0; folded < 4; folded++) {
        struct turn turn = {.settle = m.settle,
                            .begin = m.begin,
                            .calm = true,
                            .ahead = true,
                            .ends_folded = (folded & 1) != 0,
                            .begins_folded = (folded & 2) != 0};
        turn_write(&turn, &m.cmd, &m.keys);
        const char *at = m.cmd.data, *end = m.cmd.data + m.cmd.len;
        while (at < end) {
            char *next;
            assert_int_equal(*at, '*');
            long count = strtol(at + 1, &next, 10);
            at = next + 2;
            while (count-- > 0) {
                assert_int_equal(*at, '$');
                size_t len = strtoul(at + 1, &next, 10);
                at = next + 2 + len + 2;
            }
        }
        assert_ptr_equal(at, end);
    }
    unmake(&m);
}

static unsigned bits_of(const struct turn *turn, struct made *m) {
    turn_write(turn, &m->cmd, &m->keys);
    const char *at = memmem(m->cmd.data, m->cmd.len, "\r\n$1\r\nw\r\n$", 10); /* the worker, then NUMBERS */
    char *numbers;
    assert_non_null(at);
    strtoul(at + 10, &numbers, 10);
    return (unsigned char)numbers[2 + 16] | (unsigned)(unsigned char)numbers[2 + 17] << 8;
}

static void test_it_is_said_whether_an_account_is_of_two_runs(void **state) {
    (void)state;
    struct made m;
    make(&m); /* all of one account */
    struct turn both = {.settle = m.settle, .begin = m.begin, .calm = true},
                ends = {.settle = m.settle, .calm = true};
    assert_int_equal(bits_of(&both, &m) & (512 | 32), 32);
    assert_int_equal(bits_of(&ends, &m) & (512 | 32), 512 | 32);
    ends.calm = false;
    assert_int_equal(bits_of(&ends, &m) & (512 | 32), 0);
    ends.calm = both.calm = true;
    batch_reset(m.begin);
    struct beginning b = {.token = "34.1f",
                          .kind = 'P',
                          .limits = limits_counted(false),
                          .hash = "0123456789abcdef0123456789abcdef",
                          .worker = "w"};
    static const char *const accounts[] = {"b", "c", "ab", "c"};
    for (size_t i = 0; i < 4; i++) {
        b.account = accounts[i], b.ledger_key = span_str((const char *[]){"k0", "k1", "k2", "k3"}[i]);
        assert_true(batch_add_begin(m.begin, NULL, &b));
        assert_int_equal(bits_of(&both, &m) & (512 | 32), i < 3 ? 512 | 32 : 32);
    }
    unmake(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_begins_may_be_folded),
        cmocka_unit_test(test_folded_begins_go_ahead_and_folded_ends_are_not_named),
        cmocka_unit_test(test_the_count_of_arguments_is_right),
        cmocka_unit_test(test_it_is_said_whether_an_account_is_of_two_runs),
    };
    return cmocka_run_group_tests_name("ahead_folded", tests, NULL, NULL);
}
