/* The sandbox's parts without its server: magic order keys, settings, and what it remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sandbox/internal.h"
#include "sandbox/magic.h"

static struct magic parse(const char *key) {
    return magic_parse(span_str(key));
}

static void test_keys_without_magic(void **state) {
    (void)state;
    static const char *const plain[] = {
        "",
        "-",
        "KA-1",
        "shop-7/1001",
        "KA-401",
        "HANGUP",
        "FAIL503",
        "KA-",
        "KA-hangup",
        "KA-FAIL",
        "KA-FAIL299",
        "KA-FAIL600",
        "KA-FAIL50",
        "KA-FAIL5033",
        "KA-FAIL503x",
        "KA-FAIL503x0",
        "KA-FAIL503x1000001",
        "KA-FAIL503 ",
        "KA-HANGUPS",
        "KA-HANGUP5",
        "KA-SLOW",
        "KA-SLOW5",
        "KA-SLOWs",
        "KA-SPLIT1",
        "KA-SPLIT10",
        "KA-SPLIT",
        "KA-x2",
        "KA-HANGUP-1",
        "KA-DUP ",
        "KA-YES",
        "KA-YES300",
        "KA-BLOCKED",
        "KA-LOOKUP",
        "KA-LOOKUP200",
        "KA-LOOKUPBLINDS",
    };
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (parse(plain[i]).kind != MAGIC_NONE)
            fail_msg("'%s' has magic %d", plain[i], (int)parse(plain[i]).kind);
}

static void test_every_word(void **state) {
    (void)state;
    static const struct {
        const char *key;
        struct magic want;
    } all[] = {
        {"KA-FAIL503x2", {MAGIC_FAIL, 2, 503, 0, 0}},
        {"KA-FAIL401", {MAGIC_FAIL, UINT32_MAX, 401, 0, 0}},
        {"KA-LATE504", {MAGIC_LATE, UINT32_MAX, 504, 0, 0}},
        {"KA-PAUSE2s", {MAGIC_PAUSE, UINT32_MAX, 0, 0, 2000}},
        {"KA-BUSY500msx3", {MAGIC_BUSY, 3, 0, 0, 500}},
        {"KA-DATE2s", {MAGIC_DATE, UINT32_MAX, 0, 0, 2000}},
        {"KA-HANGUP", {MAGIC_HANGUP, UINT32_MAX, 0, 0, 0}},
        {"KA-HANGUPx1", {MAGIC_HANGUP, 1, 0, 0, 0}},
        {"KA-HANGUPNO", {MAGIC_HANGUPNO, UINT32_MAX, 0, 0, 0}},
        {"KA-SLOW5s", {MAGIC_SLOW, UINT32_MAX, 0, 0, 5000}},
        {"KA-DUP", {MAGIC_DUP, UINT32_MAX, 0, 0, 0}},
        {"KA-REJECT", {MAGIC_REJECT, UINT32_MAX, 0, 0, 0}},
        {"KA-3XX", {MAGIC_REDIRECT, UINT32_MAX, 0, 0, 0}},
        {"KA-HTML", {MAGIC_HTML, UINT32_MAX, 0, 0, 0}},
        {"KA-GARBAGE", {MAGIC_GARBAGE, UINT32_MAX, 0, 0, 0}},
        {"KA-TRUNCx10", {MAGIC_TRUNC, 10, 0, 0, 0}},
        {"KA-EMPTY", {MAGIC_EMPTY, UINT32_MAX, 0, 0, 0}},
        {"KA-NOID", {MAGIC_NOID, UINT32_MAX, 0, 0, 0}},
        {"KA-HUGE", {MAGIC_HUGE, UINT32_MAX, 0, 0, 0}},
        {"a-b-SPLIT3", {MAGIC_SPLIT, UINT32_MAX, 0, 3, 0}},
        {"KA-YES202", {MAGIC_YES, UINT32_MAX, 202, 0, 0}},
        {"KA-TWICE", {MAGIC_TWICE, UINT32_MAX, 0, 0, 0}},
        {"KA-KEEPALIVE1s", {MAGIC_KEEP, UINT32_MAX, 0, 0, 1000}},
        {"KA-GATEWAY502x1", {MAGIC_GATEWAY, 1, 502, 0, 0}},
        {"KA-BLOCKED403", {MAGIC_BLOCKED, UINT32_MAX, 0, 0, 0}},
        {"KA-RATE429x2", {MAGIC_RATE, 2, 0, 0, 0}},
        {"KA-FRACTION3500ms", {MAGIC_FRACTION, UINT32_MAX, 0, 0, 3500}},
        {"KA-REFUSEALL", {MAGIC_BROKE, UINT32_MAX, 0, 0, 0}},
        {"KA-CODETWICE", {MAGIC_NAMES, UINT32_MAX, 0, 0, 0}},
        {"KA-LATE504-ROUTER404x1", {MAGIC_LATE, UINT32_MAX, 504, 0, 0}},
        {"KA-FAIL500x2-LOOKUP429", {MAGIC_FAIL, 2, 500, 0, 0}},
        {"KA-LOOKUPBLIND", {MAGIC_HANGUP, UINT32_MAX, 0, 0, 0}},
        {"KA-1-LOOKUPEMPTYx3", {MAGIC_HANGUP, UINT32_MAX, 0, 0, 0}},
        {"KA-ROUTER404-LOOKUPEMPTY", {MAGIC_HANGUP, UINT32_MAX, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct magic m = parse(all[i].key);
        if (m.kind != all[i].want.kind || m.times != all[i].want.times || m.status != all[i].want.status ||
            m.count != all[i].want.count || m.ms != all[i].want.ms)
            fail_msg("'%s' is kind %d, times %u, status %u, count %u, %llu ms", all[i].key, (int)m.kind,
                     m.times, m.status, m.count, (unsigned long long)m.ms);
    }
}

static void test_endings_of_look_ups(void **state) {
    (void)state;
    static const struct {
        const char *key;
        struct magic want;
    } all[] = {
        {"KA-LOOKUP429x2", {MAGIC_LOOKUP, 2, 429, 0, 0}},
        {"KA-ROUTER404x1", {MAGIC_ROUTER, 1, 0, 0, 0}},
        {"KA-LATE504x1-LOOKUPEMPTY", {MAGIC_LOOKUP_EMPTY, UINT32_MAX, 0, 0, 0}},
        {"KA-LOOKUPEMPTYTOTALx3", {MAGIC_LOOKUP_TOTAL, 3, 0, 0, 0}},
        {"KA-LOOKUPHTML", {MAGIC_LOOKUP_HTML, UINT32_MAX, 0, 0, 0}},
        {"KA-LOOKUPHANGUP", {MAGIC_LOOKUP_HANGUP, UINT32_MAX, 0, 0, 0}},
        {"KA-LOOKUPOTHER", {MAGIC_LOOKUP_OTHER, UINT32_MAX, 0, 0, 0}},
        {"KA-LOOKUPBLIND", {MAGIC_LOOKUP_BLIND, UINT32_MAX, 0, 0, 0}},
        {"KA-HANGUP", {MAGIC_NONE, 0, 0, 0, 0}},
        {"KA-ROUTER404-HANGUP", {MAGIC_NONE, 0, 0, 0, 0}},
        {"KA-1", {MAGIC_NONE, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct magic m = magic_parse_lookup(span_str(all[i].key));
        if (m.kind != all[i].want.kind || m.times != all[i].want.times || m.status != all[i].want.status)
            fail_msg("'%s' is kind %d, times %u, status %u", all[i].key, (int)m.kind, m.times, m.status);
    }
}

/* Every suffix that the help names is one that the reader knows. */
static void test_help_and_reader_agree(void **state) {
    (void)state;
    struct buf help;
    char key[64];
    unsigned n = 0;
    buf_init(&help, 1 << 16);
    magic_help(&help, false);
    for (const char *line = buf_cstr(&help); *line != '\0'; line = strchr(line, '\n') + 1, n++) {
        char word[32];
        assert_int_equal(sscanf(line, " -%31[A-Z0-9]", word), 1);
        const char *parameter =
            strchr(line, '<') != NULL && strchr(line, '<') < line + 23 ? strchr(line, '<') + 1 : "";
        snprintf(key, sizeof key, "k-%s%s", word,
                 *parameter == 's'   ? "503"
                 : *parameter == '2' ? "202"
                 : *parameter == 'd' ? "1s"
                 : *parameter == 'n' ? "2"
                                     : "");
        assert_int_not_equal(parse(key).kind, MAGIC_NONE);
    }
    assert_int_equal(n, 40);
    buf_deinit(&help);
}

