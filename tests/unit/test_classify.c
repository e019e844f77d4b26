/* classify_create beyond single statuses: transport, overrides, pauses, codes and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orders.h"

#define NOW 1700000000000

static struct account account;
static struct envelope envelope = {.provider_key = {"K", 1}};
static struct json_doc doc;
static struct outcome out;

static void use(const char *provider) {
    account = test_account(provider_find(provider));
}

/* "a,b" as the list that the configuration makes of it, for the rest of the test. */
static code_list codes(const char *text) {
    static char copies[4][256], *lists[4][16];
    static size_t next;
    size_t at = next++ % 4, n = 0;
    snprintf(copies[at], sizeof(copies[at]), "%s", text);
    for (char *rest = copies[at], *one; (one = strsep(&rest, ",")) != NULL;)
        lists[at][n++] = one;
    lists[at][n] = NULL;
    return lists[at];
}

static int set_up(void **state) {
    (void)state;
    use("kakaclo-v2");
    json_init(&doc, UINT32_MAX);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    json_deinit(&doc);
    return 0;
}

static void judge(struct http_exchange x) {
    memset(&out, 0xa5, sizeof(out));
    classify_create(&account, &envelope, &x, NOW, &doc, &out);
}

static void expect(struct http_exchange x, enum verdict verdict, const char *code) {
    judge(x);
    assert_string_equal(verdict_name(out.verdict), verdict_name(verdict));
    assert_string_equal(out.code, code);
}

static void test_nothing_sent_is_a_retry(void **state) {
    (void)state;
    static const char *const phases[][2] = {{"resolve", "resolve"},
                                            {"connect", "connect"},
                                            {"tls", "tls"},
                                            {"timeout", "connect_timeout"},
                                            {"send", "connect"}};
    for (size_t i = 0; i < 5; i++) {
        expect((struct http_exchange){.phase = phases[i][0], .error = "why"}, VERDICT_RETRY, phases[i][1]);
        assert_string_equal(out.message, "why");
        assert_int_equal(out.http_status, 0);
        assert_true(out.free);
    }
    expect((struct http_exchange){.cancelled = true}, VERDICT_RETRY, "cancelled");
    /* headers may have gone out, the order has not */
    expect((struct http_exchange){.guard_refused = true, .sent = true, .phase = "send"}, VERDICT_RETRY,
           "lease_lost");
}

static void test_sent_without_a_whole_answer_is_unknown(void **state) {
    (void)state;
    expect((struct http_exchange){.sent = true, .phase = "timeout"}, VERDICT_UNKNOWN, "timeout");
    expect((struct http_exchange){.sent = true, .phase = "receive"}, VERDICT_UNKNOWN, "connection_lost");
    expect((struct http_exchange){.sent = true, .phase = "send"}, VERDICT_UNKNOWN, "connection_lost");
    expect((struct http_exchange){.sent = true, .phase = "receive", .status = 503}, VERDICT_UNKNOWN,
           "connection_lost");
    assert_int_equal(out.http_status, 503);
    expect((struct http_exchange){.sent = true, .replay_refused = true, .phase = "send"}, VERDICT_UNKNOWN,
           "replay_refused");
    expect((struct http_exchange){.sent = true, .too_large = true, .status = 200}, VERDICT_UNKNOWN,
           "answer_too_large");
    expect((struct http_exchange){.sent = true, .cancelled = true}, VERDICT_UNKNOWN, "cancelled");
    expect((struct http_exchange){.sent = true}, VERDICT_UNKNOWN, "connection_lost");
}

static void test_no_override_makes_an_unclear_outcome_clear(void **state) {
    (void)state;
    account.retry_codes = codes("timeout,connection_lost,unreadable_answer,no_order_id,http:200,"
                                "10000,http_200");
    expect((struct http_exchange){.sent = true, .phase = "timeout"}, VERDICT_UNKNOWN, "timeout");
    expect(answer(200, "<html>"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "{\"code\":10000}"), VERDICT_UNKNOWN, "no_order_id");
    expect(answer(200, "{\"code\":10000,\"data\":1}"), VERDICT_CREATED, "10000");
}

