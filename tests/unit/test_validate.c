/* What the walk over an order must get right beyond the single fields (tests/conformance). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orders.h"

#define V2_ADDRESS                                                                                           \
    "\"orderAddresses\":{\"country\":\"US\",\"phone\":\"1\",\"recipient\":\"r\","                            \
    "\"province\":\"p\"}"
#define V2_ITEMS "\"orderItemsList\":[{\"sku\":\"s\",\"quantity\":1}]"

static void expect(const char *provider, const char *order, const char *path, const char *words) {
    char job[4096];
    snprintf(job, sizeof(job), "{\"order\":%s}", order);
    cJSON *faults = faults_of_text(provider_find(provider), job);
    if (path == NULL)
        assert_no_fault(faults, order);
    else
        assert_one_fault(faults, path, words);
    cJSON_Delete(faults);
}

static void test_names_are_compared_decoded(void **state) {
    (void)state;
    expect("kakaclo-v2", "{" V2_ADDRESS ",\"order\\u0049temsList\":[{\"s\\u006bu\":\"s\",\"quantity\":1}]}",
           NULL, NULL);
    expect("kakaclo-v2", "{" V2_ADDRESS "," V2_ITEMS ",\"rem\\u0061rk\":1}", "order.rem\\u0061rk",
           "must be a string");
    expect("kakaclo-v2", "{" V2_ADDRESS "," V2_ITEMS ",\"remark\":\"\",\"rem\\u0061rk\":\"\"}",
           "order.rem\\u0061rk", "is given twice");
}

static void test_escapes_count_as_one_character(void **state) {
    (void)state;
    char order[1024], sku[64 * 6 + 13] = "";
    for (int i = 0; i < 62; i++)
        strcat(sku, "\\u6c49");
    strcat(sku, "\\ud83d\\ude00"); /* one character: 63 */
    snprintf(order, sizeof(order), "{" V2_ADDRESS ",\"orderItemsList\":[{\"sku\":\"%s\\n\",\"quantity\":1}]}",
             sku);
    expect("kakaclo-v2", order, NULL, NULL);
    snprintf(order, sizeof(order),
             "{" V2_ADDRESS ",\"orderItemsList\":[{\"sku\":\"%s\\nx\",\"quantity\":1}]}", sku);
    expect("kakaclo-v2", order, "order.orderItemsList[0].sku", "at most 64 characters");
}

static void test_an_allowed_value_may_be_escaped(void **state) {
    (void)state;
    expect("kakaclo-v2", "{" V2_ADDRESS "," V2_ITEMS ",\"channelType\":\"\\u0053tandard\"}", NULL, NULL);
    expect("kakaclo-v2", "{" V2_ADDRESS "," V2_ITEMS ",\"channelType\":\"Standard\\u0000\"}",
           "order.channelType", "must be one of");
}

static void test_members_in_any_order(void **state) {
    (void)state;
    expect("kakaclo-v2",
           "{\"x\":0,\"channelType\":\"Express\",\"orderItemsList\":[{\"quantity\":2,\"y\":{},"
           "\"sku\":\"s\"}],\"orderAddress\":{\"province\":\"p\",\"recipient\":\"r\","
           "\"phone\":\"1\",\"country\":\"US\"}}",
           NULL, NULL);
}

static void test_names_that_only_resemble(void **state) {
    (void)state;
    expect("kakaclo-v2", "{" V2_ADDRESS "," V2_ITEMS ",\"Remark\":1,\"remar\":1,\"remarkx\":1,\"\":1}", NULL,
           NULL);
}

static void test_the_path_counts_elements(void **state) {
    (void)state;
    expect("kakaclo-v2",
           "{" V2_ADDRESS ",\"orderItemsList\":[{\"sku\":\"s\",\"quantity\":1},{\"sku\":\"s\","
           "\"quantity\":1},{\"sku\":\"s\",\"quantity\":0}]}",
           "order.orderItemsList[2].quantity", "must be at least 1");
    expect("kakaclo-v2", "{" V2_ADDRESS ",\"orderItemsList\":[{\"sku\":\"s\",\"quantity\":1},null]}",
           "order.orderItemsList[1]", "must be an object, not null");
}

static void test_no_order_at_all(void **state) {
    (void)state;
    expect("kakaclo-v2", "[]", "order", "must be an object");
    expect("http-json", "{}", NULL, NULL);
    expect("http-json", "{\"a\":{\"a\":1,\"a\":2}}", NULL, NULL);
    expect("vu", "{}", "order.order", "is required");
    expect("vu", "{\"order\":[]}", "order.order", "must be an object, not an array");
}

/* Beyond the table: nothing in it says that b2b depends on another member. */
static void test_b2b(void **state) {
    (void)state;
    struct {
        const char *channel;
        bool wanted;
    } cases[] = {{"\"b2b\"", true}, {"\"b2c\"", false}, {"\"\\u00622b\"", true}};
    char *text = fixture_text("vu/order.json");
    for (size_t i = 0; i < 3; i++) {
        cJSON *order = cJSON_Parse(text);
        cJSON_ReplaceItemInObject(cJSON_GetObjectItem(order, "order"), "sales_channel",
                                  cJSON_CreateRaw(cases[i].channel));
        char *body = cJSON_PrintUnformatted(order);
        expect("vu", body, cases[i].wanted ? "order.order.b2b" : NULL, "when sales_channel is b2b");
        cJSON_free(body);
        cJSON_Delete(order);
    }
    free(text);
}

static void test_a_null_billing_address_only(void **state) {
    (void)state;
    cJSON *job = fixture_job(provider_find("s2"));
    cJSON *order = cJSON_GetObjectItem(job, "order");
    cJSON_ReplaceItemInObject(order, "billingAddress", cJSON_CreateNull());
    cJSON *faults = faults_of(provider_find("s2"), job);
    assert_no_fault(faults, "billingAddress null");
    cJSON_Delete(faults);
    cJSON_ReplaceItemInObject(order, "shippingAddress", cJSON_CreateNull());
    faults = faults_of(provider_find("s2"), job);
    assert_one_fault(faults, "order.shippingAddress", "not null");
    cJSON_Delete(faults);
    cJSON_Delete(job);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_compared_decoded),
        cmocka_unit_test(test_escapes_count_as_one_character),
        cmocka_unit_test(test_an_allowed_value_may_be_escaped),
        cmocka_unit_test(test_members_in_any_order),
        cmocka_unit_test(test_names_that_only_resemble),
        cmocka_unit_test(test_the_path_counts_elements),
        cmocka_unit_test(test_no_order_at_all),
        cmocka_unit_test(test_b2b),
        cmocka_unit_test(test_a_null_billing_address_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
