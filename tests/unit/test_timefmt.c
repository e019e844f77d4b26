/* Durations, sizes, rates and dates, both ways. Dates are checked against timegm(3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dray/clock.h"
#include "dray/timefmt.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct good {
    const char *text;
    uint64_t value;
};

typedef int (*parse_fn)(struct span text, uint64_t *value);

static void accepts(parse_fn parse, const struct good *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t v = 77;
        if (parse(span_str(cases[i].text), &v) != 0)
            fail_msg("refused: %s", cases[i].text);
        if (v != cases[i].value)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)v);
    }
}

static void refuses(parse_fn parse, const char *const *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t v;
        if (parse(span_str(cases[i]), &v) == 0)
            fail_msg("accepted: '%s'", cases[i]);
    }
}

/* Every proper prefix of an accepted text, in memory that ends where the text does. */
static void refuses_prefixes(parse_fn parse, const char *text) {
    for (size_t n = 0; n < strlen(text); n++) {
        uint64_t v;
        char *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, text, n);
        if (parse((struct span){exact, n}, &v) == 0)
            fail_msg("accepted: '%.*s'", (int)n, text);
        free(exact);
    }
}

static void test_durations(void **state) {
    (void)state;
    static const struct good good[] = {
        {"500ms", 500},    {"5s", 5000}, {"2m", 120000}, {"24h", 86400000},
        {"7d", 604800000}, {"0s", 0},    {"007s", 7000}, {"18446744073709551615ms", UINT64_MAX},
    };
    static const char *const bad[] = {
        "",
        "5",
        "s",
        "5 s",
        " 5s",
        "5s ",
        "-5s",
        "+5s",
        "1.5s",
        "5S",
        "5sm",
        "5ns",
        "5min",
        "1e3s",
        "18446744073709551616ms",
        "18446744073709552s",
    };
    accepts(duration_parse, good, COUNT(good));
    refuses(duration_parse, bad, COUNT(bad));
}

