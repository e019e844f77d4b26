/* Which of the two formats a scraper prefers, by the quality values of its Accept header (RFC 9110, 12.5.1). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin/metrics.h"
#include "dray/buf.h"

/* Blanks at the ends fall off. */
static struct span trimmed(struct span s) {
    while (s.len > 0 && strchr(" \t", s.ptr[0]) != NULL)
        s = (struct span){s.ptr + 1, s.len - 1};
    while (s.len > 0 && strchr(" \t", s.ptr[s.len - 1]) != NULL)
        s.len--;
    return s;
}

/* What stands before the next `separator`; `*rest` goes behind it. */
static struct span part(struct span *rest, char separator) {
    const char *end = memchr(rest->ptr, separator, rest->len);
    size_t n = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    struct span head = {rest->ptr, n};
    n += end != NULL;
    *rest = (struct span){rest->ptr + n, rest->len - n};
    return trimmed(head);
}

static bool is(struct span s, const char *word) {
    return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

struct range {
    struct span media, version;
    double q;
};

static struct range range_of(struct span text) {
    struct range r = {.media = part(&text, ';'), .version = {NULL, 0}, .q = 1};
    while (text.len > 0) {
        struct span value = part(&text, ';'), name = part(&value, '=');
        if (is(name, "q"))
            r.q = strtod(value.ptr, NULL); /* the header ends with a NUL; a number ends before , and ; */
        else if (is(name, "version"))
            r.version = value;
    }
    return r;
}

bool metrics_wants_open(const char *accept) {
    double open = 0, plain = 0;
    if (accept == NULL)
        return false;
    for (struct span rest = span_str(accept); rest.len > 0;) {
        struct range r = range_of(part(&rest, ','));
        if (is(r.media, "application/openmetrics-text") && (r.version.ptr == NULL || is(r.version, "1.0.0")))
            open = r.q > open ? r.q : open;
        else if (is(r.media, "text/plain"))
            plain = r.q > plain ? r.q : plain;
    }
    return open > plain;
}
