/* One node of the tape that json.c wrote: the name of its type, and its bytes. */
#include "dray/json.h"

const char *json_type_name(enum json_type type) {
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_NUMBER] = "number", [JSON_STRING] = "string", [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object",
    };
    return names[type];
}

struct span json_raw(const struct json_doc *doc, uint32_t node) {
    const struct json_node *n = &doc->nodes[node];
    return (struct span){doc->text + n->start, n->end - n->start};
}

struct span json_inner(const struct json_doc *doc, uint32_t node) {
    struct span raw = json_raw(doc, node);
    return (struct span){raw.ptr + 1, raw.len - 2};
}
