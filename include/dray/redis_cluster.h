/* Commands to the Redis node that serves their slot, whether there is a Cluster or one server.
 *
 * The router connects to the address in the options and asks for CLUSTER SLOTS. Without cluster mode it
 * passes everything to that one connection as it is, at no cost. With it, it keeps one connection for
 * each node that is used, follows MOVED (and learns the new map) and ASK, and waits out TRYAGAIN, so that
 * a slot may migrate and a node may fail over under load.
 *
 * The promise of redis_send holds: `done` is called exactly once, never from within the call, with
 * reply NULL where the answer was lost. Commands that were redirected may be overtaken by later ones.
 * Options with Sentinel work too; then there is no cluster.
 *
 * A blocking command holds up the others of its node: such commands get a router of their own. */
#ifndef DRAY_REDIS_CLUSTER_H
#define DRAY_REDIS_CLUSTER_H

#include "dray/redis.h"

struct redis_router;

/* Some node's connection changed its state (but to CLOSED). `place` is "host:port". */
typedef void (*redis_router_state_fn)(void *arg, enum redis_state state, const char *place,
                                      const char *reason);

/* The slot (0 to 16383) of a key: of what is between the first { and the next }, if that is not empty. */
uint16_t redis_slot(struct span key);

/* As redis_conn_new, but that `options` itself is copied. `on_state` may be NULL. */
struct redis_router *redis_router_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                      redis_router_state_fn on_state, void *arg, struct err *err);
/* Of the connection to the node that serves the slot, as far as known. Asking connects to that node. */
enum redis_state redis_router_state(struct redis_router *r, uint16_t slot);
/* Why that node was last DOWN, or "". */
const char *redis_router_error(struct redis_router *r, uint16_t slot);
/* As redis_send, redis_command and redis_flush. */
void redis_router_send(struct redis_router *r, uint16_t slot, struct span resp, uint32_t block_ms,
                       redis_reply_fn done, void *arg);
/* A single server: no command is redirected. */
bool redis_router_is_single(const struct redis_router *r);
/* A command whose outcome must be on replicas: right behind it, on the same connection, wherever
 * redirections lead both, goes WAIT for so many, at most `wait_ms`. `done` gets the command's reply;
 * then `waited` is told how many replicas have it, or -1 where that is not known. Each is called once.
 * Other commands of that node wait meanwhile: keep to one at a time. */
struct redis_wait {
    uint32_t replicas, wait_ms;
    void (*waited)(void *arg, long long replicas);
};
void redis_router_send_wait(struct redis_router *r, uint16_t slot, struct span resp,
                            const struct redis_wait *wait, redis_reply_fn done, void *arg);
void redis_router_command(struct redis_router *r, uint16_t slot, redis_reply_fn done, void *arg,
                          const char *format, ...);
void redis_router_flush(struct redis_router *r);
/* Ends what blocks on `blocked`'s connections (CLIENT UNBLOCK), over `by`'s to the same nodes: its reply
 * is then nil. Where that can't be sent now, nothing happens: ask again. */
void redis_router_unblock(struct redis_router *blocked, struct redis_router *by);
/* From the next connections on, `new`'s passwords, users and TLS files (as they are then) are used. Its strings must
 * outlive the router; those of the options before need not. */
void redis_router_renew(struct redis_router *r, const struct redis_options *new);
/* As redis_conn_close. */
void redis_router_close(struct redis_router *r, void (*closed)(void *arg), void *arg);

/* How many connections are up. */
uint32_t redis_router_connections(const struct redis_router *r);
/* Sums over all connections there are and were. */
struct redis_stats redis_router_stats(const struct redis_router *r);
/* Whether it is a cluster whose map the user may not ask for (CLUSTER SLOTS). */
bool redis_router_is_unmapped(const struct redis_router *r);
/* Whether the server last said that it is a cluster's node. */
bool redis_router_is_cluster(const struct redis_router *r);

#endif
