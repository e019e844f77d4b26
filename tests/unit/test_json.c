/* What json_parse accepts and refuses, and where it says so; what the tape's readers return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/clock.h"
#include "dray/json.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define MAX_NODES 200000

/* Parses a copy that ends where the text ends, so that a read past it is seen. */
static int parse_exact(struct json_doc *doc, char **copy, const void *text, size_t len,
                       struct err *err) {
    *copy = malloc(len > 0 ? len : 1);
    memcpy(*copy, text, len);
    err->text[0] = '\0';
    return json_parse(doc, *copy, len, err);
}

static bool accepted(const void *text, size_t len) {
    struct json_doc doc;
    struct err err;
    char *copy;
    json_init(&doc, MAX_NODES);
    bool ok = parse_exact(&doc, &copy, text, len, &err) == 0;
    assert_int_equal(ok, err.text[0] == '\0');
    assert_int_equal(ok, doc.count > 0);
    free(copy);
    json_deinit(&doc);
    return ok;
}

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

static const char *const good[] = {
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "1e400",
    "-1E+05",
    "0e0",
    "0E-1",
    "0.0",
    "-0.10e-2",
    "9.990",
    "1853726451928473601",
    "123456789012345678901234567890123456789012345678901234567890",
    "null",
    "true",
    "false",
    "\"\"",
    "[]",
    "{}",
    " \t\r\n[ ] \t\r\n",
    "[[],{}]",
    "[1,2]",
    "{\"\":0}",
    "{\"a\":1,\"a\":2}",
    "{\"a\" : [ { \"b\" : null } , true ] }",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABcd\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uDBFF\\uDFFF\"",
    "\"\x7f\"",
    "\"/\"",
    "\"\xc2\x80\xdf\xbf\"",
    "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"",
    "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
    "\"\\\\u12\"",
    "[\"\\u005b\",\"]\"]",
};

static const char *const bad[] = {
    "",
    " ",
    "\t\n",
    "[",
    "]",
    "{",
    "}",
    "[]]",
    "{}}",
    "[}",
    "{]",
    "[1}",
    "{\"a\":1]",
    "1 2",
    "[] []",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1,,2]",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{\"a\":1,}",
    "{\"a\":1 \"b\":2}",
    "{\"a\"::1}",
    "{a:1}",
    "{1:1}",
    "{null:1}",
    "{'a':1}",
    "{\"a\":1,,\"b\":2}",
    "{[]:1}",
    "{\"a\",1}",
    ":",
    ",",
    "[:]",
    "'a'",
    "a",
    "\"",
    "\"a",
    "\"\\",
    "\"\\\"",
    "\"\\u\"",
    "\"\\u123\"",
    "\"\\u123g\"",
    "\"\\u 123\"",
    "\"\\u+123\"",
    "\"\\x41\"",
    "\"\\a\"",
    "\"\\'\"",
    "\"\\U0041\"",
    "\"\\0\"",
    "\"\\ud83d\"",
    "\"\\ud83d\\n\"",
    "\"\\ud83dxude00\"",
    "\"\\ud83d\\ud83d\"",
    "\"\\ude00\"",
    "\"\\ude00\\ud83d\"",
    "\"\\ud83d\\u0041\"",
    "\"\\ud83d\\ude0\"",
    "\"\n\"",
    "\"\t\"",
    "\"\x1f\"",
    "\"\x01\"",
    "-",
    "+1",
    "01",
    "-01",
    "00",
    "1.",
    ".1",
    "-.1",
    "1.e1",
    "1e",
    "1e+",
    "1E-",
    "1e1.5",
    "1.2.3",
    "1-2",
    "--1",
    "0x10",
    "1f",
    "0b1",
    "1_000",
    "1,000",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "nul",
    "nulL",
    "Null",
    "nullx",
    "tru",
    "True",
    "truefalse",
    "fals",
    "undefined",
    "// c\n1",
    "/* c */1",
    "[1/**/]",
    "#\n1",
    "\xef\xbb\xbf{}",
    "\xc2\xa0"
    "1",
    "\f1",
    "\v1",
    "1\xe2\x80\xa8",
    "[\"a\"\"b\"]",
    "{\"a\":1}x",
    "\"a\"b",
    "\\u0031",
    "[\\n]",
    "\xff",
    "\xfe\xff\x31",
};

