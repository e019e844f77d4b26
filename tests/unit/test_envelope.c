/* Job envelopes: what is read, what is a fault, and that every fault is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orders.h"

static struct envelope e;
static struct json_doc doc;
static struct buf scratch;
static struct faults faults;
static const struct account *account;
static struct account shop, generic;
static char *order; /* kakaclo-v2's example */

static const struct account *find_account(void *arg, const char *name) {
    assert_ptr_equal(arg, &shop);
    if (name == NULL || strcmp(name, "shop") == 0)
        return &shop;
    return strcmp(name, "generic") == 0 ? &generic : NULL;
}

static const struct account *no_account(void *arg, const char *name) {
    (void)arg, (void)name;
    return NULL;
}

static int set_up(void **state) {
    (void)state;
    shop = test_account(provider_find("kakaclo-v2"));
    generic = test_account(provider_find("http-json"));
    generic.http_json.key_pointer = "/ref";
    cJSON *job = fixture_job(shop.provider);
    order = cJSON_PrintUnformatted(cJSON_GetObjectItem(job, "order"));
    cJSON_Delete(job);
    json_init(&doc, UINT32_MAX);
    buf_init(&scratch, 1 << 20);
    faults_init(&faults);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    json_deinit(&doc);
    buf_deinit(&scratch);
    faults_deinit(&faults);
    cJSON_free(order);
    return 0;
}

static uint32_t parse_bytes(const char *text, size_t len) {
    faults_reset(&faults);
    memset(&e, 0xa5, sizeof(e));
    return envelope_parse(&e, &doc, (struct span){text, len}, find_account, &shop, "{orders}", &scratch,
                          &faults, NULL, &account);
}

/* Parses `format` with %s being the example order; the text lives until the next call. */
static uint32_t parse(const char *format, ...) __attribute__((format(printf, 1, 2)));
static uint32_t parse(const char *format, ...) {
    static char text[64 << 10];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    assert_in_range(n, 0, sizeof(text) - 1);
    return parse_bytes(text, (size_t)n);
}

static void expect_one(const char *path, const char *words) {
    cJSON *all = faults_array(&faults);
    assert_one_fault(all, path, words);
    cJSON_Delete(all);
}

/* The example with one more member, which is wrong. */
static void expect_bad(const char *member, const char *path, const char *words) {
    parse("{\"id\":\"a\",%s,\"order\":%s}", member, order);
    expect_one(path, words);
    assert_true(span_is(e.id, "a"));
}

static void expect_good(const char *member) {
    if (parse("{\"id\":\"a\",%s,\"order\":%s}", member, order) != 0)
        fail_msg("%s: %s", member, buf_cstr(&faults.first));
}

static void test_the_smallest_job(void **state) {
    (void)state;
    assert_int_equal(parse(" {\"id\":\"shop-7/1001\",\"order\":%s}\n", order), 0);
    assert_ptr_equal(account, &shop);
    assert_true(span_is(e.id, "shop-7/1001"));
    assert_true(span_is(e.order, order));
    assert_true(span_is(e.order_key, "KA10001"));
    assert_true(span_is(e.provider_key, "KA10001"));
    assert_null(e.account.ptr);
    assert_null(e.reply_to.ptr);
    assert_null(e.traceparent.ptr);
    assert_null(e.meta.ptr);
    assert_int_equal(e.not_before_ms + e.expires_at_ms + e.enqueued_at_ms + e.max_attempts, 0);
    assert_null(scratch.data); /* nothing was copied */
}

