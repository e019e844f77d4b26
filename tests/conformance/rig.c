#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rig.h"

static struct rig *rig_in_use; /* find_account has no other way to it */

static const struct account *find_account(void *arg, const char *name) {
    (void)arg, (void)name;
    return &rig_in_use->account;
}

static const char generic_order[] = "{\"ref\":\"G 1/ö\",\"lines\":[]}";
static const char generic_success[] = "{\"ok\":true,\"result\":{\"id\":77,\"ref\":\"G 1/ö\"}}";

static void configure_generic(struct account *a) {
    a->http_json.key_pointer = "/ref";
    a->http_json.success_pointer = "/ok";
    a->http_json.success_value = "true";
    a->http_json.id_pointer = "/result/id";
    a->http_json.order_pointer = "/result";
    a->http_json.lookup_path = "/find?ref={key}";
    a->http_json.lookup_key_pointer = "/ref";
    a->http_json.lookup_id_pointer = "/id";
    a->http_json.lookup_absent_status = 404;
    a->http_json.lookup_absent_pointer = "/error";
    a->http_json.lookup_exact = true;
}

void rig_open(struct rig *r, const struct provider *p) {
    char path[128];
    const struct account *account;
    *r = (struct rig){.account = test_account(p)};
    rig_in_use = r;
    cJSON *job;
    if (p->fields == NULL) {
        configure_generic(&r->account);
        job = cJSON_CreateObject();
        cJSON_AddItemToObject(job, "order", cJSON_Parse(generic_order));
        r->success = strdup(generic_success);
        r->id = strdup("77");
    } else {
        job = fixture_job(p);
        snprintf(path, sizeof(path), "%s/answer.json", p->name);
        r->success = fixture_text(path);
        snprintf(path, sizeof(path), "%s/id.txt", p->name);
        r->id = fixture_text(path);
        r->id[strcspn(r->id, "\n")] = '\0';
    }
    cJSON_AddStringToObject(job, "id", "job-1");
    r->text = cJSON_PrintUnformatted(job);
    cJSON_Delete(job);
    json_init(&r->job, UINT32_MAX);
    json_init(&r->doc, UINT32_MAX);
    buf_init(&r->scratch, 1 << 20);
    faults_init(&r->faults);
    assert_int_equal(envelope_parse(&r->envelope, &r->job, span_str(r->text), find_account, NULL, "{orders}",
                                    &r->scratch, &r->faults, NULL, &account),
                     0);
}

void rig_close(struct rig *r) {
    json_deinit(&r->job);
    json_deinit(&r->doc);
    buf_deinit(&r->scratch);
    faults_deinit(&r->faults);
    free(r->text);
    free(r->success);
    free(r->id);
}

enum verdict judge(struct rig *r, struct http_exchange x) {
    memset(&r->out, 0xa5, sizeof(r->out)); /* nothing may be left unset */
    classify_create(&r->account, &r->envelope, &x, NOW, &r->doc, &r->out);
    assert_true(strlen(r->out.code) > 0 && strlen(r->out.code) < sizeof(r->out.code));
    assert_true(strlen(r->out.message) < sizeof(r->out.message));
    assert_true(r->out.id_count <= OUTCOME_MAX_IDS);
    return r->out.verdict;
}

void for_every_provider(rig_fn check) {
    for (size_t i = 0; providers[i] != NULL; i++) {
        struct rig r;
        rig_open(&r, providers[i]);
        check(&r);
        rig_close(&r);
    }
}

char *replaced(const char *text, const char *from, const char *to) {
    size_t n = strlen(from);
    char *out = calloc(1, strlen(text) * (1 + strlen(to)) + 1), *end = out;
    assert_non_null(out);
    while (*text != '\0') {
        bool hit = strncmp(text, from, n) == 0;
        const char *piece = hit ? to : text;
        size_t len = hit ? strlen(to) : 1;
        memcpy(end, piece, len);
        end += len;
        text += hit ? n : 1;
    }
    return out;
}
