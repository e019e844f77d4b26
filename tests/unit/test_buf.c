/* Buffers and error messages, and what happens here and in json.h when memory is out: the linker
 * puts __wrap_malloc and __wrap_realloc in the place of the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dray/buf.h"
#include "dray/err.h"
#include "dray/json.h"

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *p, size_t size);

static int allocations_left = INT_MAX; /* then NULL */

static bool may_allocate(void) {
    if (allocations_left == INT_MAX)
        return true;
    return allocations_left > 0 && allocations_left-- > 0;
}

void *__wrap_malloc(size_t size) {
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_realloc(void *p, size_t size) {
    return may_allocate() ? __real_realloc(p, size) : NULL;
}

static int memory_is_back(void **state) {
    (void)state;
    allocations_left = INT_MAX;
    return 0;
}

static void holds(const struct buf *b, const char *want) {
    if (!span_is(buf_span(b), want))
        fail_msg("got '%.*s', want '%s'", (int)b->len, b->data, want);
}

static void test_appends(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_null(b.data);
    assert_string_equal(buf_cstr(&b), "");
    assert_non_null(buf_span(&b).ptr);
    buf_add(&b, NULL, 0);
    buf_add_str(&b, "a");
    buf_add_span(&b, SPAN_LIT("bc"));
    buf_add_char(&b, ' ');
    buf_add_u64(&b, 0);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, INT64_MIN);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, -1);
    buf_addf(&b, " %d%%", 5);
    assert_true(buf_ok(&b));
    holds(&b, "abc 0 18446744073709551615 -9223372036854775808 -1 5%");
    assert_string_equal(buf_cstr(&b), "abc 0 18446744073709551615 -9223372036854775808 -1 5%");
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_cstr(&b), "");
    buf_deinit(&b);
    buf_deinit(&b);
    assert_int_equal(b.max, 1000);
}

static void test_formats_longer_than_its_scratch(void **state) {
    (void)state;
    char long_text[1001];
    struct buf b;
    memset(long_text, 'x', 1000);
    long_text[1000] = '\0';
    for (size_t len = 254; len <= 258; len++) {
        buf_init(&b, 2000);
        buf_addf(&b, "%.*s", (int)len, long_text);
        assert_int_equal(b.len, len);
        assert_memory_equal(b.data, long_text, len);
        buf_deinit(&b);
    }
    buf_init(&b, 999);
    buf_add_str(&b, "kept");
    buf_addf(&b, "%s", long_text);
    assert_false(buf_ok(&b));
    holds(&b, "kept");
    buf_deinit(&b);
}

/* At every maximum, each append is whole or not there, and the failure stays until the reset. */
static void test_the_maximum_holds(void **state) {
    (void)state;
    static const char whole[] = "[\"a\\n\",-12]";
    for (size_t max = 0; max <= sizeof(whole); max++) {
        struct buf b;
        buf_init(&b, max);
        buf_add_char(&b, '[');
        buf_add_json_str(&b, SPAN_LIT("a\n"));
        buf_add_char(&b, ',');
        buf_add_i64(&b, -12);
        buf_add_char(&b, ']');
        assert_int_equal(buf_ok(&b), max >= sizeof(whole) - 1);
        assert_true(b.len <= max);
        assert_memory_equal(buf_span(&b).ptr, whole, b.len);
        if (!buf_ok(&b)) {
            size_t len = b.len;
            assert_string_equal(buf_cstr(&b), "");
            buf_add_char(&b, 'x');
            buf_add_u64(&b, 1);
            assert_int_equal(b.len, len);
        }
        buf_reset(&b);
        assert_true(buf_ok(&b));
        buf_deinit(&b);
    }
}

static void test_reserve_cannot_overflow(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_add_str(&b, "12345");
    assert_false(buf_reserve(&b, SIZE_MAX));
    buf_reset(&b);
    assert_false(buf_reserve(&b, 101));
    buf_reset(&b);
    assert_true(buf_reserve(&b, 100));
    assert_in_range(b.cap, 100, 128);
    buf_deinit(&b);
}

static void test_json_strings(void **state) {
    (void)state;
    static const struct {
        struct span in;
        const char *out;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{"plain", 5}, "\"plain\""},
        {{"\"\\/", 3}, "\"\\\"\\\\/\""},
        {{"\n\r\t\b\f\0\x1f\x7f", 8}, "\"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f\""},
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"a\xff"
          "b\xc3",
          4},
         "\"a\xef\xbf\xbd"
         "b\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b;
        struct json_doc doc;
        buf_init(&b, 100);
        json_init(&doc, 2);
        buf_add_json_str(&b, cases[i].in);
        holds(&b, cases[i].out);
        assert_int_equal(json_parse(&doc, b.data, b.len, NULL), 0);
        json_deinit(&doc);
        buf_deinit(&b);
    }
}

static void test_spans(void **state) {
    (void)state;
    struct span absent = span_str(NULL);
    assert_null(absent.ptr);
    assert_true(span_eq(absent, (struct span){"", 0}));
    assert_false(span_is(absent, ""));
    assert_true(span_is((struct span){"", 0}, ""));
    assert_true(span_is((struct span){"abcd", 3}, "abc"));
    assert_false(span_is((struct span){"abcd", 4}, "abc"));
    assert_false(span_eq(SPAN_LIT("abc"), SPAN_LIT("abd")));
}