static void test_provider_codes_can_be_overridden(void **state) {
    (void)state;
    expect(answer(200, "{\"code\":20013,\"message\":\"busy\"}"), VERDICT_REJECTED, "20013");
    account.retry_codes = codes("20013,http:422");
    account.reject_codes = codes("http:500,777");
    expect(answer(200, "{\"code\":20013,\"message\":\"busy\"}"), VERDICT_RETRY, "20013");
    assert_string_equal(out.message, "busy");
    expect(answer(200, "{\"code\":\"20013\"}"), VERDICT_RETRY, "20013");
    expect(answer(200, "{\"code\":20014}"), VERDICT_REJECTED, "20014");
    expect(answer(422, "{}"), VERDICT_RETRY, "http_422");
    expect(answer(500, "{}"), VERDICT_REJECTED, "http_500");
    expect(answer(502, "{}"), VERDICT_UNKNOWN, "http_502");
    expect(answer(503, "{\"code\":777}"), VERDICT_REJECTED, "777");
    expect(answer(500, "{\"code\":20013}"), VERDICT_RETRY, "20013"); /* before http:500 */
}

static void test_codes_that_leave_it_unknown(void **state) {
    (void)state;
    account.unknown_codes = codes("http:502,http:503,http:422,20013,10000");
    expect(answer(502, ""), VERDICT_UNKNOWN, "http_502");
    expect(answer(404, ""), VERDICT_RETRY, "http_404");
    expect(answer(422, "{}"), VERDICT_UNKNOWN, "http_422");
    expect(answer(200, "{\"code\":20013}"), VERDICT_UNKNOWN, "20013");
    expect(answer(200, "{\"code\":10000,\"data\":1}"), VERDICT_CREATED, "10000");
    struct http_exchange paused = answer(503, "");
    paused.retry_after = span_str("7");
    expect(paused, VERDICT_UNKNOWN, "http_503");
    use("vu");
    account.unknown_codes = codes("http:503");
    expect(answer(503, ""), VERDICT_UNKNOWN, "http_503");
}

static void test_an_override_goes_before_the_lookup(void **state) {
    (void)state;
    use("vu");
    expect(answer(503, ""), VERDICT_LOOKUP, "http_503");
    expect(answer(409, ""), VERDICT_LOOKUP, "http_409");
    account.retry_codes = codes("http:503,http:409");
    expect(answer(503, ""), VERDICT_RETRY, "http_503");
    expect(answer(409, ""), VERDICT_RETRY, "http_409");
    expect(answer(500, ""), VERDICT_UNKNOWN, "http_500");
}

static void test_lists_of_hold_pause_and_duplicate(void **state) {
    (void)state;
    account.hold_codes = codes("20017,http:402");
    account.pause_codes = codes("20020,http:430");
    account.duplicate_codes = codes("20030,http:422");
    expect(answer(200, "{\"code\":20017}"), VERDICT_HOLD, "20017");
    expect(answer(402, ""), VERDICT_HOLD, "http_402");
    struct http_exchange busy = answer(200, "{\"code\":20020}");
    busy.retry_after = span_str("1.5");
    expect(busy, VERDICT_PAUSE, "20020");
    assert_true(out.free && out.retry_after_told);
    assert_int_equal(out.retry_after_ms, 1500);
    expect(answer(430, ""), VERDICT_PAUSE, "http_430");
    assert_int_equal(out.retry_after_ms, 1000);
    expect(answer(200, "{\"code\":20030}"), VERDICT_LOOKUP, "20030");
    assert_true(out.exists);
    expect(answer(422, ""), VERDICT_LOOKUP, "http_422");
    assert_true(out.exists);
    expect(answer(422, "{\"code\":20017}"), VERDICT_HOLD, "20017"); /* before http:422 */
    assert_false(out.exists);
}

