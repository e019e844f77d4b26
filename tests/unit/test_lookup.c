/* Look-ups: what is asked for, page by page, and what an answer proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orders.h"

#define FROM 1700000000123 /* 2023-11-14T22:13:20.123Z */
#define TO   1700003600001

static struct account account;
static struct envelope envelope;
static struct lookup_cursor cursor;
static struct json_doc doc;
static struct outcome out;

static void use(const char *provider) {
    account = test_account(provider_find(provider));
    envelope = (struct envelope){.provider_key = SPAN_LIT("K 1/\xc3\xb6"),
                                 .order = SPAN_LIT("{\"accountId\":\"acc\"}")};
    cursor = (struct lookup_cursor){.window_from_ms = FROM, .window_to_ms = TO};
}

static int set_up(void **state) {
    (void)state;
    json_init(&doc, UINT32_MAX);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    json_deinit(&doc);
    return 0;
}

static void expect_url(const char *want) {
    struct buf url;
    buf_init(&url, 4096);
    assert_int_equal(account.provider->build_lookup(&account, &envelope, &cursor, &url), 0);
    assert_string_equal(buf_cstr(&url), want);
    buf_deinit(&url);
}

static bool read_page(long status, const char *body) {
    struct http_exchange x = answer(status, body);
    memset(&out, 0xa5, sizeof(out));
    return classify_lookup(&account, &envelope, &x, TO, &doc, &cursor, &out);
}

static void expect(long status, const char *body, enum verdict verdict, const char *code) {
    assert_false(read_page(status, body));
    assert_string_equal(verdict_name(out.verdict), verdict_name(verdict));
    assert_string_equal(out.code, code);
}

/* A page of `n` orders that are not ours; the caller frees. */
static char *others(const char *head, uint32_t n, const char *tail) {
    struct buf body;
    buf_init(&body, 1 << 20);
    buf_add_str(&body, head);
    for (uint32_t i = 0; i < n; i++)
        buf_addf(&body, "%s{\"id\":\"%u\",\"customOrderId\":\"x\",\"channelOrderId\":\"x\"}",
                 i > 0 ? "," : "", i);
    buf_add_str(&body, tail);
    buf_cstr(&body);
    assert_true(buf_ok(&body));
    return body.data;
}

static void test_without_a_key_nothing_can_be_asked(void **state) {
    (void)state;
    struct buf url;
    buf_init(&url, 4096);
    for (size_t i = 0; providers[i] != NULL; i++) {
        use(providers[i]->name);
        envelope.provider_key = (struct span){NULL, 0};
        if (providers[i]->build_lookup != NULL)
            assert_int_equal(providers[i]->build_lookup(&account, &envelope, &cursor, &url), -1);
        assert_int_equal(providers[i]->build_lookup == NULL, providers[i]->read_lookup == NULL);
        assert_int_equal(providers[i]->build_lookup == NULL, providers[i]->lookup == LOOKUP_NONE);
    }
    buf_deinit(&url);
}

static void test_a_provider_without_a_lookup(void **state) {
    (void)state;
    static const struct provider none = {.name = "none"};
    use("kakaclo-v1");
    account.provider = &none;
    expect(200, "{}", VERDICT_UNKNOWN, "no_lookup");
    for (size_t i = 0; providers[i] != NULL; i++) {
        use(providers[i]->name);
        account.http_json.lookup_path = "/x/{key}";
        bool withdrawn = strcmp(account.provider->name, "kakaclo-custom") == 0;
        assert_int_equal(provider_lookup_kind(&account) == LOOKUP_NONE, withdrawn);
        account.lookup = LOOKUP_YES;
        assert_int_not_equal(provider_lookup_kind(&account), LOOKUP_NONE);
        account.lookup = LOOKUP_NO;
        assert_int_equal(provider_lookup_kind(&account), LOOKUP_NONE);
    }
}

