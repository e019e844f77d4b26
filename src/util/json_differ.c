#include "util/json_differ.h"

#include <stdio.h>
#include <string.h>

static size_t common_bytes(struct span a, struct span b) {
    size_t i = 0;
    while (i < a.len && i < b.len && a.ptr[i] == b.ptr[i])
        i++;
    return i;
}

static size_t behind_space(struct span s, size_t i) {
    while (i < s.len && memchr(" \t\r\n", s.ptr[i], 4) != NULL)
        i++;
    return i;
}

struct place {
    size_t a, b; /* offsets of the first difference that is no white space */
    bool none;   /* both ended */
};

static struct place first_difference(struct span a, struct span b) {
    bool in_string = false, escaped = false;
    size_t i = 0, k = 0;
    for (;; i++, k++) {
        if (!in_string) {
            i = behind_space(a, i);
            k = behind_space(b, k);
        }
        if (i == a.len || k == b.len || a.ptr[i] != b.ptr[k])
            return (struct place){i, k, i == a.len && k == b.len};
        if (a.ptr[i] == '"' && !escaped)
            in_string = !in_string;
        escaped = in_string && !escaped && a.ptr[i] == '\\';
    }
}

static void add(struct json_difference *d, size_t *len, const char *before, struct span name,
                const char *after) {
    if (*len >= sizeof(d->path))
        return;
    int n = snprintf(d->path + *len, sizeof(d->path) - *len, "%s%.*s%s", before,
                     (int)(name.len < 256 ? name.len : 256), name.ptr, after);
    *len += n > 0 ? (size_t)n : 0;
}

/* Whether the byte at `at` belongs to the value. `longer`: a number ended before it, and goes on in the other
 * text. */
static bool holds(const struct json_node *value, size_t at, bool longer) {
    return at < value->end || (longer && at == value->end && value->type == JSON_NUMBER);
}

/* The innermost member or element that holds the byte at `at`, its name included. */
static void find_path(const struct json_doc *doc, size_t at, bool longer, struct json_difference *d) {
    uint32_t node = 0, inside = 0;
    size_t len = 0;
    d->path[0] = '\0';
    do {
        bool object = json_type(doc, node) == JSON_OBJECT;
        uint32_t place = 0;
        inside = JSON_NONE;
        for (uint32_t k = json_first(doc, node); k != JSON_NONE && inside == JSON_NONE;
             k = json_next(doc, node, k), place++) {
            uint32_t value = object ? k + 1 : k;
            char digits[16];
            if (at < doc->nodes[k].start || !holds(&doc->nodes[value], at, longer))
                continue;
            snprintf(digits, sizeof(digits), "%u", place);
            if (object)
                add(d, &len, len > 0 ? "." : "", json_inner(doc, k), "");
            else
                add(d, &len, "[", span_str(digits), "]");
            inside = value;
        }
        node = inside;
    } while (inside != JSON_NONE);
}

bool json_differ(struct json_doc *doc, struct span a, struct span b, struct json_difference *d) {
    *d = (struct json_difference){.byte = common_bytes(a, b)};
    if (d->byte == a.len && d->byte == b.len)
        return false;
    struct place at = first_difference(a, b);
    d->space_only = at.none;
    bool longer = at.b < b.len && b.ptr[at.b] != '\0' && strchr("0123456789.eE+-", b.ptr[at.b]) != NULL;
    if (!at.none && json_parse(doc, a.ptr, a.len, NULL) == 0)
        find_path(doc, at.a, longer, d);
    return true;
}