static void test_accepts_json(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!accepted(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
}

static void test_refuses_all_else(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (accepted(bad[i], strlen(bad[i])))
            fail_msg("accepted: %s", bad[i]);
}

static void test_refuses_nul_bytes(void **state) {
    (void)state;
    const struct span texts[] = {
        SPAN_LIT("\0"),
        SPAN_LIT("1\0"),
        SPAN_LIT("\0"
                 "1"),
        SPAN_LIT("\"a\0b\""),
        SPAN_LIT("[1\0]"),
        SPAN_LIT("{\"a\0\":1}"),
        SPAN_LIT("{}\0"),
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_false(accepted(texts[i].ptr, texts[i].len));
}

/* One of each class of RFC 3629: inside a string, at its end, and at the text's end. */
static void test_refuses_invalid_utf8(void **state) {
    (void)state;
    static const char *const sequences[] = {
        "\x80",
        "\xbf", /* continuation without a start */
        "\xc0\x80",
        "\xc1\xbf", /* overlong, two bytes */
        "\xe0\x80\x80",
        "\xe0\x9f\xbf", /* overlong, three */
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", /* overlong, four */
        "\xed\xa0\x80",
        "\xed\xbf\xbf",             /* surrogates */
        "\xed\xa0\xbd\xed\xb8\x80", /* a pair of them (CESU-8) */
        "\xf4\x90\x80\x80",
        "\xf7\xbf\xbf\xbf", /* past U+10FFFF */
        "\xf8\x88\x80\x80\x80",
        "\xfc\x84\x80\x80\x80\x80",
        "\xfe",
        "\xff", /* no such start */
        "\xc2",
        "\xe1\x80",
        "\xf1\x80\x80", /* cut short */
        "\xc2"
        "a",
        "\xe1\x80"
        "a",
        "\xf1\x80\x80"
        "a",
        "\xe1"
        "aa",
        "\xf1"
        "aaa",
        "\xf1\x80"
        "aa",
        "\xc2\xc2\x80",
        "\xe1\x80\xc2\x80",
        "\xf1\x80\x80\xc2",
    };
    for (size_t i = 0; i < COUNT(sequences); i++) {
        static const char *const around[][2] = {
            {"\"", "\""},
            {"\"plain text before ", " and after\""},
            {"\"", ""},
            {"{\"", "\":1}"},
            {"[\"a\",\"\xc3\xa9", "\"]"},
        };
        for (size_t k = 0; k < COUNT(around); k++) {
            char text[100];
            snprintf(text, sizeof(text), "%s%s%s", around[k][0], sequences[i], around[k][1]);
            if (accepted(text, strlen(text)))
                fail_msg("accepted sequence %zu", i);
        }
        assert_false(utf8_valid(sequences[i], strlen(sequences[i])));
    }
}

/* Every one- and two-byte text, against the definition written out once more, as ranges. */
static bool valid_pair(unsigned a, unsigned b) {
    if (a < 0x80)
        return b < 0x80;
    return a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
}

static void test_utf8_of_two_bytes(void **state) {
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            char text[10] = {(char)a, (char)b, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'};
            assert_int_equal(utf8_valid(text, 2), valid_pair(a, b));
            assert_int_equal(utf8_valid(text, 10), valid_pair(a, b));
            char back[10] = {'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', (char)a, (char)b};
            assert_int_equal(utf8_valid(back, 10), valid_pair(a, b));
        }
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid(NULL, 0));
}

static void test_says_where_and_what(void **state) {
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "at byte 0: expected a value"},
        {"  x", "at byte 2: expected a value"},
        {"{\"a\":1;}", "at byte 6: expected ',' or '}'"},
        {"{\"a\":1", "at byte 6: expected ',' or '}'"},
        {"[1 2]", "at byte 3: expected ',' or ']'"},
        {"{\"a\" 1}", "at byte 5: expected ':'"},
        {"{\"a\":1,}", "at byte 7: expected a member's name"},
        {"{1", "at byte 1: expected a member's name"},
        {"[1] 2", "at byte 4: expected the end of the text"},
        {"[\"ab", "at byte 4: the text ends within a string"},
        {"[\"ab\\", "at byte 5: the text ends within a string"},
        {"\"a\\x\"", "at byte 2: no such escape"},
        {"\"\\u12\"", "at byte 1: \\u needs four hexadecimal digits"},
        {"\"a\\ud800\"", "at byte 2: unpaired surrogate escape"},
        {"\"a\nb\"", "at byte 2: control character in a string"},
        {"\"a\xff\"", "at byte 2: invalid UTF-8"},
        {"-", "at byte 1: expected a digit"},
        {"012", "at byte 0: a number may not start with 0"},
        {"1.", "at byte 2: expected a digit after '.'"},
        {"1e+", "at byte 3: expected a digit in the exponent"},
        {"[1,2,3,4,5,6,7,8,9,10]", "at byte 19: more than 10 values and names"},
    };
    struct json_doc doc;
    json_init(&doc, 10);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {""};
        assert_int_equal(json_parse(&doc, cases[i].text, strlen(cases[i].text), &err), -1);
        assert_string_equal(err.text, cases[i].want);
        assert_int_equal(json_parse(&doc, cases[i].text, strlen(cases[i].text), NULL), -1);
    }
    json_deinit(&doc);
}

