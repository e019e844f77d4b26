/* Sends commands to the node of their slot and follows redirections.
 *
 * Happy path: the slot's node → redis_send → reply → done. On a single server the caller's callback
 * is handed to the connection itself. Failure modes: MOVED and ASK send the command to the node
 * they name, TRYAGAIN sends it again after the tick; after MAX_REDIRECTIONS the error is the
 * caller's. In all three cases the command did not run. A lost connection is the caller's at once:
 * whether the command ran is not known. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_router.h"

#define MAX_REDIRECTIONS 16
#define CLOSED           "the connection was closed"

/* --- lists of calls --- */

static void push(struct redis_calls *list, struct redis_call *call) {
    call->next = NULL;
    if (list->last != NULL)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
}

static struct redis_call *pop(struct redis_calls *list) {
    struct redis_call *call = list->first;
    if (call != NULL)
        list->first = call->next;
    if (list->first == NULL)
        list->last = NULL;
    return call;
}

static void finish(struct redis_call *call, const redisReply *reply, const char *error) {
    if (call->done != NULL && !call->answered)
        call->done(call->arg, reply, error);
    if (call->wait.waited != NULL)
        call->wait.waited(call->arg, -1);
    free(call);
}

static void fail_all(struct redis_calls *list, const char *error) {
    struct redis_calls mine = *list;
    *list = (struct redis_calls){0};
    struct redis_call *call;
    while ((call = pop(&mine)) != NULL)
        finish(call, NULL, error);
}

/* --- sending, and being redirected --- */

static void on_reply(void *arg, const redisReply *reply, const char *error);
static void on_waited(void *arg, const redisReply *reply, const char *error);

static void send_wait(struct redis_node *n, struct redis_call *call) {
    struct buf b;
    buf_init(&b, 128);
    redis_resp_begin(&b, 3);
    redis_resp_str(&b, "WAIT");
    redis_resp_u64(&b, call->wait.replicas);
    redis_resp_u64(&b, call->wait.wait_ms);
    if (!buf_ok(&b))
        abort(); /* as in redis_router_send */
    n->under_way++;
    redis_send(n->conn, buf_span(&b), call->wait.wait_ms, on_waited, call);
    buf_deinit(&b);
}

static void send_to(struct redis_node *n, struct redis_call *call) {
    if (redis_node_connect(n, NULL) != 0)
        n = n->router->nodes[0]; /* which knows better, or says MOVED until the call gives up */
    call->node = n;
    if (n->fresh) {
        push(&n->held, call);
        return;
    }
    if (call->asking)
        redis_send(n->conn, SPAN_LIT("*1\r\n$6\r\nASKING\r\n"), 0, NULL, NULL);
    call->asking = false;
    n->under_way++;
    redis_send(n->conn, (struct span){call->resp, call->len}, call->block_ms, on_reply, call);
    if (call->wait.waited != NULL)
        send_wait(n, call);
}

void redis_calls_release(struct redis_node *n, const char *error) {
    struct redis_calls mine = n->held;
    n->held = (struct redis_calls){0};
    if (error != NULL) {
        fail_all(&mine, error);
        return;
    }
    struct redis_call *call;
    while ((call = pop(&mine)) != NULL)
        send_to(n, call);
}

/* "MOVED 3999 127.0.0.1:6381": the node named, or NULL. An empty host is that of the node that said
 * so; IPv6 addresses come without brackets, so that the last colon is the port's. */
static struct redis_node *named_node(const struct redis_call *call, const char *text) {
    char host[256];
    const char *at = strrchr(text, ' '), *colon = strrchr(text, ':');
    if (at == NULL || colon == NULL || colon < at)
        return NULL;
    size_t len = (size_t)(colon - at) - 1;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    if (port == 0 || port > UINT16_MAX || len >= sizeof(host))
        return NULL;
    memcpy(host, at + 1, len);
    host[len] = '\0';
    const char *same = call->node->options.host;
    if (len == 0 && same == NULL)
        return NULL;
    return redis_node_get(call->router, len > 0 ? host : same, (uint16_t)port);
}