static void test_who_did_not_get_through_burns_nothing(void **state) {
    (void)state;
    static const long unsent[] = {421, 511, 521, 522, 523, 525, 526};
    for (size_t i = 0; i < sizeof(unsent) / sizeof(unsent[0]); i++) {
        judge(answer(unsent[i], "<h1>error</h1>"));
        assert_int_equal(out.verdict, VERDICT_RETRY);
        assert_true(out.free);
    }
    expect(answer(503, ""), VERDICT_RETRY, "http_503");
    assert_false(out.free);
    expect(answer(404, ""), VERDICT_RETRY, "http_404");
    assert_false(out.free);
    expect((struct http_exchange){.sent = true, .unprocessed = true}, VERDICT_RETRY, "unprocessed");
    assert_true(out.free);
    use("vu"); /* no look-up first: nothing was sent */
    expect(answer(521, ""), VERDICT_RETRY, "http_521");
    account.retry_codes = codes("http:521,http:500,http:429");
    expect(answer(521, ""), VERDICT_RETRY, "http_521");
    assert_true(out.free);
    expect(answer(500, ""), VERDICT_RETRY, "http_500");
    assert_false(out.free);
    judge(answer(429, ""));
    assert_true(out.verdict == VERDICT_PAUSE && out.free);
}

static void test_our_own_proxy(void **state) {
    (void)state;
    expect(answer(407, "<h1>log in</h1>"), VERDICT_HOLD, "proxy_407");
    assert_string_equal(out.message, "the proxy refuses us (407)");
    expect((struct http_exchange){.phase = "connect", .proxy_status = 407, .error = "x"}, VERDICT_HOLD,
           "proxy_407");
    assert_string_equal(out.message, "the proxy refuses us (407)");
    expect((struct http_exchange){.phase = "connect", .proxy_status = 502}, VERDICT_HOLD, "proxy_502");
    account.reject_codes = codes("http:407");
    expect(answer(407, ""), VERDICT_REJECTED, "http_407");
}

static void test_a_byte_order_mark_is_skipped(void **state) {
    (void)state;
    expect(answer(200, "\xef\xbb\xbf{\"code\":10000,\"data\":7}"), VERDICT_CREATED, "10000");
    assert_true(span_is(out.ids[0], "7"));
    expect(answer(400, "\xef\xbb\xbf{\"code\":\"E1\"}"), VERDICT_REJECTED, "E1");
    expect(answer(200, "\xef\xbb"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "\xef\xbb\xbf\xef\xbb\xbf{}"), VERDICT_UNKNOWN, "unreadable_answer");
}

static void expect_pause(long status, const char *retry_after, uint64_t ms) {
    struct http_exchange x = answer(status, "");
    x.retry_after = span_str(retry_after);
    judge(x);
    assert_string_equal(verdict_name(out.verdict), "pause");
    assert_int_equal(out.retry_after_ms, ms);
}

static void test_pauses(void **state) {
    (void)state;
    expect_pause(429, "7", 7000);
    expect_pause(503, "7", 7000);
    expect_pause(429, "0", 0);
    expect_pause(429, "999999999", 3600000); /* retry_after_cap_ms */
    expect_pause(429, "99999999999999999999999999", 3600000);
    expect_pause(429, "Tue, 14 Nov 2023 22:13:30 GMT", 10000); /* NOW is …:20 */
    expect_pause(429, "Tue, 14 Nov 2023 22:13:00 GMT", 0);
    expect_pause(429, NULL, 1000); /* backoff_base_ms */
    expect_pause(429, "soon", 1000);
    expect_pause(503, "-5", 1000);
    account.retry_codes = codes("http:429");
    expect_pause(429, "7", 7000); /* a pause is a retry already */
    expect_pause(429, "0.5", 500);
    assert_true(out.retry_after_told && out.free && !out.look_first);
    expect_pause(503, "2.25", 2250);
    assert_true(out.retry_after_told && !out.free && !out.look_first);
    expect_pause(429, NULL, 1000);
    assert_true(!out.retry_after_told && out.free);
    use("vu");
    expect_pause(503, "7", 7000);
    assert_true(out.look_first && !out.free);
    judge(answer(503, ""));
    assert_string_equal(verdict_name(out.verdict), "lookup");
}

