/* A string of a tape or a piece of a JSON Pointer, compared as what it means. */
#ifndef DRAY_UTIL_JSON_TEXT_H
#define DRAY_UTIL_JSON_TEXT_H

#include "dray/json.h"

/* False for JSON_NONE too. */
static inline bool json_is(const struct json_doc *doc, uint32_t node, enum json_type type) {
    return node < doc->count && doc->nodes[node].type == type;
}

enum json_coding {
    JSON_CODING_PLAIN,
    JSON_CODING_ESCAPED, /* the inside of a JSON string with escapes in it */
    JSON_CODING_POINTER, /* RFC 6901: ~0 and ~1 */
};

struct json_text {
    struct span bytes;
    enum json_coding coding;
};

/* `string` must be a JSON_STRING. */
struct json_text json_text_of(const struct json_doc *doc, uint32_t string);

/* Orders by decoded bytes: below, at or above 0. Allocates nothing. */
int json_text_compare(struct json_text a, struct json_text b);
bool json_text_equal(struct json_text a, struct json_text b);

#endif
