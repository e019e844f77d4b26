/* POST /api/v1/queues/QUEUE/dead/retry, drop and export: many letters at once, by their ids. The page that asks goes through what a search
 * found, some at a time, so that it can show how far it is and be stopped; each call is one atomic script.
 *
 * Failure modes: a letter that is gone or must stay is named, with why; the others are done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/act.h"
#include "admin/api.h"
#include "admin/dead.h"

#define IDS_MAX   200
#define BATCH_MAX (256u << 20)

enum bulk_verb { BULK_RETRY, BULK_DROP, BULK_EXPORT };

struct bulk {
    struct request *request; /* NULL: answered otherwise; the script may run all the same */
    enum bulk_verb verb;
    struct buf ids; /* each with a NUL behind it */
    uint32_t count;
    const char *asked[IDS_MAX]; /* those that the script was asked for, in its order */
    uint32_t asked_count, done;
    cJSON *left; /* [{"dead_id","code"},…] */
};

static void bulk_free(struct bulk *b) {
    buf_deinit(&b->ids);
    cJSON_Delete(b->left);
    free(b);
}

static void stays(struct bulk *b, const char *id, const char *code) {
    cJSON *one = api_element(b->left);
    tree_add_text(one, "dead_id", span_str(id));
    cJSON_AddStringToObject(one, "code", code);
}

static void answer(struct bulk *b) {
    struct request *r = b->request;
    const char *word = b->verb == BULK_RETRY ? "retried" : "dropped";
    char result[64];
    if (r != NULL) {
        snprintf(result, sizeof(result), "%u of %u", b->done, b->count);
        act_log(r, word, result);
        r->admin->views.stale = true;
        cJSON *answer = cJSON_CreateObject();
        cJSON_AddStringToObject(answer, "done", word);
        tree_add_u64(answer, "count", b->done);
        if (cJSON_AddItemToObject(answer, "left", b->left))
            b->left = NULL; /* the answer's now */
        answer_tree(r, 200, answer);
        request_done(r);
    }
    bulk_free(b);
}

static void fail(struct bulk *b, const char *what, const char *error) {
    if (b->request != NULL) {
        answer_error(b->request, 503, what, "Redis: %s",
                     error != NULL && error[0] != '\0' ? error
                                                       : "the connection was lost; look what was done");
        request_done(b->request);
    }
    bulk_free(b);
}

static const char *code_of(const char *reply) {
    return strcmp(reply, "UNKNOWN") == 0   ? "unknown_outcome"
           : strcmp(reply, "CREATED") == 0 ? "created"
           : strcmp(reply, "BUSY") == 0    ? "busy"
                                           : "no_such_letter";
}

static void on_done(void *arg, const redisReply *reply, const char *error) {
    struct bulk *b = arg;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != b->asked_count) {
        fail(b, reply == NULL ? "redis_lost" : "redis", error);
        return;
    }
    for (uint32_t i = 0; i < b->asked_count; i++) {
        const redisReply *one = reply->element[i];
        const char *text =
            one->type == REDIS_REPLY_STRING || one->type == REDIS_REPLY_STATUS ? one->str : "?";
        if (strcmp(text, "OK") == 0)
            b->done++;
        else
            stays(b, b->asked[i], code_of(text));
    }
    answer(b);
}

/* Adds the letter's part of the command. False: the letter stays. */
static bool add_letter(struct bulk *b, const struct letter *l, const char *id, struct buf *args,
                       struct buf *scratch) {
    if (b->verb == BULK_RETRY && (!l->readable || l->job.ptr == NULL)) {
        stays(b, id, "unreadable");
        return false;
    }
    if (b->verb == BULK_RETRY && letter_is_unknown(l)) {
        stays(b, id, "unknown_outcome");
        return false;
    }
    redis_resp_arg(args, l->id);
    if (b->verb == BULK_RETRY) {
        buf_reset(scratch);
        letter_record(l, l->job, scratch);
        redis_resp_arg(args, buf_span(scratch));
    } else {
        redis_resp_arg(args, l->account.ptr != NULL ? l->account : SPAN_LIT(""));
    }
    return true;
}

static void send_script(struct bulk *b, const struct consumer *consumer, const struct buf *keys,
                        const struct buf *args) {
    static const enum queue_key retry[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_DELAYED, KEY_PARKED, KEY_STATS};
    static const enum queue_key drop[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS, KEY_LIMITS};
    bool retries = b->verb == BULK_RETRY;
    size_t fixed = retries ? 5 : 4;
    enum script_id script = retries ? SCRIPT_DEAD_RETRY : SCRIPT_DEAD_DROP;
    struct buf cmd;
    buf_init(&cmd, BATCH_MAX);
    queue_cmd_begin(&cmd, script, fixed + b->asked_count, 2 * b->asked_count + (retries ? 3 : 0));
    for (size_t i = 0; i < fixed; i++)
        queue_cmd_key(&cmd, &consumer->keys, retries ? retry[i] : drop[i]);
    buf_add_span(&cmd, buf_span(keys));
    if (retries) {
        redis_resp_str(&cmd, "retry");
        redis_resp_str(&cmd, "0");
        redis_resp_str(&cmd, "0");
    }
    buf_add_span(&cmd, buf_span(args));
    if (buf_ok(&cmd) && buf_ok(keys) && buf_ok(args))
        queue_call(consumer->worker->caller, consumer->keys.slot, script, &cmd, on_done, b);
    else
        fail(b, "too_large", "these letters are too large for one call; use `dray dead`");
    buf_deinit(&cmd);
}

