/* Spans as OTLP/JSON: the forms that the JSON encoding of opentelemetry-proto asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "worker/trace.h"

static const struct trace_resource resource = {"shop \"A\"", "w1.0000abcd", "1.2.3"};

static struct trace_span span_of(enum trace_kind kind) {
    struct trace_span s = {.kind = kind,
                           .start_ns = 1764406800123456789u,
                           .end_ns = 1764406800123456999u,
                           .queue = "orders",
                           .account = "shop",
                           .provider = "vu"};
    for (size_t i = 0; i < 16; i++)
        s.trace[i] = (uint8_t)(0xa0 + i);
    memcpy(s.id, "\x00\x01\x02\x03\xfc\xfd\xfe\xff", 8);
    memcpy(s.parent, "\x10\x20\x30\x40\x50\x60\x70\x80", 8);
    return s;
}

static cJSON *encoded(const struct trace_span *spans, size_t count) {
    char *text = trace_encode(&resource, spans, count);
    assert_non_null(text);
    cJSON *root = cJSON_Parse(text);
    free(text);
    assert_non_null(root);
    return root;
}

static cJSON *entry(cJSON *root) {
    cJSON *list = cJSON_GetObjectItem(root, "resourceSpans");
    assert_int_equal(cJSON_GetArraySize(list), 1);
    return cJSON_GetArrayItem(list, 0);
}

static cJSON *spans_of(cJSON *root) {
    cJSON *scoped = cJSON_GetObjectItem(entry(root), "scopeSpans");
    assert_int_equal(cJSON_GetArraySize(scoped), 1);
    return cJSON_GetObjectItem(cJSON_GetArrayItem(scoped, 0), "spans");
}

static const char *text_of(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* The value of an attribute as it stands in its one form, or NULL. */
static const char *attribute(const cJSON *of, const char *key, const char *form) {
    cJSON *a;
    cJSON_ArrayForEach(a, cJSON_GetObjectItem(of, "attributes")) {
        cJSON *value = cJSON_GetObjectItem(a, "value");
        assert_int_equal(cJSON_GetArraySize(value), 1);
        if (strcmp(text_of(a, "key"), key) == 0)
            return text_of(value, form);
    }
    return NULL;
}

static void test_ids_times_and_kinds(void **state) {
    (void)state;
    struct trace_span spans[TRACE_KINDS];
    static const int kinds[TRACE_KINDS] = {5, 1, 1, 3, 3, 1};
    static const char *const names[TRACE_KINDS] = {"order",   "pick-up", "admission",
                                                   "request", "look-up", "settlement"};
    for (size_t i = 0; i < TRACE_KINDS; i++)
        spans[i] = span_of((enum trace_kind)i);
    cJSON *root = encoded(spans, TRACE_KINDS), *list = spans_of(root);
    assert_int_equal(cJSON_GetArraySize(list), TRACE_KINDS);
    for (int i = 0; i < TRACE_KINDS; i++) {
        const cJSON *s = cJSON_GetArrayItem(list, i);
        assert_string_equal(text_of(s, "traceId"), "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
        assert_string_equal(text_of(s, "spanId"), "00010203fcfdfeff");
        assert_string_equal(text_of(s, "parentSpanId"), "1020304050607080");
        assert_string_equal(text_of(s, "startTimeUnixNano"), "1764406800123456789");
        assert_string_equal(text_of(s, "endTimeUnixNano"), "1764406800123456999");
        assert_string_equal(text_of(s, "name"), names[i]);
        assert_int_equal(cJSON_GetObjectItem(s, "kind")->valueint, kinds[i]);
        assert_true(cJSON_IsNumber(cJSON_GetObjectItem(s, "kind")));
        assert_int_equal(cJSON_GetObjectItem(s, "flags")->valueint, 0x101);
        assert_string_equal(attribute(s, "dray.account", "stringValue"), "shop");
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(s, "status")), 0);
    }
    cJSON_Delete(root);
}