static void test_every_field(void **state) {
    (void)state;
    assert_int_equal(
        parse("{\"meta\":{\"a\":[1.50]},\"traceparent\":"
              "\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\","
              "\"enqueued_at\":1700000000000,\"reply_to\":\"x:{orders}:mine\",\"max_attempts\":3,"
              "\"expires_at\":\"2024-04-24T06:00:33.889Z\",\"not_before\":1713938433889,"
              "\"order_key\":\"own\",\"account\":\"shop\",\"order\":%s,\"id\":\"a\"}",
              order),
        0);
    assert_true(span_is(e.meta, "{\"a\":[1.50]}"));
    assert_true(span_is(e.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    assert_true(span_is(e.reply_to, "x:{orders}:mine"));
    assert_true(span_is(e.order_key, "own"));
    assert_true(span_is(e.provider_key, "KA10001"));
    assert_true(span_is(e.account, "shop"));
    assert_int_equal(e.enqueued_at_ms, 1700000000000);
    assert_int_equal(e.expires_at_ms, 1713938433889);
    assert_int_equal(e.not_before_ms, 1713938433889);
    assert_int_equal(e.max_attempts, 3);
}

static void test_escapes_are_decoded_where_bytes_count(void **state) {
    (void)state;
    char *text = strdup(order), *key = strstr(text, "KA10001");
    memcpy(key, "K\\u0041", 7); /* "KA" */
    assert_int_equal(parse("{\"\\u0069d\":\"\\u0041\\ud83d\\ude00\",\"order\":%s,"
                           "\"reply_to\":\"\\u007borders}:r\",\"account\":\"sh\\u006fp\"}",
                           text),
                     0);
    assert_true(span_is(e.id, "\\u0041\\ud83d\\ude00"));
    assert_true(span_is(e.provider_key, "KA"));
    assert_true(span_is(e.order_key, "KA"));
    assert_true(span_is(e.reply_to, "{orders}:r"));
    assert_ptr_equal(account, &shop);
    free(text);
    assert_int_equal(parse("{\"id\":\"\\u0041b\",\"account\":\"generic\",\"order\":{}}"), 0);
    assert_true(span_is(e.order_key, "Ab")); /* the id, decoded */
    assert_null(e.provider_key.ptr);
}

static void test_the_order_key_of_a_generic_order(void **state) {
    (void)state;
    assert_int_equal(parse("{\"id\":\"a\",\"account\":\"generic\",\"order\":{\"ref\":1234}}"), 0);
    assert_true(span_is(e.order_key, "1234"));
    assert_int_equal(parse("{\"id\":\"a\",\"account\":\"generic\",\"order\":{\"ref\":null}}"), 0);
    assert_true(span_is(e.order_key, "a"));
    assert_int_equal(parse("{\"id\":\"a\",\"account\":\"generic\",\"order\":{\"ref\":\"\"}}"), 0);
    assert_true(span_is(e.order_key, "a"));
    assert_int_equal(parse("{\"id\":\"a\",\"account\":\"generic\",\"order\":{\"ref\":1.5}}"), 1);
    expect_one("order.ref", "must be a string or an integer");
}

static void test_an_order_key_too_long(void **state) {
    (void)state;
    char key[ORDER_KEY_MAX + 2] = "";
    memset(key, 'k', ORDER_KEY_MAX + 1);
    parse("{\"id\":\"a\",\"account\":\"generic\",\"order\":{\"ref\":\"%s\"}}", key);
    expect_one("order.ref", "at most 256 bytes");
    parse("{\"id\":\"a\",\"account\":\"generic\",\"order_key\":\"k\",\"order\":{\"ref\":\"%s\"}}", key);
    assert_int_equal(faults.count, 0);
    assert_int_equal(e.provider_key.len, ORDER_KEY_MAX + 1);
    parse("{\"id\":\"a\",\"order_key\":\"%s\",\"order\":%s}", key, order);
    expect_one("order_key", "1 to 256 bytes");
    key[ORDER_KEY_MAX] = '\0';
    parse("{\"id\":\"a\",\"order_key\":\"%s\",\"order\":%s}", key, order);
    assert_int_equal(faults.count, 0);
}

static void test_ids(void **state) {
    (void)state;
    char id[JOB_ID_MAX * 2 + 3] = "";
    for (int i = 0; i < JOB_ID_MAX; i++)
        memcpy(id + i * 2, "\xc3\xa9", 2);
    assert_int_equal(parse("{\"id\":\"%s\",\"order\":%s}", id, order), 0);
    memcpy(id + JOB_ID_MAX * 2, "x", 2);
    parse("{\"id\":\"%s\",\"order\":%s}", id, order);
    expect_one("id", "1 to 128 characters");
    assert_null(e.id.ptr);
    parse("{\"id\":\"\",\"order\":%s}", order);
    expect_one("id", "1 to 128 characters");
    parse("{\"order\":%s}", order);
    expect_one("id", "is required");
    assert_null(e.id.ptr);
    parse("{\"id\":7,\"order\":%s}", order);
    expect_one("id", "must be a string");
    parse("{\"id\":\"a\\u0000b\",\"order\":%s}", order);
    expect_one("id", "control character");
    static const char *const controls[] = {"\\n", "\x7f", "\\u001f", "\xc2\x80", "\xc2\x9f", "\\u0085"};
    for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
        parse("{\"id\":\"a%s\",\"order\":%s}", controls[i], order);
        expect_one("id", "control character");
    }
    assert_int_equal(parse("{\"id\":\"a\xc2\xa0\xe2\x80\xa8\",\"order\":%s}", order), 0);
}

static void test_wrong_members(void **state) {
    (void)state;
    expect_bad("\"priority\":1", "priority", "is no field of a job");
    expect_bad("\"id\":\"a\"", "id", "is given twice");
    expect_bad("\"meta\":1,\"meta\":2", "meta", "is given twice");
    expect_bad("\"account\":\"nobody\"", "account", "names no account of this queue: nobody");
    expect_bad("\"account\":\"\"", "account", "names no account");
    expect_bad("\"account\":1", "account", "must be a string");
    expect_bad("\"account\":null", "account", "must be a string");
    expect_bad("\"order_key\":5", "order_key", "must be a string");
    expect_bad("\"order_key\":\"\"", "order_key", "1 to 256 bytes");
    expect_bad("\"max_attempts\":0", "max_attempts", "at least 1");
    expect_bad("\"max_attempts\":-99999999999999", "max_attempts", "at least 1");
    expect_bad("\"max_attempts\":1.5", "max_attempts", "must be an integer");
    expect_bad("\"max_attempts\":\"3\"", "max_attempts", "must be an integer");
    expect_bad("\"reply_to\":1", "reply_to", "must be a string");
    expect_bad("\"reply_to\":\"\"", "reply_to", "1 to 512 bytes");
}

static void test_accounts_decide_about_the_order(void **state) {
    (void)state;
    parse("{\"id\":\"a\",\"account\":\"nobody\",\"order\":{}}");
    expect_one("account", "names no account"); /* whose rules would the order break? */
    assert_null(account);
    parse("{\"id\":\"a\",\"order\":[]}");
    expect_one("order", "must be an object");
    assert_ptr_equal(account, &shop);
    assert_null(e.order.ptr);
    parse("{\"id\":\"a\"}");
    expect_one("order", "is required");
    faults_reset(&faults);
    const char *text = "{\"id\":\"a\",\"order\":{}}";
    envelope_parse(&e, &doc, span_str(text), no_account, NULL, "{orders}", &scratch, &faults, NULL, &account);
    expect_one("account", "no default account");
}

static void test_times(void **state) {
    (void)state;
    const char *words = "must be Unix milliseconds or a date and time";
    static const char *const names[] = {"not_before", "expires_at", "enqueued_at"};
    static const char *const bad[] = {"null",
                                      "1.5",
                                      "0",
                                      "-1",
                                      "253402300800000",
                                      "\"tomorrow\"",
                                      "{}",
                                      "[]",
                                      "\"\"",
                                      "\"1700000000000\"",
                                      "\"2024-02-30T00:00:00Z\"",
                                      "1e12"};
    char member[128];
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
            snprintf(member, sizeof(member), "\"%s\":%s", names[i], bad[k]);
            expect_bad(member, names[i], words);
        }
        snprintf(member, sizeof(member), "\"%s\":\"1970-01-01T00:00:00Z\"", names[i]);
        expect_good(member);
    }
    static const char *const seconds[] = {"1", "1795448588", "99999999999"}; /* 1e11 ms is in 1973 */
    for (size_t i = 0; i < 9; i++) {
        snprintf(member, sizeof(member), "\"%s\":%s", names[i / 3], seconds[i % 3]);
        expect_bad(member, names[i / 3], "must be Unix milliseconds; a number below 1e11 means seconds");
        snprintf(member, sizeof(member), "\"%s\":100000000000", names[i / 3]);
        expect_good(member);
    }
    expect_good("\"expires_at\":\"1970-01-01T00:00:00Z\"");
    assert_int_equal(e.expires_at_ms, 1); /* long past, and not "not given" */
}

