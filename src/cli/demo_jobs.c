/* The demo's jobs: the documents' examples, and three that show what else becomes of an order. */
#include <string.h>

#include <cjson/cJSON.h>

#include "cli/demo.h"
#include "dray/json.h"

#define JOB_MAX 65536

struct demo_row demo_rows[] = {
    {.name = "kakaclo-v2", .provider = "kakaclo-v2", .status = "created", .attempts = 1},
    {.name = "kakaclo-v1", .provider = "kakaclo-v1", .status = "created", .attempts = 1},
    {.name = "kakaclo-custom", .provider = "kakaclo-custom", .status = "created", .attempts = 1},
    {.name = "s2", .provider = "s2", .status = "created", .attempts = 1},
    {.name = "vu",
     .provider = "vu",
     .status = "created",
     .attempts = 1,
     .note = "with \"b2b\": {} added: VU's document requires it for sales_channel b2b, and its own "
             "example lacks it"},
    {.name = "fails-twice",
     .provider = "kakaclo-v2",
     .status = "created",
     .attempts = 3,
     .note = "order key KA10002-FAIL503x2: the sandbox answers 503 twice"},
    {.name = "duplicate",
     .provider = "kakaclo-v2",
     .status = "duplicate",
     .attempts = -1,
     .note = "the same order as kakaclo-v2's, pushed again"},
    {.name = "invalid",
     .provider = "kakaclo-v2",
     .status = "failed",
     .reason = "invalid",
     .attempts = 0,
     .note = "kakaclo-v2's order with a quantity of 0; it was never sent"},
};
const size_t demo_row_count = sizeof demo_rows / sizeof demo_rows[0];

static const char *example_of(const char *provider) {
    for (size_t i = 0; demo_examples[i].provider != NULL; i++)
        if (strcmp(demo_examples[i].provider, provider) == 0)
            return demo_examples[i].order;
    return NULL;
}

/* Appends `order` with the value at `pointer` replaced. The other bytes stay as they are. */
static void add_replaced(struct buf *out, const char *order, const char *pointer, const char *value) {
    struct json_doc doc;
    struct err err;
    json_init(&doc, 4096);
    uint32_t node = JSON_NONE;
    if (json_parse(&doc, order, strlen(order), &err) == 0)
        node = json_pointer(&doc, 0, pointer);
    if (node == JSON_NONE) {
        buf_add_str(out, order);
    } else {
        buf_add(out, order, doc.nodes[node].start);
        buf_add_str(out, value);
        buf_add_str(out, order + doc.nodes[node].end);
    }
    json_deinit(&doc);
}

/* Appends VU's order with the member that its example lacks, in front of "currency". */
static void add_with_b2b(struct buf *out, const char *order) {
    const char *at = strstr(order, "\"currency\"");
    if (at == NULL || strstr(order, "\"b2b\":") != NULL) {
        buf_add_str(out, order);
        return;
    }
    buf_add(out, order, (size_t)(at - order));
    buf_add_str(out, "\"b2b\": {}, ");
    buf_add_str(out, at);
}

static void add_order(struct buf *out, const struct demo_row *row) {
    const char *order = example_of(row->provider);
    if (strcmp(row->name, "vu") == 0)
        add_with_b2b(out, order);
    else if (strcmp(row->name, "fails-twice") == 0)
        add_replaced(out, order, "/customOrderId", "\"KA10002-FAIL503x2\"");
    else if (strcmp(row->name, "invalid") == 0)
        add_replaced(out, order, "/orderItemsList/0/quantity", "0");
    else
        buf_add_str(out, order);
}

void demo_write_job(struct buf *out) {
    buf_add_str(out, "{\"id\":\"mine/1\",\"order\":");
    add_replaced(out, example_of("kakaclo-v2"), "/customOrderId", "\"KA20001\"");
    buf_add_str(out, "}\n");
    if (!buf_ok(out))
        return;
    for (size_t i = 0; i + 1 < out->len; i++)
        if (out->data[i] == '\n')
            out->data[i] = ' '; /* one job, one line; JSON has no newline within a string */
}

