/* Where jobs are: one order by its id or key (find), or a page of a place (jobs).
 *
 * Happy path: the workers' names → one call of find.lua → what it found is added → the next call, until the page is full, the end
 * is reached, or SEARCH_NS are over: then the answer has a cursor to go on with. find asks the ledger last.
 * Failure modes: Redis does not answer: 503 (server.c); the search then ends at its next reply. */
#include "admin/jobs.h"

#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "util/json_tree.h"
#include "worker/find.h"

#define SEARCH_NS    1500000000ull
#define PAGE_DEFAULT 50
#define PAGE_MAX     200
#define FIND_MOST    100
#define LEDGER_MAX   1000 /* accounts whose entry of a key is asked for */
#define WANTED_MAX   260  /* bytes of an id or a key */

struct search {
    struct request *request; /* NULL: answered otherwise */
    struct worker *worker;
    struct config *config; /* counted */
    struct queue_keys keys;
    struct find_reader reader;
    struct buf cmd;
    char wanted[WANTED_MAX]; /* "": any */
    char cursor[64];
    const char *places;
    uint64_t most, looked, began_ns;
    bool contents;
    cJSON *answer, *list, *ledger;
    uint32_t asked[LEDGER_MAX], asked_count; /* accounts, by their place in the configuration */
};

static void search_free(struct search *s) {
    cJSON_Delete(s->answer);
    find_deinit(&s->reader);
    queue_keys_deinit(&s->keys);
    buf_deinit(&s->cmd);
    config_unref(s->config);
    free(s);
}

static void finish(struct search *s) {
    struct request *r = s->request;
    if (r != NULL) {
        cJSON_AddNumberToObject(s->answer, "looked", (double)s->looked);
        if (s->cursor[0] != '\0')
            cJSON_AddStringToObject(s->answer, "cursor", s->cursor);
        else
            cJSON_AddNullToObject(s->answer, "cursor");
        answer_tree(r, 200, s->answer);
        s->answer = NULL;
        request_done(r);
    }
    search_free(s);
}

static void fail(struct search *s, const redisReply *reply, const char *error) {
    if (s->request != NULL) {
        const char *why = reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : error;
        answer_error(s->request, 503, "redis", "Redis: %s",
                     why != NULL && why[0] != '\0' ? why : "no answer");
        request_done(s->request);
    }
    search_free(s);
}

/* ---- the ledger ---- */

static void on_ledger(void *arg, const redisReply *reply, const char *error) {
    struct search *s = arg;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        fail(s, reply, error);
        return;
    }
    for (size_t i = 0; i < reply->elements && i < s->asked_count; i++) {
        const redisReply *e = reply->element[i];
        if (e->type == REDIS_REPLY_STRING)
            cJSON_AddItemToArray(s->ledger, find_ledger_entry(s->config->accounts[s->asked[i]]->name,
                                                              s->wanted, (struct span){e->str, e->len}));
    }
    finish(s);
}

/* Asks the ledger: for the key that was given, under each account of the queue; where an id was given, for the
 * key of the job that was found. */
static void ask_ledger(struct search *s) {
    const cJSON *first = cJSON_GetArrayItem(s->list, 0);
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItem(first, "order_key"));
    struct buf name;
    if (key != NULL && strlen(key) < sizeof(s->wanted))
        strcpy(s->wanted, key);
    for (uint32_t i = 0; i < s->config->account_count && s->asked_count < LEDGER_MAX; i++)
        if (strcmp(s->config->accounts[i]->queue, s->keys.queue) == 0)
            s->asked[s->asked_count++] = i;
    if (s->asked_count == 0 || s->worker->mode == WORKER_STOPPED) {
        finish(s);
        return;
    }
    buf_init(&name, 4096);
    buf_reset(&s->cmd);
    redis_resp_begin(&s->cmd, 1 + s->asked_count);
    redis_resp_str(&s->cmd, "MGET");
    for (uint32_t i = 0; i < s->asked_count; i++) {
        buf_reset(&name);
        queue_keys_order(&s->keys, span_str(s->config->accounts[s->asked[i]]->name), span_str(s->wanted),
                         &name);
        redis_resp_arg(&s->cmd, buf_span(&name));
    }
    buf_deinit(&name);
    redis_router_send(s->worker->redis.router, s->keys.slot, buf_span(&s->cmd), 0, on_ledger, s);
}

/* ---- the search ---- */

static void ask_workers(struct search *s);