static void test_settings(void **state) {
    (void)state;
    struct sandbox_trouble t = {.slow_ms = 7};
    struct err err;
    assert_int_equal(sandbox_trouble_set(&t, "latency", "50ms", &err), 0);
    assert_true(t.latency_min_ms == 50 && t.latency_max_ms == 50);
    assert_int_equal(sandbox_trouble_set(&t, "latency", "50-150ms", &err), 0);
    assert_true(t.latency_min_ms == 50 && t.latency_max_ms == 150);
    assert_int_equal(sandbox_trouble_set(&t, "latency", "500ms-1s", &err), 0);
    assert_true(t.latency_min_ms == 500 && t.latency_max_ms == 1000);
    assert_int_equal(sandbox_trouble_set(&t, "down", "1", &err), 0);
    assert_int_equal(t.down, 503);
    assert_int_equal(sandbox_trouble_set(&t, "down", "hangup", &err), 0);
    assert_int_equal(t.down, SANDBOX_DOWN_HANGUP);
    assert_int_equal(sandbox_trouble_set(&t, "repeats", "refuse", &err), 0);
    assert_true(t.refuse_repeats);
    assert_int_equal(sandbox_trouble_set(&t, "balance", "spent", &err), 0);
    assert_true(t.balance_spent);
    assert_int_equal(sandbox_trouble_set(&t, "balance", "enough", &err), 0);
    assert_false(t.balance_spent);
    assert_int_equal(sandbox_trouble_set(&t, "keep_alive", "1500ms", &err), 0);
    assert_int_equal(t.keep_ms, 1500);
    static const char *const bad[][2] = {
        {"latency", "50"},    {"latency", "150-50ms"}, {"latency", "-5ms"}, {"latency", "2h"},
        {"fail_rate", "1.5"}, {"fail_rate", "nan"},    {"fail_rate", ""},   {"hangup_rate", "-0.1"},
        {"slow", "x"},        {"down", "200"},         {"down", "5xx"},     {"repeats", "yes"},
        {"nonsense", "1"},    {"balance", "none"},     {"keep_alive", "1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (sandbox_trouble_set(&t, bad[i][0], bad[i][1], &err) == 0)
            fail_msg("%s=%s was accepted", bad[i][0], bad[i][1]);
    assert_true(t.latency_min_ms == 500 && t.slow_ms == 7);
}

static void test_store_counts_and_is_full(void **state) {
    (void)state;
    struct tally s;
    struct err err;
    assert_int_equal(tally_init(&s, 3, 64, &err), 0);
    uint32_t a = tally_key(&s, 0, 0, SPAN_LIT("a"));
    assert_int_equal(tally_key(&s, 0, 0, SPAN_LIT("a")), a);
    assert_int_not_equal(tally_key(&s, 1, 0, SPAN_LIT("a")), a);
    assert_int_not_equal(tally_key(&s, 0, 1, SPAN_LIT("a")), a);
    assert_int_equal(tally_key(&s, 0, 0, SPAN_LIT("b")), TALLY_NONE);
    assert_int_equal(tally_find(&s, 0, 0, SPAN_LIT("b")), TALLY_NONE);
    assert_int_equal(tally_order(&s, a, 0, 0, SPAN_LIT("body"), 2, 5), 0);
    assert_int_equal(s.keys[a].first, 0);
    assert_int_equal(s.orders[0].next, 1);
    assert_int_equal(tally_order(&s, a, 0, 0, (struct span){NULL, 0}, 2, 5), TALLY_NONE);
    char large[100] = {0};
    assert_int_equal(tally_order(&s, a, 0, 0, (struct span){large, sizeof large}, 1, 5), TALLY_NONE);
    tally_reset(&s);
    assert_int_equal(tally_find(&s, 0, 0, SPAN_LIT("a")), TALLY_NONE);
    a = tally_key(&s, 0, 0, SPAN_LIT("c"));
    uint32_t order = tally_order(&s, a, 0, 0, SPAN_LIT("body"), 1, 5);
    assert_int_equal(tally_serial(&s, order), 2); /* numbers go on after a reset */
    assert_int_equal(tally_by_serial(&s, 2), order);
    assert_int_equal(tally_by_serial(&s, 1), TALLY_NONE);
    tally_deinit(&s);
}

static void test_delays_come_in_order(void **state) {
    (void)state;
    struct delays d = {0};
    struct request requests[200] = {0};
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i < 200; i++) {
        requests[i].due_ns = rng_below(&rng, 50);
        assert_int_equal(delays_push(&d, &requests[i]), 0);
    }
    for (size_t i = 0; i < 200; i += 3)
        delays_remove(&d, &requests[i]);
    delays_remove(&d, &requests[0]); /* one that is not in is left alone */
    uint64_t before = 0;
    unsigned n = 0;
    for (struct request *r; (r = delays_top(&d)) != NULL; n++) {
        assert_true(r->due_ns >= before);
        before = r->due_ns;
        delays_remove(&d, r);
    }
    assert_int_equal(n, 133);
    delays_deinit(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_without_magic),
        cmocka_unit_test(test_every_word),
        cmocka_unit_test(test_endings_of_look_ups),
        cmocka_unit_test(test_help_and_reader_agree),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_store_counts_and_is_full),
        cmocka_unit_test(test_delays_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
