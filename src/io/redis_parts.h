/* Small things that the parts of the Redis client share. */
#ifndef DRAY_IO_REDIS_PARTS_H
#define DRAY_IO_REDIS_PARTS_H

#include "dray/redis.h"
#include "io/redis_dial.h"

/* "127.0.0.1:6379", "[::1]:6379" or the socket's path, for messages. */
void redis_place(char *out, size_t size, const struct redis_address *address);

/* In ms, with the default. */
uint32_t redis_command_timeout(const struct redis_options *o);

/* Takes the context out of a connection that is UP and has nothing unanswered. The connection is to
 * be closed next, without another turn of the loop. */
redisContext *redis_conn_detach(struct redis_conn *c);

#endif
