#include "admin/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"

#define REASON_MAX  200
#define TICKETS_MAX 200
#define TICKET_MAX  31 /* bytes of one */
#define ACT_BODY_MAX                                                                                         \
    (256u << 10) /* a list of ids, each escaped, fits; the tree of more would hold the loop up */

struct act {
    struct request *request; /* NULL: answered in another way; the script may have run all the same */
    act_fn done;
};

/* What was changed may have given the queue work. This worker looks now; the others do so with their next beat. */
static void look_at_once(const struct request *r) {
    const struct view *view = views_find(&r->admin->views, r->param[0]);
    struct consumer *consumer = view != NULL ? view_consumer(view) : NULL;
    if (consumer != NULL)
        consumer->claims.look_now = true;
}

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct act *act = arg;
    struct request *r = act->request;
    if (r != NULL) {
        if (reply == NULL)
            answer_error(r, 503, "redis_lost",
                         "the connection to Redis was lost; look whether it was done before trying again");
        else if (reply->type == REDIS_REPLY_ERROR)
            answer_error(r, 503, "redis", "Redis: %s", error);
        else
            act->done(r, reply);
        look_at_once(r);
        request_done(r);
    }
    free(act);
}

bool act_may_write(struct request *r, const struct consumer *consumer) {
    if (consumer->format.ours)
        return true;
    answer_error(r, 503, "wrong_format", "nothing was done: %s",
                 consumer->format.refused
                     ? consumer->format.words
                     : "the format of the queue's data in Redis is not known yet; try again");
    return false;
}

void act_call(struct request *r, const struct consumer *consumer, enum script_id script,
              const struct buf *cmd, act_fn done) {
    if (!act_may_write(r, consumer))
        return;
    struct act *act = calloc(1, sizeof(*act));
    if (act == NULL)
        abort(); /* Redis holds every job's state; another worker recovers */
    act->done = done;
    queue_call(consumer->worker->caller, consumer->keys.slot, script, cmd, on_reply, act);
    request_wait(r, &act->request);
}

void act_log(const struct request *r, const char *what, const char *result) {
    struct log_line l;
    if (!log_begin(&l, LOG_WARN, "admin_action"))
        return;
    log_str(&l, "what", what);
    log_str(&l, "who", r->who);
    log_str(&l, "queue", r->param[0]);
    if (r->param[1][0] != '\0')
        log_str(&l, strncmp(r->route->path, "/api/v1/dead", 12) == 0 ? "dead_id" : "account", r->param[1]);
    log_str(&l, "result", result);
    log_end(&l);
}

static void bad_body(struct request *r, const char *why) {
    answer_error(r, 400, "bad_body", "the body must be a JSON object%s%s", why[0] != '\0' ? ": " : "", why);
}

bool act_body_kept(struct request *r, struct json_doc *doc) {
    struct err err = {""};
    if (r->body.len == 0)
        buf_add_str(&r->body, "{}");
    if (json_parse(doc, r->body.data, r->body.len, &err) == 0 && json_type(doc, 0) == JSON_OBJECT)
        return true;
    bad_body(r, err.text);
    return false;
}

/* cJSON accepts invalid UTF-8, and ends a text at a NUL, even at an escaped one: an id that is cut short might
 * be another's. */
cJSON *act_body(struct request *r) {
    size_t n = r->body.len;
    const char *text = n > 0 ? buf_cstr(&r->body) : "{}", *end = text;
    char why[48] = "";
    if (n > ACT_BODY_MAX) {
        answer_error(r, 413, "body_too_large", "a body may have %u bytes here", ACT_BODY_MAX);
        return NULL;
    }
    cJSON *body = NULL;
    if (strlen(text) < n || strstr(text, "\\u0000") != NULL)
        snprintf(why, sizeof(why), "it has a NUL");
    else if (!utf8_valid(text, n))
        snprintf(why, sizeof(why), "it is no UTF-8");
    else if ((body = cJSON_ParseWithOpts(text, &end, true)) == NULL)
        snprintf(why, sizeof(why), "at byte %zu", (size_t)(end - text) + 1);
    if (cJSON_IsObject(body))
        return body;
    cJSON_Delete(body);
    bad_body(r, why);
    return NULL;
}

/* ---- pause and resume ---- */

static void pause_done(struct request *r, const redisReply *reply, bool pausing) {
    bool was = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->len > 0;
    act_log(r, pausing ? "pause" : "resume", "done");
    r->admin->views.stale = true;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "paused", pausing);
    cJSON_AddBoolToObject(answer, "was_paused", was);
    answer_tree(r, 200, answer);
}