static void test_vu(void **state) {
    (void)state;
    use("vu");
    expect_url("/api/v1/orders?order_number=K%201%2F%C3%B6");
    expect(200, "{\"order\":{\"id\":5,\"order_number\":\"K 1/\\u00f6\"}}", VERDICT_CREATED, "found");
    assert_true(span_is(out.ids[0], "5"));
    assert_true(out.order.len > 0);
    expect(200, "{\"order\":{\"id\":5,\"order_number\":\"K 1\"}}", VERDICT_UNKNOWN, "other_order");
    assert_non_null(strstr(out.message, "id there is 5"));
    expect(200, "{\"order\":{\"order_number\":\"K 1/\xc3\xb6\"}}", VERDICT_UNKNOWN, "no_order_id");
    expect(404, "{\"errors\":\"not found\"}", VERDICT_ABSENT, "not_found");
    expect(404, "", VERDICT_RETRY, "lookup_unreadable"); /* a router's, or a proxy's */
    expect(404, "404 page not found", VERDICT_RETRY, "lookup_unreadable");
    expect(404, "{\"error\":\"Not Found\"}", VERDICT_RETRY, "lookup_unreadable");
    expect(404, "{\"errors\":null}", VERDICT_RETRY, "lookup_unreadable");
    expect(404, "{\"errors\":\"a\",\"errors\":\"b\"}", VERDICT_RETRY, "lookup_unreadable");
    expect(200, "{\"order\":{\"id\":5,\"id\":6,\"order_number\":\"K 1/\\u00f6\"}}", VERDICT_RETRY,
           "lookup_unreadable");
    assert_int_equal(out.id_count, 0);
    expect(404, " <html>nginx</html>", VERDICT_RETRY, "http_404");
    expect(200, "<html>", VERDICT_RETRY, "lookup_unreadable");
    expect(422, "{}", VERDICT_RETRY, "http_422");
    expect(401, "{}", VERDICT_HOLD, "http_401");
}

static void test_kakaclo_asks_for_ten_minutes_more_on_both_sides(void **state) {
    (void)state;
    use("kakaclo-v2");
    expect_url("/openapi/v2/order/orders?createStartTime=2023-11-14T22:03:20Z"
               "&createEndTime=2023-11-14T23:23:21Z&pageNumber=1&pageSize=250");
    cursor.window_from_ms = 0; /* nobody knows when it was sent */
    struct buf url;
    buf_init(&url, 4096);
    assert_int_equal(account.provider->build_lookup(&account, &envelope, &cursor, &url), -1);
    buf_deinit(&url);
    cursor.window_from_ms = FROM;
    cursor.page = 6;
    expect_url("/openapi/v2/order/orders?createStartTime=2023-11-14T22:03:20Z"
               "&createEndTime=2023-11-14T23:23:21Z&pageNumber=7&pageSize=250");
}

static void test_kakaclo_reads_every_page(void **state) {
    (void)state;
    use("kakaclo-v2");
    char *full = others("{\"code\":10000,\"data\":{\"total\":501,\"list\":[", 250, "]}}");
    assert_true(read_page(200, full));
    assert_true(read_page(200, full));
    assert_int_equal(cursor.page, 2);
    assert_int_equal(cursor.seen, 500);
    expect(200,
           "{\"code\":10000,\"data\":{\"total\":501,\"list\":[{\"id\":1853726451928473601,"
           "\"customOrderId\":\"K 1/\xc3\xb6\"}]}}",
           VERDICT_CREATED, "found");
    assert_true(span_is(out.ids[0], "1853726451928473601"));
    free(full);
}

static void test_kakaclo_ends(void **state) {
    (void)state;
    use("kakaclo-v2");
    expect(200, "{\"code\":10000,\"data\":{\"total\":0,\"list\":[]}}", VERDICT_ABSENT, "not_found");
    char *one = others("{\"code\":10000,\"data\":{\"list\":[", 1, "]}}"); /* no total: short page */
    expect(200, one, VERDICT_ABSENT, "not_found");
    free(one);
    one = others("{\"code\":10000,\"data\":{\"total\":3,\"list\":[", 1, "]}}");
    use("kakaclo-v2");
    assert_true(read_page(200, one)); /* the server gives smaller pages than asked for */
    assert_true(read_page(200, one));
    assert_false(read_page(200, one));
    assert_int_equal(out.verdict, VERDICT_ABSENT);
    free(one);
}