static void test_codes_are_safe_to_log(void **state) {
    (void)state;
    char body[512], want[64] = "";
    expect(answer(400, "{\"code\":\"a b\\\"c\\n\\u00e9/x.y:z-1_\"}"), VERDICT_REJECTED,
           "a?b??c?n?u00e9/x.y:z-1_");
    memset(want, 'x', 63);
    snprintf(body, sizeof(body), "{\"code\":\"%s%s\"}", want, want);
    expect(answer(400, body), VERDICT_REJECTED, want);
    expect(answer(400, "{\"code\":true}"), VERDICT_REJECTED, "true");
    expect(answer(400, "{\"code\":{}}"), VERDICT_REJECTED, "http_400");
    expect(answer(400, "{\"code\":\"\"}"), VERDICT_REJECTED, "http_400");
    expect(answer(307, "{\"code\":5}"), VERDICT_REJECTED, "redirect");
    expect(answer(303, "{\"code\":5}"), VERDICT_UNKNOWN, "redirect");
}

static void test_messages_are_found_and_cut_whole(void **state) {
    (void)state;
    static const char *const bodies[][2] = {
        {"{\"message\":\"no\"}", "no"},
        {"{\"message\":\"a\\nb\\u0000c\"}", "a\nb c"},
        {"{\"message\":null,\"error\":\"Invalid request\"}", "Invalid request"},
        {"{\"errors\":\"[API] Invalid\"}", "[API] Invalid"},
        {"{\"errors\":{\"sku\":[\"bad\"]}}", "{\"sku\":[\"bad\"]}"},
        {"{\"message\":7}", "7"},
        {"<h1>oops</h1>", "HTTP 400"},
        {"", "HTTP 400"},
        {"[1]", "HTTP 400"},
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        judge(answer(400, bodies[i][0]));
        assert_string_equal(out.message, bodies[i][1]);
    }
    char body[2048] = "{\"message\":\"";
    for (int i = 0; i < 600; i++)
        strcat(body, "\xe6\xb1\x89");
    strcat(body, "\"}");
    judge(answer(400, body));
    assert_int_equal(strlen(out.message), 510); /* 170 whole characters in 511 bytes */
    assert_true(utf8_valid(out.message, 510));
}