static void on_found(void *arg, const redisReply *reply, const char *error) {
    struct search *s = arg;
    uint64_t looked;
    if (!find_read(reply, s->cursor, &looked)) {
        fail(s, reply, error);
        return;
    }
    s->looked += looked;
    for (size_t i = 0; i < find_count(reply); i++)
        cJSON_AddItemToArray(
            s->list, find_item(&s->reader, reply, i, s->wanted[0] != '\0' ? s->wanted : NULL, s->contents));
    bool full = (uint64_t)cJSON_GetArraySize(s->list) >= s->most || clock_boot_ns() - s->began_ns > SEARCH_NS;
    if (s->request == NULL || s->worker->mode == WORKER_STOPPED)
        finish(s);
    else if (s->cursor[0] != '\0' && !full)
        ask_workers(s);
    else if (s->ledger != NULL)
        ask_ledger(s);
    else
        finish(s);
}

static void on_workers(void *arg, const redisReply *reply, const char *error) {
    struct search *s = arg;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || s->worker->mode == WORKER_STOPPED) {
        fail(s, reply, error);
        return;
    }
    struct find_query q = {.needle = find_needle(s->wanted),
                           .places = s->places,
                           .cursor = s->cursor,
                           .most = (uint32_t)s->most - (uint32_t)cJSON_GetArraySize(s->list)};
    find_write(&s->cmd, &s->keys, reply, &q);
    queue_call(s->worker->caller, s->keys.slot, SCRIPT_FIND, &s->cmd, on_found, s);
}

static void ask_workers(struct search *s) {
    struct span key = s->keys.key[KEY_WORKERS];
    redis_router_command(s->worker->redis.router, s->keys.slot, on_workers, s, "ZRANGE %b 0 -1", key.ptr,
                         key.len);
}

/* ---- the requests ---- */

static struct search *search_new(struct request *r, const char *list_name) {
    struct search *s = calloc(1, sizeof(*s));
    struct worker *w = r->admin->worker;
    if (s == NULL || queue_keys_init(&s->keys, w->boot->redis_prefix, r->param[0], NULL) < 0) {
        free(s);
        return NULL;
    }
    s->worker = w;
    s->config = config_ref(w->config);
    find_init(&s->reader, s->config, s->keys.queue);
    buf_init(&s->cmd, 16u << 20);
    s->contents = r->with_token;
    s->began_ns = clock_boot_ns();
    s->answer = cJSON_CreateObject();
    tree_add_text(s->answer, "queue", span_str(s->keys.queue));
    s->list = cJSON_AddArrayToObject(s->answer, list_name);
    if (s->list != NULL)
        return s;
    search_free(s);
    return NULL;
}

static bool read_cursor(struct request *r, struct search *s) {
    const char *text = request_query(r, "cursor");
    if (text == NULL || (strlen(text) < sizeof(s->cursor) && strspn(text, "0123456789 ") == strlen(text))) {
        strcpy(s->cursor, text != NULL ? text : "");
        return true;
    }
    answer_error(r, 400, "bad_query", "cursor is none of ours");
    return false;
}

static void start(struct request *r, struct search *s) {
    ask_workers(s);
    request_wait(r, &s->request);
}

void handle_find(struct request *r) {
    if (request_consumer(r) == NULL)
        return;
    const char *wanted = request_query(r, "q");
    if (wanted == NULL || wanted[0] == '\0' || strlen(wanted) >= WANTED_MAX) {
        answer_error(r, 400, "bad_query", "q must be a job's id or an order key, of at most %d bytes",
                     WANTED_MAX - 1);
        return;
    }
    struct search *s = search_new(r, "found");
    if (s == NULL) {
        answer_error(r, 500, "memory", "out of memory");
        return;
    }
    strcpy(s->wanted, wanted);
    tree_add_text(s->answer, "wanted", span_str(wanted));
    s->ledger = cJSON_AddArrayToObject(s->answer, "ledger");
    s->places = FIND_ALL;
    s->most = FIND_MOST;
    if (read_cursor(r, s))
        start(r, s);
    else
        search_free(s);
}

void handle_jobs(struct request *r) {
    static const struct {
        const char *name, *letters;
    } places[] = {{"queued", "tj"}, {"in_flight", "i"}, {"delayed", "d"}, {"waiting", "w"}};
    const char *place = request_query(r, "place"), *letters = NULL;
    if (request_consumer(r) == NULL)
        return;
    for (size_t i = 0; place != NULL && i < sizeof(places) / sizeof(places[0]); i++)
        if (strcmp(place, places[i].name) == 0)
            letters = places[i].letters;
    if (letters == NULL) {
        answer_error(r, 400, "bad_query", "place must be queued, in_flight, delayed or waiting");
        return;
    }
    struct search *s = search_new(r, "jobs");
    if (s == NULL) {
        answer_error(r, 500, "memory", "out of memory");
        return;
    }
    cJSON_AddStringToObject(s->answer, "place", place);
    s->places = letters;
    if (query_number(r, "limit", PAGE_DEFAULT, PAGE_MAX, &s->most) && read_cursor(r, s)) {
        s->most = s->most > 0 ? s->most : 1;
        start(r, s);
    } else {
        search_free(s);
    }
}
