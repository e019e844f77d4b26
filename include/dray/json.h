/* A strict JSON reader (RFC 8259, UTF-8) that keeps every value's place in the text, so that an
 * order and its numbers are forwarded byte for byte (cJSON turns every number into a double and
 * accepts invalid UTF-8; it is used where neither matters). One pass, no allocation per value: nodes
 * lie on a tape that is reused from text to text.
 *
 * Refused with an error that names the byte offset: anything that is not exactly one JSON value,
 * NUL bytes, invalid UTF-8, unpaired surrogate escapes, nesting deeper than JSON_MAX_DEPTH, more
 * than the tape's maximum of nodes. Duplicate member names are kept; json_duplicate finds them. */
#ifndef DRAY_JSON_H
#define DRAY_JSON_H

#include "dray/buf.h"
#include "dray/err.h"

#define JSON_MAX_DEPTH 64
#define JSON_NONE      UINT32_MAX /* "no such node" */

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* An object is followed by its members: a name (JSON_STRING) node, then the value's node(s). An
 * array is followed by its elements. */
struct json_node {
    uint32_t start; /* offset of the first byte; a string's opening quote */
    uint32_t end;   /* offset past the last byte */
    uint32_t next;  /* index of the node after this value and all that is in it */
    uint32_t count; /* members or elements; a string's length in code points */
    uint8_t type;   /* enum json_type */
    bool escaped;   /* a string with a backslash in it */
    bool integer;   /* a number without fraction and exponent */
};

struct json_doc {
    const char *text; /* the caller's; must live as long as the nodes are used */
    size_t len;
    struct json_node *nodes;
    uint32_t count;
    uint32_t cap;
    uint32_t max; /* nodes that the tape may hold */
    /* Set to true when json_get or json_pointer meets a member name that stands twice. NULL, as it is after a parse:
     * nobody wants to know. */
    bool *repeated;
};

void json_init(struct json_doc *doc, uint32_t max_nodes); /* allocates nothing */
void json_deinit(struct json_doc *doc);

/* Parses `text`; the root is node 0. Returns 0, or -1 with a message such as
 * "at byte 17: expected ',' or '}'". The tape of an earlier parse is overwritten. */
int json_parse(struct json_doc *doc, const char *text, size_t len, struct err *err);

static inline enum json_type json_type(const struct json_doc *doc, uint32_t node) {
    return (enum json_type)doc->nodes[node].type;
}
const char *json_type_name(enum json_type type); /* "null", "boolean", "number", … */

/* The value's bytes as they stand in the text (a string with its quotes). */
static inline struct span json_raw(const struct json_doc *doc, uint32_t node) {
    const struct json_node *n = &doc->nodes[node];
    return (struct span){doc->text + n->start, n->end - n->start};
}

/* A string's bytes between the quotes, escapes left as they are. */
static inline struct span json_inner(const struct json_doc *doc, uint32_t node) {
    struct span raw = json_raw(doc, node);
    return (struct span){raw.ptr + 1, raw.len - 2};
}

/* The value of member `name` of object `node`, or JSON_NONE, also if `node` is JSON_NONE or no object. Names are
 * compared decoded. Of several members of that name the last one counts. */
uint32_t json_get(const struct json_doc *doc, uint32_t node, const char *name);

/* The first member name of object `node` that stands twice, or JSON_NONE. */
uint32_t json_duplicate(const struct json_doc *doc, uint32_t node);

/* Follows a JSON Pointer (RFC 6901) from `node` on; "" leads to `node` itself. JSON_NONE where it leads nowhere. */
uint32_t json_pointer(const struct json_doc *doc, uint32_t node, const char *pointer);

/* Walks the children: first = json_first(doc, node), then json_next, until JSON_NONE. In an object
 * the walk gives the names; the value of name `k` is node k + 1. */
uint32_t json_first(const struct json_doc *doc, uint32_t node);
uint32_t json_next(const struct json_doc *doc, uint32_t parent, uint32_t child);

/* Appends the string's decoded UTF-8 to `out`. Returns 0, or -1 if `node` is no string or `out` is
 * full. */
int json_decode(const struct json_doc *doc, uint32_t node, struct buf *out);

/* The same into `out` of `size` bytes, NUL-terminated. Returns the length, or -1 (no string, too
 * long, or a NUL inside). */
int json_copy(const struct json_doc *doc, uint32_t node, char *out, size_t size);

/* True and *value set, if `node` is an integer number that fits. "1.0" and "1e3" are no integers. */
bool json_i64(const struct json_doc *doc, uint32_t node, int64_t *value);
bool json_double(const struct json_doc *doc, uint32_t node, double *value);

/* True if the bytes are valid UTF-8 (RFC 3629). */
bool utf8_valid(const char *s, size_t len);

#endif