/* KaKaClo's two spellings are one key, whichever version; an empty text or null is none. */
static void test_both_spellings_are_the_key(void **state) {
    (void)state;
    static const struct {
        const char *provider, *members, *key;
    } cases[] = {{"kakaclo-v2", "\"CustomOrderNumber\":\"N1\"", "N1"},
                 {"kakaclo-v2", "\"customOrderId\":\"N2\"", "N2"},
                 {"kakaclo-v2", "\"customOrderId\":\"\",\"CustomOrderNumber\":\"N3\"", "N3"},
                 {"kakaclo-v2", "\"customOrderId\":\"N4\",\"CustomOrderNumber\":\"N4\"", "N4"},
                 {"kakaclo-v1", "\"customOrderId\":\"N5\"", "N5"},
                 {"kakaclo-v1", "\"CustomOrderNumber\":null,\"customOrderId\":\"N6\"", "N6"}};
    const char *rest = "\"orderAddresses\":{\"country\":\"US\",\"phone\":\"1\",\"recipient\":\"r\","
                       "\"province\":\"p\"},\"orderItemsList\":[{\"sku\":\"s\",\"quantity\":1}]";
    const struct provider *before = shop.provider;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shop.provider = provider_find(cases[i].provider);
        assert_int_equal(parse("{\"id\":\"a\",\"order\":{%s,%s}}", cases[i].members, rest), 0);
        assert_true(span_is(e.order_key, cases[i].key) && span_is(e.provider_key, cases[i].key));
    }
    parse("{\"id\":\"a\",\"order\":{\"customOrderId\":\"x\",\"CustomOrderNumber\":\"y\",%s}}", rest);
    expect_one("order.CustomOrderNumber", "differs");
    shop.provider = before;
}

