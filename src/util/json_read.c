/* Reading the tape that json.c wrote: members, pointers, numbers. Strings are json_text.c's. */
#include "dray/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/json_text.h"

uint32_t json_first(const struct json_doc *doc, uint32_t node) {
    if (!json_is(doc, node, JSON_OBJECT) && !json_is(doc, node, JSON_ARRAY))
        return JSON_NONE;
    return doc->nodes[node].count > 0 ? node + 1 : JSON_NONE;
}

uint32_t json_next(const struct json_doc *doc, uint32_t parent, uint32_t child) {
    bool object = doc->nodes[parent].type == JSON_OBJECT;
    uint32_t next = doc->nodes[object ? child + 1 : child].next;
    return next < doc->nodes[parent].next ? next : JSON_NONE;
}

static uint32_t member(const struct json_doc *doc, uint32_t object, struct json_text name) {
    uint32_t found = JSON_NONE;
    if (!json_is(doc, object, JSON_OBJECT))
        return JSON_NONE;
    uint32_t end = doc->nodes[object].next;
    for (uint32_t k = object + 1; k < end; k = doc->nodes[k + 1].next) {
        if (!json_text_equal(json_text_of(doc, k), name))
            continue;
        if (found != JSON_NONE && doc->repeated != NULL)
            *doc->repeated = true;
        found = k + 1;
    }
    return found;
}

uint32_t json_get(const struct json_doc *doc, uint32_t node, const char *name) {
    return member(doc, node, (struct json_text){span_str(name), JSON_CODING_PLAIN});
}

/* The element that `token` numbers (RFC 6901 §4: digits, no leading zero). */
static uint32_t element(const struct json_doc *doc, uint32_t array, struct span token) {
    uint32_t index = 0;
    if (token.len == 0 || token.len > 9 || (token.len > 1 && token.ptr[0] == '0'))
        return JSON_NONE;
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] < '0' || token.ptr[i] > '9')
            return JSON_NONE;
        index = index * 10 + (uint32_t)(token.ptr[i] - '0');
    }
    if (index >= doc->nodes[array].count)
        return JSON_NONE;
    uint32_t node = array + 1;
    while (index-- > 0)
        node = doc->nodes[node].next;
    return node;
}

/* How to read a token; -1 where a ~ is neither ~0 nor ~1. */
static int token_coding(struct span token) {
    int coding = JSON_CODING_PLAIN;
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] != '~')
            continue;
        if (i + 1 == token.len || (token.ptr[i + 1] != '0' && token.ptr[i + 1] != '1'))
            return -1;
        coding = JSON_CODING_POINTER;
    }
    return coding;
}

uint32_t json_pointer(const struct json_doc *doc, uint32_t node, const char *pointer) {
    if (node >= doc->count)
        return JSON_NONE;
    while (*pointer == '/' && node != JSON_NONE) {
        struct span token = {pointer + 1, strcspn(pointer + 1, "/")};
        int coding = token_coding(token);
        if (coding < 0)
            return JSON_NONE;
        if (json_is(doc, node, JSON_ARRAY))
            node = element(doc, node, token);
        else
            node = member(doc, node, (struct json_text){token, (enum json_coding)coding});
        pointer = token.ptr + token.len;
    }
    return *pointer == '\0' ? node : JSON_NONE;
}

bool json_i64(const struct json_doc *doc, uint32_t node, int64_t *value) {
    if (!json_is(doc, node, JSON_NUMBER) || !doc->nodes[node].integer)
        return false;
    struct span s = json_raw(doc, node);
    bool negative = s.ptr[0] == '-';
    int64_t v = 0; /* kept negative: that side has one more */
    for (size_t i = negative; i < s.len; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.ptr[i] - '0', &v))
            return false;
    if (!negative && v == INT64_MIN)
        return false;
    *value = negative ? v : -v;
    return true;
}

bool json_double(const struct json_doc *doc, uint32_t node, double *value) {
    if (!json_is(doc, node, JSON_NUMBER))
        return false;
    struct span s = json_raw(doc, node);
    char small[64], *copy = small; /* strtod needs the NUL that the text lacks */
    if (s.len >= sizeof(small) && (copy = malloc(s.len + 1)) == NULL)
        return false;
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    double v = strtod(copy, NULL);
    if (copy != small)
        free(copy);
    if (!isfinite(v))
        return false;
    *value = v;
    return true;
}
