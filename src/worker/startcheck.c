/* What an operator should know of each Redis server that is used, said once for each.
 *
 * Happy path: a consumer's node is there → INFO → a server not seen before, and its version will do →
 * without an append-only file, CONFIG GET save → a warning for what is amiss, with what to type
 * (eviction.c watches the eviction policy). Nothing waits for it. Failure modes: older than 6.2 (BLMOVE is missing): the
 * program ends. INFO or CONFIG not permitted, as on managed servers: said, and that is all. No
 * answer: asked again when the node is back. */
#include "worker/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST 602 /* 6.2 */

/* Lives until the last answer; the consumer may be gone by then. */
struct check {
    struct worker *worker;
    uint16_t slot;
    char queue[NAME_MAX_LEN + 1];
};

/* The value of "name:value\r\n" in INFO's text; "" where it is not. */
static const char *info_field(const redisReply *r, const char *name, char out[static 64]) {
    const char *at = r->type == REDIS_REPLY_STRING ? strstr(r->str, name) : NULL;
    size_t len = at != NULL ? strcspn(at + strlen(name), "\r\n") : 0;
    if (len >= 64)
        len = 0;
    memcpy(out, at != NULL ? at + strlen(name) : "", len);
    out[len] = '\0';
    return out;
}

static bool seen_before(struct worker *w, const char *run_id) {
    for (unsigned i = 0; i < w->redis.servers_seen; i++)
        if (strcmp(w->redis.server_ids[i], run_id) == 0)
            return true;
    unsigned at = w->redis.servers_seen < SERVERS_MAX ? w->redis.servers_seen++ : SERVERS_MAX - 1;
    snprintf(w->redis.server_ids[at], sizeof(w->redis.server_ids[at]), "%.40s", run_id);
    return false;
}

static void refuse(struct worker *w, const char *version) {
    log_msg(LOG_ERROR, "redis_too_old", "Redis is %s; dray needs 6.2 or newer, or Valkey: upgrade the server",
            version);
    w->end.exit_code = 1;
    w->mode = WORKER_STOPPED;
    worker_close(w);
}

static bool too_old(const char *version) {
    char *dot = NULL;
    unsigned long major = strtoul(version, &dot, 10);
    unsigned long minor = *dot == '.' ? strtoul(dot + 1, NULL, 10) : 0;
    return version[0] != '\0' && major * 100 + minor < OLDEST;
}

static void on_save(void *arg, const redisReply *r, const char *error) {
    struct check *c = arg;
    (void)error;
    if (r != NULL && (r->type != REDIS_REPLY_ARRAY || r->elements < 2))
        log_msg(LOG_INFO, "redis_unchecked",
                "queue %s: CONFIG is not permitted: see to it that Redis persists its data", c->queue);
    else if (r != NULL && r->element[1]->len == 0)
        log_msg(LOG_WARN, "redis_not_persistent",
                "queue %s: Redis writes nothing to disk, a restart loses every job. Type: CONFIG "
                "SET appendonly yes, "
                "then CONFIG REWRITE",
                c->queue);
    free(c);
}

static void on_info(void *arg, const redisReply *r, const char *error) {
    struct check *c = arg;
    struct worker *w = c->worker;
    char version[64], text[64];
    bool next = false;
    (void)error;
    if (r == NULL || w->mode == WORKER_STOPPED) {
        free(c);
        return;
    }
    if (redis_router_is_unmapped(w->redis.router) && !seen_before(w, "CLUSTER SLOTS is not permitted"))
        log_msg(LOG_WARN, "redis_unchecked",
                "CLUSTER SLOTS is not permitted: where each queue is, is found by being sent on (MOVED), and "
                "a failover is "
                "noticed later; grant +cluster|slots");
    if (r->type == REDIS_REPLY_ERROR) {
        if (!seen_before(w, "INFO is not permitted"))
            log_msg(LOG_INFO, "redis_unchecked",
                    "INFO is not permitted: the server's version and settings are not checked");
    } else if (too_old(info_field(r, "redis_version:", version))) {
        refuse(w, version);
    } else if (!seen_before(w, info_field(r, "run_id:", text))) {
        next = strcmp(info_field(r, "aof_enabled:", text), "0") == 0;
    }
    if (next)
        redis_router_command(w->redis.router, c->slot, on_save, c, "CONFIG GET save");
    else
        free(c);
}

void consumer_check_server(const struct consumer *consumer) {
    struct check *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return;
    c->worker = consumer->worker;
    c->slot = consumer->keys.slot;
    snprintf(c->queue, sizeof(c->queue), "%s", consumer->keys.queue);
    redis_router_command(consumer->worker->redis.router, c->slot, on_info, c, "INFO");
}