static void test_kakaclo_ids(void **state) {
    (void)state;
    static const struct {
        const char *data, *ids; /* NULL: UNKNOWN */
    } cases[] = {
        {"1853726451928473601", "1853726451928473601"},
        {"\"C202401164058\"", "C202401164058"},
        {"[1,\"2\",3]", "1 2 3"},
        {"{\"kkOrderIds\":[7,8],\"status\":0}", "7 8"},
        {"{\"kkOrderIds\":\"9\",\"status\":0}", "9"},
        {"{\"kkOrderIds\":9}", "9"},
        {"{\"kkOrderId\":\"10\"}", "10"},
        {"null", NULL},
        {"\"\"", NULL},
        {"[]", NULL},
        {"[1,null]", NULL},
        {"[[1]]", NULL},
        {"{}", NULL},
        {"{\"kkOrderIds\":[]}", NULL},
        {"true", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[256], ids[256] = "";
        snprintf(body, sizeof(body), "{\"message\":\"ok\",\"data\":%s,\"code\":10000}", cases[i].data);
        judge(answer(200, body));
        for (uint32_t k = 0; k < out.id_count; k++)
            sprintf(ids + strlen(ids), "%s%.*s", k > 0 ? " " : "", (int)out.ids[k].len, out.ids[k].ptr);
        assert_string_equal(verdict_name(out.verdict), cases[i].ids != NULL ? "created" : "unknown");
        assert_string_equal(ids, cases[i].ids != NULL ? cases[i].ids : "");
        assert_null(out.order.ptr);
    }
}

static void test_kakaclo_codes(void **state) {
    (void)state;
    expect(answer(200, "{\"code\":10000,\"data\":1}"), VERDICT_CREATED, "10000");
    expect(answer(200, "{\"code\":\"10000\",\"data\":1}"), VERDICT_CREATED, "10000");
    expect(answer(200, "{\"code\":1e4,\"data\":1}"), VERDICT_CREATED, "10000");
    expect(answer(200, "{\"code\":10001,\"data\":1,\"message\":\"success\"}"), VERDICT_REJECTED, "10001");
    assert_int_equal(out.id_count, 0);
    expect(answer(200, "{\"code\":0,\"data\":1}"), VERDICT_REJECTED, "0");
    expect(answer(200, "{\"code\":[10000],\"data\":1}"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "{\"data\":1,\"message\":\"success\"}"), VERDICT_UNKNOWN, "unreadable_answer");
}

static void test_more_ids_than_there_is_room_for(void **state) {
    (void)state;
    char body[4096] = "{\"code\":10000,\"data\":[0";
    for (int i = 1; i < 100; i++)
        sprintf(body + strlen(body), ",%d", i);
    strcat(body, "]}");
    judge(answer(200, body));
    assert_int_equal(out.verdict, VERDICT_CREATED);
    assert_int_equal(out.id_count, OUTCOME_MAX_IDS);
    assert_true(span_is(out.ids[63], "63"));
}

static void test_orders_are_passed_on_byte_for_byte(void **state) {
    (void)state;
    use("s2");
    const char *body = "{ \"channelOrderId\" : \"\\u004b\",  \"id\":\"x\", \"n\":9.990 }";
    judge(answer(201, body));
    assert_int_equal(out.verdict, VERDICT_CREATED);
    assert_true(span_is(out.order, body));
    use("vu");
    judge(answer(200, "{\"order\": {\"id\":12345,\"order_number\":\"K\", \"p\":70.0} }"));
    assert_int_equal(out.verdict, VERDICT_CREATED);
    assert_true(span_is(out.order, "{\"id\":12345,\"order_number\":\"K\", \"p\":70.0}"));
    assert_true(span_is(out.ids[0], "12345"));
}

static void test_generic_success(void **state) {
    (void)state;
    use("http-json");
    account.http_json.id_pointer = "/id";
    expect(answer(204, ""), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "OK"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "{}"), VERDICT_UNKNOWN, "no_order_id");
    expect(answer(200, "{\"id\":[1,2]}"), VERDICT_CREATED, "created");
    assert_int_equal(out.id_count, 2);
    account.http_json.success_pointer = "/st";
    expect(answer(200, "{\"id\":1}"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "{\"id\":1,\"st\":null}"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "{\"id\":1,\"st\":0}"), VERDICT_CREATED, "created");
    account.http_json.success_value = "ok";
    expect(answer(200, "{\"id\":1,\"st\":\"ok\"}"), VERDICT_CREATED, "created");
    expect(answer(200, "{\"id\":1,\"st\":{}}"), VERDICT_UNKNOWN, "unreadable_answer");
    expect(answer(200, "{\"id\":0,\"st\":\"bad\"}"), VERDICT_REJECTED, "refused");
    expect(answer(200, "{\"id\":1,\"st\":\"bad\"}"), VERDICT_UNKNOWN, "contradictory_answer");
    account.http_json.code_pointer = "/e/code";
    account.http_json.message_pointers = (char *const[]){(char[]){"/e/text"}, NULL};
    expect(answer(200, "{\"st\":\"bad\",\"e\":{\"code\":\"E7\",\"text\":\"no\"}}"), VERDICT_REJECTED, "E7");
    assert_string_equal(out.message, "no");
    expect(answer(422, "{\"e\":{\"code\":\"E8\",\"text\":\"no\"}}"), VERDICT_REJECTED, "E8");
    account.reject_codes = codes("E7"); /* somebody who knows says that it is a no all the same */
    expect(answer(200, "{\"id\":1,\"st\":\"bad\",\"e\":{\"code\":\"E7\"}}"), VERDICT_REJECTED, "E7");
    expect(answer(200, "{\"id\":1,\"st\":\"bad\",\"e\":{\"code\":\"E9\"}}"), VERDICT_UNKNOWN,
           "contradictory_answer");
    account.duplicate_codes = codes("E9");
    expect(answer(200, "{\"id\":1,\"st\":\"bad\",\"e\":{\"code\":\"E9\"}}"), VERDICT_LOOKUP, "E9");
}

