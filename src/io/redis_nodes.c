/* The nodes of a cluster, with one connection each, and which slots they serve.
 *
 * Happy path: the seed is UP → CLUSTER SLOTS → map. A node is connected to when it is first needed.
 * Failure modes:
 * - "cluster support disabled": a single server.
 * - The user may not ask for the map: HELLO has said whether this is a cluster; if so, MOVED tells each slot's
 *   node.
 * - A MOVED, a node that is DOWN, or a CLUSTERDOWN: any node that is UP is asked for the map again.
 * - A node that serves nothing any more is closed once nothing is under way on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_parts.h"
#include "io/redis_router.h"

#define WATCH_MS 500 /* between looks at the map while a node is DOWN */

static struct redis_node *informant(struct redis_router *r);

struct redis_node *redis_node_of(struct redis_router *r, uint16_t slot) {
    struct redis_node *n = r->slots[slot % REDIS_SLOTS];
    if (n == NULL && r->unmapped && r->nodes[0]->conn != NULL &&
        redis_conn_state(r->nodes[0]->conn) != REDIS_UP)
        n = informant(r); /* which knows where */
    return n != NULL ? n : r->nodes[0];
}

/* Without the map, only another node's MOVED tells that a node's slots have gone elsewhere. So they are
 * forgotten, and asked for anew. */
static void forget_slots(struct redis_router *r, const struct redis_node *n) {
    for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
        if (r->slots[slot] == n)
            r->slots[slot] = NULL;
}

static void tell(struct redis_router *r, struct redis_node *n, enum redis_state state, const char *reason) {
    if (r->on_state != NULL && !r->closing)
        r->on_state(r->arg, state, redis_conn_place(n->conn), reason);
}

static void on_client_id(void *arg, const redisReply *reply, const char *error) {
    struct redis_node *n = arg;
    (void)error;
    n->under_way--;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER)
        n->client_id = reply->integer;
}

/* For redis_router_unblock. */
static void ask_client_id(struct redis_node *n) {
    n->under_way++;
    redis_command(n->conn, on_client_id, n, "CLIENT ID");
}

static void on_node_state(void *arg, enum redis_state state, const char *reason) {
    struct redis_node *n = arg;
    struct redis_router *r = n->router;
    if (r->closing)
        return;
    if (n->seed && state == REDIS_DOWN && r->mode == REDIS_MODE_SINGLE)
        r->mode = REDIS_MODE_UNKNOWN; /* what comes back there may be something else */
    n->client_id = 0;
    if (state == REDIS_UP)
        ask_client_id(n);
    if (state == REDIS_DOWN && r->unmapped)
        forget_slots(r, n);
    if (state != REDIS_CONNECTING) {
        if (state == REDIS_UP || r->mode == REDIS_MODE_CLUSTER)
            redis_slots_refresh(r);
        n->fresh = false;
        redis_calls_release(n, state == REDIS_UP ? NULL : reason);
    }
    if (state != REDIS_UP || r->mode != REDIS_MODE_UNKNOWN)
        tell(r, n, state, reason); /* else on_slots does */
}

static int add(struct redis_router *r, struct redis_node *n) {
    if (r->node_count == r->node_cap) {
        size_t cap = r->node_cap > 0 ? r->node_cap * 2 : 8;
        struct redis_node **nodes = realloc(r->nodes, cap * sizeof(struct redis_node *));
        if (nodes == NULL)
            return -1;
        r->nodes = nodes;
        r->node_cap = cap;
    }
    r->nodes[r->node_count++] = n;
    return 0;
}

static struct redis_node *node_new(struct redis_router *r, const char *host, uint16_t port) {
    struct redis_node *n = calloc(1, sizeof(*n));
    if (n == NULL || add(r, n) != 0) {
        free(n);
        return NULL;
    }
    n->router = r;
    n->fresh = true;
    n->seed = host == NULL;
    n->options = r->options;
    if (host != NULL) {
        snprintf(n->host, sizeof(n->host), "%s", host);
        n->options.host = n->host;
        n->options.port = port;
        n->options.unix_path = NULL;
        n->options.sentinels = NULL;
    }
    return n;
}

