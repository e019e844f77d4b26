/* /api/v1/dead/QUEUE: a page of dead letters, the newest first.
 *
 * A cursor is the last letter looked at: its rank says where the page begins. Where that letter is gone meanwhile, its
 * time says so (O(log n) both). dead_walk.c does the rest. */
#include "admin/dead.h"

#include <stdlib.h>
#include <string.h>

#include "admin/api.h"
#include "admin/dead_list.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX     200
#define NODES_MAX    (1u << 20)

/* ---- where to begin ---- */

static void placed(struct dead_walk *k) {
    if (--k->replies_out > 0)
        return;
    k->next_rank = k->cursor_found ? k->rank + 1 : k->newer;
    dead_walk_next(k);
}

static void on_total(void *arg, const redisReply *r, const char *error) {
    struct dead_walk *k = arg;
    (void)error;
    k->total = r != NULL && r->type == REDIS_REPLY_INTEGER ? (uint64_t)r->integer : 0;
    placed(k);
}

static void on_newer(void *arg, const redisReply *r, const char *error) {
    struct dead_walk *k = arg;
    (void)error;
    k->newer = r != NULL && r->type == REDIS_REPLY_INTEGER ? (uint64_t)r->integer : 0;
    placed(k);
}

static void on_rank(void *arg, const redisReply *r, const char *error) {
    struct dead_walk *k = arg;
    (void)error;
    k->cursor_found = r != NULL && r->type == REDIS_REPLY_INTEGER;
    k->rank = k->cursor_found ? (uint64_t)r->integer : 0;
    placed(k);
}

static void place(struct dead_walk *k) {
    const struct span key = k->keys.key[KEY_DEAD];
    uint64_t from = k->cursor_id[0] != '\0' ? k->cursor_ms : k->filter.until_ms;
    k->replies_out = 1;
    redis_router_command(k->worker->redis.router, k->keys.slot, on_total, k, "ZCARD %b", key.ptr, key.len);
    if (from > 0) {
        k->replies_out++;
        redis_router_command(k->worker->redis.router, k->keys.slot, on_newer, k, "ZCOUNT %b (%llu +inf",
                             key.ptr, key.len, (unsigned long long)from);
    }
    if (k->cursor_id[0] != '\0') {
        k->replies_out++;
        redis_router_command(k->worker->redis.router, k->keys.slot, on_rank, k, "ZREVRANK %b %s", key.ptr,
                             key.len, k->cursor_id);
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

static bool read_cursor(struct request *r, struct dead_walk *k) {
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

static bool read_filter(struct request *r, struct dead_walk *k) {
    struct dead_filter *f = &k->filter;
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
    const struct consumer *consumer = request_consumer(r);
    struct dead_walk *k = consumer != NULL ? calloc(1, sizeof(*k)) : NULL;
    if (consumer == NULL)
        return;
    if (k == NULL || queue_keys_init(&k->keys, r->admin->worker->boot->redis_prefix, r->param[0], NULL) < 0) {
        free(k);
        answer_error(r, 500, "memory", "out of memory");
        return;
    }
    k->worker = r->admin->worker;
    k->chunk = DEAD_CHUNK_FIRST;
    k->letters = cJSON_CreateArray();
    k->messages = r->with_token;
    k->began_ns = clock_boot_ns();
    json_init(&k->doc, NODES_MAX);
    if (!read_filter(r, k)) {
        dead_walk_free(k);
        return;
    }
    place(k);
    request_wait(r, &k->request);
}
