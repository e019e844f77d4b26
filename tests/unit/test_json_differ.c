/* Where two texts of JSON differ first: as bytes, and as a place that a person finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "util/json_differ.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_where(void **state) {
    (void)state;
    static const struct {
        const char *a, *b, *path;
        size_t byte;
        bool space_only;
    } cases[] = {
        {"{\"a\":1}", "{\"a\": 1}", "", 5, true},
        {"{\"a\":1}", "{\"a\":1 }\n", "", 6, true},
        {"{ }", "{}", "", 1, true},
        {"{\"a\":1}", "{\"a\":2}", "a", 5, false},
        {"{\"a\":1}", "{\"a\":12}", "a", 6, false},
        {"{\"a\":12}", "{\"a\":1}", "a", 6, false},
        {"{\"a\": \"x y\"}", "{\"a\":\"x  y\"}", "a", 5, false}, /* white space in a text counts */
        {"{\"a\":\"\\\" 1\"}", "{\"a\":\"\\\"  1\"}", "a", 9, false},
        {"{\"a\":\"\\\\\" }", "{\"a\":\"\\\\\"}", "", 9, true},
        {"{\"a\":{\"b\":[1,{\"c\":true}]}}", "{\"a\":{\"b\":[1,{\"c\":false}]}}", "a.b[1].c", 18, false},
        {"{\"a\":[[0],[1,2]]}", "{\"a\":[[0],[1,3]]}", "a[1][1]", 13, false},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", "b", 8, false},
        {"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1}}", "a", 11, false},
        {"[1,2]", "[1,2,3]", "", 4, false},
        {"{\"a\":1.0}", "{\"a\":1.00}", "a", 8, false},
        {"{\"a b\\n\":1}", "{\"a b\\n\":2}", "a b\\n", 9, false},
    };
    struct json_doc doc;
    struct json_difference d;
    json_init(&doc, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(json_differ(&doc, span_str(cases[i].a), span_str(cases[i].b), &d));
        if (d.byte != cases[i].byte || d.space_only != cases[i].space_only ||
            strcmp(d.path, cases[i].path) != 0)
            fail_msg("%s, %s: byte %zu, white space only %d, path '%s'", cases[i].a, cases[i].b, d.byte,
                     d.space_only, d.path);
        assert_false(json_differ(&doc, span_str(cases[i].a), span_str(cases[i].a), &d));
    }
    json_deinit(&doc);
}

static void test_a_path_too_long_is_cut(void **state) {
    (void)state;
    static char a[20000], b[20000];
    struct json_doc doc;
    struct json_difference d;
    char name[301];
    memset(name, 'n', 300);
    name[300] = '\0';
    for (int i = 0; i < 20; i++)
        strcat(strcat(strcat(a, "{\""), name), "\":");
    strcpy(b, a);
    strcat(a, "1");
    strcat(b, "2");
    for (int i = 0; i < 20; i++) {
        strcat(a, "}");
        strcat(b, "}");
    }
    json_init(&doc, 1000);
    assert_true(json_differ(&doc, span_str(a), span_str(b), &d));
    assert_int_equal(strlen(d.path), sizeof(d.path) - 1);
    assert_int_equal(d.byte, strchr(a, '1') - a);
    json_deinit(&doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_a_path_too_long_is_cut),
    };
    return cmocka_run_group_tests_name("json_differ", tests, NULL, NULL);
}