static void test_kakaclo_finds_all_of_a_split_order(void **state) {
    (void)state;
    use("kakaclo-v2");
    expect(200,
           "{\"code\":10000,\"data\":{\"total\":3,\"list\":[{\"id\":\"1\",\"customOrderId\":\"K "
           "1/\xc3\xb6\"},"
           "{\"id\":\"2\",\"customOrderId\":\"K 1\"},{\"id\":\"3\",\"customOrderId\":\"K "
           "1/\xc3\xb6\"},null]}}",
           VERDICT_CREATED, "found");
    assert_int_equal(out.id_count, 2);
    assert_true(span_is(out.ids[0], "1") && span_is(out.ids[1], "3"));
}

/* Version 1 has the same list at another path; an older page calls the key CustomOrderNumber. What an item says
 * of one part of a split order is kept. */
static void test_kakaclo_v1(void **state) {
    (void)state;
    use("kakaclo-v1");
    expect_url("/openapi/v1/order/orders?createStartTime=2023-11-14T22:03:20Z"
               "&createEndTime=2023-11-14T23:23:21Z&pageNumber=1&pageSize=250");
    expect(200,
           "{\"code\":10000,\"data\":{\"total\":2,\"list\":[{\"id\":\"1\",\"customOrderId\":\"K 1/\xc3\xb6\","
           "\"orderItems\":[{\"skuCode\":\"A\"}]},{\"id\":2,\"CustomOrderNumber\":\"K "
           "1/\xc3\xb6\",\"x\":9.90}]}}",
           VERDICT_CREATED, "found");
    assert_int_equal(out.id_count, 2);
    assert_int_equal(out.part_count, 2);
    assert_true(span_is(out.ids[0], "1") && span_is(out.ids[1], "2"));
    assert_true(span_is(out.parts[1], "{\"id\":2,\"CustomOrderNumber\":\"K 1/\xc3\xb6\",\"x\":9.90}"));
    expect(200, "{\"code\":10000,\"data\":{\"total\":1,\"list\":[{\"customOrderId\":\"K 1/\xc3\xb6\"}]}}",
           VERDICT_UNKNOWN, "no_order_id");
}

#define V2_URL                                                                                               \
    "/openapi/v2/order/orders?createStartTime=2023-11-14T22:03:20Z&createEndTime=2023-11-14T23:23:21Z&"

/* A server that takes pageNumber for the size: by its own words, or by an empty first page of some orders, it
 * shows it, and is asked the other way round from the start. */
static void test_kakaclo_reads_pages_either_way(void **state) {
    (void)state;
    static const char *const shown[] = {
        "{\"code\":10000,\"data\":{\"total\":600,\"pageNumber\":250,\"pageSize\":1,\"list\":[{\"id\":1}]}}",
        "{\"code\":10000,\"data\":{\"total\":3,\"list\":[]}}"};
    for (size_t i = 0; i < 2; i++) {
        use("kakaclo-v2");
        assert_true(read_page(200, shown[i]));
        expect_url(V2_URL "pageNumber=250&pageSize=1");
        char *full = others("{\"code\":10000,\"data\":{\"total\":501,\"list\":[", 250, "]}}");
        assert_true(read_page(200, full));
        expect_url(V2_URL "pageNumber=250&pageSize=2");
        assert_int_equal(cursor.seen, 250);
        assert_true(read_page(200, full));
        free(full);
        expect(200, "{\"code\":10000,\"data\":{\"total\":501,\"list\":[{\"id\":7,\"customOrderId\":\"y\"}]}}",
               VERDICT_ABSENT, "not_found");
    }
}

/* Some orders, and a page without any, is nobody's "not found". */
static void test_kakaclo_an_empty_page_proves_nothing(void **state) {
    (void)state;
    static const char empty[] = "{\"code\":10000,\"data\":{\"total\":300,\"list\":[]}}";
    use("kakaclo-v2");
    assert_true(read_page(200, empty)); /* perhaps the other way round … */
    expect(200, empty, VERDICT_RETRY, "lookup_empty_page");
    use("kakaclo-v2");
    char *full = others("{\"code\":10000,\"data\":{\"total\":300,\"list\":[", 250, "]}}");
    assert_true(read_page(200, full));
    free(full);
    expect(200, empty, VERDICT_RETRY, "lookup_empty_page");
    use("kakaclo-custom");
    expect(200, empty, VERDICT_RETRY, "lookup_empty_page");
}

