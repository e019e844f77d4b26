/* What the readers of a tape return: numbers, members, pointers, decoded strings, duplicates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/json.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define MAX_NODES 200000

static void parses(struct json_doc *doc, const char *text) {
    struct err err = {""};
    if (json_parse(doc, text, strlen(text), &err) != 0)
        fail_msg("%s: %s", text, err.text);
}

static void assert_span(struct span s, const char *want) {
    if (!span_is(s, want))
        fail_msg("got '%.*s', want '%s'", (int)s.len, s.ptr, want);
}

static void test_numbers_keep_their_bytes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool integer, fits;
        int64_t i64;
    } cases[] = {
        {"0", true, true, 0},
        {"-0", true, true, 0},
        {"1853726451928473601", true, true, 1853726451928473601},
        {"9223372036854775807", true, true, INT64_MAX},
        {"-9223372036854775808", true, true, INT64_MIN},
        {"9223372036854775808", true, false, 0},
        {"-9223372036854775809", true, false, 0},
        {"18446744073709551616", true, false, 0},
        {"100000000000000000000000", true, false, 0},
        {"1.0", false, false, 0},
        {"1e3", false, false, 0},
        {"1E3", false, false, 0},
        {"9.990", false, false, 0},
        {"1e400", false, false, 0},
        {"-0.0", false, false, 0},
    };
    struct json_doc doc;
    json_init(&doc, 10);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t v = 77;
        parses(&doc, cases[i].text);
        assert_span(json_raw(&doc, 0), cases[i].text);
        assert_int_equal(doc.nodes[0].integer, cases[i].integer);
        assert_int_equal(json_i64(&doc, 0, &v), cases[i].fits);
        assert_int_equal(v, cases[i].fits ? cases[i].i64 : 77);
    }
    int64_t v;
    parses(&doc, "\"1\"");
    assert_false(json_i64(&doc, 0, &v));
    assert_false(json_i64(&doc, JSON_NONE, &v));
    json_deinit(&doc);
}

static void test_doubles(void **state) {
    (void)state;
    struct json_doc doc;
    double v = 7;
    json_init(&doc, 10);
    parses(&doc, "-12.5e1");
    assert_true(json_double(&doc, 0, &v) && v == -125.0);
    parses(&doc, "1e-400");
    assert_true(json_double(&doc, 0, &v) && v == 0.0);
    parses(&doc, "0.1000000000000000000000000000000000000000000000000000000000000000000000000000000");
    assert_true(json_double(&doc, 0, &v) && v == 0.1);
    parses(&doc, "1e400");
    v = 7;
    assert_false(json_double(&doc, 0, &v));
    assert_true(v == 7);
    parses(&doc, "\"1\"");
    assert_false(json_double(&doc, 0, &v));
    assert_false(json_double(&doc, JSON_NONE, &v));
    json_deinit(&doc);
}

static void test_get_compares_decoded_and_takes_the_last(void **state) {
    (void)state;
    struct json_doc doc;
    json_init(&doc, 100);
    parses(&doc, "{\"a\":1,\"\\u0061\":2,\"b\":{\"a\":3},\"\\ud83d\\ude00\":4,\"a\\/b\":5,\"\":6,\"ab\":7,"
                 "\"\\u0000\":8}");
    assert_span(json_raw(&doc, json_get(&doc, 0, "a")), "2");
    assert_span(json_raw(&doc, json_get(&doc, 0, "\xf0\x9f\x98\x80")), "4");
    assert_span(json_raw(&doc, json_get(&doc, 0, "a/b")), "5");
    assert_span(json_raw(&doc, json_get(&doc, 0, "")), "6");
    assert_span(json_raw(&doc, json_get(&doc, 0, "ab")), "7");
    assert_int_equal(json_get(&doc, 0, "abc"), JSON_NONE);
    assert_int_equal(json_get(&doc, 0, "\\u0061"), JSON_NONE);
    json_deinit(&doc);
}

/* The document and the results of RFC 6901 §5, and what must lead nowhere. */
static void test_pointers(void **state) {
    (void)state;
    static const struct {
        const char *pointer, *want;
    } cases[] = {
        {"/foo", "[\"bar\", \"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/foo/1", "\"baz\""},
        {"/", "0"},
        {"/a~1b", "1"},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        {"/~01", "9"},
        {"/deep/0/x/1", "\"y\""},
        {"foo", NULL},
        {"/foo/2", NULL},
        {"/foo/-", NULL},
        {"/foo/00", NULL},
        {"/foo/01", NULL},
        {"/foo/", NULL},
        {"/foo/+1", NULL},
        {"/foo/1 ", NULL},
        {"/foo/4294967296", NULL},
        {"/foo/0/", NULL},
        {"//", NULL},
        {"/nothing", NULL},
        {"/nothing/here", NULL},
        {"/m~n", NULL},
        {"/m~2n", NULL},
        {"/m~", NULL},
        {" ", NULL},
    };
    struct json_doc doc;
    json_init(&doc, 100);
    parses(&doc, "{\"foo\": [\"bar\", \"baz\"],\"\": 0,\"a/b\": 1,\"c%d\": 2,\"e^f\": 3,\"g|h\": 4,"
                 "\"i\\\\j\": 5,\"k\\\"l\": 6,\" \": 7,\"m~n\": 8,\"~1\": 9,\"deep\":[{\"x\":[1,\"y\"]}]}");
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t node = json_pointer(&doc, 0, cases[i].pointer);
        if ((node == JSON_NONE) != (cases[i].want == NULL))
            fail_msg("%s", cases[i].pointer);
        if (node != JSON_NONE && cases[i].want != NULL)
            assert_span(json_raw(&doc, node), cases[i].want);
    }
    assert_int_equal(json_pointer(&doc, 0, ""), 0);
    assert_int_equal(json_pointer(&doc, 3, ""), 3);
    assert_int_equal(json_pointer(&doc, JSON_NONE, ""), JSON_NONE);
    assert_int_equal(json_pointer(&doc, JSON_NONE, "/a"), JSON_NONE);
    assert_span(json_raw(&doc, json_pointer(&doc, json_get(&doc, 0, "deep"), "/0/x/0")), "1");
    json_deinit(&doc);
}

