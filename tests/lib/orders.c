#include "orders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *fixture_text(const char *path) {
    char name[512];
    snprintf(name, sizeof(name), "%s/%s", DRAY_FIXTURES, path);
    FILE *f = fopen(name, "rb");
    if (f == NULL)
        fail_msg("%s cannot be read", name);
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    assert_true(n > 0);
    return text;
}

cJSON *fixture_job(const struct provider *p) {
    char path[128];
    snprintf(path, sizeof(path), "%s/order.json", p->name);
    char *text = fixture_text(path);
    cJSON *order = cJSON_Parse(text);
    free(text);
    assert_non_null(order);
    if (strcmp(p->name, "vu") == 0)
        cJSON_AddObjectToObject(cJSON_GetObjectItem(order, "order"), "b2b");
    cJSON *job = cJSON_CreateObject();
    cJSON_AddItemToObject(job, "order", order);
    return job;
}

struct account test_account(const struct provider *p) {
    return (struct account){.name = "shop",
                            .queue = "orders",
                            .provider = p,
                            .base_url = "https://api.test/",
                            .token = "tok-SECRET",
                            .key = "key-SECRET",
                            .secret = "sec-SECRET",
                            .organization = "org-1",
                            .backoff_base_ms = 1000,
                            .retry_after_cap_ms = 3600000,
                            .http_json = {.create_path = "/create", .auth = "bearer"}};
}

cJSON *faults_array(const struct faults *f) {
    char *text = malloc(f->list.len + 3);
    text[0] = '[';
    if (f->list.len > 0)
        memcpy(text + 1, f->list.data, f->list.len);
    memcpy(text + 1 + f->list.len, "]", 2);
    cJSON *array = cJSON_Parse(text);
    free(text);
    assert_non_null(array);
    return array;
}

cJSON *faults_of_text(const struct provider *p, const char *job) {
    struct json_doc doc;
    struct faults faults;
    struct err err = {""};
    json_init(&doc, UINT32_MAX);
    faults_init(&faults);
    if (json_parse(&doc, job, strlen(job), &err) != 0)
        fail_msg("%s", err.text);
    uint32_t n = provider_validate(p, NULL, &doc, json_get(&doc, 0, "order"), &faults, NULL);
    assert_int_equal(n, faults.count);
    cJSON *array = faults_array(&faults);
    faults_deinit(&faults);
    json_deinit(&doc);
    return array;
}

cJSON *faults_of(const struct provider *p, const cJSON *job) {
    char *text = cJSON_PrintUnformatted(job);
    cJSON *faults = faults_of_text(p, text);
    free(text);
    return faults;
}

void assert_one_fault(const cJSON *faults, const char *path, const char *words) {
    char *all = cJSON_PrintUnformatted(faults);
    cJSON *first = cJSON_GetArrayItem(faults, 0);
    const char *at = cJSON_GetStringValue(cJSON_GetObjectItem(first, "path"));
    const char *rule = cJSON_GetStringValue(cJSON_GetObjectItem(first, "rule"));
    if (cJSON_GetArraySize(faults) != 1 || strcmp(at, path) != 0 || strstr(rule, words) == NULL)
        fail_msg("wanted one fault %s: … %s …\n     got %s", path, words, all);
    free(all);
}

void assert_no_fault(const cJSON *faults, const char *what) {
    if (cJSON_GetArraySize(faults) == 0)
        return;
    char *all = cJSON_PrintUnformatted(faults);
    fail_msg("%s: wanted no fault, got %s", what, all);
    free(all);
}

struct http_exchange answer(long status, const char *body) {
    return (struct http_exchange){.sent = true,
                                  .answered = true,
                                  .status = status,
                                  .body = span_str(body),
                                  .error = "",
                                  .phase = "done"};
}
