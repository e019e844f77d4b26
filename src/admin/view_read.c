/* One reading of a queue: commands that go out together, and one more round for the accounts with waiting jobs.
 * If no reply comes (the connection was lost), the reading fails: the old figures stay, and so does their time.
 * An error reply (a key of the wrong type) leaves its figure at zero. */
#include "admin/view_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "queue/age.h"
#include "queue/gate.h"

static void ended(struct view *view) {
    struct views *v = view->views;
    if (--view->replies_out > 0)
        return;
    if (!view->failed)
        view->at_ms = clock_unix_ms();
    view_progress(view, clock_boot_ns());
    if (--v->reading == 0)
        v->read(v->arg);
}

/* Each reply's function reads it and then calls ended(). */
static const redisReply *usable(struct view *view, const redisReply *r, int type) {
    view->failed |= r == NULL;
    return r != NULL && r->type == type ? r : NULL;
}

static uint64_t number(struct view *view, const redisReply *r) {
    return usable(view, r, REDIS_REPLY_INTEGER) != NULL && r->integer > 0 ? (uint64_t)r->integer : 0;
}

#define NUMBER_REPLY(field)                                                                                  \
    static void on_##field(void *arg, const redisReply *r, const char *error) {                              \
        struct view *view = arg;                                                                             \
        (void)error;                                                                                         \
        view->field = number(view, r);                                                                       \
        ended(view);                                                                                         \
    }
NUMBER_REPLY(jobs)
NUMBER_REPLY(results)
NUMBER_REPLY(dead)
NUMBER_REPLY(delayed)
NUMBER_REPLY(waiting)
NUMBER_REPLY(workers_alive)

static uint64_t text_u64(const redisReply *r) {
    return r->type == REDIS_REPLY_STRING ? strtoull(r->str, NULL, 10) : 0;
}

static void on_time(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL && r->elements == 2)
        view->redis_ms = text_u64(r->element[0]) * 1000 + text_u64(r->element[1]) / 1000;
    ended(view);
}

static void on_counters(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL && r->elements == QUEUE_COUNTERS)
        for (size_t i = 0; i < QUEUE_COUNTERS; i++)
            view->counters[i] = text_u64(r->element[i]);
    ended(view);
}

static void read_gate(struct account_view *a, const redisReply *r) {
    struct gate g;
    gate_read(r->type == REDIS_REPLY_STRING ? (struct span){r->str, r->len} : (struct span){NULL, 0}, &g);
    a->mode = g.mode;
    a->tokens = g.tokens;
    a->tokens_at_ms = g.at_ms;
    a->concurrency = g.concurrency;
    a->failures = g.failures;
    a->until_ms = g.until_ms;
    a->refused = g.refused;
    memcpy(a->code, g.code, sizeof(a->code));
}

static void on_gates_of_accounts(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL)
        for (size_t i = 0; i < r->elements && i < view->account_count; i++)
            read_gate(&view->accounts[i], r->element[i]);
    ended(view);
}

static void read_pause(struct pause_view *p, const redisReply *r) {
    char *end;
    p->on = true;
    p->until_ms = strtoull(r->str, &end, 10);
    snprintf(p->reason, sizeof(p->reason), "%s", *end == ' ' ? end + 1 : end);
}

static struct account_view *account_of(struct view *view, const char *name) {
    const struct account_view *a = view_account(view, name);
    return a != NULL ? &view->accounts[a - view->accounts] : NULL;
}

static void on_pauses(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL) {
        view->pause.on = false;
        for (uint32_t i = 0; i < view->account_count; i++)
            view->accounts[i].pause.on = false;
        for (size_t i = 0; i + 1 < r->elements; i += 2) {
            struct account_view *a = account_of(view, r->element[i]->str);
            if (r->element[i]->len == 0)
                read_pause(&view->pause, r->element[i + 1]);
            else if (a != NULL)
                read_pause(&a->pause, r->element[i + 1]);
        }
    }
    ended(view);
}

/* in_flight.lua's reply. */
static void on_in_flight(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL)
        for (size_t i = 0; i < r->elements && i < view->worker_count; i++)
            view->workers[i].inflight = r->element[i]->integer > 0 ? (uint64_t)r->element[i]->integer : 0;
    ended(view);
}