static void test_children_are_walked(void **state) {
    (void)state;
    struct json_doc doc;
    json_init(&doc, 100);
    parses(&doc, "{\"a\":[1,[2,3],{\"x\":4}],\"b\":{\"c\":{}},\"d\":5}");
    static const char *const names[] = {"a", "b", "d"};
    size_t n = 0;
    for (uint32_t k = json_first(&doc, 0); k != JSON_NONE; k = json_next(&doc, 0, k))
        assert_span(json_inner(&doc, k), names[n++]);
    assert_int_equal(n, 3);
    static const char *const values[] = {"1", "[2,3]", "{\"x\":4}"};
    uint32_t a = json_get(&doc, 0, "a");
    n = 0;
    for (uint32_t k = json_first(&doc, a); k != JSON_NONE; k = json_next(&doc, a, k))
        assert_span(json_raw(&doc, k), values[n++]);
    assert_int_equal(n, 3);
    assert_int_equal(json_first(&doc, json_get(&doc, 0, "d")), JSON_NONE);
    assert_int_equal(json_first(&doc, JSON_NONE), JSON_NONE);
    json_deinit(&doc);
}

static void test_decoding(void **state) {
    (void)state;
    struct json_doc doc;
    struct buf out;
    char small[8];
    json_init(&doc, 10);
    buf_init(&out, 100);
    parses(&doc, "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u65e5\\ud83d\\ude00z\"");
    assert_int_equal(json_decode(&doc, 0, &out), 0);
    assert_string_equal(buf_cstr(&out), "a\"\\/\b\f\n\r\tA\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80z");
    assert_int_equal(json_copy(&doc, 0, small, sizeof(small)), -1);
    parses(&doc, "\"1234567\"");
    assert_int_equal(json_copy(&doc, 0, small, sizeof(small)), 7);
    assert_string_equal(small, "1234567");
    assert_int_equal(json_copy(&doc, 0, small, 7), -1);
    assert_int_equal(json_copy(&doc, 0, small, 0), -1);
    parses(&doc, "\"\"");
    assert_int_equal(json_copy(&doc, 0, small, 1), 0);
    assert_string_equal(small, "");
    parses(&doc, "\"a\\u0000b\"");
    assert_int_equal(json_copy(&doc, 0, small, sizeof(small)), -1);
    buf_reset(&out);
    assert_int_equal(json_decode(&doc, 0, &out), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 3);
    buf_deinit(&out);
    buf_init(&out, 2);
    assert_int_equal(json_decode(&doc, 0, &out), -1);
    parses(&doc, "12");
    buf_reset(&out);
    assert_int_equal(json_decode(&doc, 0, &out), -1);
    assert_int_equal(json_copy(&doc, 0, small, sizeof(small)), -1);
    assert_int_equal(json_decode(&doc, JSON_NONE, &out), -1);
    buf_deinit(&out);
    json_deinit(&doc);
}