/* Returns whether the call goes on elsewhere. */
static bool redirect(struct redis_call *call, const char *text) {
    struct redis_router *r = call->router;
    bool moved = strncmp(text, "MOVED ", 6) == 0, ask = strncmp(text, "ASK ", 4) == 0;
    bool again = strncmp(text, "TRYAGAIN", 8) == 0;
    if (strncmp(text, "CLUSTERDOWN", 11) == 0)
        redis_slots_refresh(r);
    if ((!moved && !ask && !again) || r->closing || call->redirections++ >= MAX_REDIRECTIONS)
        return false;
    if (again) {
        call->node = NULL;
        push(&r->later, call);
        redis_router_start_tick(r, REDIS_TICK_MS);
        return true;
    }
    struct redis_node *to = named_node(call, text);
    if (to == NULL)
        return false;
    if (moved) {
        r->mode = REDIS_MODE_CLUSTER;
        r->slots[call->slot] = to;
        redis_slots_refresh(r);
    }
    call->asking = ask;
    send_to(to, call);
    return true;
}

/* With a wait, WAIT's answer belongs to the call too: only after that it goes on elsewhere. */
static void on_first_reply(struct redis_call *call, const redisReply *reply, const char *error) {
    static const char *const elsewhere[] = {"MOVED ", "ASK ", "TRYAGAIN", NULL};
    for (size_t i = 0; reply != NULL && reply->type == REDIS_REPLY_ERROR && elsewhere[i] != NULL; i++) {
        if (strncmp(reply->str, elsewhere[i], strlen(elsewhere[i])) != 0)
            continue;
        call->redirection = strdup(reply->str);
        if (call->redirection != NULL)
            return;
    }
    call->answered = true;
    if (call->done != NULL)
        call->done(call->arg, reply, error);
}

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct redis_call *call = arg;
    call->node->under_way--;
    if (call->wait.waited != NULL) {
        on_first_reply(call, reply, error);
        return;
    }
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR && redirect(call, reply->str))
        return;
    finish(call, reply, error);
}

static void on_waited(void *arg, const redisReply *reply, const char *error) {
    struct redis_call *call = arg;
    char *redirection = call->redirection;
    call->redirection = NULL;
    call->node->under_way--;
    bool goes_on = redirection != NULL && reply != NULL && redirect(call, redirection);
    free(redirection);
    if (goes_on)
        return;
    if (!call->answered || reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        finish(call, NULL, error != NULL ? error : "redirected too often");
        return;
    }
    call->wait.waited(call->arg, reply->integer);
    free(call);
}

static struct redis_call *call_new(struct redis_router *r, uint16_t slot, struct span resp,
                                   redis_reply_fn done, void *arg) {
    struct redis_call *call = malloc(sizeof(*call) + resp.len);
    if (call == NULL)
        abort(); /* the callback is owed; what is in Redis survives a process that ends */
    *call = (struct redis_call){
        .router = r, .done = done, .arg = arg, .slot = slot % REDIS_SLOTS, .len = resp.len};
    memcpy(call->resp, resp.ptr, resp.len);
    return call;
}

static void start(struct redis_call *call, uint32_t block_ms) {
    struct redis_router *r = call->router;
    call->block_ms = block_ms;
    if (r->closing)
        push(&r->later, call);
    else
        send_to(redis_node_of(r, call->slot), call);
}

void redis_router_send(struct redis_router *r, uint16_t slot, struct span resp, uint32_t block_ms,
                       redis_reply_fn done, void *arg) {
    if (redis_router_is_single(r)) {
        redis_send(r->nodes[0]->conn, resp, block_ms, done, arg);
        return;
    }
    start(call_new(r, slot, resp, done, arg), block_ms);
}

bool redis_router_is_single(const struct redis_router *r) {
    return r->mode == REDIS_MODE_SINGLE && !r->closing;
}

void redis_router_send_wait(struct redis_router *r, uint16_t slot, struct span resp,
                            const struct redis_wait *wait, redis_reply_fn done, void *arg) {
    struct redis_call *call = call_new(r, slot, resp, done, arg);
    call->wait = *wait;
    start(call, 0);
}

void redis_router_command(struct redis_router *r, uint16_t slot, redis_reply_fn done, void *arg,
                          const char *format, ...) {
    char *resp = NULL;
    va_list ap;
    va_start(ap, format);
    int n = redisvFormatCommand(&resp, format, ap);
    va_end(ap);
    if (n < 0)
        abort(); /* out of memory, or a format that no test has ever run */
    redis_router_send(r, slot, (struct span){resp, (size_t)n}, 0, done, arg);
    redisFreeCommand(resp);
}

