/* OTLP/JSON (opentelemetry-proto, "JSON Protobuf Encoding"): ids as lower-case hex, 64-bit integers as decimal strings,
 * enums as numbers, names in lowerCamelCase. Attributes after OpenTelemetry's semantic conventions where there is one. */
#include "worker/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { KIND_INTERNAL = 1, KIND_CLIENT = 3, KIND_CONSUMER = 5 };            /* Span.SpanKind */
enum { STATUS_ERROR = 2 };                                                 /* Status.StatusCode */
enum { FLAG_SAMPLED = 1, FLAG_KNOWS_REMOTE = 0x100, FLAG_REMOTE = 0x200 }; /* SpanFlags */

static const struct {
    const char *name;
    int kind;
} kinds[TRACE_KINDS] = {
    [TRACE_ORDER] = {"order", KIND_CONSUMER},         [TRACE_PICKUP] = {"pick-up", KIND_INTERNAL},
    [TRACE_ADMISSION] = {"admission", KIND_INTERNAL}, [TRACE_REQUEST] = {"request", KIND_CLIENT},
    [TRACE_LOOKUP] = {"look-up", KIND_CLIENT},        [TRACE_SETTLEMENT] = {"settlement", KIND_INTERNAL},
};

static void add_hex(cJSON *to, const char *name, const uint8_t *id, size_t n) {
    static const char digits[] = "0123456789abcdef";
    char hex[33];
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[id[i] >> 4];
        hex[2 * i + 1] = digits[id[i] & 15];
    }
    hex[2 * n] = '\0';
    cJSON_AddStringToObject(to, name, hex);
}

static void add_u64(cJSON *to, const char *name, uint64_t v) {
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, v);
    cJSON_AddStringToObject(to, name, text);
}

static cJSON *add_value(cJSON *list, const char *key) {
    cJSON *attribute = cJSON_CreateObject();
    cJSON_AddStringToObject(attribute, "key", key);
    cJSON *value = cJSON_AddObjectToObject(attribute, "value");
    if (value == NULL || !cJSON_AddItemToArray(list, attribute)) {
        cJSON_Delete(attribute);
        return NULL;
    }
    return value;
}

static void add_text(cJSON *list, const char *key, const char *text) {
    if (text != NULL && text[0] != '\0')
        cJSON_AddStringToObject(add_value(list, key), "stringValue", text);
}

static void add_int(cJSON *list, const char *key, uint64_t v) {
    if (v > 0)
        add_u64(add_value(list, key), "intValue", v);
}

static void add_request(cJSON *list, const struct trace_span *s) {
    add_text(list, "http.request.method", s->method);
    add_text(list, "server.address", s->server);
    add_int(list, "server.port", s->port);
    add_int(list, "http.response.status_code", s->status > 0 ? (uint64_t)s->status : 0);
    add_text(list, "dray.verdict", s->verdict);
    char status[24];
    snprintf(status, sizeof(status), "%ld", s->status);
    add_text(list, "error.type", s->failed && s->status >= 400 ? status : s->error);
}

static void add_attributes(cJSON *span, const struct trace_span *s) {
    cJSON *list = cJSON_AddArrayToObject(span, "attributes");
    if (s->kind == TRACE_ORDER) {
        add_text(list, "messaging.system", "dray");
        add_text(list, "messaging.operation.type", "process");
        add_text(list, "messaging.destination.name", s->queue);
        add_text(list, "dray.job.id", s->job);
        add_text(list, "dray.outcome", s->outcome);
        add_text(list, "dray.reason", s->reason);
        add_text(list, "error.type", s->failed ? s->reason : NULL);
    } else if (s->kind == TRACE_REQUEST || s->kind == TRACE_LOOKUP) {
        add_request(list, s);
    }
    add_text(list, "dray.queue", s->queue);
    add_text(list, "dray.account", s->account);
    add_text(list, "dray.provider", s->provider);
    add_int(list, "dray.attempt", s->attempt);
}

static cJSON *encode_span(const struct trace_span *s) {
    cJSON *span = cJSON_CreateObject();
    add_hex(span, "traceId", s->trace, sizeof(s->trace));
    add_hex(span, "spanId", s->id, sizeof(s->id));
    if (!s->root)
        add_hex(span, "parentSpanId", s->parent, sizeof(s->parent));
    cJSON_AddNumberToObject(span, "flags", FLAG_SAMPLED | FLAG_KNOWS_REMOTE | (s->remote ? FLAG_REMOTE : 0));
    cJSON_AddStringToObject(span, "name", kinds[s->kind].name);
    cJSON_AddNumberToObject(span, "kind", kinds[s->kind].kind);
    add_u64(span, "startTimeUnixNano", s->start_ns);
    add_u64(span, "endTimeUnixNano", s->end_ns);
    add_attributes(span, s);
    cJSON *status = cJSON_AddObjectToObject(span, "status");
    if (s->failed)
        cJSON_AddNumberToObject(status, "code", STATUS_ERROR);
    return span;
}

static cJSON *add_resource(cJSON *root, const struct trace_resource *r) {
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "resourceSpans"), entry);
    cJSON *list = cJSON_AddArrayToObject(cJSON_AddObjectToObject(entry, "resource"), "attributes");
    add_text(list, "service.name", r->service);
    add_text(list, "service.instance.id", r->instance);
    add_text(list, "service.version", r->version);
    cJSON *scoped = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(entry, "scopeSpans"), scoped);
    cJSON *scope = cJSON_AddObjectToObject(scoped, "scope");
    cJSON_AddStringToObject(scope, "name", "dray");
    cJSON_AddStringToObject(scope, "version", r->version);
    return cJSON_AddArrayToObject(scoped, "spans");
}

char *trace_encode(const struct trace_resource *resource, const struct trace_span *spans, size_t count) {
    cJSON *root = cJSON_CreateObject();
    cJSON *list = add_resource(root, resource);
    for (size_t i = 0; i < count && list != NULL; i++)
        cJSON_AddItemToArray(list, encode_span(&spans[i]));
    char *text = list != NULL ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    return text;
}

uint64_t trace_rejected(struct span body) {
    cJSON *root = body.len > 0 ? cJSON_ParseWithLength(body.ptr, body.len) : NULL;
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(root, "partialSuccess"), "rejectedSpans");
    uint64_t rejected = 0;
    if (cJSON_IsString(n))
        rejected = strtoull(n->valuestring, NULL, 10);
    else if (cJSON_IsNumber(n) && n->valuedouble > 0)
        rejected = n->valuedouble < 1e9 ? (uint64_t)n->valuedouble : UINT64_MAX;
    cJSON_Delete(root);
    return rejected;
}