static void on_paused(struct request *r, const redisReply *reply) {
    pause_done(r, reply, true);
}

static void on_resumed(struct request *r, const redisReply *reply) {
    pause_done(r, reply, false);
}

struct pause {
    char reason[REASON_MAX + 1];
    uint64_t for_ms; /* 0: until resumed */
};

/* {"reason": TEXT, "for": "10m"}, both optional. */
static bool read_pause(struct request *r, const cJSON *body, struct pause *p) {
    const cJSON *reason = cJSON_GetObjectItemCaseSensitive(body, "reason");
    const cJSON *length = cJSON_GetObjectItemCaseSensitive(body, "for");
    const char *words = cJSON_GetStringValue(reason), *text = cJSON_GetStringValue(length);
    memset(p, 0, sizeof(*p));
    if (reason != NULL && (words == NULL || strlen(words) > REASON_MAX || strpbrk(words, "\r\n") != NULL)) {
        answer_error(r, 400, "bad_body", "reason: one line of at most %d bytes", REASON_MAX);
        return false;
    }
    if (length != NULL &&
        (text == NULL || duration_parse(span_str(text), &p->for_ms) < 0 || p->for_ms == 0)) {
        answer_error(r, 400, "bad_body", "for: a duration such as \"10m\"");
        return false;
    }
    strcpy(p->reason, words != NULL ? words : "");
    return true;
}

static void change(struct request *r, bool pausing) {
    static const enum queue_key keys[] = {KEY_PAUSES, KEY_GATES, KEY_ACCOUNTS, KEY_LIMITS};
    const struct consumer *consumer = request_consumer(r);
    struct pause p;
    cJSON *body = consumer != NULL ? act_body(r) : NULL;
    bool good = body != NULL && read_pause(r, body, &p);
    cJSON_Delete(body);
    if (!good)
        return;
    if (r->param[1][0] != '\0' && consumer_account(consumer, r->param[1]) == NULL) {
        answer_error(r, 404, "no_such_account", "the queue has no account of that name");
        return;
    }
    struct buf *cmd = &consumer->worker->scratch.cmd;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_PAUSE, 4, 4);
    for (size_t i = 0; i < 4; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    redis_resp_str(cmd, r->param[1]);
    redis_resp_str(cmd, pausing ? "pause" : "resume");
    redis_resp_u64(cmd, p.for_ms);
    redis_resp_str(cmd, p.reason);
    act_call(r, consumer, SCRIPT_PAUSE, cmd, pausing ? on_paused : on_resumed);
}

void handle_pause(struct request *r) {
    change(r, true);
}

void handle_resume(struct request *r) {
    change(r, false);
}

/* ---- run ---- */

static void on_run(struct request *r, const redisReply *reply) {
    uint64_t done = 0;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        done += reply->element[i]->type == REDIS_REPLY_STRING && strcmp(reply->element[i]->str, "OK") == 0;
    char result[32];
    snprintf(result, sizeof(result), "%llu", (unsigned long long)done);
    act_log(r, "run", result);
    r->admin->views.stale = true;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "done", "run");
    tree_add_u64(answer, "count", done);
    answer_tree(r, 200, answer);
}

/* How many tickets the list has; 0: it is no list of them, or too long. */
static uint32_t count_tickets(const cJSON *list) {
    const cJSON *ticket;
    uint32_t count = 0;
    cJSON_ArrayForEach(ticket, list) {
        size_t n = cJSON_IsString(ticket) ? strlen(ticket->valuestring) : 0;
        if (n == 0 || n > TICKET_MAX || ++count > TICKETS_MAX)
            return 0;
    }
    return cJSON_IsArray(list) ? count : 0;
}

/* {"tickets":[TEXT, …]} */
void handle_run(struct request *r) {
    const struct consumer *consumer = request_consumer(r);
    cJSON *body = consumer != NULL ? act_body(r) : NULL;
    if (body == NULL)
        return;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "tickets"), *ticket;
    uint32_t count = count_tickets(list);
    if (count > 0) {
        struct buf *cmd = &consumer->worker->scratch.cmd;
        buf_reset(cmd);
        queue_cmd_begin(cmd, SCRIPT_RUN_NOW, 1, count);
        queue_cmd_key(cmd, &consumer->keys, KEY_DELAYED);
        cJSON_ArrayForEach(ticket, list) redis_resp_str(cmd, ticket->valuestring);
        act_call(r, consumer, SCRIPT_RUN_NOW, cmd, on_run);
    } else {
        answer_error(r, 400, "bad_body", "tickets: a list of 1 to %d delayed jobs' tickets is expected",
                     TICKETS_MAX);
    }
    cJSON_Delete(body);
}
