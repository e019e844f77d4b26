/* The header of a record: what dray knows of a job beyond the text that was pushed. The scripts read
 * and change its first two characters and the position; the JSON is only ours. */
#include "worker/order.h"

#include <string.h>

static uint64_t get_u64(const struct json_doc *doc, const char *name) {
    int64_t value = 0;
    uint32_t node = json_get(doc, 0, name);
    return node != JSON_NONE && json_i64(doc, node, &value) && value > 0 ? (uint64_t)value : 0;
}

static struct span get_text(const struct json_doc *doc, uint32_t object, const char *name) {
    uint32_t node = json_get(doc, object, name);
    return node != JSON_NONE && json_type(doc, node) == JSON_STRING ? json_inner(doc, node)
                                                                    : (struct span){NULL, 0};
}

static void read_last(struct record_header *header, const struct json_doc *doc, uint32_t history) {
    uint32_t last = JSON_NONE;
    int64_t number;
    for (uint32_t i = json_first(doc, history); i != JSON_NONE; i = json_next(doc, history, i))
        last = i;
    if (last == JSON_NONE || json_type(doc, last) != JSON_OBJECT)
        return;
    header->last =
        (struct last_attempt){.text = json_raw(doc, last), .code = get_text(doc, last, "code"), .times = 1};
    header->last.lookup = json_get(doc, last, "lookup") != JSON_NONE;
    if (json_i64(doc, json_get(doc, last, "times"), &number) && number > 0 && number < UINT32_MAX)
        header->last.times = (uint32_t)number;
    if (json_i64(doc, json_get(doc, last, header->last.times > 1 ? "since" : "at"), &number) && number > 0)
        header->last.since_ms = (uint64_t)number;
}

static int read_json(struct record_header *header, struct span text, struct json_doc *doc) {
    if (json_parse(doc, text.ptr, text.len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return -1;
    header->attempts = (uint32_t)get_u64(doc, "n");
    header->lookups = (uint32_t)get_u64(doc, "l");
    header->refused = (uint32_t)get_u64(doc, "r");
    header->refused_at = get_u64(doc, "c");
    header->first_ms = get_u64(doc, "f");
    header->sent_ms = get_u64(doc, "s");
    header->page = (uint32_t)get_u64(doc, "p");
    header->seen = get_u64(doc, "i");
    header->window_to_ms = get_u64(doc, "w");
    header->waits = (uint32_t)get_u64(doc, "u");
    header->absent_ms = get_u64(doc, "a");
    header->control_ms = get_u64(doc, "k");
    header->control_id = get_u64(doc, "x");
    header->yes = get_u64(doc, "y") > 0;
    header->said = get_text(doc, 0, "t"); /* written without escapes */
    uint32_t history = json_get(doc, 0, "h");
    if (history != JSON_NONE && json_type(doc, history) == JSON_ARRAY) {
        struct span raw = json_raw(doc, history);
        header->history = (struct span){raw.ptr + 1, raw.len - 2};
        read_last(header, doc, history);
    }
    return 0;
}

int record_header_parse(struct record_header *header, bool fresh, struct span record, struct json_doc *doc,
                        struct span *raw) {
    *header = (struct record_header){.phase = PHASE_SEND, .history = SPAN_LIT("")};
    if (fresh) {
        *raw = record;
        return 0;
    }
    const char *end = memchr(record.ptr, '\n', record.len);
    const char *space = end != NULL ? memchr(record.ptr, ' ', (size_t)(end - record.ptr)) : NULL;
    if (space == NULL || space - record.ptr < 2 || record.ptr[0] < '0' || record.ptr[0] > '9')
        return -1;
    header->recoveries = (uint32_t)(record.ptr[0] - '0');
    header->phase = (enum phase)record.ptr[1];
    raw->ptr = end + 1;
    raw->len = record.len - (size_t)(end + 1 - record.ptr);
    struct span json = {space + 1, (size_t)(end - space - 1)};
    return json.len == 0 ? 0 : read_json(header, json, doc);
}

/* Without what JSON would escape, so that it is read as it stands; cut at a whole character. */
static void write_said(struct span said, struct buf *out) {
    size_t len = said.len < SAID_MAX ? said.len : SAID_MAX;
    while (len > 0 && len < said.len && ((unsigned char)said.ptr[len] & 0xc0) == 0x80)
        len--;
    bool text = utf8_valid(said.ptr, len);
    buf_add_str(out, ",\"t\":\"");
    for (size_t i = 0; i < len; i++) {
        char c = said.ptr[i];
        if (!text && (unsigned char)c >= 0x80)
            c = '?';
        buf_add_char(out, c == '"' || c == '\\' ? '\'' : (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
    }
    buf_add_char(out, '"');
}

void record_header_write(const struct record_header *header, struct buf *out) {
    buf_add_char(out, (char)header->phase);
    buf_add_str(out, " {\"n\":");
    buf_add_u64(out, header->attempts);
    buf_add_str(out, ",\"l\":");
    buf_add_u64(out, header->lookups);
    buf_add_str(out, ",\"f\":");
    buf_add_u64(out, header->first_ms);
    buf_add_str(out, ",\"s\":");
    buf_add_u64(out, header->sent_ms);
    if (header->refused > 0)
        buf_addf(out, ",\"r\":%u,\"c\":%llu", header->refused,
                 /* settle_put.lua looks for them before the history */
                 (unsigned long long)header->refused_at);
    if (header->page > 0)
        buf_addf(out, ",\"p\":%u,\"i\":%llu,\"w\":%llu", header->page, (unsigned long long)header->seen,
                 (unsigned long long)header->window_to_ms);
    if (header->waits > 0)
        buf_addf(out, ",\"u\":%u", header->waits);
    if (header->absent_ms > 0)
        buf_addf(out, ",\"a\":%llu,\"k\":%llu", (unsigned long long)header->absent_ms,
                 (unsigned long long)header->control_ms);
    if (header->control_ms > 0 && header->page > 0)
        buf_addf(out, ",\"x\":%llu", (unsigned long long)header->control_id);
    if (header->yes)
        buf_add_str(out, ",\"y\":1");
    if (header->said.len > 0)
        write_said(header->said, out);
    buf_add_str(out, ",\"h\":[");
    buf_add_span(out, header->history);
    buf_add_str(out, "]}");
}
