/* json_parse and what reads its tape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "dray/json.h"

static void parses(struct json_doc *doc, const char *text) {
    struct err err = {""};
    if (json_parse(doc, text, strlen(text), &err) != 0)
        fail_msg("%s: %s", text, err.text);
}

static void assert_span(struct span s, const char *want) {
    if (!span_is(s, want))
        fail_msg("got '%.*s', want '%s'", (int)s.len, s.ptr, want);
}

static void test_tape_keeps_places(void **state) {
    (void)state;
    struct json_doc doc;
    json_init(&doc, 100);
    parses(&doc, " {\"a\": [1, -0.5e3, \"x\\u00e9\"], \"b\":{}, \"c\":null} ");
    assert_int_equal(doc.count, 10);
    assert_int_equal(json_type(&doc, 0), JSON_OBJECT);
    assert_int_equal(doc.nodes[0].count, 3);
    assert_int_equal(doc.nodes[0].next, 10);
    uint32_t a = json_get(&doc, 0, "a");
    assert_span(json_raw(&doc, a), "[1, -0.5e3, \"x\\u00e9\"]");
    assert_int_equal(doc.nodes[a].count, 3);
    assert_span(json_raw(&doc, json_pointer(&doc, 0, "/a/1")), "-0.5e3");
    uint32_t s = json_pointer(&doc, 0, "/a/2");
    assert_span(json_inner(&doc, s), "x\\u00e9");
    assert_int_equal(doc.nodes[s].count, 2);
    assert_span(json_raw(&doc, json_get(&doc, 0, "b")), "{}");
    assert_int_equal(json_first(&doc, json_get(&doc, 0, "b")), JSON_NONE);
    assert_int_equal(json_type(&doc, json_get(&doc, 0, "c")), JSON_NULL);
    assert_int_equal(json_get(&doc, 0, "d"), JSON_NONE);
    assert_int_equal(json_get(&doc, a, "d"), JSON_NONE);
    assert_int_equal(json_get(&doc, JSON_NONE, "d"), JSON_NONE);
    json_deinit(&doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tape_keeps_places)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