static void ask_in_flight(struct view *view) {
    const struct consumer *consumer = view_consumer(view);
    if (consumer == NULL || view->worker_count == 0)
        return;
    struct buf *cmd = &consumer->worker->scratch.cmd, *key = &consumer->worker->scratch.path;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_IN_FLIGHT, view->worker_count, 0);
    for (uint32_t i = 0; i < view->worker_count; i++) {
        buf_reset(key);
        queue_keys_claims(&consumer->keys, span_str(view->workers[i].id), key);
        redis_resp_arg(cmd, buf_span(key));
    }
    view->replies_out++;
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_IN_FLIGHT, cmd, on_in_flight, view);
}

static void on_workers(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL) {
        view->worker_count = 0;
        for (size_t i = 0; i + 1 < r->elements && view->worker_count < VIEW_WORKERS_MAX; i += 2) {
            struct worker_view *w = &view->workers[view->worker_count++];
            snprintf(w->id, sizeof(w->id), "%s", r->element[i]->str);
            w->lease_until_ms = text_u64(r->element[i + 1]);
            w->inflight = 0;
            w->info[0] = '\0';
        }
        ask_in_flight(view);
    }
    ended(view);
}

static void on_infos(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL)
        for (size_t i = 0; i + 1 < r->elements; i += 2)
            for (uint32_t k = 0; k < view->worker_count; k++)
                if (strcmp(view->workers[k].id, r->element[i]->str) == 0 &&
                    r->element[i + 1]->len < sizeof(view->workers[k].info))
                    strcpy(view->workers[k].info, r->element[i + 1]->str);
    ended(view);
}

static void on_head(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    view->failed |= r == NULL;
    if (r != NULL && r->type == REDIS_REPLY_STRING) {
        uint64_t hash = XXH3_64bits(r->str, r->len);
        uint64_t at = hash == view->head_hash && view->head_since_ms > 0
                          ? view->head_since_ms
                          : job_enqueued_ms(&view->views->doc, (struct span){r->str, r->len});
        view->head_since_ms = at > 0 ? at : clock_unix_ms();
        view->head_hash = hash;
    } else if (r != NULL) {
        view->head_since_ms = view->head_hash = 0;
    }
    ended(view);
}

/* waits.lua's reply. */
static void on_waits(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL && r->elements == 3 &&
        r->element[0]->type == REDIS_REPLY_STRING && r->element[2]->type == REDIS_REPLY_INTEGER) {
        view->waiting_since_ms =
            record_since_ms(&view->views->doc, (struct span){r->element[0]->str, r->element[0]->len});
        view->overdue_since_ms = text_u64(r->element[1]);
        view->overdue = r->element[2]->integer > 0 ? (uint64_t)r->element[2]->integer : 0;
    }
    ended(view);
}

static void ask_waits(struct view *view, const struct consumer *consumer) {
    static const enum queue_key keys[] = {KEY_WAITING, KEY_GATES, KEY_PARKED, KEY_DELAYED};
    struct buf *cmd = &consumer->worker->scratch.cmd;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_WAITS, 4, 0);
    for (size_t i = 0; i < 4; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    view->replies_out++;
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_WAITS, cmd, on_waits, view);
}

/* Members of `waiting` are "<account> <position>", all of one score. */
static void on_waiting_of_account(void *arg, const redisReply *r, const char *error) {
    struct account_view *a = arg;
    (void)error;
    a->waiting = number(a->view, r);
    ended(a->view);
}

static void on_gates(void *arg, const redisReply *r, const char *error) {
    struct view *view = arg;
    const struct consumer *consumer = view_consumer(view);
    (void)error;
    if (usable(view, r, REDIS_REPLY_ARRAY) != NULL && consumer != NULL) {
        struct span key = consumer->keys.key[KEY_WAITING];
        for (uint32_t i = 0; i < view->account_count; i++)
            view->accounts[i].waiting = 0;
        for (size_t i = 0; i < r->elements; i++) {
            struct account_view *a = account_of(view, r->element[i]->str);
            if (a == NULL)
                continue;
            a->view = view;
            view->replies_out++;
            redis_router_command(consumer->worker->redis.router, consumer->keys.slot, on_waiting_of_account,
                                 a, "ZLEXCOUNT %b [%s%s (%s!", key.ptr, key.len, a->name, " ", a->name);
        }
    }
    ended(view);
}

struct reading {
    struct view *view;
    const struct consumer *consumer;
    struct buf *cmd;
};