static int push_one(struct demo_world *w, const struct demo_row *row, struct buf *job, struct err *err) {
    buf_reset(job);
    buf_addf(job, "{\"id\":\"demo/%s\",\"account\":\"%s\",\"order\":", row->name, row->provider);
    add_order(job, row);
    buf_add_char(job, '}');
    redisReply *reply = redisCommand(w->context, "LPUSH dray:{" DEMO_QUEUE "}:jobs %b", job->data, job->len);
    int rc = reply != NULL && reply->type == REDIS_REPLY_INTEGER
                 ? 0
                 : err_set(err, "cannot push to Redis: %s", reply != NULL ? reply->str : w->context->errstr);
    freeReplyObject(reply);
    return rc;
}

int demo_push(struct demo_world *w, struct err *err) {
    struct buf job;
    int rc = 0;
    buf_init(&job, JOB_MAX);
    for (size_t i = 0; rc == 0 && i < demo_row_count; i++)
        rc = push_one(w, &demo_rows[i], &job, err);
    buf_deinit(&job);
    return rc;
}

static struct demo_row *row_of(const char *id) {
    for (size_t i = 0; id != NULL && strlen(id) >= strlen("demo/") && i < demo_row_count; i++)
        if (strcmp(demo_rows[i].name, id + strlen("demo/")) == 0)
            return &demo_rows[i];
    return NULL;
}

static const char *text_of(const cJSON *o, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

/* "" where the member is no string, or too long. */
static void copy_text(const cJSON *o, const char *name, char *out, size_t size) {
    const char *text = text_of(o, name);
    snprintf(out, size, "%s", text != NULL && strlen(text) < size ? text : "");
}

/* -1 where it is no number; counts and milliseconds are far below 2^53. */
static int64_t number_of(const cJSON *o, const char *name) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(n) && n->valuedouble >= 0 && n->valuedouble < 9007199254740992.0
               ? (int64_t)n->valuedouble
               : -1;
}

static void read_result(const cJSON *result) {
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(result, "error");
    struct demo_row *row = row_of(text_of(result, "id"));
    if (row == NULL)
        return;
    row->done = true;
    copy_text(result, "status", row->got_status, sizeof row->got_status);
    copy_text(result, "order_id", row->order_id, sizeof row->order_id);
    copy_text(error, "reason", row->got_reason, sizeof row->got_reason);
    copy_text(error, "message", row->fault, sizeof row->fault);
    row->got_attempts = number_of(result, "attempts");
    row->ms = number_of(result, "duration_ms");
}

/* Takes one result. 1: there was one; 0: there is none; -1 and `err`. */
static int take_result(struct demo_world *w, struct err *err) {
    redisReply *reply = redisCommand(w->context, "RPOP dray:{" DEMO_QUEUE "}:results");
    int rc = 0;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        rc = err_set(err, "cannot read results: %s", reply != NULL ? reply->str : w->context->errstr);
    } else if (reply->type == REDIS_REPLY_STRING) {
        cJSON *result = cJSON_ParseWithLength(reply->str, reply->len);
        rc = result != NULL ? 1 : err_set(err, "a result is no JSON");
        read_result(result);
        cJSON_Delete(result);
    }
    freeReplyObject(reply);
    return rc;
}

int demo_collect(struct demo_world *w, struct err *err) {
    size_t taken = 0;
    int rc = 0;
    while (rc >= 0 && taken < demo_row_count) {
        rc = take_result(w, err);
        if (rc == 1)
            taken++;
        else if (rc == 0 && demo_pause(w, 10, err) != 0)
            rc = err_prefix(err, "waiting for results (%zu of %zu are here)", taken, demo_row_count);
        /* demo_pause looks at the children: one that has died says more than its connection. */
        else if (rc < 0)
            demo_pause(w, 100, err);
    }
    return rc < 0 ? -1 : 0;
}

bool demo_row_is_right(const struct demo_row *row) {
    bool same = row->done && strcmp(row->got_status, row->status) == 0 &&
                strcmp(row->got_reason, row->reason == NULL ? "" : row->reason) == 0 &&
                (row->attempts < 0 || row->attempts == row->got_attempts);
    if (strcmp(row->name, "duplicate") == 0)
        return same && strcmp(row->order_id, demo_rows[0].order_id) == 0;
    return same && (row->reason != NULL) == (row->order_id[0] == '\0');
}
