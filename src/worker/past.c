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

static void read_last(struct past *past, const struct json_doc *doc, uint32_t history) {
    uint32_t last = JSON_NONE;
    int64_t number;
    for (uint32_t i = json_first(doc, history); i != JSON_NONE; i = json_next(doc, history, i))
        last = i;
    if (last == JSON_NONE || json_type(doc, last) != JSON_OBJECT)
        return;
    past->last =
        (struct last_attempt){.text = json_raw(doc, last), .code = get_text(doc, last, "code"), .times = 1};
    past->last.lookup = json_get(doc, last, "lookup") != JSON_NONE;
    if (json_i64(doc, json_get(doc, last, "times"), &number) && number > 0 && number < UINT32_MAX)
        past->last.times = (uint32_t)number;
    if (json_i64(doc, json_get(doc, last, past->last.times > 1 ? "since" : "at"), &number) && number > 0)
        past->last.since_ms = (uint64_t)number;
}

static int read_json(struct past *past, struct span text, struct json_doc *doc) {
    if (json_parse(doc, text.ptr, text.len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return -1;
    past->attempts = (uint32_t)get_u64(doc, "n");
    past->lookups = (uint32_t)get_u64(doc, "l");
    past->refused = (uint32_t)get_u64(doc, "r");
    past->refused_at = get_u64(doc, "c");
    past->first_ms = get_u64(doc, "f");
    past->sent_ms = get_u64(doc, "s");
    past->page = (uint32_t)get_u64(doc, "p");
    past->seen = get_u64(doc, "i");
    past->window_to_ms = get_u64(doc, "w");
    past->waits = (uint32_t)get_u64(doc, "u");
    past->absent_ms = get_u64(doc, "a");
    past->control_ms = get_u64(doc, "k");
    past->control_id = get_u64(doc, "x");
    past->yes = get_u64(doc, "y") > 0;
    past->said = get_text(doc, 0, "t"); /* written without escapes */
    uint32_t history = json_get(doc, 0, "h");
    if (history != JSON_NONE && json_type(doc, history) == JSON_ARRAY) {
        struct span raw = json_raw(doc, history);
        past->history = (struct span){raw.ptr + 1, raw.len - 2};
        read_last(past, doc, history);
    }
    return 0;
}

int past_parse(struct past *past, struct span token, struct span record, struct json_doc *doc,
               struct span *raw) {
    *past = (struct past){.phase = PHASE_SEND, .history = SPAN_LIT("")};
    char mark = token.len > 0 ? token.ptr[token.len - 1] : '\0';
    if (mark == 'f') {
        *raw = record;
        return 0;
    }
    const char *end = memchr(record.ptr, '\n', record.len);
    const char *space = end != NULL ? memchr(record.ptr, ' ', (size_t)(end - record.ptr)) : NULL;
    if (space == NULL || space - record.ptr < 2 || record.ptr[0] < '0' || record.ptr[0] > '9')
        return -1;
    past->recoveries = (uint32_t)(record.ptr[0] - '0');
    past->phase = (enum phase)record.ptr[1];
    raw->ptr = end + 1;
    raw->len = record.len - (size_t)(end + 1 - record.ptr);
    struct span json = {space + 1, (size_t)(end - space - 1)};
    return json.len == 0 ? 0 : read_json(past, json, doc);
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

void past_write(const struct past *past, struct buf *out) {
    buf_add_char(out, (char)past->phase);
    buf_add_str(out, " {\"n\":");
    buf_add_u64(out, past->attempts);
    buf_add_str(out, ",\"l\":");
    buf_add_u64(out, past->lookups);
    buf_add_str(out, ",\"f\":");
    buf_add_u64(out, past->first_ms);
    buf_add_str(out, ",\"s\":");
    buf_add_u64(out, past->sent_ms);
    if (past->refused > 0)
        buf_addf(out, ",\"r\":%u,\"c\":%llu", past->refused,
                 /* settle_put.lua looks for them before the history */
                 (unsigned long long)past->refused_at);
    if (past->page > 0)
        buf_addf(out, ",\"p\":%u,\"i\":%llu,\"w\":%llu", past->page, (unsigned long long)past->seen,
                 (unsigned long long)past->window_to_ms);
    if (past->waits > 0)
        buf_addf(out, ",\"u\":%u", past->waits);
    if (past->absent_ms > 0)
        buf_addf(out, ",\"a\":%llu,\"k\":%llu", (unsigned long long)past->absent_ms,
                 (unsigned long long)past->control_ms);
    if (past->control_ms > 0 && past->page > 0)
        buf_addf(out, ",\"x\":%llu", (unsigned long long)past->control_id);
    if (past->yes)
        buf_add_str(out, ",\"y\":1");
    if (past->said.len > 0)
        write_said(past->said, out);
    buf_add_str(out, ",\"h\":[");
    buf_add_span(out, past->history);
    buf_add_str(out, "]}");
}
