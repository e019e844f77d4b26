/* Random documents, and broken ones, against cJSON: whatever we accept it reads too, and it reads
 * the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <string.h>

#include "dray/clock.h"
#include "dray/json.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define MAX_NODES 200000

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
        cmocka_unit_test(test_agrees_with_cjson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
