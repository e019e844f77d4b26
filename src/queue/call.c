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
    uint16_t slot;
    bool again;             /* sent as EVAL */
    struct redis_wait wait; /* .waited NULL: none */
    bool resend;            /* as EVAL, once WAIT is answered */
    queue_reply_fn done;
    void *arg;
};

struct queue_caller {
    struct redis_router *router;
    struct call *pool;
    unsigned pooled;
};

struct queue_caller *queue_caller_new(struct redis_router *router) {
    struct queue_caller *c = calloc(1, sizeof(*c));
    if (c != NULL)
        c->router = router;
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
    call->again = call->resend = false;
    call->wait = (struct redis_wait){0};
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

static void on_reply(void *arg, const redisReply *reply, const char *error);
static void on_waited(void *arg, long long replicas);

static void send_call(struct call *call, struct span cmd) {
    struct redis_router *r = call->caller->router;
    struct redis_wait wait = call->wait;
    if (wait.waited == NULL) {
        redis_router_send(r, call->slot, cmd, 0, on_reply, call);
        return;
    }
    wait.waited = on_waited;
    redis_router_send_wait(r, call->slot, cmd, &wait, on_reply, call);
}

/* "*n EVALSHA sha keys …" as "*n EVAL text keys …". */
static void send_as_eval(struct call *call) {
    static const size_t evalsha = sizeof("$7\r\nEVALSHA\r\n$40\r\n") - 1 + 40 + 2;
    const struct script *s = &scripts[call->script];
    struct span cmd = buf_span(&call->cmd);
    size_t head = (size_t)((const char *)memchr(cmd.ptr, '\n', cmd.len) + 1 - cmd.ptr);
    struct buf eval;
    buf_init(&eval, CALL_MAX);
    buf_add(&eval, cmd.ptr, head);
    redis_resp_str(&eval, "EVAL");
    redis_resp_arg(&eval, (struct span){s->text, s->len});
    buf_add(&eval, cmd.ptr + head + evalsha, cmd.len - head - evalsha);
    if (!buf_ok(&eval))
        abort();
    send_call(call, buf_span(&eval));
    buf_deinit(&eval);
}

static bool is_noscript(const redisReply *reply) {
    return reply != NULL && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0;
}

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct call *call = arg;
    if (is_noscript(reply) && !call->again) {
        call->again = true;
        call->resend = call->wait.waited != NULL;
        if (!call->resend)
            send_as_eval(call);
        return;
    }
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        error = reply->str;
    call->done(call->arg, reply, error != NULL ? error : "");
    if (call->wait.waited == NULL)
        call_put(call);
}

static void on_waited(void *arg, long long replicas) {
    struct call *call = arg;
    if (call->resend) {
        call->resend = false;
        send_as_eval(call);
        return;
    }
    call->wait.waited(call->arg, replicas);
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
void queue_call_wait(struct queue_caller *c, uint16_t slot, enum script_id script, const struct buf *cmd,
                     const struct redis_wait *wait, queue_reply_fn done, void *arg) {
    struct call *call = call_get(c);
    if (call == NULL)
        abort();
    call->script = script;
    call->slot = slot;
    call->done = done;
    call->arg = arg;
    if (wait != NULL)
        call->wait = *wait;
    buf_add_span(&call->cmd, buf_span(cmd));
    if (!buf_ok(&call->cmd))
        abort();
    send_call(call, buf_span(&call->cmd));
}

void queue_call(struct queue_caller *c, uint16_t slot, enum script_id script, const struct buf *cmd,
                queue_reply_fn done, void *arg) {
    queue_call_wait(c, slot, script, cmd, NULL, done, arg);
}

uint64_t queue_reply_u64(const redisReply *reply, size_t i) {
    const redisReply *e = i < reply->elements ? reply->element[i] : NULL;
    if (e == NULL || e->str == NULL)
        return e != NULL && e->integer > 0 ? (uint64_t)e->integer : 0;
    return strtoull(e->str, NULL, 10);
}