static void move(struct bulk *b, const struct consumer *consumer, const redisReply *entries) {
    struct letter *l = &b->request->admin->letter;
    struct buf keys, args, scratch;
    const char *id = b->ids.data;
    buf_init(&keys, BATCH_MAX);
    buf_init(&args, BATCH_MAX);
    buf_init(&scratch, BATCH_MAX);
    for (uint32_t i = 0; i < b->count; i++, id += strlen(id) + 1) {
        const redisReply *e = entries->element[i];
        if (e->type != REDIS_REPLY_STRING) {
            stays(b, id, "no_such_letter");
            continue;
        }
        letter_read(l, span_str(id), (struct span){e->str, e->len});
        if (!add_letter(b, l, id, &args, &scratch))
            continue;
        buf_reset(&scratch);
        letter_ledger_key(&consumer->keys, l, &scratch);
        redis_resp_arg(&keys, buf_span(&scratch));
        b->asked[b->asked_count++] = id;
    }
    if (b->asked_count > 0)
        send_script(b, consumer, &keys, &args);
    else
        answer(b);
    buf_deinit(&keys);
    buf_deinit(&args);
    buf_deinit(&scratch);
}

/* Lines as `dray dead export` prints them, which `dray dead import` takes in. */
static void export(struct bulk *b, const redisReply *entries) {
    struct request *r = b->request;
    for (uint32_t i = 0; i < b->count; i++) {
        const redisReply *e = entries->element[i];
        if (e->type != REDIS_REPLY_STRING)
            continue;
        buf_add(&r->out, e->str, e->len);
        buf_add_char(&r->out, '\n');
    }
    r->status = 200;
    r->content_type = "application/x-ndjson";
    request_done(r);
    bulk_free(b);
}

static void on_entries(void *arg, const redisReply *reply, const char *error) {
    struct bulk *b = arg;
    const struct consumer *consumer = NULL;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != b->count)
        fail(b, "redis", error);
    else if (b->request == NULL)
        bulk_free(b);
    else if (b->verb == BULK_EXPORT)
        export(b, reply);
    else if ((consumer = request_consumer(b->request)) != NULL)
        move(b, consumer, reply);
    else {
        request_done(b->request);
        bulk_free(b);
    }
}

/* {"ids":[TEXT, …]} */
static bool read_ids(struct request *r, struct bulk *b) {
    cJSON *body = act_body(r);
    if (body == NULL)
        return false;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "ids"), *id;
    bool good = cJSON_IsArray(list);
    cJSON_ArrayForEach(id, list) {
        size_t n = cJSON_IsString(id) ? strlen(id->valuestring) : 0;
        good = good && n > 0 && n < ADMIN_PARAM_MAX && ++b->count <= IDS_MAX;
        if (!good)
            break;
        buf_add(&b->ids, id->valuestring, n + 1);
    }
    cJSON_Delete(body);
    if (good && b->count > 0 && buf_ok(&b->ids))
        return true;
    answer_error(r, 400, "bad_body", "ids: a list of 1 to %d dead letters' ids is expected", IDS_MAX);
    return false;
}

static void start(struct request *r, enum bulk_verb verb) {
    const struct consumer *consumer = request_consumer(r);
    if (consumer == NULL || (verb != BULK_EXPORT && !act_may_write(r, consumer)))
        return;
    struct bulk *b = calloc(1, sizeof(*b));
    if (b == NULL)
        abort(); /* Redis holds every job's state; another worker recovers */
    b->verb = verb;
    buf_init(&b->ids, IDS_MAX * ADMIN_PARAM_MAX);
    b->left = cJSON_CreateArray();
    if (!read_ids(r, b)) {
        bulk_free(b);
        return;
    }
    struct buf *cmd = &consumer->worker->scratch.cmd;
    buf_reset(cmd);
    redis_resp_begin(cmd, 2 + b->count);
    redis_resp_str(cmd, "HMGET");
    redis_resp_arg(cmd, consumer->keys.key[KEY_DEAD_ENTRIES]);
    const char *id = b->ids.data;
    for (uint32_t i = 0; i < b->count; i++, id += strlen(id) + 1)
        redis_resp_str(cmd, id);
    redis_router_send(consumer->worker->redis.router, consumer->keys.slot, buf_span(cmd), 0, on_entries, b);
    request_wait(r, &b->request);
}

void handle_dead_retry_all(struct request *r) {
    start(r, BULK_RETRY);
}

void handle_dead_drop_all(struct request *r) {
    start(r, BULK_DROP);
}

void handle_dead_export(struct request *r) {
    start(r, BULK_EXPORT);
}
