#include "queue/call.h"

#include <stdlib.h>
#include <string.h>

#define CALL_MAX   (512u << 20) /* bytes of one command, Redis's own limit of a bulk string */
#define POOL_MAX   32           /* calls kept for reuse */
#define KEEP_BYTES (256u << 10) /* a larger buffer is given back to the allocator */

struct call {
    struct call *next;
    struct queue_caller *caller;
    struct buf cmd;
    enum script_id script;
    bool reloaded;
    queue_reply_fn done;
    void *arg;
};

struct queue_caller {
    struct redis_conn *conn;
    struct call *pool;
    unsigned pooled;
};

struct queue_caller *queue_caller_new(struct redis_conn *conn) {
    struct queue_caller *c = calloc(1, sizeof(*c));
    if (c != NULL)
        c->conn = conn;
    return c;
}

static void call_free(struct call *call) {
    buf_deinit(&call->cmd);
    free(call);
}

void queue_caller_free(struct queue_caller *c) {
    if (c == NULL)
        return;
    while (c->pool != NULL) {
        struct call *call = c->pool;
        c->pool = call->next;
        call_free(call);
    }
    free(c);
}

static struct call *call_get(struct queue_caller *c) {
    struct call *call = c->pool;
    if (call != NULL) {
        c->pool = call->next;
        c->pooled--;
    } else {
        call = calloc(1, sizeof(*call));
        if (call == NULL)
            return NULL;
        call->caller = c;
        buf_init(&call->cmd, CALL_MAX);
    }
    call->reloaded = false;
    buf_reset(&call->cmd);
    return call;
}

static void call_put(struct call *call) {
    struct queue_caller *c = call->caller;
    if (c->pooled >= POOL_MAX || call->cmd.cap > KEEP_BYTES) {
        call_free(call);
        return;
    }
    call->next = c->pool;
    c->pool = call;
    c->pooled++;
}

static void load_script(struct queue_caller *c, const struct script *s) {
    struct buf cmd;
    buf_init(&cmd, s->len + 128);
    redis_resp_begin(&cmd, 3);
    redis_resp_str(&cmd, "SCRIPT");
    redis_resp_str(&cmd, "LOAD");
    redis_resp_arg(&cmd, (struct span){s->text, s->len});
    if (buf_ok(&cmd))
        redis_send(c->conn, buf_span(&cmd), 0, NULL, NULL);
    buf_deinit(&cmd);
}

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct call *call = arg;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR && !call->reloaded &&
        strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        call->reloaded = true;
        load_script(call->caller, &scripts[call->script]);
        redis_send(call->caller->conn, buf_span(&call->cmd), 0, on_reply, call);
        return;
    }
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        error = reply->str;
    call->done(call->arg, reply, error != NULL ? error : "");
    call_put(call);
}

void queue_cmd_begin(struct buf *cmd, enum script_id script, size_t keys, size_t args) {
    redis_resp_begin(cmd, 3 + keys + args);
    redis_resp_str(cmd, "EVALSHA");
    redis_resp_arg(cmd, (struct span){scripts[script].sha, 40});
    redis_resp_u64(cmd, keys);
}

void queue_cmd_key(struct buf *cmd, const struct queue_keys *k, enum queue_key key) {
    buf_add_span(cmd, k->bulk[key]);
}

/* Out of memory here ends the process: Redis holds every job's state, another worker recovers. */
void queue_call(struct queue_caller *c, enum script_id script, const struct buf *cmd, queue_reply_fn done,
                void *arg) {
    struct call *call = call_get(c);
    if (call == NULL)
        abort();
    call->script = script;
    call->done = done;
    call->arg = arg;
    buf_add_span(&call->cmd, buf_span(cmd));
    if (!buf_ok(&call->cmd))
        abort();
    redis_send(c->conn, buf_span(&call->cmd), 0, on_reply, call);
}

void queue_load_scripts(struct queue_caller *c) {
    for (int i = 0; i < SCRIPT_COUNT; i++)
        load_script(c, &scripts[i]);
}
