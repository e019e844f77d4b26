/* Fills outcomes: what an answer says is bounded and cleaned here. And the names of the verdicts. */
#include "dray/outcome.h"

#include <string.h>

#include "dray/http.h"

const char *verdict_name(enum verdict v) {
    static const char *const names[VERDICTS] = {
        [VERDICT_CREATED] = "created", [VERDICT_DUPLICATE] = "duplicate", [VERDICT_REJECTED] = "rejected",
        [VERDICT_RETRY] = "retry",     [VERDICT_PAUSE] = "pause",         [VERDICT_HOLD] = "hold",
        [VERDICT_UNKNOWN] = "unknown", [VERDICT_LOOKUP] = "lookup",       [VERDICT_ABSENT] = "absent",
    };
    return names[v];
}

void outcome_clear(struct outcome *out, long http_status) {
    out->verdict = VERDICT_UNKNOWN;
    out->http_status = http_status;
    out->code[0] = '\0';
    out->message[0] = '\0';
    out->order = (struct span){NULL, 0};
    out->id_count = 0;
    out->part_count = 0;
    out->retry_after_ms = 0;
    out->retry_after_told = out->free = out->look_first = out->exists = out->contradicts = false;
}

static bool code_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.:/-", c) != NULL);
}

void outcome_code(struct outcome *out, struct span text) {
    size_t len = text.len < sizeof(out->code) - 1 ? text.len : sizeof(out->code) - 1;
    for (size_t i = 0; i < len; i++)
        out->code[i] = code_character(text.ptr[i]) ? text.ptr[i] : '?';
    out->code[len] = '\0';
}

void outcome_message(struct outcome *out, struct span text) {
    size_t len = text.len < sizeof(out->message) - 1 ? text.len : sizeof(out->message) - 1;
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    if (len > 0)
        memcpy(out->message, text.ptr, len);
    out->message[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if (out->message[i] == '\0')
            out->message[i] = ' ';
}

void outcome_message_node(struct outcome *out, const struct json_doc *doc, uint32_t node) {
    struct buf decoded;
    if (node == JSON_NONE || json_type(doc, node) == JSON_NULL)
        return;
    if (json_type(doc, node) != JSON_STRING) {
        outcome_message(out, json_raw(doc, node));
        return;
    }
    if (!doc->nodes[node].escaped) {
        outcome_message(out, json_inner(doc, node));
        return;
    }
    buf_init(&decoded, HTTP_ANSWER_MAX);
    outcome_message(out, json_decode(doc, node, &decoded) == 0 ? buf_span(&decoded) : json_inner(doc, node));
    buf_deinit(&decoded);
}

void outcome_set(struct outcome *out, enum verdict verdict, const char *code, const char *message) {
    out->verdict = verdict;
    outcome_code(out, span_str(code));
    outcome_message(out, span_str(message));
}

void outcome_read_error(struct outcome *out, const struct json_doc *doc) {
    static const char *const words[] = {"message", "error", "errors"};
    struct span code = json_scalar(doc, json_get(doc, 0, "code"));
    if (code.len > 0)
        outcome_code(out, code);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && out->message[0] == '\0'; i++)
        outcome_message_node(out, doc, json_get(doc, 0, words[i]));
}

struct span json_scalar(const struct json_doc *doc, uint32_t node) {
    if (node == JSON_NONE)
        return (struct span){NULL, 0};
    switch (json_type(doc, node)) {
    case JSON_STRING:
        return json_inner(doc, node);
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
        return json_raw(doc, node);
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return (struct span){NULL, 0};
}
