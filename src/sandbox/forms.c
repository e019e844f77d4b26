/* What the answers of several providers are made of. */
#include <string.h>

#include "dray/timefmt.h"
#include "sandbox/internal.h"

void form_member(struct buf *out, const char *name, const struct json_doc *doc, uint32_t node) {
    buf_add_char(out, '"');
    buf_add_str(out, name);
    buf_add_str(out, "\":");
    if (node == JSON_NONE)
        buf_add_str(out, "null");
    else
        buf_add_span(out, json_raw(doc, node));
}

void form_text(struct buf *out, const char *name, const char *text) {
    buf_add_char(out, '"');
    buf_add_str(out, name);
    buf_add_str(out, "\":");
    buf_add_json_str(out, span_str(text));
}

void form_time(struct buf *out, const char *name, uint64_t unix_ms) {
    char text[TIMEFMT_SIZE];
    rfc3339_format(unix_ms, text);
    form_text(out, name, text);
}

static bool is_one_of(struct span name, const char *const *list) {
    for (; *list != NULL; list++)
        if (span_is(name, *list))
            return true;
    return false;
}

void form_copy(struct buf *out, const struct json_doc *doc, uint32_t node, const char *const *but) {
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k)) {
        if (is_one_of(json_inner(doc, k), but))
            continue;
        buf_add_span(out, json_raw(doc, k));
        buf_add_char(out, ':');
        buf_add_span(out, json_raw(doc, k + 1));
        buf_add_char(out, ',');
    }
}
