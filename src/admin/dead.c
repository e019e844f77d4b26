/* /api/v1/dead/QUEUE: a page of dead letters, the newest first, and one of them whole.
 *
 * Happy path of a page: the cursor's rank → the ids from there on → their entries, a chunk at a
 * time → those that match are written, until the page is full. A cursor is the last letter looked
 * at; where it is gone meanwhile, its time says where to go on (O(log n) both). A filter that
 * matches little makes a page look at many letters: after SCAN_MAX of them, or SCAN_NS, it ends
 * with what it has and a cursor. Chunks grow and shrink so that none keeps the loop for long.
 * Failure modes: Redis does not answer: 503 (server.c); the walk then ends at its next reply. */
#include "admin/dead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"

#define PAGE_DEFAULT  50
#define PAGE_MAX      200
#define CHUNK_FIRST   16
#define CHUNK_MAX     200
#define CHUNK_BYTES   (256u << 10) /* of entries in one reply, about */
#define SCAN_MAX      5000
#define SCAN_NS       1500000000ull
#define NODES_MAX     (1u << 20)
#define FILTER_MAX    200
#define ENTRY_OUT_MAX 400 /* bytes of a message in a list */

struct filter {
    char reason[32], account[NAME_MAX_LEN + 1], code[72], text[FILTER_MAX];
    uint64_t since_ms, until_ms, http_status; /* 0: any */
};

struct walk {
    struct request *request; /* NULL: answered otherwise */
    struct worker *worker;
    struct queue_keys keys;
    struct filter filter;
    struct json_doc doc;
    uint64_t limit, listed, scanned, next_rank;
    uint64_t began_ns;
    uint32_t chunk, replies_out;
    bool messages; /* what the provider said may be shown */
    bool last;     /* the ids read are the last that may match */
    bool at_end;   /* and all of them were looked at */
    char cursor_id[ADMIN_PARAM_MAX];
    uint64_t cursor_ms;
    bool cursor_found;
    uint64_t rank, newer; /* of the cursor, and how many are newer than its time */
    uint64_t total;
    char *ids[CHUNK_MAX];
    uint64_t times[CHUNK_MAX];
    uint32_t id_count;
    cJSON *letters;
};

static void drop_ids(struct walk *k) {
    for (uint32_t i = 0; i < k->id_count; i++)
        free(k->ids[i]);
    k->id_count = 0;
}

static void walk_free(struct walk *k) {
    drop_ids(k);
    cJSON_Delete(k->letters);
    queue_keys_deinit(&k->keys);
    json_deinit(&k->doc);
    free(k);
}

/* ---- one entry ---- */

static bool text_is(const struct json_doc *doc, uint32_t node, const char *wanted) {
    char text[128];
    return wanted[0] == '\0' || (json_copy(doc, node, text, sizeof(text)) >= 0 && strcmp(text, wanted) == 0);
}

static int64_t last_status(const struct json_doc *doc) {
    uint32_t attempts = json_get(doc, 0, "attempts"), last = JSON_NONE;
    int64_t status = 0;
    if (attempts == JSON_NONE || json_type(doc, attempts) != JSON_ARRAY)
        return 0;
    for (uint32_t i = json_first(doc, attempts); i != JSON_NONE; i = json_next(doc, attempts, i))
        last = i;
    uint32_t node = json_get(doc, last, "http_status");
    return node != JSON_NONE && json_i64(doc, node, &status) ? status : 0;
}

