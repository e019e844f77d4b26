/* The parser: text to tape, in one pass, without recursion. What reads the tape is json_read.c.
 *
 * Every scan_ function takes the place of the first byte it owns and returns the place after the
 * last, or NULL once the error is written. The open containers' nodes stand on a stack of
 * JSON_MAX_DEPTH entries, so that a text of brackets costs neither stack nor memory. */
#include "dray/json.h"

#include <stdlib.h>
#include <string.h>

#include "util/plain.h"
#include "util/utf8.h"

#define FIRST_NODES 128 /* of a first allocation; a usual order takes half of it */

typedef const unsigned char *place;

struct parser {
    struct json_doc *doc;
    place text, end;
    struct err *err;
    uint32_t depth;
    uint32_t open[JSON_MAX_DEPTH]; /* node of each open container */
};

static place fail(const struct parser *ps, place at, const char *what) {
    err_set(ps->err, "at byte %zu: %s", (size_t)(at - ps->text), what);
    return NULL;
}

void json_init(struct json_doc *doc, uint32_t max_nodes) {
    *doc = (struct json_doc){.max = max_nodes};
}

void json_deinit(struct json_doc *doc) {
    free(doc->nodes);
    *doc = (struct json_doc){.max = doc->max};
}

/* Doubles the tape, up to its maximum. */
static bool grow(const struct parser *ps, place at) {
    struct json_doc *doc = ps->doc;
    if (doc->count >= doc->max) {
        err_set(ps->err, "at byte %zu: more than %u values and names", (size_t)(at - ps->text), doc->max);
        return false;
    }
    uint64_t cap = doc->cap > 0 ? (uint64_t)doc->cap * 2 : FIRST_NODES;
    if (cap > doc->max)
        cap = doc->max;
    struct json_node *nodes = realloc(doc->nodes, (size_t)cap * sizeof(*nodes));
    if (nodes == NULL) {
        fail(ps, at, "out of memory");
        return false;
    }
    doc->nodes = nodes;
    doc->cap = (uint32_t)cap;
    return true;
}

/* A node that starts at `at` and has nothing in it yet. It moves when the next one is made. */
static inline struct json_node *add_node(const struct parser *ps, place at, enum json_type type) {
    struct json_doc *doc = ps->doc;
    if (doc->count == doc->cap && !grow(ps, at))
        return NULL;
    struct json_node *node = &doc->nodes[doc->count++];
    *node = (struct json_node){.start = (uint32_t)(at - ps->text), .next = doc->count, .type = (uint8_t)type};
    return node;
}

