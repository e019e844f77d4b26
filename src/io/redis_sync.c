/* A blocking connection for the CLI: runs one attempt of the asynchronous connection on a loop of
 * its own, so that resolving, TLS, AUTH and Sentinel are the same code, and takes the context out.
 *
 * Happy path: redis_conn_new → UP → detach → blocking, with timeouts. A key's node: TYPE is asked,
 * and the MOVED that answers it is followed, once. Failure modes: the first DOWN ends it, with its
 * reason. */
#include "dray/redis.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_parts.h"

struct sync {
    struct redis_conn *conn;
    struct err *err;
    bool up, settled, closed;
};

static void on_state(void *arg, enum redis_state state, const char *reason) {
    struct sync *s = arg;
    if (state == REDIS_CONNECTING || s->settled)
        return;
    s->settled = true;
    s->up = state == REDIS_UP;
    if (!s->up)
        err_set(s->err, "Redis at %s: %s", redis_conn_place(s->conn), reason);
}

static void on_closed(void *arg) {
    ((struct sync *)arg)->closed = true;
}

static void make_blocking(redisContext *ctx, const struct redis_options *o) {
    uint32_t ms = redis_command_timeout(o);
    struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    int flags = fcntl(ctx->fd, F_GETFL);
    fcntl(ctx->fd, F_SETFL, flags & ~O_NONBLOCK);
    ctx->flags |= REDIS_BLOCK;
    redisSetTimeout(ctx, limit);
}

/* Closes what is left. A look-up of a name that hangs still writes to the loop when it ends. Then the loop is
 * left to the end of the process, and not waited for. */
static void end_loop(struct sync *s, uv_loop_t *loop) {
    redis_conn_close(s->conn, on_closed, s);
    while (!s->closed)
        uv_run(loop, UV_RUN_NOWAIT);
    uv_run(loop, UV_RUN_NOWAIT);
    if (uv_loop_close(loop) == 0)
        free(loop);
}

redisContext *redis_connect_sync(const struct redis_options *options, struct err *err) {
    struct sync s = {.err = err};
    struct rng rng;
    rng_seed(&rng, 1); /* only for the backoff, which is never reached */
    uv_loop_t *loop = malloc(sizeof(*loop));
    if (loop == NULL || uv_loop_init(loop) != 0) {
        free(loop);
        err_set(err, "out of memory");
        return NULL;
    }
    s.conn = redis_conn_new(loop, options, &rng, on_state, &s, err);
    if (s.conn == NULL) {
        uv_loop_close(loop);
        free(loop);
        return NULL;
    }
    while (!s.settled)
        uv_run(loop, UV_RUN_ONCE);
    redisContext *ctx = s.up ? redis_conn_detach(s.conn) : NULL;
    end_loop(&s, loop);
    if (ctx != NULL)
        make_blocking(ctx, options);
    return ctx;
}

/* Reads the "host:port" of "MOVED 3999 127.0.0.1:6381". An empty host means the server that said so. 0 or -1. */
static int read_moved(const char *text, struct redis_options *o, char host[static 256]) {
    const char *at = strrchr(text, ' '), *colon = strrchr(text, ':');
    if (strncmp(text, "MOVED ", 6) != 0 || at == NULL || colon == NULL || colon < at)
        return -1;
    size_t len = (size_t)(colon - at) - 1;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (port == 0 || port > UINT16_MAX || len >= 256)
        return -1;
    memcpy(host, at + 1, len);
    host[len] = '\0';
    if (len > 0)
        o->host = host;
    o->port = (uint16_t)port;
    o->unix_path = NULL;
    return o->host != NULL ? 0 : -1;
}

redisContext *redis_sync_follow(redisContext *ctx, const struct redis_options *options, const char *key,
                                struct err *err) {
    redisReply *reply = redisCommand(ctx, "TYPE %s", key);
    struct redis_options node = *options;
    char host[256];
    bool moved =
        reply != NULL && reply->type == REDIS_REPLY_ERROR && read_moved(reply->str, &node, host) == 0;
    freeReplyObject(reply);
    if (!moved)
        return ctx; /* any other answer is the caller's to meet */
    redisFree(ctx);
    return redis_connect_sync(&node, err);
}

redisContext *redis_connect_sync_key(const struct redis_options *options, const char *key, struct err *err) {
    redisContext *ctx = redis_connect_sync(options, err);
    return ctx != NULL ? redis_sync_follow(ctx, options, key, err) : NULL;
}
