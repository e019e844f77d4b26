/* What json_parse accepts and refuses, where it says so, and what the tape holds then. */
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

/* Parses a copy that ends where the text ends, so that a read past it is seen. */
static int parse_exact(struct json_doc *doc, char **copy, const void *text, size_t len, struct err *err) {
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
    "\"\\udfff\"",
    "\"\\udbff\"",
    "\"\\udc00\"",
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
            assert_int_equal(json_parse(&doc, b.data, b.len, &err), depth <= JSON_MAX_DEPTH ? 0 : -1);
            buf_deinit(&b);
        }
        assert_string_equal(err.text,
                            object ? "at byte 256: nested too deeply" : "at byte 64: nested too deeply");
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

/* Strings are scanned eight bytes at a time: no byte may hide at any place of the eight, nor behind a neighbour. */
static void test_every_byte_at_every_place(void **state) {
    (void)state;
    static const char fillers[] = {'a', ' ', '~', '!', '#', '[', ']', 0x7f};
    char text[26];
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 1; at < sizeof(text) - 1; at++)
            for (size_t f = 0; f < sizeof(fillers); f++) {
                memset(text, fillers[f], sizeof(text));
                text[0] = text[sizeof(text) - 1] = '"';
                text[at] = (char)byte;
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                if (accepted(text, sizeof(text)) != plain)
                    fail_msg("byte 0x%02x at %zu among '%c'", byte, at, fillers[f]);
            }
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
        cmocka_unit_test(test_a_tape_is_used_again),
        cmocka_unit_test(test_every_byte_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
