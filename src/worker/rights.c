/* Whether the Redis user may do all that the scripts do.
 *
 * A script that meets a command it may not run stops half-way, and nothing undoes what it had done; Redis 7.0 does not
 * even say which command it was. So they are tried before anything is claimed: queued in a transaction, where Redis looks
 * at the user's rights, and discarded.
 *
 * Happy path: a server not seen before → MULTI, DISCARD → MULTI, each command once, DISCARD → nothing is missing.
 * Failure modes: some are refused (NOPERM): the process ends and names them. Any other error, or no answer: nothing is
 * said, the commands themselves will tell. In a cluster nothing is tried, as a redirected command would leave the
 * transaction. */
#include "worker/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With what Redis wants before it looks at rights; K: a key of the queue. */
static const struct {
    const char *command, *args;
} wanted[] = {
    {"BLMOVE", "K K LEFT LEFT 1"},
    {"DEL", "K"},
    {"EVAL", NULL},
    {"EVALSHA", NULL},
    {"EXISTS", "K"},
    {"GET", "K"},
    {"HDEL", "K f"},
    {"HEXISTS", "K f"},
    {"HGET", "K f"},
    {"HGETALL", "K"},
    {"HINCRBY", "K f 0"},
    {"HKEYS", "K"},
    {"HLEN", "K"},
    {"HMGET", "K f"},
    {"HSET", "K f v"},
    {"HSETNX", "K f v"},
    {"LINDEX", "K 0"},
    {"LLEN", "K"},
    {"LMOVE", "K K LEFT LEFT"},
    {"LPOS", "K v"},
    {"LPUSH", "K v"},
    {"LRANGE", "K 0 0"},
    {"LREM", "K 0 v"},
    {"LTRIM", "K 0 -1"},
    {"MEMORY", "USAGE K"},
    {"MGET", "K"},
    {"MSET", "K v"},
    {"PEXPIRE", "K 1000"},
    {"PSETEX", "K 1000 v"},
    {"RPUSH", "K v"},
    {"SET", "K v"},
    {"SORT", "K BY nosort STORE K"},
    {"TYPE", "K"},
    {"UNLINK", "K"},
    {"ZADD", "K 0 v"},
    {"ZCARD", "K"},
    {"ZCOUNT", "K 0 0"},
    {"ZLEXCOUNT", "K [a [a"},
    {"ZMSCORE", "K v"},
    {"ZRANGE", "K 0 0"},
    {"ZRANGEBYLEX", "K [a [a"},
    {"ZRANGEBYSCORE", "K 0 0"},
    {"ZREM", "K v"},
    {"ZSCORE", "K v"},
};
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

struct probe {
    struct worker *worker;
    struct consumer *consumer; /* lives as long as `asides` counts this */
    size_t answered;
    char missing[400];
};

static void end(struct probe *p) {
    struct worker *w = p->worker;
    p->consumer->asides--;
    if (p->missing[0] != '\0' && w->mode != WORKER_STOPPED) {
        log_msg(LOG_ERROR, "redis_rights",
                "Redis: the user may not do all that is needed: %s. Nothing was begun. docs/operations.md, "
                "\"The rights of each "
                "role\", has the ACL of a worker",
                p->missing);
        w->end.exit_code = 1;
        w->mode = WORKER_STOPPED;
        worker_close(w);
    }
    free(p);
}

static void note(struct probe *p, const char *command) {
    size_t n = strlen(p->missing);
    snprintf(p->missing + n, sizeof(p->missing) - n, "%s+%s", n > 0 ? " " : "", command);
    for (char *c = p->missing + n; *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
}

static bool is_denied(const redisReply *r) {
    return r != NULL && r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOPERM", 6) == 0;
}

/* Answers come in the commands' order. */
static void on_queued(void *arg, const redisReply *r, const char *error) {
    struct probe *p = arg;
    (void)error;
    if (is_denied(r))
        note(p, wanted[p->answered].command);
    p->answered++;
}

static void on_discarded(void *arg, const redisReply *r, const char *error) {
    (void)r, (void)error;
    end(arg);
}

static void send_words(struct probe *p, const char *command, const char *words, redis_reply_fn done) {
    struct consumer *consumer = p->consumer;
    struct buf *cmd = &p->worker->scratch.cmd;
    char copy[64] = "";
    const char *list[8];
    char *save = NULL;
    size_t n = 0;
    snprintf(copy, sizeof(copy), "%s", words != NULL ? words : "");
    for (char *word = strtok_r(copy, " ", &save); word != NULL && n < 8; word = strtok_r(NULL, " ", &save))
        list[n++] = word;
    buf_reset(cmd);
    redis_resp_begin(cmd, words != NULL ? 1 + n : 4);
    redis_resp_str(cmd, command);
    if (words == NULL) { /* EVAL, EVALSHA: a script, and one key */
        redis_resp_str(cmd, "return 0");
        redis_resp_str(cmd, "1");
        redis_resp_arg(cmd, consumer->keys.key[KEY_JOBS]);
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], "K") == 0)
            redis_resp_arg(cmd, consumer->keys.key[KEY_JOBS]);
        else
            redis_resp_str(cmd, list[i]);
    }
    redis_router_send(p->worker->redis.router, consumer->keys.slot, buf_span(cmd), 0, done, p);
}

/* MULTI is allowed: what follows is surely not carried out. */
static void on_may_discard(void *arg, const redisReply *r, const char *error) {
    struct probe *p = arg;
    struct worker *w = p->worker;
    (void)error;
    bool sure = r != NULL && r->type == REDIS_REPLY_STATUS && w->mode != WORKER_STOPPED &&
                w->redis.router != NULL && redis_router_is_single(w->redis.router) &&
                consumer_is_up(p->consumer);
    if (!sure) {
        end(p);
        return;
    }
    redis_router_command(w->redis.router, p->consumer->keys.slot, NULL, NULL, "MULTI");
    for (size_t i = 0; i < WANTED; i++)
        send_words(p, wanted[i].command, wanted[i].args, on_queued);
    redis_router_command(w->redis.router, p->consumer->keys.slot, on_discarded, p, "DISCARD");
}

void consumer_check_rights(struct consumer *consumer) {
    struct worker *w = consumer->worker;
    if (!redis_router_is_single(w->redis.router) || w->redis.rights_unchecked)
        return;
    struct probe *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return;
    p->worker = w;
    p->consumer = consumer;
    consumer->asides++;
    redis_router_command(w->redis.router, consumer->keys.slot, NULL, NULL, "MULTI");
    redis_router_command(w->redis.router, consumer->keys.slot, on_may_discard, p, "DISCARD");
}