static inline place skip_space(place p, place end) {
    while (p < end && *p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* The four hexadecimal digits at `p`, or -1. */
static int32_t hex4(place p, place end) {
    int32_t v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* `p` is at the backslash. */
static place scan_escape(const struct parser *ps, place p) {
    place end = ps->end;
    if (end - p < 2)
        return fail(ps, end, "the text ends within a string");
    if (p[1] != 'u')
        return memchr("\"\\/bfnrt", p[1], 8) != NULL ? p + 2 : fail(ps, p, "no such escape");
    int32_t unit = hex4(p + 2, end);
    if (unit < 0)
        return fail(ps, p, "\\u needs four hexadecimal digits");
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    if (unit <= 0xdbff && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        int32_t low = hex4(p + 8, end);
        if (low >= 0xdc00 && low <= 0xdfff)
            return p + 12;
    }
    return fail(ps, p, "unpaired surrogate escape");
}

/* The string with the quote at `p`: not all of its bytes stand for themselves. `escaped`: it has a backslash. */
static place scan_coded(const struct parser *ps, place p, size_t *count, bool *escaped) {
    place first = p + 1, end = ps->end;
    size_t extra = 0; /* bytes beyond one per code point */
    for (p = first;;) {
        p = plain_run(p, end);
        if (p == end)
            return fail(ps, p, "the text ends within a string");
        if (*p == '"')
            break;
        place from = p;
        if (*p == '\\') {
            *escaped = true;
            p = scan_escape(ps, p);
            if (p == NULL)
                return NULL;
        } else if (*p < 0x20) {
            return fail(ps, p, "control character in a string");
        } else {
            size_t n = utf8_sequence(p, (size_t)(end - p));
            if (n == 0)
                return fail(ps, p, "invalid UTF-8");
            p += n;
        }
        extra += (size_t)(p - from) - 1;
    }
    *count = (size_t)(p - first) - extra;
    return p;
}

/* `p` is at the opening quote; makes the node. */
static inline place scan_string(const struct parser *ps, place p) {
    place last = plain_run(p + 1, ps->end);
    size_t count = (size_t)(last - p) - 1;
    bool escaped = false;
    if ((last == ps->end || *last != '"') && (last = scan_coded(ps, p, &count, &escaped)) == NULL)
        return NULL;
    struct json_node *node = add_node(ps, p, JSON_STRING);
    if (node == NULL)
        return NULL;
    node->end = (uint32_t)(last + 1 - ps->text);
    node->count = (uint32_t)count;
    node->escaped = escaped;
    return last + 1;
}

static inline place skip_digits(place p, place end) {
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static place scan_number(const struct parser *ps, place p) {
    place end = ps->end;
    struct json_node *node = add_node(ps, p, JSON_NUMBER);
    if (node == NULL)
        return NULL;
    if (*p == '-')
        p++;
    place digits = p;
    p = skip_digits(p, end);
    if (p == digits)
        return fail(ps, p, "expected a digit");
    if (*digits == '0' && p - digits > 1)
        return fail(ps, digits, "a number may not start with 0");
    node->integer = true;
    if (p < end && *p == '.') {
        node->integer = false;
        digits = p + 1;
        p = skip_digits(digits, end);
        if (p == digits)
            return fail(ps, p, "expected a digit after '.'");
    }
    if (p < end && (*p | 0x20) == 'e') {
        node->integer = false;
        digits = p + 1;
        if (digits < end && (*digits == '+' || *digits == '-'))
            digits++;
        p = skip_digits(digits, end);
        if (p == digits)
            return fail(ps, p, "expected a digit in the exponent");
    }
    node->end = (uint32_t)(p - ps->text);
    return p;
}

static place scan_word(const struct parser *ps, place p, const char *word, enum json_type type) {
    size_t n = strlen(word);
    if ((size_t)(ps->end - p) < n || memcmp(p, word, n) != 0)
        return fail(ps, p, "expected a value");
    struct json_node *node = add_node(ps, p, type);
    if (node == NULL)
        return NULL;
    node->end = node->start + (uint32_t)n;
    return p + n;
}

/* A member's name and its colon. */
static place scan_name(const struct parser *ps, place p) {
    if (p == ps->end || *p != '"')
        return fail(ps, p, "expected a member's name");
    p = scan_string(ps, p);
    if (p == NULL)
        return NULL;
    p = skip_space(p, ps->end);
    if (p == ps->end || *p != ':')
        return fail(ps, p, "expected ':'");
    return p + 1;
}

static place scan_scalar(const struct parser *ps, place p) {
    switch (*p) {
    case '"':
        return scan_string(ps, p);
    case 't':
        return scan_word(ps, p, "true", JSON_TRUE);
    case 'f':
        return scan_word(ps, p, "false", JSON_FALSE);
    case 'n':
        return scan_word(ps, p, "null", JSON_NULL);
    default:
        if (*p == '-' || (*p >= '0' && *p <= '9'))
            return scan_number(ps, p);
        return fail(ps, p, "expected a value");
    }
}

/* Opens the container at `p`; where it has content, returns the place of its first value. */
static place open_container(struct parser *ps, place p) {
    enum json_type type = *p == '{' ? JSON_OBJECT : JSON_ARRAY;
    if (ps->depth == JSON_MAX_DEPTH)
        return fail(ps, p, "nested too deeply");
    if (add_node(ps, p, type) == NULL)
        return NULL;
    uint32_t node = ps->doc->count - 1;
    ps->open[ps->depth++] = node;
    p = skip_space(p + 1, ps->end);
    if (p < ps->end && *p == (type == JSON_OBJECT ? '}' : ']'))
        return p; /* close_containers() sees it */
    ps->doc->nodes[node].count = 1;
    return type == JSON_OBJECT ? scan_name(ps, p) : p;
}

/* After a value: closes what ends here, and goes on to the next value's place. Returns the place
 * after the root when nothing is open any more. */
static place next_value(struct parser *ps, place p) {
    while (ps->depth > 0) {
        struct json_node *node = &ps->doc->nodes[ps->open[ps->depth - 1]];
        bool object = node->type == JSON_OBJECT;
        p = skip_space(p, ps->end);
        if (p < ps->end && *p == ',') {
            node->count++;
            return object ? scan_name(ps, skip_space(p + 1, ps->end)) : p + 1;
        }
        if (p == ps->end || *p != (object ? '}' : ']'))
            return fail(ps, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        node->end = (uint32_t)(++p - ps->text);
        node->next = ps->doc->count;
        ps->depth--;
    }
    return p;
}

static place scan_root(struct parser *ps) {
    place p = ps->text;
    do {
        p = skip_space(p, ps->end);
        if (p == ps->end)
            return fail(ps, p, "expected a value");
        if (*p == '{' || *p == '[') {
            uint32_t node = ps->doc->count;
            p = open_container(ps, p);
            if (p == NULL)
                return NULL;
            if (ps->doc->nodes[node].count > 0)
                continue;
        } else {
            p = scan_scalar(ps, p);
            if (p == NULL)
                return NULL;
        }
        p = next_value(ps, p);
    } while (p != NULL && ps->depth > 0);
    return p;
}

int json_parse(struct json_doc *doc, const char *text, size_t len, struct err *err) {
    struct parser ps = {.doc = doc, .text = (place)text, .end = (place)text + len, .err = err};
    doc->text = text;
    doc->len = len;
    doc->count = 0;
    doc->repeated = NULL;
    if (len >= UINT32_MAX)
        return err_set(err, "at byte 0: longer than 4 GiB");
    place p = scan_root(&ps);
    if (p != NULL) {
        p = skip_space(p, ps.end);
        if (p < ps.end)
            p = fail(&ps, p, "expected the end of the text");
    }
    if (p != NULL)
        return 0;
    doc->count = 0;
    return -1;
}