static void test_nesting_ends_at_its_maximum(void **state) {
    (void)state;
    static char text[100000];
    struct json_doc doc;
    struct err err;
    json_init(&doc, MAX_NODES);
    for (int object = 0; object <= 1; object++) {
        for (size_t depth = JSON_MAX_DEPTH - 1; depth <= JSON_MAX_DEPTH + 1; depth++) {
            struct buf b;
            buf_init(&b, 1000);
            for (size_t i = 0; i < depth; i++)
                buf_add_str(&b, object ? "{\"\":" : "[");
            buf_add_char(&b, '0');
            for (size_t i = 0; i < depth; i++)
                buf_add_char(&b, object ? '}' : ']');
            assert_int_equal(json_parse(&doc, b.data, b.len, &err),
                             depth <= JSON_MAX_DEPTH ? 0 : -1);
            buf_deinit(&b);
        }
        assert_string_equal(err.text, object ? "at byte 256: nested too deeply"
                                             : "at byte 64: nested too deeply");
    }
    memset(text, '[', sizeof(text));
    assert_int_equal(json_parse(&doc, text, sizeof(text), &err), -1);
    assert_string_equal(err.text, "at byte 64: nested too deeply");
    assert_in_range(doc.cap, 1, 256);
    json_deinit(&doc);
}

static void test_width_has_no_depth(void **state) {
    (void)state;
    struct buf b;
    struct json_doc doc;
    struct err err;
    buf_init(&b, 1 << 20);
    buf_add_char(&b, '[');
    for (int i = 0; i < 50000; i++)
        buf_add_str(&b, "[],");
    buf_add_str(&b, "{}]");
    json_init(&doc, 50002);
    assert_int_equal(json_parse(&doc, b.data, b.len, &err), 0);
    assert_int_equal(doc.count, 50002);
    assert_int_equal(doc.nodes[0].count, 50001);
    uint32_t seen = 0;
    for (uint32_t k = json_first(&doc, 0); k != JSON_NONE; k = json_next(&doc, 0, k))
        seen++;
    assert_int_equal(seen, 50001);
    json_deinit(&doc);
    json_init(&doc, 50001);
    assert_int_equal(json_parse(&doc, b.data, b.len, &err), -1);
    assert_int_equal(doc.cap, 50001);
    json_deinit(&doc);
    buf_deinit(&b);
}

static const char order[] =
    "{\"id\":\"job-1\",\"order\":{\"orderAddresses\":{\"country\":\"US\",\"city\":"
    "\"M\xc3\xbcnchen\","
    "\"phone\":\"07 82 24 67 93\",\"recipient\":\"Zo\\u00eb \\ud83d\\ude00\",\"street1\":\" 7 "
    "rue\","
    "\"zip\":\"vsvs00v30\",\"vat\":null},\"remark\":\"a \\\"best\\\" order\",\"orderItemsList\":["
    "{\"sku\":\"AMB01682_W_M_AU\",\"quantity\":1,\"price\":9.990},{\"sku\":\"\xe6\x9c\xac\","
    "\"quantity\":-2e-1}],\"customs\":[true,false,[],{}],\"customOrderId\":\"KA-1\"}}";

static void test_no_prefix_of_an_order_is_an_order(void **state) {
    (void)state;
    size_t len = sizeof(order) - 1;
    assert_true(accepted(order, len));
    for (size_t n = 0; n < len; n++)
        if (accepted(order, n))
            fail_msg("accepted the first %zu bytes", n);
    for (size_t n = 1; n < len; n++)
        if (accepted(order + n, len - n))
            fail_msg("accepted from byte %zu on", n);
}

