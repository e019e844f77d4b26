/* The two halves of the router: calls (redis_router.c) and nodes with their slots (redis_nodes.c).
 */
#ifndef DRAY_IO_REDIS_ROUTER_H
#define DRAY_IO_REDIS_ROUTER_H

#include "dray/redis_cluster.h"

#define REDIS_SLOTS   16384
#define REDIS_TICK_MS 50 /* TRYAGAIN waits for so long, and so do two looks at the map */

/* One command that may have to be sent again, with the bytes to do so. */
struct redis_call {
    struct redis_call *next; /* in a list of calls that wait */
    struct redis_router *router;
    struct redis_node *node; /* where it is, or NULL while it waits for the tick */
    redis_reply_fn done;     /* or NULL */
    void *arg;
    uint32_t block_ms;
    uint16_t slot;
    uint8_t redirections;
    bool asking;            /* the next try is preceded by ASKING */
    struct redis_wait wait; /* .waited NULL: none */
    bool answered;          /* with a wait: `done` was called */
    char *redirection;      /* with a wait: the error, kept until WAIT is answered too */
    size_t len;
    char resp[];
};

struct redis_calls {
    struct redis_call *first, *last;
};

struct redis_node {
    struct redis_router *router;
    struct redis_conn *conn;      /* NULL until it is needed */
    struct redis_options options; /* the router's, with this node's address */
    char host[256];
    bool seed;               /* connects to the address in the router's options */
    bool fresh;              /* has been neither UP nor DOWN: calls are held */
    size_t under_way;        /* calls sent and not answered */
    long long client_id;     /* the server's id of this connection; 0: not known */
    struct redis_calls held; /* until the first connection is UP or DOWN */
};

enum redis_mode { REDIS_MODE_UNKNOWN, REDIS_MODE_SINGLE, REDIS_MODE_CLUSTER };

struct redis_router {
    uv_loop_t *loop;
    struct redis_options options;
    struct rng *rng;
    redis_router_state_fn on_state;
    void *arg;
    enum redis_mode mode;
    struct redis_node **nodes; /* [0] is the seed */
    size_t node_count, node_cap;
    struct redis_node *slots[REDIS_SLOTS]; /* NULL: not known */
    /* the user may not ask for the map: MOVED tells each slot's node */
    bool unmapped;
    bool refreshing;          /* CLUSTER SLOTS is under way */
    bool stale;               /* … or is to be asked again */
    uint64_t refresh_at;      /* ms, loop time: not before */
    uv_timer_t *tick;         /* TRYAGAIN, and the next look at the slots */
    struct redis_calls later; /* until the tick */
    struct redis_stats gone;  /* of connections that were closed */
    bool closing;
    size_t open; /* connections whose `closed` is owed while closing */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* redis_nodes.c */

/* Finds or adds. NULL when out of memory. */
struct redis_node *redis_node_get(struct redis_router *r, const char *host, uint16_t port);
/* Connects, if it isn't yet. 0 or -1. */
int redis_node_connect(struct redis_node *n, struct err *err);
/* The slot's node; the seed while it isn't known. */
struct redis_node *redis_node_of(struct redis_router *r, uint16_t slot);
int redis_node_new_seed(struct redis_router *r, struct err *err);
void redis_stats_add(struct redis_stats *sum, const struct redis_node *n);
/* The map may be wrong: asks for it again, soon and not too often. */
void redis_slots_refresh(struct redis_router *r);

/* redis_router.c */

/* At the latest in `ms`. */
void redis_router_start_tick(struct redis_router *r, uint64_t ms);
/* A node's first connection is there (`error` NULL), or can't be. */
void redis_calls_release(struct redis_node *n, const char *error);

#endif