static void test_durations_are_written_in_their_largest_unit(void **state) {
    (void)state;
    static const struct good good[] = {
        {"0s", 0},         {"1ms", 1},       {"1500ms", 1500},
        {"90s", 90000},    {"1m", 60000},    {"36h", 129600000},
        {"7d", 604800000}, {"1d", 86400000}, {"18446744073709551615ms", UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        char out[TIMEFMT_SIZE];
        duration_format(good[i].value, out);
        assert_string_equal(out, good[i].text);
    }
}

static void test_sizes(void **state) {
    (void)state;
    static const struct good good[] = {
        {"0", 0}, {"262144", 262144}, {"256K", 262144}, {"1M", 1048576}, {"2G", 2147483648},
    };
    static const char *const bad[] = {"", "K", "1KB", "1k", "1 K", "-1", "1.5M", "1T", "18014398509481984K"};
    accepts(size_parse, good, COUNT(good));
    refuses(size_parse, bad, COUNT(bad));
}

static void test_rates(void **state) {
    (void)state;
    static const char *const bad[] = {"", "2", "/s", "2/", "2/d", "2 /s", "-2/s", "0/s", "2/ss", "1.5/s"};
    double v;
    assert_int_equal(rate_parse(SPAN_LIT("2/s"), &v), 0);
    assert_true(v == 2.0);
    assert_int_equal(rate_parse(SPAN_LIT("90/m"), &v), 0);
    assert_true(v == 1.5);
    assert_int_equal(rate_parse(SPAN_LIT("1800/h"), &v), 0);
    assert_true(v == 0.5);
    assert_int_equal(rate_parse(SPAN_LIT("0"), &v), 0);
    assert_true(v == 0.0);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (rate_parse(span_str(bad[i]), &v) == 0)
            fail_msg("accepted: '%s'", bad[i]);
}

static void test_rfc3339(void **state) {
    (void)state;
    static const struct good good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2024-04-24T06:00:33.889Z", 1713938433889},
        {"2024-04-24t06:00:33.889z", 1713938433889},
        {"2024-04-24 06:00:33.889Z", 1713938433889},
        {"2024-04-24T08:00:33.889+02:00", 1713938433889},
        {"2024-04-24T01:30:33.889-04:30", 1713938433889},
        {"2024-04-24T06:00:33.8899999999999999999999Z", 1713938433889},
        {"2024-04-24T06:00:33.8Z", 1713938433800},
        {"1970-01-01T00:00:00-00:00", 0},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    static const char *const bad[] = {
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2023-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2200-02-29T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00,5Z",
        "2024-01-01T00:00Z",
        "2024-01-01",
        "2024-1-1T00:00:00Z",
        "2024-01-01T00:00:00+0200",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+02:60",
        "2024-01-01T00:00:00Zx",
        "2024-01-01T00:00:00ZZ",
        " 2024-01-01T00:00:00Z",
        "+024-01-01T00:00:00Z",
        "20240101T000000Z",
        "12024-01-01T00:00:00Z",
        "2024-01-01X00:00:00Z",
        "2024-01-01T-1:00:00Z",
        "",
    };
    accepts(rfc3339_parse, good, COUNT(good));
    refuses(rfc3339_parse, bad, COUNT(bad));
    refuses_prefixes(rfc3339_parse, "2024-04-24T06:00:33.889+02:00");
}

static void test_iso8601(void **state) {
    (void)state;
    static const char *const good[] = {"2022-10-31T01:54:56.271Z", "2022-10-31T01:54:56.271+0000",
                                       "2022-10-31T01:54Z",        "2022-10-31T01:54",
                                       "2022-10-31T01:54:56",      "2022-10-31T01:54+02",
                                       "20221031T015456Z",         "20221031T0154",
                                       "20221031T015456,5+0200",   "2022-10-31T01:54:56,271Z",
                                       "2022-10-31 01:54:56z",     "2016-12-31T23:59:60Z"};
    static const char *const bad[] = {
        "",           "2022-10-31",         "2022-10-31T",           "2022-10-31T01",
        "2022-10-3T", "2022-1031T01:54",    "20221031T01:54",        "2022-10-31T01:54:",
        "tomorrow",   "2022-02-30T01:54",   "2022-10-31T25:00",      "2022-10-31T01:54:56.",
        "31.10.2022", "2022-10-31T01:54ZZ", "2022-10-31T01:54+2",    "2022-10-31T01:54+02:6",
        "1667181296", "2022-10-31T01:54 Z", "2022-10-31T01:54+02:60"};
    for (size_t i = 0; i < COUNT(good); i++)
        if (!iso8601_valid(span_str(good[i])))
            fail_msg("refused: '%s'", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (iso8601_valid(span_str(bad[i])))
            fail_msg("accepted: '%s'", bad[i]);
}

/* What java.time.OffsetDateTime.parse takes, and what it does not. */
static void test_offset_datetime(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int offset;
    } good[] = {{"2024-04-24T06:00:33.889Z", 0},  {"2024-04-24T06:00Z", 0},
                {"2024-04-24t06:00:33z", 0},      {"2024-04-24T06:00:33.123456789+00:00", 0},
                {"2024-04-24T06:00-00:00", 0},    {"2024-04-24T06:00:33+02:00", 120},
                {"2024-04-24T06:00-18:00", -1080}};
    static const char *const bad[] = {"2024-04-24T06:00:33",
                                      "2024-04-24 06:00:33Z",
                                      "2024-04-24T06:00:60Z",
                                      "20240424T060033Z",
                                      "2024-04-24T06:00:33,5Z",
                                      "2024-04-24T06:00:33.1234567890Z",
                                      "2024-04-24T06:00.5Z",
                                      "2024-04-24T06:00:33+0000",
                                      "2024-04-24T06:00+18:01",
                                      "2024-04-24T24:00Z",
                                      "2024-04-24",
                                      ""};
    int offset;
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!offset_datetime_valid(span_str(good[i].text), &offset))
            fail_msg("refused: '%s'", good[i].text);
        assert_int_equal(offset, good[i].offset);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        if (offset_datetime_valid(span_str(bad[i]), &offset))
            fail_msg("accepted: '%s'", bad[i]);
}

static void test_rfc3339_agrees_with_the_c_library(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t ms = rng_below(&r, 253402300800000), back;
        time_t t = (time_t)(ms / 1000);
        struct tm tm;
        char want[TIMEFMT_SIZE], got[TIMEFMT_SIZE], text[64];
        gmtime_r(&t, &tm);
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
        rfc3339_format(ms, got);
        assert_memory_equal(got, want, 19);
        assert_int_equal(rfc3339_parse(span_str(got), &back), 0);
        assert_int_equal(back, ms);
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        assert_int_equal(http_date_parse(span_str(text), &back), 0);
        assert_int_equal(back, ms / 1000 * 1000);
        strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm);
        assert_int_equal(http_date_parse(span_str(text), &back), 0);
        assert_int_equal(back, ms / 1000 * 1000);
    }
}