static void test_code_points_are_counted(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t count;
    } cases[] = {
        {"\"\"", 0},
        {"\"abc\"", 3},
        {"\"a\\n\\\"\\\\\"", 4},
        {"\"\\u0041\\u00e9\\u65e5\"", 3},
        {"\"\\ud83d\\ude00\"", 1},
        {"\"x\\uD83D\\uDE00\\ud83d\\ude00y\"", 4},
        {"\"\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80\"", 3},
        {"\"e\xcc\x81\"", 2},
        {"\"0123456789abcdef\xc3\xa9"
         "0123456789abcdef\"",
         33},
    };
    struct json_doc doc;
    json_init(&doc, 10);
    for (size_t i = 0; i < COUNT(cases); i++) {
        parses(&doc, cases[i].text);
        assert_int_equal(doc.nodes[0].count, cases[i].count);
        assert_int_equal(doc.nodes[0].escaped, strchr(cases[i].text, '\\') != NULL);
    }
    json_deinit(&doc);
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
    parses(&doc,
           "0.1000000000000000000000000000000000000000000000000000000000000000000000000000000");
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
    parses(
        &doc,
        "{\"a\":1,\"\\u0061\":2,\"b\":{\"a\":3},\"\\ud83d\\ude00\":4,\"a\\/b\":5,\"\":6,\"ab\":7,"
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
    parses(
        &doc,
        "{\"foo\": [\"bar\", \"baz\"],\"\": 0,\"a/b\": 1,\"c%d\": 2,\"e^f\": 3,\"g|h\": 4,"
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
            buf_addf(&b, shape == 0 ? "\"%x\":0," : "\"%01000x\":0,",
                     (unsigned)i * 7919u & 0xffffffu);
        size_t open = b.len;
        buf_add_str(&b, "\"last\":0}");
        duplicate_is(buf_cstr(&b), NULL);
        b.len = open;
        buf_add_str(&b, shape == 0 ? "\"\\u0030\":0}" : "\"z\":0,\"\\u007a\":1}");
        duplicate_is(buf_cstr(&b), shape == 0 ? "0" : "z");
        b.len = open;
        buf_add_str(&b, "\"q\":0,\"p\":0,\"p\":0,\"q\":0}");
        duplicate_is(buf_cstr(&b), "q");
        buf_deinit(&b);
    }
}

static void test_a_tape_is_used_again(void **state) {
    (void)state;
    struct json_doc doc;
    struct err err;
    json_init(&doc, 1000);
    parses(&doc, order);
    struct json_node *nodes = doc.nodes;
    assert_int_equal(json_parse(&doc, "[1,", 3, &err), -1);
    assert_int_equal(doc.count, 0);
    assert_int_equal(json_get(&doc, 0, "id"), JSON_NONE);
    assert_int_equal(json_pointer(&doc, 0, ""), JSON_NONE);
    parses(&doc, "[1]");
    assert_int_equal(doc.count, 2);
    assert_ptr_equal(doc.nodes, nodes);
    json_deinit(&doc);
    json_deinit(&doc);
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

/* ---- against cJSON: whatever we accept it reads too, and it reads the same ---- */

static void same_tree(const struct json_doc *doc, uint32_t node, const cJSON *other);

static void same_children(const struct json_doc *doc, uint32_t node, const cJSON *other) {
    bool object = json_type(doc, node) == JSON_OBJECT;
    const cJSON *child = other->child;
    uint32_t n = 0;
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k), n++) {
        assert_non_null(child);
        if (object) {
            char name[300];
            assert_true(json_copy(doc, k, name, sizeof(name)) >= 0);
            assert_string_equal(name, child->string);
        }
        same_tree(doc, object ? k + 1 : k, child);
        child = child->next;
    }
    assert_null(child);
    assert_int_equal(n, doc->nodes[node].count);
}

static void same_tree(const struct json_doc *doc, uint32_t node, const cJSON *other) {
    char text[300];
    double d;
    switch (json_type(doc, node)) {
    case JSON_NULL:
        assert_true(cJSON_IsNull(other));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        assert_true(cJSON_IsBool(other));
        assert_int_equal(cJSON_IsTrue(other), json_type(doc, node) == JSON_TRUE);
        break;
    case JSON_NUMBER:
        assert_true(cJSON_IsNumber(other));
        if (json_double(doc, node, &d))
            assert_true(d == other->valuedouble);
        break;
    case JSON_STRING:
        assert_true(cJSON_IsString(other));
        assert_true(json_copy(doc, node, text, sizeof(text)) >= 0);
        assert_string_equal(text, other->valuestring);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        assert_int_equal(json_type(doc, node) == JSON_OBJECT, cJSON_IsObject(other));
        same_children(doc, node, other);
    }
}

