/* POST /api/v1/dead/QUEUE/ID/retry, resolve and drop: the entry is read, then one atomic script
 * moves it (the same that `dray dead` uses).
 *
 * Failure modes: somebody else was faster: 404. The ledger says that the order may exist, or that
 * its key is under way: 409, nothing was done. A corrected job that a worker would refuse: 422 with
 * every fault, nothing was done. */
#include <stdlib.h>
#include <string.h>

#include "admin/act.h"
#include "admin/dead.h"
#include "dray/provider.h"

#define JOB_MAX (64u << 20)

typedef void (*letter_fn)(struct request *r, const struct consumer *consumer, struct letter *l);

struct mend {
    struct request *request; /* NULL: answered otherwise */
    letter_fn act;
};

static void on_letter(void *arg, const redisReply *reply, const char *error) {
    struct mend *m = arg;
    struct request *r = m->request;
    letter_fn act = m->act;
    if (r == NULL) {
        free(m);
        return;
    }
    struct letter *l = &r->admin->letter;
    const struct consumer *consumer = NULL;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        answer_error(r, 503, "redis", "Redis: %s; nothing was done", reply != NULL ? reply->str : error);
    } else if (reply->type != REDIS_REPLY_STRING) {
        answer_error(r, 404, "no_such_letter", "no dead letter of that id; was it retried or dropped?");
    } else if ((consumer = request_consumer(r)) != NULL) {
        letter_read(l, span_str(r->param[1]), (struct span){reply->str, reply->len});
        if (l->readable)
            act(r, consumer, l);
        else
            answer_error(r, 409, "unreadable", "it is no dead letter of dray's; nothing was done");
    }
    if (r->status != 0)
        request_done(r);
    free(m); /* the request points at it until it is done, or waits for the script */
}

static void mend(struct request *r, letter_fn act) {
    const struct consumer *consumer = request_consumer(r);
    if (consumer == NULL || !act_body_kept(r, &r->admin->views.doc))
        return;
    struct mend *m = calloc(1, sizeof(*m));
    if (m == NULL)
        abort(); /* Redis holds every job's state; another worker recovers */
    m->act = act;
    const struct span key = consumer->keys.key[KEY_DEAD_ENTRIES];
    redis_router_command(consumer->worker->redis.router, consumer->keys.slot, on_letter, m, "HGET %b %s",
                         key.ptr, key.len, r->param[1]);
    request_wait(r, &m->request);
}

/* ---- what the scripts say ---- */

static void refused(struct request *r, const char *what) {
    if (strcmp(what, "GONE") == 0)
        answer_error(r, 404, "no_such_letter", "somebody else has just taken it");
    else if (strcmp(what, "UNKNOWN") == 0)
        answer_error(r, 409, "unknown_outcome",
                     "nobody knows whether the order exists: look it up at the provider, then resolve it");
    else if (strcmp(what, "CREATED") == 0)
        answer_error(r, 409, "created", "the ledger knows the order as created");
    else if (strcmp(what, "BUSY") == 0)
        answer_error(r, 409, "busy", "another job with its order key is under way; try again");
    else
        answer_error(r, 409, "refused", "%.100s; nothing was done", what);
}

static void finish(struct request *r, const redisReply *reply, const char *done) {
    const redisReply *first =
        reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 ? reply->element[0] : reply;
    const char *what =
        first->type == REDIS_REPLY_STRING || first->type == REDIS_REPLY_STATUS ? first->str : "?";
    act_log(r, done, what);
    if (strcmp(what, "OK") != 0) {
        refused(r, what);
        return;
    }
    r->admin->views.stale = true;
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "done", done);
    tree_add_text(answer, "dead_id", span_str(r->param[1]));
    answer_tree(r, 200, answer);
}

static void on_retried(struct request *r, const redisReply *reply) {
    finish(r, reply, "retried");
}

static void on_resolved(struct request *r, const redisReply *reply) {
    finish(r, reply, "resolved");
}

static void on_dropped(struct request *r, const redisReply *reply) {
    finish(r, reply, "dropped");
}

/* ---- retry ---- */

static const struct account *find_account(void *arg, const char *name) {
    const struct consumer *consumer = arg;
    const struct account_runtime *runtime =
        name == NULL ? consumer->accounts.by_default : consumer_account(consumer, name);
    return runtime != NULL ? runtime->account : NULL;
}

/* Refuses what a worker would refuse. */
static bool job_fits(struct request *r, const struct consumer *consumer, struct span job) {
    struct worker *w = consumer->worker;
    struct envelope e;
    struct buf scratch;
    const struct account *account;
    union {
        const struct consumer *in;
        struct consumer *out;
    } arg = {consumer};
    buf_init(&scratch, JOB_MAX);
    faults_reset(&w->scratch.faults);
    uint32_t n = envelope_parse(&e, &w->scratch.doc, job, find_account, arg.out, consumer->keys.hash_tag,
                                &scratch, &w->scratch.faults, NULL, &account);
    buf_deinit(&scratch);
    if (n == 0)
        return true;
    cJSON *answer = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(answer, "error");
    cJSON_AddStringToObject(error, "code", "invalid_job");
    tree_add_text(error, "message", buf_span(&w->scratch.faults.first));
    tree_add_elements(error, "faults", buf_span(&w->scratch.faults.list));
    answer_tree(r, 422, answer);
    return false;
}

