#include "queue/age.h"

#include <string.h>

#include "dray/timefmt.h"

static uint64_t number(const struct json_doc *doc, const char *name) {
    int64_t ms = 0;
    uint32_t node = json_get(doc, 0, name);
    return node != JSON_NONE && json_i64(doc, node, &ms) && ms > 0 ? (uint64_t)ms : 0;
}

uint64_t job_enqueued_ms(struct json_doc *doc, struct span job) {
    uint64_t parsed = 0;
    if (json_parse(doc, job.ptr, job.len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return 0;
    uint32_t node = json_get(doc, 0, "enqueued_at");
    if (node != JSON_NONE && json_type(doc, node) == JSON_STRING)
        return rfc3339_parse(json_inner(doc, node), &parsed) == 0 ? parsed : 0;
    return number(doc, "enqueued_at");
}

uint64_t record_since_ms(struct json_doc *doc, struct span record) {
    const char *end = record.len > 0 ? memchr(record.ptr, '\n', record.len) : NULL;
    const char *space = end != NULL ? memchr(record.ptr, ' ', (size_t)(end - record.ptr)) : NULL;
    if (space == NULL)
        return 0;
    size_t at = (size_t)(end + 1 - record.ptr);
    uint64_t ms = job_enqueued_ms(doc, (struct span){end + 1, record.len - at});
    if (ms > 0 || space + 1 == end || json_parse(doc, space + 1, (size_t)(end - space - 1), NULL) < 0)
        return ms;
    ms = number(doc, "q");
    return ms > 0 ? ms : number(doc, "f");
}
