/* Small things that the parts of the Redis client share. */
#ifndef DRAY_IO_REDIS_PARTS_H
#define DRAY_IO_REDIS_PARTS_H

#include "dray/redis.h"
#include "io/redis_dial.h"

/* "127.0.0.1:6379", "[::1]:6379" or the socket's path, for messages. */
void redis_place(char *out, size_t size, const struct redis_address *address);

/* In ms, with the default. */
uint32_t redis_connect_timeout(const struct redis_options *o);
uint32_t redis_command_timeout(const struct redis_options *o);

/* 0, or -1 and `err`. */
int redis_options_check(const struct redis_options *o, struct err *err);
/* Passwords, users and TLS files of `new`, whose strings must outlive the options. */
void redis_options_renew(struct redis_options *o, const struct redis_options *new);
/* The TLS files that the connection's options name are read again before its next attempt. */
void redis_conn_renew(struct redis_conn *c);

enum redis_server_kind { REDIS_SERVER_UNKNOWN, REDIS_SERVER_SINGLE, REDIS_SERVER_CLUSTER };

/* What the server last said that it is; UNKNOWN also where it did not say. */
enum redis_server_kind redis_conn_kind(const struct redis_conn *c);

/* Error replies "the cluster is down", as long as they go on. */
struct redis_standstill {
    uint64_t since, last; /* ms, loop time */
};
/* Notes an error reply. True where the cluster has been down for REDIS_STANDSTILL_MS: what is known of it here
 * is perhaps no longer true, and the connection is to be made anew. */
bool redis_standstill_goes_on(struct redis_standstill *s, const char *text, uint64_t now_ms);
#define REDIS_STANDSTILL_MS 5000

/* How long to wait after `attempts` failures in a row, the last one for `reason`: full jitter, and
 * at the slow end where only a person can help. */
uint64_t redis_backoff_ms(uint32_t attempts, const char *reason, struct rng *rng);

/* Takes the context out of a connection that is UP and has nothing unanswered. The connection is to
 * be closed next, without another turn of the loop. */
redisContext *redis_conn_detach(struct redis_conn *c);

#endif