static void test_every_escape_decodes_to_its_code_point(void **state) {
    (void)state;
    struct json_doc doc;
    json_init(&doc, 10);
    for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 || (c > 0xd7f0 && c < 0xe010) ? 1 : 97) {
        char text[20], out[8];
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        if (c < 0x10000)
            snprintf(text, sizeof(text), "\"\\u%04x\"", c);
        else
            snprintf(text, sizeof(text), "\"\\u%04X\\u%04X\"", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + ((c - 0x10000) & 0x3ff));
        parses(&doc, text);
        int n = json_copy(&doc, 0, out, sizeof(out));
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_true(utf8_valid(out, (size_t)n));
        static const unsigned char starts[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        uint32_t back = (unsigned char)out[0] & starts[n];
        for (int i = 1; i < n; i++)
            back = back << 6 | ((unsigned char)out[i] & 0x3f);
        assert_int_equal(back, c);
    }
    json_deinit(&doc);
}

/* Members of an object, in JSON, and the index of the name that stands twice; -1: none. */
static void duplicate_is(const char *members, const char *want) {
    struct json_doc doc;
    json_init(&doc, MAX_NODES);
    parses(&doc, members);
    uint32_t node = json_duplicate(&doc, 0);
    if ((node == JSON_NONE) != (want == NULL))
        fail_msg("%s", members);
    if (want != NULL)
        assert_span(json_inner(&doc, node), want);
    json_deinit(&doc);
}

static void test_duplicates(void **state) {
    (void)state;
    duplicate_is("{}", NULL);
    duplicate_is("[]", NULL);
    duplicate_is("[1,1]", NULL);
    duplicate_is("\"a\"", NULL);
    duplicate_is("{\"a\":1,\"b\":2,\"A\":3,\"\":4,\"ab\":5}", NULL);
    duplicate_is("{\"a\":1,\"b\":{\"a\":1}}", NULL);
    duplicate_is("{\"a\":1,\"b\":2,\"b\":2,\"a\":1}", "a");
    duplicate_is("{\"x\":1,\"b\":{\"c\":3},\"b\":2}", "b");
    duplicate_is("{\"\\u0061\":1,\"a\":2}", "\\u0061");
    duplicate_is("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", "\xf0\x9f\x98\x80");
    duplicate_is("{\"\":1,\"\":2}", "");
}

/* As many names as an envelope of 256 KiB holds, and names that differ in their last byte only. */
static void test_duplicates_among_many(void **state) {
    (void)state;
    for (int shape = 0; shape < 2; shape++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        int count = shape == 0 ? 23000 : 250;
        buf_add_char(&b, '{');
        for (int i = 0; i < count; i++)
            buf_addf(&b, shape == 0 ? "\"%x\":0," : "\"%01000x\":0,", (unsigned)i * 7919u & 0xffffffu);
        size_t open = b.len;
        buf_add_str(&b, "\"last\":0}");
        duplicate_is(buf_cstr(&b), NULL);
        b.len = open;
        buf_add_str(&b, shape == 0 ? "\"\\u0030\":0}" : "\"z\":0,\"\\u007a\":1}");
        duplicate_is(buf_cstr(&b), shape == 0 ? "0" : "z");
        b.len = open;
        buf_add_str(&b, "\"q\":0,\"p\":0,\"p\":0,\"q\":0}");
        duplicate_is(buf_cstr(&b), "q");
        b.len = open;
        buf_add_str(&b, "\"p\":0,\"q\":0,\"q\":0,\"p\":0}");
        duplicate_is(buf_cstr(&b), "p");
        buf_deinit(&b);
    }
}

static void test_types_have_names(void **state) {
    (void)state;
    assert_string_equal(json_type_name(JSON_NULL), "null");
    assert_string_equal(json_type_name(JSON_TRUE), "boolean");
    assert_string_equal(json_type_name(JSON_FALSE), "boolean");
    assert_string_equal(json_type_name(JSON_NUMBER), "number");
    assert_string_equal(json_type_name(JSON_STRING), "string");
    assert_string_equal(json_type_name(JSON_ARRAY), "array");
    assert_string_equal(json_type_name(JSON_OBJECT), "object");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_keep_their_bytes),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_get_compares_decoded_and_takes_the_last),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_children_are_walked),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_every_escape_decodes_to_its_code_point),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_duplicates_among_many),
        cmocka_unit_test(test_types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