static void test_a_text_without_its_brace(void **state) {
    (void)state;
    parse("  \"order\" : {\"currency\":\"USD\"}}");
    expect_one("", "the { before it is missing");
    parse("\"order\" {");
    assert_null(strstr(buf_cstr(&faults.first), "missing"));
    parse("\"order");
    assert_null(strstr(buf_cstr(&faults.first), "missing"));
}

static void test_reply_to_stays_in_the_slot(void **state) {
    (void)state;
    static const char *const bad[] = {"list",        "orders",       "{order}:x",   "{orders:x",
                                      "{a}{orders}", "x}{ordersx}y", "{}{orders}x", "{other}:x"};
    char member[128];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(member, sizeof(member), "\"reply_to\":\"%s\"", bad[i]);
        expect_bad(member, "reply_to", "must carry the queue's hash tag {orders}");
        assert_null(e.reply_to.ptr);
    }
    expect_good("\"reply_to\":\"}{orders}{x}\"");
}

static void test_traceparent(void **state) {
    (void)state;
    const char *good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    static const char *const bad[] = {
        "",
        "00-1-1-1",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
    };
    char member[256];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(member, sizeof(member), "\"traceparent\":\"%s\"", bad[i]);
        expect_bad(member, "traceparent", "W3C traceparent");
        assert_null(e.traceparent.ptr);
    }
    snprintf(member, sizeof(member), "\"traceparent\":\"%s\"", good);
    expect_good(member);
    snprintf(member, sizeof(member), "\"traceparent\":\"01%s-more\"", good + 2);
    expect_good(member);
}

static void test_meta(void **state) {
    (void)state;
    char member[META_MAX + 64];
    static const char *const any[] = {"null", "0", "\"x\"", "[]", "{\"a\":{}}", "true"};
    for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
        snprintf(member, sizeof(member), "\"meta\":%s", any[i]);
        expect_good(member);
        assert_true(span_is(e.meta, any[i]));
    }
    snprintf(member, sizeof(member), "\"meta\":\"%0*d\"", META_MAX - 2, 0);
    expect_good(member);
    snprintf(member, sizeof(member), "\"meta\":\"%0*d\"", META_MAX - 1, 0);
    expect_bad(member, "meta", "at most 4096 bytes");
}