void redis_router_flush(struct redis_router *r) {
    for (size_t i = 0; i < r->node_count && !r->closing; i++) {
        if (r->nodes[i]->conn != NULL)
            redis_flush(r->nodes[i]->conn);
    }
}

/* --- the tick --- */

static void on_tick(uv_timer_t *timer) {
    struct redis_router *r = timer->data;
    struct redis_calls mine = r->later;
    r->later = (struct redis_calls){0};
    if (r->stale)
        redis_slots_refresh(r);
    struct redis_call *call;
    while ((call = pop(&mine)) != NULL)
        send_to(redis_node_of(r, call->slot), call);
}

void redis_router_start_tick(struct redis_router *r, uint64_t ms) {
    bool soon = uv_is_active((uv_handle_t *)r->tick) && uv_timer_get_due_in(r->tick) <= ms;
    if (!r->closing && !soon)
        uv_timer_start(r->tick, on_tick, ms, 0);
}

/* --- state --- */

enum redis_state redis_router_state(struct redis_router *r, uint16_t slot) {
    if (r->closing)
        return REDIS_CLOSED;
    struct redis_node *n = redis_node_of(r, slot);
    if (redis_node_connect(n, NULL) != 0)
        return REDIS_DOWN;
    enum redis_state state = redis_conn_state(n->conn);
    return state == REDIS_UP && r->mode == REDIS_MODE_UNKNOWN ? REDIS_CONNECTING : state;
}

const char *redis_router_error(struct redis_router *r, uint16_t slot) {
    const struct redis_node *n = r->closing ? NULL : redis_node_of(r, slot);
    return n != NULL && n->conn != NULL ? redis_conn_error(n->conn) : "";
}

bool redis_router_is_cluster(const struct redis_router *r) {
    return r->mode == REDIS_MODE_CLUSTER;
}

uint32_t redis_router_connections(const struct redis_router *r) {
    uint32_t n = 0;
    for (size_t i = 0; i < r->node_count && !r->closing; i++)
        n += r->nodes[i]->conn != NULL && redis_conn_state(r->nodes[i]->conn) == REDIS_UP;
    return n;
}

struct redis_stats redis_router_stats(const struct redis_router *r) {
    struct redis_stats sum = r->gone;
    for (size_t i = 0; i < r->node_count && !r->closing; i++)
        redis_stats_add(&sum, r->nodes[i]);
    return sum;
}

/* --- life --- */

struct redis_router *redis_router_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                      redis_router_state_fn on_state, void *arg, struct err *err) {
    struct redis_router *r = calloc(1, sizeof(*r));
    uv_timer_t *tick = malloc(sizeof(*tick));
    if (r == NULL || tick == NULL) {
        free(r);
        free(tick);
        err_set(err, "out of memory");
        return NULL;
    }
    r->loop = loop;
    r->options = *options;
    r->rng = rng;
    r->on_state = on_state;
    r->arg = arg;
    r->tick = tick;
    if (redis_node_new_seed(r, err) != 0) {
        for (size_t i = 0; i < r->node_count; i++)
            free(r->nodes[i]);
        free(r->nodes);
        free(tick);
        free(r);
        return NULL;
    }
    uv_timer_init(loop, tick);
    tick->data = r;
    return r;
}

static void end(struct redis_router *r) {
    while (r->later.first != NULL)
        fail_all(&r->later, CLOSED);
    void (*closed)(void *) = r->closed;
    void *arg = r->closed_arg;
    free(r->nodes);
    free(r);
    if (closed != NULL)
        closed(arg);
}

static void on_node_closed(void *arg) {
    struct redis_node *n = arg;
    struct redis_router *r = n->router;
    fail_all(&n->held, CLOSED);
    free(n);
    if (--r->open == 0)
        end(r);
}

static void free_handle(uv_handle_t *h) {
    free(h);
}

void redis_router_close(struct redis_router *r, void (*closed)(void *arg), void *arg) {
    if (r == NULL || r->closing)
        return;
    for (size_t i = 0; i < r->node_count; i++)
        redis_stats_add(&r->gone, r->nodes[i]);
    r->closing = true;
    r->closed = closed;
    r->closed_arg = arg;
    uv_close((uv_handle_t *)r->tick, free_handle);
    for (size_t i = 0; i < r->node_count; i++) {
        if (r->nodes[i]->conn != NULL) {
            r->open++;
            redis_conn_close(r->nodes[i]->conn, on_node_closed, r->nodes[i]);
        } else {
            free(r->nodes[i]);
        }
    }
}