static void test_errors(void **state) {
    (void)state;
    struct err e = {""};
    assert_int_equal(err_set(&e, "%s: no", "file"), -1);
    assert_string_equal(e.text, "file: no");
    assert_int_equal(err_prefix(&e, "line %d", 3), -1);
    assert_string_equal(e.text, "line 3: file: no");
    assert_int_equal(err_set(NULL, "x"), -1);
    assert_int_equal(err_prefix(NULL, "x"), -1);
    char big[600];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    err_prefix(&e, "%.*s", 500, big);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
    err_set(&e, "%s", big);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
    err_prefix(&e, "%s", big);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

/* ---- memory runs out ---- */

/* Fails the first, the second, … allocation of the same writer until none is left to fail. */
static void test_a_buffer_without_memory_keeps_its_content(void **state) {
    (void)state;
    static const char *const pieces[] = {"0123456789", "\"quoted\" and long enough to grow the buffer once"};
    bool failed;
    int fail_at = 0;
    do {
        struct buf b;
        buf_init(&b, 1000);
        allocations_left = fail_at++;
        buf_add_str(&b, pieces[0]);
        buf_add_json_str(&b, span_str(pieces[1]));
        buf_addf(&b, "%0400d", 7);
        size_t len = b.len;
        const char *text = buf_cstr(&b);
        failed = !buf_ok(&b);
        allocations_left = INT_MAX;
        assert_int_equal(b.len, len);
        assert_memory_equal(buf_span(&b).ptr, "0123456789\"", len < 11 ? len : 11);
        assert_int_equal(strlen(text), failed ? 0 : len);
        buf_reset(&b);
        buf_add_str(&b, "again");
        holds(&b, "again");
        buf_deinit(&b);
    } while (failed);
    assert_int_equal(fail_at, 3);
}

static void test_cstr_without_memory(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 64);
    for (int i = 0; i < 64; i++)
        buf_add_char(&b, 'x');
    assert_int_equal(b.cap, b.len);
    allocations_left = 0;
    assert_string_equal(buf_cstr(&b), "");
    assert_false(buf_ok(&b));
    allocations_left = INT_MAX;
    buf_deinit(&b);
}

/* The first growth and the next fail; the tape can be used when memory is back. */
static void test_a_tape_without_memory(void **state) {
    (void)state;
    char text[399]; /* [0,0,…,0]: 200 nodes */
    struct json_doc doc;
    struct err err;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? '0' : ',';
    text[0] = '[';
    text[sizeof(text) - 1] = ']';
    json_init(&doc, 1000);
    allocations_left = 0;
    assert_int_equal(json_parse(&doc, text, sizeof(text), &err), -1);
    assert_string_equal(err.text, "at byte 0: out of memory");
    assert_int_equal(doc.count, 0);
    allocations_left = 1;
    assert_int_equal(json_parse(&doc, text, sizeof(text), &err), -1);
    assert_string_equal(err.text, "at byte 255: out of memory");
    assert_int_equal(doc.count, 0);
    allocations_left = INT_MAX;
    assert_int_equal(json_parse(&doc, text, sizeof(text), &err), 0);
    assert_int_equal(doc.count, 200);
    json_deinit(&doc);
}

static void test_duplicates_are_found_without_memory(void **state) {
    (void)state;
    struct buf b;
    struct json_doc doc;
    buf_init(&b, 10000);
    buf_add_char(&b, '{');
    for (int i = 0; i < 100; i++)
        buf_addf(&b, "\"n%d\":0,", i);
    buf_add_str(&b, "\"n42\":1}");
    json_init(&doc, 1000);
    assert_int_equal(json_parse(&doc, b.data, b.len, NULL), 0);
    allocations_left = 0;
    uint32_t node = json_duplicate(&doc, 0);
    allocations_left = INT_MAX;
    assert_int_not_equal(node, JSON_NONE);
    assert_true(span_is(json_inner(&doc, node), "n42"));
    json_deinit(&doc);
    buf_deinit(&b);
}

static void test_a_long_number_without_memory(void **state) {
    (void)state;
    struct json_doc doc;
    double v = 7;
    static const char text[] = "0.1000000000000000000000000000000000000000000000000000000000000000000000";
    json_init(&doc, 10);
    assert_int_equal(json_parse(&doc, text, sizeof(text) - 1, NULL), 0);
    allocations_left = 0;
    assert_false(json_double(&doc, 0, &v));
    allocations_left = INT_MAX;
    assert_true(v == 7);
    assert_true(json_double(&doc, 0, &v) && v == 0.1);
    json_deinit(&doc);
}

/* What stands in no need of an escape is found eight bytes at a time: what comes out is read back as it was. */
static void test_json_strings_of_every_byte(void **state) {
    (void)state;
    char text[24];
    for (unsigned byte = 0; byte < 128; byte++)
        for (size_t at = 0; at < sizeof(text); at++) {
            struct buf out;
            struct json_doc doc;
            bool plain = byte >= 0x20 && byte != '"' && byte != '\\';
            memset(text, 'a', sizeof(text));
            text[at] = (char)byte;
            buf_init(&out, 256);
            json_init(&doc, 16);
            buf_add_json_str(&out, (struct span){text, sizeof(text)});
            assert_int_equal(out.len == sizeof(text) + 2, plain);
            assert_int_equal(json_parse(&doc, out.data, out.len, NULL), 0);
            assert_int_equal(doc.nodes[0].count, sizeof(text));
            json_deinit(&doc);
            buf_deinit(&out);
        }
}

int main(void) {
#define FAULTY(f) cmocka_unit_test_teardown(f, memory_is_back)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_formats_longer_than_its_scratch),
        cmocka_unit_test(test_the_maximum_holds),
        cmocka_unit_test(test_reserve_cannot_overflow),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_strings_of_every_byte),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_errors),
        FAULTY(test_a_buffer_without_memory_keeps_its_content),
        FAULTY(test_cstr_without_memory),
        FAULTY(test_a_tape_without_memory),
        FAULTY(test_duplicates_are_found_without_memory),
        FAULTY(test_a_long_number_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