int redis_node_connect(struct redis_node *n, struct err *err) {
    struct redis_router *r = n->router;
    if (n->conn == NULL)
        n->conn = redis_conn_new(r->loop, &n->options, r->rng, on_node_state, n, err);
    return n->conn != NULL ? 0 : -1;
}

int redis_node_new_seed(struct redis_router *r, struct err *err) {
    struct redis_node *n = node_new(r, NULL, 0);
    return n != NULL ? redis_node_connect(n, err) : err_set(err, "out of memory");
}

struct redis_node *redis_node_get(struct redis_router *r, const char *host, uint16_t port) {
    for (size_t i = 0; i < r->node_count; i++) {
        const struct redis_options *o = &r->nodes[i]->options;
        if (o->unix_path == NULL && o->host != NULL && o->port == port && strcmp(o->host, host) == 0)
            return r->nodes[i];
    }
    return node_new(r, host, port);
}

/* --- nodes that serve nothing any more --- */

static void on_retired(void *arg) {
    free(arg);
}

void redis_stats_add(struct redis_stats *sum, const struct redis_node *n) {
    if (n->conn == NULL)
        return;
    struct redis_stats s = redis_conn_stats(n->conn);
    sum->commands += s.commands;
    sum->writes += s.writes;
    sum->reconnects += s.reconnects;
    sum->errors += s.errors;
}

static void retire(struct redis_router *r, size_t i) {
    struct redis_node *n = r->nodes[i];
    redis_stats_add(&r->gone, n);
    memmove(&r->nodes[i], &r->nodes[i + 1], (r->node_count - i - 1) * sizeof(struct redis_node *));
    r->node_count--;
    if (n->conn != NULL)
        redis_conn_close(n->conn, on_retired, n);
    else
        free(n);
}

static void retire_unused(struct redis_router *r) {
    for (size_t i = r->node_count; i-- > 1;) {
        struct redis_node *n = r->nodes[i];
        bool used = n->under_way > 0 || n->held.first != NULL;
        for (size_t slot = 0; slot < REDIS_SLOTS && !used; slot++)
            used = r->slots[slot] == n;
        if (!used)
            retire(r, i);
    }
}

/* --- the map --- */

static bool is_string(const redisReply *r) {
    return r->type == REDIS_REPLY_STRING;
}

/* [first, last, [host, port, …], …]. A node that does not know its own address leaves it empty:
 * then it is the informant's. */
static void read_range(struct redis_router *r, const redisReply *range, const struct redis_node *from) {
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3)
        return;
    const redisReply *first = range->element[0], *last = range->element[1];
    const redisReply *master = range->element[2];
    if (first->type != REDIS_REPLY_INTEGER || last->type != REDIS_REPLY_INTEGER || first->integer < 0 ||
        last->integer >= REDIS_SLOTS || master->type != REDIS_REPLY_ARRAY || master->elements < 2 ||
        master->element[1]->type != REDIS_REPLY_INTEGER)
        return;
    const redisReply *name = master->element[0];
    const char *host = is_string(name) && name->len > 0 ? name->str : from->options.host;
    if (host == NULL)
        return;
    struct redis_node *n = redis_node_get(r, host, (uint16_t)master->element[1]->integer);
    if (n == NULL)
        return;
    for (long long slot = first->integer; slot <= last->integer; slot++)
        r->slots[slot] = n;
}

static void read_map(struct redis_router *r, const redisReply *reply, const struct redis_node *from) {
    r->mode = REDIS_MODE_CLUSTER;
    memset(r->slots, 0, sizeof(r->slots));
    for (size_t i = 0; i < reply->elements; i++)
        read_range(r, reply->element[i], from);
    retire_unused(r);
}

static bool any_down(const struct redis_router *r) {
    for (size_t i = 0; i < r->node_count; i++) {
        const struct redis_conn *conn = r->nodes[i]->conn;
        if (conn != NULL && redis_conn_state(conn) == REDIS_DOWN)
            return true;
    }
    return false;
}

