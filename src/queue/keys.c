#include "queue/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dray/redis_cluster.h"

static const char *const suffixes[KEY_COUNT] = {
    [KEY_JOBS] = "jobs",
    [KEY_RESULTS] = "results",
    [KEY_DEAD] = "dead",
    [KEY_DEAD_ENTRIES] = "dead:entries",
    [KEY_DELAYED] = "delayed",
    [KEY_PARKED] = "parked",
    [KEY_WAITING] = "waiting",
    [KEY_GATES] = "gates",
    [KEY_ACCOUNTS] = "accounts",
    [KEY_LIMITS] = "limits",
    [KEY_PAUSES] = "pauses",
    [KEY_WORKERS] = "workers",
    [KEY_WORKERS_INFO] = "workers:info",
    [KEY_STATS] = "stats",
    [KEY_TAKEN] = "taken",
    [KEY_CONTROLS] = "controls",
    [KEY_FORMAT] = "format",
    [KEY_CLAIMS] = "claims:",
};

#define KEYS_TEXT_MAX 16384

/* Adds one bulk string; returns the offset of the key's first byte. */
static size_t add_bulk(struct buf *text, const char *name, size_t len) {
    buf_addf(text, "$%zu\r\n", len);
    size_t at = text->len;
    buf_add(text, name, len);
    buf_add(text, "\r\n", 2);
    return at;
}

int queue_keys_init(struct queue_keys *k, const char *prefix, const char *queue, const char *worker) {
    memset(k, 0, sizeof(*k));
    buf_init(&k->text, KEYS_TEXT_MAX);
    if (worker == NULL)
        worker = "";
    if (strlen(queue) > NAME_MAX_LEN || strlen(worker) >= sizeof(k->worker))
        return -1;
    strcpy(k->queue, queue);
    strcpy(k->worker, worker);
    snprintf(k->hash_tag, sizeof(k->hash_tag), "{%s}", queue);
    k->slot = redis_slot(span_str(k->hash_tag));
    size_t start[KEY_COUNT], at[KEY_COUNT], len[KEY_COUNT], end[KEY_COUNT];
    char name[512];
    for (int i = 0; i < KEY_COUNT; i++) {
        int n = snprintf(name, sizeof(name), "%s:{%s}:%s%s", prefix, queue, suffixes[i],
                         i >= KEY_CLAIMS ? worker : "");
        if (n < 0 || (size_t)n >= sizeof(name))
            return -1;
        start[i] = k->text.len;
        at[i] = add_bulk(&k->text, name, (size_t)n);
        len[i] = (size_t)n;
        end[i] = k->text.len;
    }
    size_t order = k->text.len;
    buf_addf(&k->text, "%s:{%s}:order:", prefix, queue);
    size_t grant = k->text.len;
    buf_addf(&k->text, "%s:{%s}:grant:", prefix, queue);
    size_t batch = k->text.len;
    buf_addf(&k->text, "%s:{%s}:batch:", prefix, queue);
    if (!buf_ok(&k->text))
        return -1;
    for (int i = 0; i < KEY_COUNT; i++) {
        k->key[i] = (struct span){k->text.data + at[i], len[i]};
        k->bulk[i] = (struct span){k->text.data + start[i], end[i] - start[i]};
    }
    k->order_prefix = (struct span){k->text.data + order, grant - order};
    k->grant_prefix = (struct span){k->text.data + grant, batch - grant};
    k->batch_prefix = (struct span){k->text.data + batch, k->text.len - batch};
    return 0;
}

void queue_keys_deinit(struct queue_keys *k) {
    buf_deinit(&k->text);
}

static bool starts_with(struct span name, struct span start) {
    return name.len >= start.len && memcmp(name.ptr, start.ptr, start.len) == 0;
}

bool queue_keys_owns(const struct queue_keys *k, struct span name) {
    for (int i = 0; i < KEY_CLAIMS; i++)
        if (i != KEY_RESULTS && span_eq(name, k->key[i]))
            return true;
    struct span claims = k->key[KEY_CLAIMS];
    claims.len -= strlen(k->worker); /* any worker's */
    return starts_with(name, claims) || starts_with(name, k->batch_prefix) ||
           starts_with(name, k->order_prefix) || starts_with(name, k->grant_prefix);
}

void queue_keys_claims(const struct queue_keys *k, struct span worker, struct buf *out) {
    buf_add(out, k->key[KEY_CLAIMS].ptr, k->key[KEY_CLAIMS].len - strlen(k->worker));
    buf_add_span(out, worker);
}

void queue_keys_batch(const struct queue_keys *k, struct span worker, uint64_t n, struct buf *out) {
    buf_add_span(out, k->batch_prefix);
    buf_add_span(out, worker);
    buf_addf(out, ":%" PRIu64, n);
}

void queue_keys_inflight(const struct queue_keys *k, struct span worker, struct buf *out) {
    buf_add(out, k->batch_prefix.ptr, k->batch_prefix.len - strlen("batch:"));
    buf_add_str(out, "inflight:");
    buf_add_span(out, worker);
}

void queue_keys_order(const struct queue_keys *k, struct span account, struct span order_key,
                      struct buf *out) {
    buf_add_span(out, k->order_prefix);
    buf_add_span(out, account);
    buf_add_char(out, ':');
    buf_add_span(out, order_key);
}
