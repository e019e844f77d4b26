#include "admin/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"

#define REASON_MAX  200
#define TICKETS_MAX 200

struct act {
    struct request *request; /* NULL: answered otherwise; the script may have run all the same */
    act_fn done;
};

/* What was changed may have given the queue work: this worker looks now, the others do with their next beat. */
static void look_at_once(const struct request *r) {
    const struct view *view = views_find(&r->admin->views, r->param[0]);
    struct lane *lane = view != NULL ? view_lane(view) : NULL;
    if (lane != NULL)
        lane->look_now = true;
}

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct act *act = arg;
    struct request *r = act->request;
    if (r != NULL) {
        if (reply == NULL)
            answer_error(
                r, 503, "redis_lost",
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

void act_call(struct request *r, const struct lane *lane, enum script_id script,
              const struct buf *cmd, act_fn done) {
    struct act *act = calloc(1, sizeof(*act));
    if (act == NULL)
        abort(); /* Redis holds every job's state; another worker recovers */
    act->done = done;
    queue_call(lane->worker->caller, lane->keys.slot, script, cmd, on_reply, act);
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
        log_str(&l, strncmp(r->route->path, "/api/v1/dead", 12) == 0 ? "dead_id" : "account",
                r->param[1]);
    log_str(&l, "result", result);
    log_end(&l);
}

bool act_body(struct request *r, struct json_doc *doc) {
    struct err err = {""};
    if (r->body.len == 0)
        buf_add_str(&r->body, "{}");
    if (json_parse(doc, r->body.data, r->body.len, &err) == 0 && json_type(doc, 0) == JSON_OBJECT)
        return true;
    answer_error(r, 400, "bad_body", "the body must be a JSON object%s%s",
                 err.text[0] != '\0' ? ": " : "", err.text);
    return false;
}

/* ---- pause and resume ---- */

static void pause_done(struct request *r, const redisReply *reply, bool pausing) {
    bool was =
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->len > 0;
    act_log(r, pausing ? "pause" : "resume", "done");
    buf_addf(&r->out, "{\"paused\":%s,\"was_paused\":%s}", pausing ? "true" : "false",
             was ? "true" : "false");
    r->admin->views.stale = true;
    answer_json(r, 200);
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
static bool read_pause(struct request *r, struct pause *p) {
    struct json_doc *doc = &r->admin->views.doc;
    char text[32];
    memset(p, 0, sizeof(*p));
    if (!act_body(r, doc))
        return false;
    uint32_t reason = json_get(doc, 0, "reason"), length = json_get(doc, 0, "for");
    if (reason != JSON_NONE && (json_copy(doc, reason, p->reason, sizeof(p->reason)) < 0 ||
                                strpbrk(p->reason, "\r\n") != NULL)) {
        answer_error(r, 400, "bad_body", "reason: one line of at most %d bytes", REASON_MAX);
        return false;
    }
    if (length != JSON_NONE && (json_copy(doc, length, text, sizeof(text)) < 0 ||
                                duration_parse(span_str(text), &p->for_ms) < 0 || p->for_ms == 0)) {
        answer_error(r, 400, "bad_body", "for: a duration such as \"10m\"");
        return false;
    }
    return true;
}

static void change(struct request *r, bool pausing) {
    static const enum queue_key keys[] = {KEY_PAUSES, KEY_GATES, KEY_ACCOUNTS, KEY_LIMITS, KEY_UNWELL};
    const struct lane *lane = request_lane(r);
    struct pause p;
    if (lane == NULL || !read_pause(r, &p))
        return;
    if (r->param[1][0] != '\0' && lane_port(lane, r->param[1]) == NULL) {
        answer_error(r, 404, "no_such_account", "the queue has no account of that name");
        return;
    }
    struct buf *cmd = &lane->worker->text_cmd;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_PAUSE, 5, 4);
    for (size_t i = 0; i < 5; i++)
        queue_cmd_key(cmd, &lane->keys, keys[i]);
    redis_resp_str(cmd, r->param[1]);
    redis_resp_str(cmd, pausing ? "pause" : "resume");
    redis_resp_u64(cmd, p.for_ms);
    redis_resp_str(cmd, p.reason);
    act_call(r, lane, SCRIPT_PAUSE, cmd, pausing ? on_paused : on_resumed);
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
    buf_addf(&r->out, "{\"done\":\"run\",\"count\":%llu}", (unsigned long long)done);
    answer_json(r, 200);
}

/* {"tickets":[TEXT, …]} */
void handle_run(struct request *r) {
    struct json_doc *doc = &r->admin->views.doc;
    const struct lane *lane = request_lane(r);
    char ticket[32];
    uint32_t count = 0;
    if (lane == NULL || !act_body(r, doc))
        return;
    uint32_t list = json_get(doc, 0, "tickets");
    bool good = list != JSON_NONE && json_type(doc, list) == JSON_ARRAY;
    for (uint32_t i = good ? json_first(doc, list) : JSON_NONE; good && i != JSON_NONE; i = json_next(doc, list, i), count++)
        good = count < TICKETS_MAX && json_type(doc, i) == JSON_STRING && json_copy(doc, i, ticket, sizeof(ticket)) > 0;
    if (!good || count == 0) {
        answer_error(r, 400, "bad_body", "tickets: a list of 1 to %d delayed jobs' tickets is expected", TICKETS_MAX);
        return;
    }
    struct buf *cmd = &lane->worker->text_cmd;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_RUN_NOW, 1, count);
    queue_cmd_key(cmd, &lane->keys, KEY_DELAYED);
    for (uint32_t i = json_first(doc, list); i != JSON_NONE; i = json_next(doc, list, i))
        if (json_copy(doc, i, ticket, sizeof(ticket)) > 0)
            redis_resp_str(cmd, ticket);
    act_call(r, lane, SCRIPT_RUN_NOW, cmd, on_run);
}