static void test_rfc3339_format_stops_at_year_9999(void **state) {
    (void)state;
    char out[TIMEFMT_SIZE];
    rfc3339_format(UINT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}

static void test_http_dates(void **state) {
    (void)state;
    static const struct good good[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777000},
        {"Sun Nov  6 08:49:37 1994", 784111777000},
        {"Sun Nov 16 08:49:37 1994", 784975777000},
        {"Wednesday, 01-Jan-25 00:00:00 GMT", 1735689600000},
        {"Tue, 29 Feb 2028 00:00:00 GMT", 1835395200000},
    };
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sunsday, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
    };
    accepts(http_date_parse, good, COUNT(good));
    refuses(http_date_parse, bad, COUNT(bad));
    for (size_t i = 0; i < 3; i++)
        refuses_prefixes(http_date_parse, good[i].text);
}

static uint64_t now_for_retry;

static int retry_after(struct span text, uint64_t *value) {
    return retry_after_parse(text, now_for_retry, value);
}

static void test_retry_after(void **state) {
    (void)state;
    now_for_retry = 784111777000 - 1500;
    static const struct good good[] = {
        {"0", 0},
        {"120", 120000},
        {" 120\t", 120000},
        {"3.5", 3500},
        {"0.25", 250},
        {"0.0001", 1},
        {"1.0", 1000},
        {"4294967295.9", 4294967295000},
        {"1000000001", 1000000001000 - (784111777000 - 1500)},
        {"999999999", 999999999000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 1500},
        {"Sun, 06 Nov 1994 08:49:35 GMT", 0},
        {"Sun Nov  6 08:49:37 1994", 1500},
        {"4294967295", 4294967295000},
        {"4294967296", 4294967295000},
        {"18446744073709551617", 4294967295000},
        {"99999999999999999999999999999999", 4294967295000},
    };
    static const char *const bad[] = {"",      " ",   "-1", "1.",  ".5", "1.5s",
                                      "1.5.5", "1,5", "1s", "1 2", "+1", "soon"};
    accepts(retry_after, good, COUNT(good));
    refuses(retry_after, bad, COUNT(bad));
}

static void test_clocks_read_the_time(void **state) {
    (void)state;
    uint64_t before = (uint64_t)time(NULL), ms = clock_unix_ms();
    assert_in_range(ms / 1000, before, before + 5);
    uint64_t a = clock_boot_ns(), b = clock_boot_ns();
    assert_true(a > 0 && b >= a);
}

static void test_rng_is_seeded_and_even(void **state) {
    (void)state;
    struct rng a, b;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rng_u64(&a), rng_u64(&b));
    rng_seed(&b, 43);
    assert_int_not_equal(rng_u64(&a), rng_u64(&b));
    uint32_t hits[6] = {0};
    for (int i = 0; i < 60000; i++)
        hits[rng_below(&a, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(hits[i], 9500, 10500);
    assert_int_equal(rng_below(&a, 0), 0);
    assert_int_equal(rng_below(&a, 1), 0);
    assert_int_equal(rng_seed_os(&a), 0);
    assert_int_equal(rng_seed_os(&b), 0);
    assert_int_not_equal(rng_u64(&a), rng_u64(&b));
}

/* The first outputs of the authors' own xoshiro256** from state 1, 2, 3, 4. */
static void test_rng_is_xoshiro256starstar(void **state) {
    (void)state;
    struct rng r = {{1, 2, 3, 4}};
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < COUNT(want); i++)
        assert_int_equal(rng_u64(&r), want[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_durations_are_written_in_their_largest_unit),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_iso8601),
        cmocka_unit_test(test_offset_datetime),
        cmocka_unit_test(test_rfc3339_agrees_with_the_c_library),
        cmocka_unit_test(test_rfc3339_format_stops_at_year_9999),
        cmocka_unit_test(test_http_dates),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_clocks_read_the_time),
        cmocka_unit_test(test_rng_is_seeded_and_even),
        cmocka_unit_test(test_rng_is_xoshiro256starstar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
