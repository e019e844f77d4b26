/* Asks the sentinels, one after the other, where the master is. */
#ifndef DRAY_IO_REDIS_SENTINEL_H
#define DRAY_IO_REDIS_SENTINEL_H

#include "dray/redis.h"

struct redis_tls;
struct redis_sentinel;
/* `host` is valid during the call; NULL and the last sentinel's reason when none knew. */
typedef void (*redis_sentinel_fn)(void *arg, const char *host, uint16_t port, const char *reason);

/* Calls `done` once, from the loop; the query is then gone. `first` is the sentinel to begin with
 * and is left at the one that answered. NULL when out of memory. */
struct redis_sentinel *redis_sentinel_ask(uv_loop_t *loop, const struct redis_options *o,
                                          const struct redis_tls *tls, size_t *first, redis_sentinel_fn done,
                                          void *arg);
/* `done` will not be called. NULL is fine. */
void redis_sentinel_cancel(struct redis_sentinel *s);

/* "host:port", "[::1]:port" or "host" into `host` (NUL-terminated) and `port`. 0 or -1. */
int redis_split_host_port(const char *text, uint16_t default_port, char *host, size_t size, uint16_t *port);

#endif