/* The user may not ask for the map, and the server did not say that it stands alone: MOVED alone leads the way. */
static bool may_be_cluster(const redisReply *reply, const struct redis_node *from) {
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0 &&
           redis_conn_kind(from->conn) != REDIS_SERVER_SINGLE;
}

static void on_map(struct redis_router *r, const redisReply *reply, const struct redis_node *from) {
    if (reply->type == REDIS_REPLY_ARRAY)
        read_map(r, reply, from);
    else if (from->seed && r->mode != REDIS_MODE_CLUSTER)
        r->mode = may_be_cluster(reply, from) ? REDIS_MODE_CLUSTER : REDIS_MODE_SINGLE;
    r->unmapped = r->mode == REDIS_MODE_CLUSTER && reply->type == REDIS_REPLY_ERROR &&
                  strncmp(reply->str, "NOPERM", 6) == 0;
    if (r->mode == REDIS_MODE_CLUSTER && any_down(r)) { /* a failover may be under way */
        r->refresh_at = uv_now(r->loop) + WATCH_MS;
        r->stale = true;
    }
}

static void on_slots(void *arg, const redisReply *reply, const char *error) {
    struct redis_node *from = arg;
    struct redis_router *r = from->router;
    (void)error;
    from->under_way--;
    if (r->closing)
        return;
    r->refreshing = false;
    if (reply == NULL) {
        r->stale = true; /* the next node that is UP is asked */
        return;
    }
    bool first = r->mode == REDIS_MODE_UNKNOWN;
    on_map(r, reply, from);
    if (r->stale)
        redis_slots_refresh(r);
    if (first)
        tell(r, from, REDIS_UP, "");
}

void redis_router_renew(struct redis_router *r, const struct redis_options *new) {
    redis_options_renew(&r->options, new);
    for (size_t i = 0; i < r->node_count && !r->closing; i++) {
        redis_options_renew(&r->nodes[i]->options, new);
        if (r->nodes[i]->conn != NULL)
            redis_conn_renew(r->nodes[i]->conn);
    }
}

static struct redis_node *informant(struct redis_router *r) {
    for (size_t i = 0; i < r->node_count; i++) {
        const struct redis_conn *conn = r->nodes[i]->conn;
        if (conn != NULL && redis_conn_state(conn) == REDIS_UP)
            return r->nodes[i];
    }
    return NULL;
}

/* The node of `by` that `n` is connected to; NULL while `by` has no connection to it. */
static struct redis_node *same_node(struct redis_router *by, const struct redis_node *n) {
    struct redis_node *peer = n->seed ? by->nodes[0] : redis_node_get(by, n->options.host, n->options.port);
    if (peer == NULL || redis_node_connect(peer, NULL) != 0 || redis_conn_state(peer->conn) != REDIS_UP ||
        strcmp(redis_conn_place(peer->conn), redis_conn_place(n->conn)) != 0)
        return NULL; /* not yet, or Sentinel has named another master since */
    return peer;
}

void redis_router_unblock(struct redis_router *blocked, struct redis_router *by) {
    for (size_t i = 0; i < blocked->node_count && !blocked->closing && !by->closing; i++) {
        const struct redis_node *n = blocked->nodes[i];
        struct redis_node *peer = n->client_id != 0 ? same_node(by, n) : NULL;
        if (peer != NULL)
            redis_command(peer->conn, NULL, NULL, "CLIENT UNBLOCK %lld", n->client_id);
    }
}

void redis_slots_refresh(struct redis_router *r) {
    struct redis_node *n = informant(r);
    uint64_t now = uv_now(r->loop);
    r->stale = true;
    if (r->refreshing || n == NULL)
        return; /* on_slots, or the next node that is UP */
    if (now < r->refresh_at) {
        redis_router_start_tick(r, r->refresh_at - now);
        return;
    }
    r->stale = false;
    r->refreshing = true;
    r->refresh_at = now + REDIS_TICK_MS;
    n->under_way++;
    redis_command(n->conn, on_slots, n, "CLUSTER SLOTS");
}

bool redis_router_is_unmapped(const struct redis_router *r) {
    return r->unmapped;
}