static void test_kakaclo_custom_asks_with_a_body(void **state) {
    (void)state;
    struct buf body;
    buf_init(&body, 4096);
    use("kakaclo-custom");
    expect_url("/openapi/v1/product/custom/orders/search");
    assert_int_equal(account.provider->build_lookup_body(&account, &envelope, &cursor, &body), 0);
    assert_string_equal(buf_cstr(&body), "{\"createDateGe\":1699999400123,\"createDateLe\":1700004200001,"
                                         "\"pageNumber\":1,\"pageSize\":100}");
    char *full = others("{\"code\":10000,\"data\":{\"total\":101,\"list\":[", 100, "]}}");
    assert_true(read_page(200, full));
    free(full);
    buf_reset(&body);
    account.provider->build_lookup_body(&account, &envelope, &cursor, &body);
    assert_non_null(strstr(buf_cstr(&body), "\"pageNumber\":2,"));
    expect(200,
           "{\"code\":10000,\"data\":{\"total\":101,\"list\":[{\"id\":5,\"demandNo\":\"C202401164058\","
           "\"status\":2,"
           "\"customOrderId\":\"K 1/\xc3\xb6\"}]}}",
           VERDICT_CREATED, "found");
    assert_true(span_is(out.ids[0], "C202401164058"));
    buf_deinit(&body);
}

static void test_a_lookup_without_end_is_given_up(void **state) {
    (void)state;
    use("s2");
    char *page = others("{\"total\":99999999,\"items\":[", 100, "]}");
    uint32_t pages = 1;
    while (read_page(200, page))
        pages++;
    assert_int_equal(out.verdict, VERDICT_UNKNOWN);
    assert_string_equal(out.code, "lookup_too_long");
    assert_int_equal(pages, 200);
    free(page);
}

static void test_s2(void **state) {
    (void)state;
    use("s2");
    expect_url("/order?limit=100&offset=0&term=K%201%2F%C3%B6");
    char *page = others("{\"total\":101,\"items\":[", 100, "]}");
    assert_true(read_page(200, page));
    free(page);
    expect_url("/order?limit=100&offset=100&term=K%201%2F%C3%B6");
    expect(200,
           "{\"total\":101,\"items\":[{\"id\":\"u\",\"account\":{\"id\":\"acc\"},"
           "\"channelOrderId\":\"K 1/\xc3\xb6\"}]}",
           VERDICT_CREATED, "found");
    assert_true(span_is(out.ids[0], "u"));
    assert_true(out.order.len > 0);
}

static void test_s2_knows_other_shops_orders(void **state) {
    (void)state;
    use("s2");
    expect(200, "{\"total\":3,\"items\":[]}", VERDICT_RETRY, "lookup_incomplete");
    expect(200,
           "{\"total\":1,\"items\":[{\"id\":\"u\",\"account\":{\"id\":\"other\"},"
           "\"channelOrderId\":\"K 1/\xc3\xb6\"}]}",
           VERDICT_ABSENT, "not_found");
    expect(200, "{\"total\":1,\"items\":[{\"id\":\"u\",\"channelOrderId\":\"K 1/\xc3\xb6\"}]}",
           VERDICT_CREATED, "found");
    expect(200, "{\"total\":1,\"items\":[{\"id\":\"\",\"channelOrderId\":\"K 1/\xc3\xb6\"}]}",
           VERDICT_UNKNOWN, "no_order_id");
}

