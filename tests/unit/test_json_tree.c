/* The leaves that dray adds to cJSON: foreign texts, numbers that keep their digits, JSON that is there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "util/json_tree.h"

static void prints(cJSON *tree, const char *want) {
    struct buf out;
    buf_init(&out, 4096);
    assert_true(tree_print(tree, &out));
    assert_string_equal(buf_cstr(&out), want);
    buf_deinit(&out);
}

static void test_texts_are_valid_utf8(void **state) {
    static const struct {
        struct span text;
        const char *want;
    } cases[] = {
        {{NULL, 0}, "null"},
        {{"", 0}, "\"\""},
        {{"plain", 5}, "\"plain\""},
        {{"cut here", 3}, "\"cut\""}, /* a span ends where it says */
        {{"a\"b\\c\n\x01", 7}, "\"a\\\"b\\\\c\\n\\u0001\""},
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"a\xff"
          "b\"",
          4},
         "\"a\xef\xbf\xbd"
         "b\\\"\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* half of a surrogate pair */
        {{"a\0b", 3}, "\"a\\u0000b\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        prints(tree_text(cases[i].text), cases[i].want);
}

static void test_numbers_keep_their_digits(void **state) {
    cJSON *o = cJSON_CreateObject();
    (void)state;
    tree_add_i64(o, "least", INT64_MIN);
    tree_add_i64(o, "odd", 9007199254740993); /* 2^53 + 1: no double */
    tree_add_u64(o, "round", 1000000000000000);
    tree_add_u64(o, "most", UINT64_MAX);
    prints(o, "{\"least\":-9223372036854775808,\"odd\":9007199254740993,\"round\":1000000000000000,"
              "\"most\":18446744073709551615}");
}

static void test_what_is_json_stays(void **state) {
    cJSON *o = cJSON_CreateObject();
    (void)state;
    tree_add_raw(o, "price", SPAN_LIT("1.50"));
    tree_add_raw(o, "id", SPAN_LIT("1234567890123456789"));
    tree_add_elements(o, "none", SPAN_LIT(""));
    tree_add_elements(o, "two", SPAN_LIT("{\"a\":1e2},[]"));
    prints(o, "{\"price\":1.50,\"id\":1234567890123456789,\"none\":[],\"two\":[{\"a\":1e2},[]]}");
}

static void test_without_memory_it_fails(void **state) {
    struct buf out;
    (void)state;
    buf_init(&out, 8);
    assert_false(tree_print(NULL, &out)); /* the tree could not be made */
    assert_false(buf_ok(&out));
    buf_deinit(&out);
    buf_init(&out, 8);
    assert_false(tree_print(cJSON_CreateString("more than eight bytes"), &out));
    buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_valid_utf8),
        cmocka_unit_test(test_numbers_keep_their_digits),
        cmocka_unit_test(test_what_is_json_stays),
        cmocka_unit_test(test_without_memory_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
