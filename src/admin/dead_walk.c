/* From dead letter to dead letter, the newest first.
 *
 * Happy path: the ids from next_rank on → their entries, a chunk at a time → those that match are listed, until the
 * page is full. A filter that matches little makes a page look at many letters: after SCAN_MAX of them, or SCAN_NS, it
 * ends with what it has and a cursor. Chunks grow and shrink so that none keeps the loop for long.
 * Failure modes: Redis does not answer: 503 (request.c); the walk then ends at its next reply. */
#include "admin/dead_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256u << 10) /* of entries in one reply, about */
#define SCAN_MAX    5000
#define SCAN_NS     1500000000ull

static void drop_ids(struct dead_walk *k) {
    for (uint32_t i = 0; i < k->id_count; i++)
        free(k->ids[i]);
    k->id_count = 0;
}

void dead_walk_free(struct dead_walk *k) {
    drop_ids(k);
    cJSON_Delete(k->letters);
    queue_keys_deinit(&k->keys);
    json_deinit(&k->doc);
    free(k);
}

static void add_cursor(const struct dead_walk *k, cJSON *answer) {
    char cursor[ADMIN_PARAM_MAX + 24];
    snprintf(cursor, sizeof(cursor), "%llu~%s", (unsigned long long)k->cursor_ms, k->cursor_id);
    tree_add_text(answer, "cursor", k->at_end || k->cursor_id[0] == '\0' ? span_str(NULL) : span_str(cursor));
}

static void finish(struct dead_walk *k) {
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
    dead_walk_free(k);
}

static void fail(struct dead_walk *k, const char *error) {
    if (k->request != NULL) {
        struct request *r = k->request;
        answer_error(r, 503, "redis", "Redis: %s", error != NULL && error[0] != '\0' ? error : "no answer");
        request_done(r);
    }
    dead_walk_free(k);
}

/* False: failed, and the walk is over. */
static bool is_array(struct dead_walk *k, const redisReply *r, const char *error) {
    if (r != NULL && r->type == REDIS_REPLY_ARRAY)
        return true;
    fail(k, r != NULL && r->type == REDIS_REPLY_ERROR ? r->str : error);
    return false;
}

static void on_entries(void *arg, const redisReply *r, const char *error) {
    struct dead_walk *k = arg;
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
        if (e->type == REDIS_REPLY_STRING && k->request != NULL && dead_entry_matches(k, e, k->times[i]))
            dead_entry_list(k, k->ids[i], k->times[i]);
        i++;
    }
    k->at_end = k->last && i == k->id_count;
    if (bytes > 2 * CHUNK_BYTES && k->chunk > 1)
        k->chunk /= 2;
    else if (bytes < CHUNK_BYTES / 2 && k->chunk * 2 <= DEAD_CHUNK_MAX)
        k->chunk *= 2;
    dead_walk_next(k);
}

static void read_entries(struct dead_walk *k) {
    struct buf *cmd = &k->worker->scratch.cmd;
    buf_reset(cmd);
    redis_resp_begin(cmd, 2 + k->id_count);
    redis_resp_str(cmd, "HMGET");
    redis_resp_arg(cmd, k->keys.key[KEY_DEAD_ENTRIES]);
    for (uint32_t i = 0; i < k->id_count; i++)
        redis_resp_str(cmd, k->ids[i]);
    redis_router_send(k->worker->redis.router, k->keys.slot, buf_span(cmd), 0, on_entries, k);
}

static void on_ids(void *arg, const redisReply *r, const char *error) {
    struct dead_walk *k = arg;
    if (!is_array(k, r, error))
        return;
    drop_ids(k);
    for (size_t i = 0; i + 1 < r->elements && k->id_count < DEAD_CHUNK_MAX; i += 2) {
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

void dead_walk_next(struct dead_walk *k) {
    bool enough = k->listed >= k->limit || k->scanned >= SCAN_MAX || clock_boot_ns() - k->began_ns > SCAN_NS;
    if (k->request == NULL || enough || k->at_end || k->worker->mode == WORKER_STOPPED) {
        finish(k);
        return;
    }
    const struct span key = k->keys.key[KEY_DEAD];
    redis_router_command(k->worker->redis.router, k->keys.slot, on_ids, k,
                         "ZREVRANGE %b %llu %llu WITHSCORES", key.ptr, key.len,
                         (unsigned long long)k->next_rank, (unsigned long long)(k->next_rank + k->chunk - 1));
}
