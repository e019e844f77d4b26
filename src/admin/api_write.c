/* Writing members of JSON objects, and reading numbers of the query. */
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"

void api_str(struct buf *b, const char *name, const char *value) {
    buf_addf(b, "\"%s\":", name);
    if (value == NULL)
        buf_add_str(b, "null");
    else
        buf_add_json_str(b, span_str(value));
    buf_add_char(b, ',');
}

void api_u64(struct buf *b, const char *name, uint64_t value) {
    buf_addf(b, "\"%s\":%llu,", name, (unsigned long long)value);
}

void api_bool(struct buf *b, const char *name, bool value) {
    buf_addf(b, "\"%s\":%s,", name, value ? "true" : "false");
}

/* Takes back the last comma and closes. */
void api_end(struct buf *b, char bracket) {
    if (buf_ok(b) && b->len > 0 && b->data[b->len - 1] == ',')
        b->len--;
    buf_add_char(b, bracket);
}

void api_pause(struct buf *b, const char *name, const struct pause_view *p, uint64_t now_ms) {
    buf_addf(b, "\"%s\":", name);
    if (!pause_holds(p, now_ms)) {
        buf_add_str(b, "null,");
        return;
    }
    buf_add_char(b, '{');
    if (p->until_ms > 0)
        api_u64(b, "until", p->until_ms);
    else
        buf_add_str(b, "\"until\":null,");
    api_str(b, "reason", p->reason);
    api_end(b, '}');
    buf_add_char(b, ',');
}

bool query_number(struct request *r, const char *name, uint64_t otherwise, uint64_t most,
                  uint64_t *value) {
    const char *text = request_query(r, name);
    *value = otherwise;
    if (text == NULL || text[0] == '\0')
        return true;
    size_t n = strlen(text);
    if (n <= 15 && strspn(text, "0123456789") == n && strtoull(text, NULL, 10) <= most) {
        *value = strtoull(text, NULL, 10);
        return true;
    }
    answer_error(r, 400, "bad_query", "%s must be a number, at most %llu", name,
                 (unsigned long long)most);
    return false;
}
