/* Small things that the parts of the Redis client share. */
#ifndef DRAY_IO_REDIS_PARTS_H
#define DRAY_IO_REDIS_PARTS_H

#include "dray/redis.h"
#include "io/redis_dial.h"

/* "127.0.0.1:6379", "[::1]:6379" or the socket's path, for messages. */
void redis_place(char *out, size_t size, const struct redis_address *address);

/* In ms, with the default. */
uint32_t redis_command_timeout(const struct redis_options *o);

/* Whether an error reply says that the master is elsewhere now. */
bool redis_reason_is_moved(const char *text);

/* How long to wait after `attempts` failures in a row, the last one for `reason`: full jitter, and
 * at the slow end where only a person can help. */
uint64_t redis_backoff_ms(uint32_t attempts, const char *reason, struct rng *rng);

/* Takes the context out of a connection that is UP and has nothing unanswered. The connection is to
 * be closed next, without another turn of the loop. */
redisContext *redis_conn_detach(struct redis_conn *c);

#endif
