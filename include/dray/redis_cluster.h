/* Sends commands to the Redis node that serves their slot, be it a Cluster or a single server.
 *
 * The router connects to the address in the options and asks for CLUSTER SLOTS. If there is no cluster, it
 * passes everything to that one connection, at no cost. In a cluster it keeps one connection for each node that is
 * used, follows MOVED (and learns the new map) and ASK, and waits out TRYAGAIN. So a slot may migrate and a node may
 * fail over under load.
 *
 * `done` is called exactly once, never from within the call, with reply NULL if the answer was lost. A command that
 * was redirected may be overtaken by later ones. With Sentinel in the options there is no cluster.
 *
 * A blocking command holds up the node's other commands, so blocking commands get a router of their own. */
#ifndef DRAY_REDIS_CLUSTER_H
#define DRAY_REDIS_CLUSTER_H

#include "dray/redis.h"

struct redis_router;

/* Called when the connection to a node changes its state, except to CLOSED. `place` is "host:port". */
typedef void (*redis_router_state_fn)(void *arg, enum redis_state state, const char *place,
                                      const char *reason);

/* The slot (0 to 16383) of a key. Of a key with a hash tag (a first {, and a } behind it with something between) only
 * the tag counts. */
uint16_t redis_slot(struct span key);

/* As redis_conn_new, but `options` itself is copied. `on_state` may be NULL. */
struct redis_router *redis_router_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                      redis_router_state_fn on_state, void *arg, struct err *err);
/* The state of the connection to the node that serves the slot, as far as that is known. Asking connects to it. */
enum redis_state redis_router_state(struct redis_router *r, uint16_t slot);
/* Why that node was last DOWN, or "". */
const char *redis_router_error(struct redis_router *r, uint16_t slot);
/* As redis_send, redis_command and redis_flush. */
void redis_router_send(struct redis_router *r, uint16_t slot, struct span resp, uint32_t block_ms,
                       redis_reply_fn done, void *arg);
/* Whether this is a single server, which redirects no command. */
bool redis_router_is_single(const struct redis_router *r);
/* Sends a command whose effect must reach replicas. WAIT follows it at once on the same connection, wherever
 * redirections lead, for at most `wait_ms`. `done` gets the command's reply. Then `waited` gets the number of replicas
 * that have it, or -1 if that is not known. Each is called once. The node's other commands wait meanwhile: send
 * one such command at a time. */
struct redis_wait {
    uint32_t replicas, wait_ms;
    void (*waited)(void *arg, long long replicas);
};
void redis_router_send_wait(struct redis_router *r, uint16_t slot, struct span resp,
                            const struct redis_wait *wait, redis_reply_fn done, void *arg);
void redis_router_command(struct redis_router *r, uint16_t slot, redis_reply_fn done, void *arg,
                          const char *format, ...);
void redis_router_flush(struct redis_router *r);
/* Ends the blocking commands of the router `blocked` with a nil reply: sends CLIENT UNBLOCK over the connections of `by`
 * to the same nodes. Does nothing where such a connection is not up: call it again later. */
void redis_router_unblock(struct redis_router *blocked, struct redis_router *by);
/* Uses the passwords, users and TLS files of `new` for all connections made from now on. The strings of `new` must
 * outlive the router; those of the options before need not any more. */
void redis_router_renew(struct redis_router *r, const struct redis_options *new);
/* As redis_conn_close. */
void redis_router_close(struct redis_router *r, void (*closed)(void *arg), void *arg);

/* How many connections are up. */
uint32_t redis_router_connections(const struct redis_router *r);
/* The sums over all connections, closed ones included. */
struct redis_stats redis_router_stats(const struct redis_router *r);
/* Whether this is a cluster whose map (CLUSTER SLOTS) the user may not read. */
bool redis_router_is_unmapped(const struct redis_router *r);
/* Whether the server said that it is a node of a cluster, when it was last asked. */
bool redis_router_is_cluster(const struct redis_router *r);

#endif