static void test_generic(void **state) {
    (void)state;
    use("http-json");
    account.http_json.lookup_path = "/find/{key}?again={key}&x=1";
    account.http_json.lookup_key_pointer = "/ref";
    account.http_json.lookup_id_pointer = "/id";
    expect_url("/find/K%201%2F%C3%B6?again=K%201%2F%C3%B6&x=1");
    expect(200, "{\"ref\":\"K 1/\xc3\xb6\",\"id\":7}", VERDICT_CREATED, "found");
    assert_true(span_is(out.ids[0], "7"));
    expect(200, "{\"ref\":\"other\",\"id\":7}", VERDICT_RETRY, "lookup_unreadable");
    expect(404, "{}", VERDICT_RETRY, "lookup_unreadable");
    account.http_json.lookup_absent_status = 404;
    account.http_json.lookup_absent_pointer = "/e/code";
    expect(404, "{\"e\":{\"code\":\"NO_ORDER\"}}", VERDICT_ABSENT, "not_found");
    expect(404, "{\"e\":{\"code\":null}}", VERDICT_RETRY, "lookup_unreadable");
    expect(404, "404 page not found", VERDICT_RETRY, "lookup_unreadable");
    account.http_json.lookup_absent_value = "NO_ORDER";
    account.http_json.lookup_absent_status = 410;
    expect(410, "{\"e\":{\"code\":\"NO_ORDER\"}}", VERDICT_ABSENT, "not_found");
    expect(410, "{\"e\":{\"code\":\"NO_ROUTE\"}}", VERDICT_RETRY, "lookup_unreadable");
    expect(404, "{\"e\":{\"code\":\"NO_ORDER\"}}", VERDICT_RETRY, "lookup_unreadable");
    account.http_json.lookup_items_pointer = "/items";
    expect(200, "{\"items\":[{\"ref\":\"other\"},{\"ref\":\"K 1/\xc3\xb6\",\"id\":8}]}", VERDICT_CREATED,
           "found");
    assert_true(span_is(out.ids[0], "8"));
    expect(200, "{\"items\":[{\"ref\":\"K 1/\xc3\xb6\"}]}", VERDICT_UNKNOWN, "no_order_id");
    expect(200, "{\"items\":[]}", VERDICT_ABSENT, "not_found");
    expect(200, "{\"items\":{}}", VERDICT_RETRY, "lookup_unreadable");
    expect(200, "{\"items\":[{\"ref\":\"other\"}]}", VERDICT_ABSENT, "not_found");
    account.http_json.lookup_exact = true; /* then others have no place there */
    expect(200, "{\"items\":[{\"ref\":\"other\"}]}", VERDICT_RETRY, "lookup_unreadable");
    expect(200, "{\"items\":[]}", VERDICT_ABSENT, "not_found");
}

static void test_trouble_is_asked_again(void **state) {
    (void)state;
    use("vu");
    expect(503, "", VERDICT_RETRY, "http_503");
    expect(302, "", VERDICT_RETRY, "redirect");
    struct http_exchange x = {.sent = true, .phase = "timeout", .error = "late"};
    assert_false(classify_lookup(&account, &envelope, &x, TO, &doc, &cursor, &out));
    assert_int_equal(out.verdict, VERDICT_RETRY);
    assert_string_equal(out.code, "timeout");
    x = answer(429, "");
    assert_true(out.free);
    x.retry_after = SPAN_LIT("3");
    assert_false(classify_lookup(&account, &envelope, &x, TO, &doc, &cursor, &out));
    assert_int_equal(out.verdict, VERDICT_PAUSE);
    assert_int_equal(out.retry_after_ms, 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_key_nothing_can_be_asked),
        TEST(test_a_provider_without_a_lookup),
        TEST(test_vu),
        TEST(test_kakaclo_asks_for_ten_minutes_more_on_both_sides),
        TEST(test_kakaclo_reads_every_page),
        TEST(test_kakaclo_ends),
        TEST(test_kakaclo_finds_all_of_a_split_order),
        TEST(test_kakaclo_v1),
        TEST(test_kakaclo_reads_pages_either_way),
        TEST(test_kakaclo_an_empty_page_proves_nothing),
        TEST(test_kakaclo_custom_asks_with_a_body),
        TEST(test_a_lookup_without_end_is_given_up),
        TEST(test_s2),
        TEST(test_s2_knows_other_shops_orders),
        TEST(test_generic),
        TEST(test_trouble_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
