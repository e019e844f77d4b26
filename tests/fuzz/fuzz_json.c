/* json_parse and its readers: what is accepted is UTF-8, is read by cJSON too, has children that
 * lie within their parent, and strings that survive decoding and escaping. */
#include <cjson/cJSON.h>
#include <string.h>

#include "check.h"
#include "dray/json.h"

static void check_string(const struct json_doc *doc, uint32_t node) {
    struct buf decoded, escaped, twice;
    struct json_doc again;
    buf_init(&decoded, SIZE_MAX);
    buf_init(&escaped, SIZE_MAX);
    json_init(&again, 1);
    CHECK(json_decode(doc, node, &decoded) == 0);
    CHECK(decoded.len == 0 || utf8_valid(decoded.data, decoded.len));
    buf_add_json_str(&escaped, buf_span(&decoded));
    CHECK(json_parse(&again, escaped.data, escaped.len, NULL) == 0);
    CHECK(again.nodes[0].count == doc->nodes[node].count);
    buf_init(&twice, SIZE_MAX);
    CHECK(json_decode(&again, 0, &twice) == 0);
    CHECK(span_eq(buf_span(&twice), buf_span(&decoded)));
    buf_deinit(&twice);
    json_deinit(&again);
    buf_deinit(&escaped);
    buf_deinit(&decoded);
}

/* The first name that stands twice, found the slow way. */
static uint32_t duplicate(const struct json_doc *doc, uint32_t object) {
    struct buf a, b;
    uint32_t found = JSON_NONE;
    buf_init(&a, SIZE_MAX);
    buf_init(&b, SIZE_MAX);
    for (uint32_t k = json_first(doc, object); k != JSON_NONE; k = json_next(doc, object, k))
        for (uint32_t m = json_next(doc, object, k); m != JSON_NONE && found == JSON_NONE;
             m = json_next(doc, object, m)) {
            buf_reset(&a);
            buf_reset(&b);
            CHECK(json_decode(doc, k, &a) == 0 && json_decode(doc, m, &b) == 0);
            if (span_eq(buf_span(&a), buf_span(&b)))
                found = k;
        }
    buf_deinit(&a);
    buf_deinit(&b);
    return found;
}

static void check_children(const struct json_doc *doc, uint32_t node) {
    const struct json_node *parent = &doc->nodes[node];
    bool object = parent->type == JSON_OBJECT;
    uint32_t count = 0, past = parent->start;
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k), count++) {
        const struct json_node *child = &doc->nodes[object ? k + 1 : k];
        CHECK(!object || (json_type(doc, k) == JSON_STRING && doc->nodes[k].end < child->start));
        CHECK(doc->nodes[k].start > past && child->end < parent->end && child->end > child->start);
        past = child->end - 1;
    }
    CHECK(count == parent->count);
    if (object && count < 200)
        CHECK(json_duplicate(doc, node) == duplicate(doc, node));
}

static void check_node(const struct json_doc *doc, uint32_t node) {
    double d;
    int64_t i;
    struct json_doc again;
    struct span raw = json_raw(doc, node);
    switch (json_type(doc, node)) {
    case JSON_STRING:
        check_string(doc, node);
        break;
    case JSON_NUMBER:
        json_double(doc, node, &d);
        CHECK(!json_i64(doc, node, &i) || doc->nodes[node].integer);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        check_children(doc, node);
        break;
    default:
        break;
    }
    if (raw.len < 200) { /* every value is a text of its own */
        json_init(&again, 200);
        CHECK(json_parse(&again, raw.ptr, raw.len, NULL) == 0);
        CHECK(again.count == doc->nodes[node].next - node);
        json_deinit(&again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json_doc doc;
    struct err err = {""};
    const char *text = (const char *)data;
    json_init(&doc, 20000);
    if (json_parse(&doc, text, size, &err) == 0) {
        CHECK(utf8_valid(text, size) && memchr(text, '\0', size) == NULL);
        for (uint32_t node = 0; node < doc.count; node++)
            check_node(&doc, node);
        CHECK(doc.nodes[0].next == doc.count);
        cJSON *other = cJSON_ParseWithLengthOpts(text, size, NULL, false);
        CHECK(other != NULL);
        cJSON_Delete(other);
    } else {
        CHECK(strncmp(err.text, "at byte ", 8) == 0);
        CHECK(utf8_valid(err.text, strlen(err.text)));
        CHECK(strtoull(err.text + 8, NULL, 10) <= size);
    }
    json_deinit(&doc);
    return 0;
}