/* The body's `job` (a text) or `order` (an object); without them the letter's own job. */
static bool new_job(struct request *r, const struct consumer *consumer, struct letter *l, struct buf *job) {
    struct json_doc *doc = &r->admin->views.doc;
    if (!act_body_kept(r, doc))
        return false;
    uint32_t text = json_get(doc, 0, "job"), order = json_get(doc, 0, "order");
    if (text == JSON_NONE && order == JSON_NONE) {
        if (l->job.ptr != NULL) {
            buf_add_span(job, l->job);
            return true;
        }
        answer_error(r, 409, "no_text", "the job is no text; nothing was done");
        return false;
    }
    bool read = text != JSON_NONE ? json_decode(doc, text, job) == 0
                                  : json_type(doc, order) == JSON_OBJECT &&
                                        letter_put_order(l, json_raw(doc, order), job) == 0;
    if (!read) {
        answer_error(r, 400, "bad_body",
                     "`job` must be a text, `order` an object, and the job must have an order");
        return false;
    }
    return job_fits(r, consumer, buf_span(job));
}

static void send_back(struct request *r, const struct consumer *consumer, struct letter *l, const char *how) {
    static const enum queue_key keys[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_DELAYED, KEY_PARKED, KEY_STATS};
    struct buf *cmd = &consumer->worker->scratch.cmd, text, job;
    buf_init(&text, JOB_MAX);
    buf_init(&job, JOB_MAX);
    if (new_job(r, consumer, l, &job)) {
        buf_reset(cmd);
        queue_cmd_begin(cmd, SCRIPT_DEAD_RETRY, 6, 5);
        for (size_t i = 0; i < 5; i++)
            queue_cmd_key(cmd, &consumer->keys, keys[i]);
        letter_ledger_key(&consumer->keys, l, &text);
        redis_resp_arg(cmd, buf_span(&text));
        redis_resp_str(cmd, how);
        redis_resp_str(cmd, "0");
        redis_resp_str(cmd, "0");
        redis_resp_arg(cmd, l->id);
        buf_reset(&text);
        letter_record(l, buf_span(&job), &text);
        redis_resp_arg(cmd, buf_span(&text));
        if (buf_ok(&text) && buf_ok(&job) && buf_ok(cmd))
            act_call(r, consumer, SCRIPT_DEAD_RETRY, cmd,
                     strcmp(how, "retry") == 0 ? on_retried : on_resolved);
        else
            answer_error(r, 413, "too_large", "the letter is too large for this; use `dray dead`");
    }
    buf_deinit(&text);
    buf_deinit(&job);
}

static void retry(struct request *r, const struct consumer *consumer, struct letter *l) {
    if (letter_is_unknown(l))
        refused(r, "UNKNOWN");
    else
        send_back(r, consumer, l, "retry");
}

/* ---- resolve ---- */

static void resolve(struct request *r, const struct consumer *consumer, struct letter *l) {
    struct json_doc *doc = &r->admin->views.doc;
    char id[256], account[NAME_MAX_LEN + 1] = "";
    if (!act_body_kept(r, doc))
        return;
    uint32_t created = json_get(doc, 0, "created"), resend = json_get(doc, 0, "resend");
    bool again = resend != JSON_NONE && json_type(doc, resend) == JSON_TRUE;
    if (again && created == JSON_NONE) {
        send_back(r, consumer, l, "resend");
        return;
    }
    if (again || created == JSON_NONE || json_copy(doc, created, id, sizeof(id)) <= 0) {
        answer_error(r, 400, "bad_body",
                     "either \"created\": the provider's order id (a text), or \"resend\": true is "
                     "expected");
        return;
    }
    if (l->account.ptr != NULL && l->account.len < sizeof(account))
        memcpy(account, l->account.ptr, l->account.len);
    const struct account_runtime *runtime = consumer_account(consumer, account);
    struct buf *cmd = &consumer->worker->scratch.cmd;
    letter_resolve(l, &consumer->keys, runtime != NULL ? runtime->account->provider->name : NULL,
                   span_str(id), clock_unix_ms(), cmd);
    if (buf_ok(cmd))
        act_call(r, consumer, SCRIPT_DEAD_RESOLVE, cmd, on_resolved);
    else
        answer_error(r, 413, "too_large", "the letter is too large for this; use `dray dead`");
}

/* ---- drop ---- */

static void drop(struct request *r, const struct consumer *consumer, struct letter *l) {
    static const enum queue_key keys[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS, KEY_LIMITS};
    struct buf *cmd = &consumer->worker->scratch.cmd, key;
    buf_init(&key, JOB_MAX);
    letter_ledger_key(&consumer->keys, l, &key);
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_DEAD_DROP, 5, 2);
    for (size_t i = 0; i < 4; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    redis_resp_arg(cmd, buf_span(&key));
    redis_resp_arg(cmd, l->id);
    redis_resp_arg(cmd, l->account.ptr != NULL ? l->account : SPAN_LIT(""));
    buf_deinit(&key);
    act_call(r, consumer, SCRIPT_DEAD_DROP, cmd, on_dropped);
}

void handle_dead_retry(struct request *r) {
    mend(r, retry);
}

void handle_dead_resolve(struct request *r) {
    mend(r, resolve);
}

void handle_dead_drop(struct request *r) {
    mend(r, drop);
}