static void test_generic_lookup_kinds(void **state) {
    (void)state;
    use("http-json");
    assert_int_equal(provider_lookup_kind(&account), LOOKUP_NONE);
    account.http_json.lookup_path = "/find/{key}";
    assert_int_equal(provider_lookup_kind(&account), LOOKUP_SCAN);
    expect(answer(503, ""), VERDICT_RETRY, "http_503");
    account.http_json.lookup_exact = true;
    assert_int_equal(provider_lookup_kind(&account), LOOKUP_EXACT);
    expect(answer(503, ""), VERDICT_LOOKUP, "http_503");
    expect(answer(404, ""), VERDICT_RETRY, "http_404");
}

/* VU's 422 that names order_number as taken is a 409 in other words; any other 422 is a no. */
static void test_vu_says_taken_with_422(void **state) {
    (void)state;
    static const char *const taken[] = {
        "{\"errors\":{\"order_number\":[\"has already been taken\"]}}",
        "{\"errors\":{\"order_number\":\"Exists\"}}",
        "{\"errors\":{\"sku\":[\"?\"],\"order_number\":[\"is odd\",\"is taken\"]}}"};
    static const char *const other[] = {"{\"errors\":{\"order_number\":[\"can't be blank\"]}}",
                                        "{\"errors\":{\"order_number\":[\"does not exist\"]}}",
                                        "{\"errors\":{\"sku\":[\"is taken\"]}}",
                                        "{\"errors\":\"order_number is taken\"}",
                                        "{\"errors\":{\"order_number\":{}}}",
                                        "[]",
                                        "",
                                        "<html>"};
    use("vu");
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        expect(answer(422, taken[i]), VERDICT_LOOKUP, "order_number_taken");
        assert_true(out.exists);
        judge(answer(400, taken[i]));
        assert_int_equal(out.verdict, VERDICT_REJECTED);
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        expect(answer(422, other[i]), VERDICT_REJECTED, "http_422");
    account.reject_codes = codes("order_number_taken");
    expect(answer(422, taken[0]), VERDICT_REJECTED, "order_number_taken");
    use("kakaclo-v2");
    expect(answer(422, taken[0]), VERDICT_REJECTED, "http_422");
    judge(answer(409, ""));
    assert_true(out.exists);
    use("vu");
    judge(answer(503, ""));
    assert_int_equal(out.verdict, VERDICT_LOOKUP); /* it failed: whether it exists is to be seen */
    assert_false(out.exists);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_sent_is_a_retry),
        TEST(test_sent_without_a_whole_answer_is_unknown),
        TEST(test_no_override_makes_an_unclear_outcome_clear),
        TEST(test_provider_codes_can_be_overridden),
        TEST(test_codes_that_leave_it_unknown),
        TEST(test_an_override_goes_before_the_lookup),
        TEST(test_lists_of_hold_pause_and_duplicate),
        TEST(test_who_did_not_get_through_burns_nothing),
        TEST(test_our_own_proxy),
        TEST(test_a_byte_order_mark_is_skipped),
        TEST(test_pauses),
        TEST(test_codes_are_safe_to_log),
        TEST(test_messages_are_found_and_cut_whole),
        TEST(test_kakaclo_ids),
        TEST(test_kakaclo_codes),
        TEST(test_more_ids_than_there_is_room_for),
        TEST(test_orders_are_passed_on_byte_for_byte),
        TEST(test_generic_success),
        TEST(test_generic_lookup_kinds),
        TEST(test_vu_says_taken_with_422),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