static bool matches(struct walk *k, const redisReply *entry, uint64_t died_ms) {
    const struct filter *f = &k->filter;
    const struct json_doc *doc = &k->doc;
    if (f->until_ms > 0 && died_ms > f->until_ms)
        return false;
    if (f->text[0] != '\0' && strcasestr(entry->str, f->text) == NULL)
        return false;
    if (json_parse(&k->doc, entry->str, entry->len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return f->reason[0] == '\0' && f->account[0] == '\0' && f->code[0] == '\0' && f->http_status == 0;
    return text_is(doc, json_get(doc, 0, "reason"), f->reason) &&
           text_is(doc, json_get(doc, 0, "account"), f->account) &&
           text_is(doc, json_pointer(doc, 0, "/error/code"), f->code) &&
           (f->http_status == 0 || last_status(doc) == (int64_t)f->http_status);
}

/* A letter's member with its bytes as they stand. */
static void add_member(cJSON *o, const struct json_doc *doc, const char *name, uint32_t node) {
    if (node == JSON_NONE)
        cJSON_AddNullToObject(o, name);
    else
        tree_add_raw(o, name, json_raw(doc, node));
}

/* What the provider said may hold personal data, and be long. */
static void add_message(struct walk *k, cJSON *o, uint32_t node) {
    char text[2048];
    int n = node != JSON_NONE && k->messages ? json_copy(&k->doc, node, text, sizeof(text)) : -1;
    if (n >= ENTRY_OUT_MAX)
        n = ENTRY_OUT_MAX;
    tree_add_text(o, "message", n < 0 ? span_str(NULL) : (struct span){text, (size_t)n});
}

static void list(struct walk *k, const char *id, uint64_t died_ms) {
    static const char *const members[] = {"reason", "account", "id", "order_key"};
    const struct json_doc *doc = &k->doc;
    bool readable = doc->count > 0 && json_type(doc, 0) == JSON_OBJECT;
    uint32_t attempts = readable ? json_get(doc, 0, "attempts") : JSON_NONE;
    cJSON *o = api_element(k->letters);
    k->listed++;
    tree_add_text(o, "dead_id", span_str(id));
    tree_add_u64(o, "died_at", died_ms);
    tree_add_u64(o, "attempts", attempts != JSON_NONE ? doc->nodes[attempts].count : 0);
    tree_add_i64(o, "http_status", readable ? last_status(doc) : 0);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        add_member(o, doc, members[i], readable ? json_get(doc, 0, members[i]) : JSON_NONE);
    add_member(o, doc, "code", readable ? json_pointer(doc, 0, "/error/code") : JSON_NONE);
    add_message(k, o, readable ? json_pointer(doc, 0, "/error/message") : JSON_NONE);
}

/* ---- the walk ---- */

static void add_cursor(const struct walk *k, cJSON *answer) {
    char cursor[ADMIN_PARAM_MAX + 24];
    snprintf(cursor, sizeof(cursor), "%llu~%s", (unsigned long long)k->cursor_ms, k->cursor_id);
    tree_add_text(answer, "cursor", k->at_end || k->cursor_id[0] == '\0' ? span_str(NULL) : span_str(cursor));
}

static void finish(struct walk *k) {
    struct request *r = k->request;
    if (r != NULL) {
        cJSON *answer = cJSON_CreateObject();
        tree_add_text(answer, "queue", span_str(k->keys.queue));
        if (cJSON_AddItemToObject(answer, "letters", k->letters))
            k->letters = NULL; /* the answer's now */
        tree_add_u64(answer, "total", k->total);
        tree_add_u64(answer, "scanned", k->scanned);
        add_cursor(k, answer);
        answer_tree(r, 200, answer);
        request_done(r);
    }
    walk_free(k);
}

static void fail(struct walk *k, const char *error) {
    if (k->request != NULL) {
        struct request *r = k->request;
        answer_error(r, 503, "redis", "Redis: %s", error != NULL && error[0] != '\0' ? error : "no answer");
        request_done(r);
    }
    walk_free(k);
}

/* False: failed, and the walk is over. */
static bool is_array(struct walk *k, const redisReply *r, const char *error) {
    if (r != NULL && r->type == REDIS_REPLY_ARRAY)
        return true;
    fail(k, r != NULL && r->type == REDIS_REPLY_ERROR ? r->str : error);
    return false;
}

static void next_chunk(struct walk *k);

static void on_entries(void *arg, const redisReply *r, const char *error) {
    struct walk *k = arg;
    size_t bytes = 0;
    if (!is_array(k, r, error))
        return;
    uint32_t i = 0;
    while (i < r->elements && i < k->id_count && k->listed < k->limit) {
        const redisReply *e = r->element[i];
        k->scanned++;
        k->next_rank++;
        k->cursor_ms = k->times[i];
        snprintf(k->cursor_id, sizeof(k->cursor_id), "%s", k->ids[i]);
        bytes += e->len;
        if (e->type == REDIS_REPLY_STRING && k->request != NULL && matches(k, e, k->times[i]))
            list(k, k->ids[i], k->times[i]);
        i++;
    }
    k->at_end = k->last && i == k->id_count;
    if (bytes > 2 * CHUNK_BYTES && k->chunk > 1)
        k->chunk /= 2;
    else if (bytes < CHUNK_BYTES / 2 && k->chunk * 2 <= CHUNK_MAX)
        k->chunk *= 2;
    next_chunk(k);
}

static void read_entries(struct walk *k) {
    struct buf *cmd = &k->worker->text_cmd;
    buf_reset(cmd);
    redis_resp_begin(cmd, 2 + k->id_count);
    redis_resp_str(cmd, "HMGET");
    redis_resp_arg(cmd, k->keys.key[KEY_DEAD_ENTRIES]);
    for (uint32_t i = 0; i < k->id_count; i++)
        redis_resp_str(cmd, k->ids[i]);
    redis_router_send(k->worker->redis, k->keys.slot, buf_span(cmd), 0, on_entries, k);
}

static void on_ids(void *arg, const redisReply *r, const char *error) {
    struct walk *k = arg;
    if (!is_array(k, r, error))
        return;
    drop_ids(k);
    for (size_t i = 0; i + 1 < r->elements && k->id_count < CHUNK_MAX; i += 2) {
        uint64_t at = (uint64_t)strtod(r->element[i + 1]->str, NULL);
        if (at < k->filter.since_ms) {
            k->last = true; /* the rest is older still */
            break;
        }
        k->times[k->id_count] = at;
        k->ids[k->id_count] = strdup(r->element[i]->str);
        k->id_count += k->ids[k->id_count] != NULL;
    }
    k->last |= r->elements < 2 * (size_t)k->chunk;
    k->at_end = k->id_count == 0;
    if (k->at_end)
        finish(k);
    else
        read_entries(k);
}

static void next_chunk(struct walk *k) {
    bool enough = k->listed >= k->limit || k->scanned >= SCAN_MAX || clock_boot_ns() - k->began_ns > SCAN_NS;
    if (k->request == NULL || enough || k->at_end || k->worker->mode == WORKER_STOPPED) {
        finish(k);
        return;
    }
    const struct span key = k->keys.key[KEY_DEAD];
    redis_router_command(k->worker->redis, k->keys.slot, on_ids, k, "ZREVRANGE %b %llu %llu WITHSCORES",
                         key.ptr, key.len, (unsigned long long)k->next_rank,
                         (unsigned long long)(k->next_rank + k->chunk - 1));
}

/* ---- where to begin ---- */

static void placed(struct walk *k) {
    if (--k->replies_out > 0)
        return;
    k->next_rank = k->cursor_found ? k->rank + 1 : k->newer;
    next_chunk(k);
}

static void on_total(void *arg, const redisReply *r, const char *error) {
    struct walk *k = arg;
    (void)error;
    k->total = r != NULL && r->type == REDIS_REPLY_INTEGER ? (uint64_t)r->integer : 0;
    placed(k);
}

static void on_newer(void *arg, const redisReply *r, const char *error) {
    struct walk *k = arg;
    (void)error;
    k->newer = r != NULL && r->type == REDIS_REPLY_INTEGER ? (uint64_t)r->integer : 0;
    placed(k);
}

static void on_rank(void *arg, const redisReply *r, const char *error) {
    struct walk *k = arg;
    (void)error;
    k->cursor_found = r != NULL && r->type == REDIS_REPLY_INTEGER;
    k->rank = k->cursor_found ? (uint64_t)r->integer : 0;
    placed(k);
}

static void place(struct walk *k) {
    const struct span key = k->keys.key[KEY_DEAD];
    uint64_t from = k->cursor_id[0] != '\0' ? k->cursor_ms : k->filter.until_ms;
    k->replies_out = 1;
    redis_router_command(k->worker->redis, k->keys.slot, on_total, k, "ZCARD %b", key.ptr, key.len);
    if (from > 0) {
        k->replies_out++;
        redis_router_command(k->worker->redis, k->keys.slot, on_newer, k, "ZCOUNT %b (%llu +inf", key.ptr,
                             key.len, (unsigned long long)from);
    }
    if (k->cursor_id[0] != '\0') {
        k->replies_out++;
        redis_router_command(k->worker->redis, k->keys.slot, on_rank, k, "ZREVRANK %b %s", key.ptr, key.len,
                             k->cursor_id);
    }
}

/* ---- the request ---- */

static bool copy_query(struct request *r, const char *name, char *out, size_t size) {
    const char *text = request_query(r, name);
    out[0] = '\0';
    if (text == NULL)
        return true;
    if (strlen(text) >= size) {
        answer_error(r, 400, "bad_query", "%s is too long", name);
        return false;
    }
    strcpy(out, text);
    return true;
}

static bool read_cursor(struct request *r, struct walk *k) {
    char text[ADMIN_PARAM_MAX + 24];
    if (!copy_query(r, "cursor", text, sizeof(text)))
        return false;
    char *tilde = strchr(text, '~');
    if (text[0] == '\0')
        return true;
    if (tilde == NULL || strspn(text, "0123456789") != (size_t)(tilde - text) ||
        strlen(tilde + 1) >= sizeof(k->cursor_id)) {
        answer_error(r, 400, "bad_query", "cursor is none of ours");
        return false;
    }
    k->cursor_ms = strtoull(text, NULL, 10);
    strcpy(k->cursor_id, tilde + 1);
    return true;
}

static bool read_filter(struct request *r, struct walk *k) {
    struct filter *f = &k->filter;
    const uint64_t far = 99999999999999ull;
    if (!copy_query(r, "reason", f->reason, sizeof(f->reason)) ||
        !copy_query(r, "account", f->account, sizeof(f->account)) ||
        !copy_query(r, "code", f->code, sizeof(f->code)) ||
        !copy_query(r, "text", f->text, sizeof(f->text)) || !read_cursor(r, k) ||
        !query_number(r, "since", 0, far, &f->since_ms) || !query_number(r, "until", 0, far, &f->until_ms) ||
        !query_number(r, "http_status", 0, 999, &f->http_status) ||
        !query_number(r, "limit", PAGE_DEFAULT, PAGE_MAX, &k->limit))
        return false;
    if (f->text[0] != '\0' && !r->with_token) {
        answer_error(r, 403, "token_needed", "searching in orders needs the token");
        return false;
    }
    k->limit = k->limit > 0 ? k->limit : 1;
    return true;
}

void handle_dead_list(struct request *r) {
    const struct lane *lane = request_lane(r);
    struct walk *k = lane != NULL ? calloc(1, sizeof(*k)) : NULL;
    if (lane == NULL)
        return;
    if (k == NULL || queue_keys_init(&k->keys, r->admin->worker->boot->redis_prefix, r->param[0], NULL) < 0) {
        free(k);
        answer_error(r, 500, "memory", "out of memory");
        return;
    }
    k->worker = r->admin->worker;
    k->chunk = CHUNK_FIRST;
    k->letters = cJSON_CreateArray();
    k->messages = r->with_token;
    k->began_ns = clock_boot_ns();
    json_init(&k->doc, NODES_MAX);
    if (!read_filter(r, k)) {
        walk_free(k);
        return;
    }
    place(k);
    request_wait(r, &k->request);
}