static void begin(const struct reading *g, size_t args, const char *command, enum queue_key key) {
    buf_reset(g->cmd);
    redis_resp_begin(g->cmd, 2 + args);
    redis_resp_str(g->cmd, command);
    redis_resp_arg(g->cmd, g->consumer->keys.key[key]);
}

static void send_read(const struct reading *g, redis_reply_fn done) {
    g->view->replies_out++;
    redis_router_send(g->consumer->worker->redis.router, g->consumer->keys.slot, buf_span(g->cmd), 0, done,
                      g->view);
}

/* `rest` is more arguments, each after a space. */
static void ask(const struct reading *g, redis_reply_fn done, const char *command, enum queue_key key,
                const char *rest) {
    size_t args = 0;
    for (const char *p = rest; *p != '\0'; p++)
        args += *p == ' ';
    begin(g, args, command, key);
    while (*rest != '\0') {
        size_t n = strcspn(++rest, " ");
        redis_resp_arg(g->cmd, (struct span){rest, n});
        rest += n;
    }
    send_read(g, done);
}

static void ask_counters(const struct reading *g) {
    begin(g, QUEUE_COUNTERS, "HMGET", KEY_STATS);
    for (size_t i = 0; i < QUEUE_COUNTERS; i++)
        redis_resp_str(g->cmd, queue_counter_names[i]);
    send_read(g, on_counters);
}

static void ask_accounts(const struct reading *g) {
    begin(g, g->view->account_count, "HMGET", KEY_ACCOUNTS);
    for (uint32_t i = 0; i < g->view->account_count; i++)
        redis_resp_str(g->cmd, g->view->accounts[i].name);
    send_read(g, on_gates_of_accounts);
}

/* A reload may have changed which accounts there are. */
static bool same_accounts(const struct view *view, const struct consumer *consumer) {
    bool same = view->account_count == consumer->accounts.count;
    for (uint32_t i = 0; same && i < consumer->accounts.count; i++)
        same = strcmp(view->accounts[i].name, consumer->accounts.list[i]->account->name) == 0;
    return same;
}

static bool take_accounts(struct view *view, const struct consumer *consumer) {
    if (same_accounts(view, consumer))
        return true;
    struct account_view *accounts = calloc(consumer->accounts.count + 1, sizeof(*accounts));
    if (accounts == NULL)
        return false;
    for (uint32_t i = 0; i < consumer->accounts.count; i++) {
        accounts[i].view = view;
        accounts[i].mode = 'n';
        strcpy(accounts[i].name, consumer->accounts.list[i]->account->name);
    }
    free(view->accounts);
    view->accounts = accounts;
    view->account_count = consumer->accounts.count;
    return true;
}

bool view_read_start(struct view *view) {
    const struct consumer *consumer = view_consumer(view);
    if (consumer == NULL || consumer->worker->mode == WORKER_STOPPED || !consumer_is_up(consumer) ||
        !take_accounts(view, consumer)) {
        view_progress(view, clock_boot_ns());
        return false;
    }
    struct worker *w = consumer->worker;
    struct reading g = {.view = view, .consumer = consumer, .cmd = &w->scratch.cmd};
    view->failed = false;
    view->replies_out = 1;
    redis_router_command(w->redis.router, consumer->keys.slot, on_time, view, "TIME");
    ask(&g, on_jobs, "LLEN", KEY_JOBS, "");
    ask(&g, on_results, "LLEN", KEY_RESULTS, "");
    ask(&g, on_dead, "ZCARD", KEY_DEAD, "");
    ask(&g, on_delayed, "ZCARD", KEY_DELAYED, "");
    ask(&g, on_waiting, "ZCARD", KEY_WAITING, "");
    ask(&g, on_workers_alive, "ZCARD", KEY_WORKERS, "");
    ask(&g, on_head, "LINDEX", KEY_JOBS, " -1");
    ask_counters(&g);
    if (view->account_count > 0)
        ask_accounts(&g);
    ask(&g, on_pauses, "HGETALL", KEY_PAUSES, "");
    ask(&g, on_workers, "ZRANGE", KEY_WORKERS, " 0 255 WITHSCORES");
    ask(&g, on_infos, "HGETALL", KEY_WORKERS_INFO, "");
    ask_waits(view, consumer);
    ask(&g, on_gates, "ZRANGE", KEY_GATES, " 0 199"); /* so many accounts' waiting jobs are counted */
    return true;
}