static void random_string(struct rng *r, struct buf *b) {
    static const char *const pieces[] = {
        "a",
        "Z",
        "0",
        " ",
        "/",
        "{",
        "]",
        ",",
        "\x7f",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "\\u00e9",
        "\\u65E5",
        "\\ud83d\\ude00",
        "\xc3\xa9",
        "\xe6\x97\xa5",
        "\xf0\x9f\x98\x80",
        "plain words",
    };
    buf_add_char(b, '"');
    for (uint64_t n = rng_below(r, 6); n > 0; n--)
        buf_add_str(b, pieces[rng_below(r, COUNT(pieces))]);
    buf_add_char(b, '"');
}

static void random_number(struct rng *r, struct buf *b) {
    if (rng_below(r, 2))
        buf_add_char(b, '-');
    buf_add_u64(b, rng_u64(r) >> rng_below(r, 64));
    if (rng_below(r, 2))
        buf_addf(b, ".%06u", (unsigned)rng_below(r, 1000000));
    if (rng_below(r, 3) == 0)
        buf_addf(b, "%c%s%u", rng_below(r, 2) ? 'e' : 'E', rng_below(r, 2) ? "-" : "+",
                 (unsigned)rng_below(r, 40));
}

static void random_space(struct rng *r, struct buf *b) {
    if (rng_below(r, 4) == 0)
        buf_add_char(b, " \t\r\n"[rng_below(r, 4)]);
}

static void random_value(struct rng *r, struct buf *b, int depth) {
    static const char *const words[] = {"null", "true", "false"};
    uint64_t kind = rng_below(r, depth > 0 ? 5 : 3);
    random_space(r, b);
    if (kind == 0)
        buf_add_str(b, words[rng_below(r, 3)]);
    else if (kind == 1)
        random_number(r, b);
    else if (kind == 2)
        random_string(r, b);
    else {
        buf_add_char(b, kind == 3 ? '[' : '{');
        for (uint64_t n = rng_below(r, 5), i = 0; i < n; i++) {
            if (i > 0)
                buf_add_char(b, ',');
            if (kind == 4) {
                random_string(r, b);
                random_space(r, b);
                buf_add_char(b, ':');
            }
            random_value(r, b, depth - 1);
        }
        buf_add_char(b, kind == 3 ? ']' : '}');
    }
    random_space(r, b);
}

static void compare_with_cjson(struct json_doc *doc, struct span text, bool must_parse) {
    struct err err;
    if (json_parse(doc, text.ptr, text.len, &err) != 0) {
        if (must_parse)
            fail_msg("%.*s: %s", (int)text.len, text.ptr, err.text);
        return;
    }
    const char *end = NULL;
    cJSON *other = cJSON_ParseWithLengthOpts(text.ptr, text.len, &end, false);
    if (other == NULL)
        fail_msg("cJSON refuses: %.*s", (int)text.len, text.ptr);
    same_tree(doc, 0, other);
    cJSON_Delete(other);
}

static void test_agrees_with_cjson(void **state) {
    (void)state;
    struct rng r;
    struct buf b;
    struct json_doc doc;
    rng_seed(&r, 2024);
    buf_init(&b, 1 << 20);
    json_init(&doc, MAX_NODES);
    for (int i = 0; i < 5000; i++) {
        buf_reset(&b);
        random_value(&r, &b, 5);
        compare_with_cjson(&doc, buf_span(&b), true);
        for (int m = 0; m < 4; m++) {
            b.data[rng_below(&r, b.len)] = "\"\\{}[]:,0-eu \n\x80\xe9"[rng_below(&r, 16)];
            compare_with_cjson(&doc, buf_span(&b), false);
        }
    }
    json_deinit(&doc);
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tape_keeps_places),
        cmocka_unit_test(test_accepts_json),
        cmocka_unit_test(test_refuses_all_else),
        cmocka_unit_test(test_refuses_nul_bytes),
        cmocka_unit_test(test_refuses_invalid_utf8),
        cmocka_unit_test(test_utf8_of_two_bytes),
        cmocka_unit_test(test_says_where_and_what),
        cmocka_unit_test(test_nesting_ends_at_its_maximum),
        cmocka_unit_test(test_width_has_no_depth),
        cmocka_unit_test(test_no_prefix_of_an_order_is_an_order),
        cmocka_unit_test(test_code_points_are_counted),
        cmocka_unit_test(test_numbers_keep_their_bytes),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_get_compares_decoded_and_takes_the_last),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_children_are_walked),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_every_escape_decodes_to_its_code_point),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_duplicates_among_many),
        cmocka_unit_test(test_a_tape_is_used_again),
        cmocka_unit_test(test_types_have_names),
        cmocka_unit_test(test_agrees_with_cjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