static void test_resource_and_scope(void **state) {
    (void)state;
    struct trace_span s = span_of(TRACE_ORDER);
    cJSON *root = encoded(&s, 1), *r = cJSON_GetObjectItem(entry(root), "resource");
    const cJSON *scope =
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(entry(root), "scopeSpans"), 0), "scope");
    assert_string_equal(attribute(r, "service.name", "stringValue"), "shop \"A\"");
    assert_string_equal(attribute(r, "service.instance.id", "stringValue"), "w1.0000abcd");
    assert_string_equal(text_of(scope, "name"), "dray");
    assert_string_equal(text_of(scope, "version"), "1.2.3");
    cJSON_Delete(root);
}

static void test_a_request_that_failed(void **state) {
    (void)state;
    struct trace_span s = span_of(TRACE_REQUEST);
    s.method = "POST";
    s.status = 503;
    s.verdict = s.error = "retry";
    s.failed = true;
    s.attempt = 2;
    s.port = 8443;
    strcpy(s.server, "api.example.com");
    cJSON *root = encoded(&s, 1);
    const cJSON *span = cJSON_GetArrayItem(spans_of(root), 0);
    assert_string_equal(attribute(span, "http.response.status_code", "intValue"), "503");
    assert_string_equal(attribute(span, "server.port", "intValue"), "8443");
    assert_string_equal(attribute(span, "server.address", "stringValue"), "api.example.com");
    assert_string_equal(attribute(span, "dray.attempt", "intValue"), "2");
    assert_string_equal(attribute(span, "dray.verdict", "stringValue"), "retry");
    assert_string_equal(attribute(span, "error.type", "stringValue"), "503");
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(span, "status"), "code")->valueint, 2);
    cJSON_Delete(root);
}

static void test_a_request_without_an_answer_has_no_status_code(void **state) {
    (void)state;
    struct trace_span s = span_of(TRACE_REQUEST);
    s.verdict = "unknown";
    s.error = "timeout";
    s.failed = true;
    cJSON *root = encoded(&s, 1);
    const cJSON *span = cJSON_GetArrayItem(spans_of(root), 0);
    assert_null(attribute(span, "http.response.status_code", "intValue"));
    assert_null(attribute(span, "dray.attempt", "intValue"));
    assert_string_equal(attribute(span, "error.type", "stringValue"), "timeout");
    cJSON_Delete(root);
}

static void test_roots_and_remote_parents(void **state) {
    (void)state;
    struct trace_span s[2] = {span_of(TRACE_ORDER), span_of(TRACE_ORDER)};
    s[0].root = s[1].remote = true;
    strcpy(s[0].job, "job-1");
    s[0].outcome = "failed";
    s[0].reason = "rejected";
    s[0].failed = true;
    cJSON *root = encoded(s, 2);
    const cJSON *first = cJSON_GetArrayItem(spans_of(root), 0),
                *second = cJSON_GetArrayItem(spans_of(root), 1);
    assert_null(cJSON_GetObjectItem(first, "parentSpanId"));
    assert_string_equal(attribute(first, "dray.job.id", "stringValue"), "job-1");
    assert_string_equal(attribute(first, "dray.reason", "stringValue"), "rejected");
    assert_string_equal(attribute(first, "error.type", "stringValue"), "rejected");
    assert_int_equal(cJSON_GetObjectItem(second, "flags")->valueint, 0x301);
    assert_null(attribute(second, "dray.job.id", "stringValue"));
    cJSON_Delete(root);
}

static void test_rejected_spans(void **state) {
    (void)state;
    static const struct {
        const char *body;
        uint64_t rejected;
    } cases[] = {{"", 0},
                 {"{}", 0},
                 {"{\"partialSuccess\":{}}", 0},
                 {"{\"partialSuccess\":{\"rejectedSpans\":\"7\"}}", 7},
                 {"{\"partialSuccess\":{\"rejectedSpans\":3,\"errorMessage\":\"x\"}}", 3},
                 {"nonsense", 0},
                 {"{\"partialSuccess\":{\"rejectedSpans\":-1}}", 0},
                 {"{\"partialSuccess\":{\"rejectedSpans\":1e300}}", UINT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(trace_rejected(span_str(cases[i].body)), cases[i].rejected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_times_and_kinds),
        cmocka_unit_test(test_resource_and_scope),
        cmocka_unit_test(test_a_request_that_failed),
        cmocka_unit_test(test_a_request_without_an_answer_has_no_status_code),
        cmocka_unit_test(test_roots_and_remote_parents),
        cmocka_unit_test(test_rejected_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