static void test_what_is_no_job(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {{"", 0},
               {"hello", 5},
               {"[]", 2},
               {"null", 4},
               {"{\"id\":", 6},
               {"{}{}", 4},
               {"{\"id\":\"a\0b\"}", 12},
               {"{\"id\":\"\xff\"}", 10},
               {"\xef\xbb\xbf{}", 5}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *own = malloc(bad[i].len + 1); /* so that ASan sees where it ends */
        memcpy(own, bad[i].text, bad[i].len);
        assert_int_equal(parse_bytes(own, bad[i].len), 1);
        expect_one("", "");
        assert_null(account);
        assert_null(e.id.ptr);
        free(own);
    }
    char deep[400];
    memset(deep, '[', sizeof(deep));
    assert_int_equal(parse_bytes(deep, sizeof(deep)), 1);
    expect_one("", "at byte");
}

static void test_all_faults_are_told_and_no_value_is(void **state) {
    (void)state;
    parse("{\"id\":\"SECRET\\u0001\",\"SECRETISH\":1,\"max_attempts\":-3,\"account\":\"shop\","
          "\"reply_to\":\"SECRET\",\"order\":{\"customOrderId\":5,\"orderAddresses\":"
          "{\"country\":\"SECRET SECRET SECRET SECRET SECRET\"},\"orderItemsList\":[{\"sku\":\"s\","
          "\"quantity\":1},{\"sku\":\"s\",\"quantity\":0}]}}");
    static const char *const paths[] = {"SECRETISH",
                                        "id",
                                        "max_attempts",
                                        "reply_to",
                                        "order.customOrderId",
                                        "order.orderAddresses.country",
                                        "order.orderAddresses.phone",
                                        "order.orderAddresses.recipient",
                                        "order.orderAddresses.province",
                                        "order.orderItemsList[1].quantity"};
    cJSON *all = faults_array(&faults);
    assert_int_equal(cJSON_GetArraySize(all), 10);
    assert_int_equal(faults.count, 10);
    for (int i = 0; i < 10; i++) {
        cJSON *fault = cJSON_GetArrayItem(all, i);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(fault, "path")), paths[i]);
        assert_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItem(fault, "rule")), "SECRET"));
    }
    cJSON_Delete(all);
    assert_string_equal(buf_cstr(&faults.first), "SECRETISH: is no field of a job");
}

static void test_a_long_unknown_name_is_cut_whole(void **state) {
    (void)state;
    char name[301];
    for (int i = 0; i < 100; i++)
        memcpy(name + i * 3, "\xe6\xb1\x89", 3);
    name[300] = '\0';
    parse("{\"id\":\"a\",\"%s\":1,\"order\":%s}", name, order);
    name[63] = '\0'; /* 21 characters of 3 bytes */
    expect_one(name, "is no field");
}

static void test_faults_past_the_hundredth_are_counted(void **state) {
    (void)state;
    faults_reset(&faults);
    for (int i = 0; i < FAULTS_MAX + 7; i++)
        faults_add(&faults, "a", "rule %d \"quoted\"", i);
    assert_int_equal(faults.count, FAULTS_MAX + 7);
    cJSON *all = faults_array(&faults);
    assert_int_equal(cJSON_GetArraySize(all), FAULTS_MAX);
    cJSON_Delete(all);
    assert_string_equal(buf_cstr(&faults.first), "a: rule 0 \"quoted\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_smallest_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_field, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_escapes_are_decoded_where_bytes_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_order_key_of_a_generic_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_order_key_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_accounts_decide_about_the_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_both_spellings_are_the_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_text_without_its_brace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reply_to_stays_in_the_slot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_traceparent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meta, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_faults_are_told_and_no_value_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_long_unknown_name_is_cut_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults_past_the_hundredth_are_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
