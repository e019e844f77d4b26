/* One connected socket that speaks RESP: commands out, answers in, in order. It knows nothing of
 * reconnecting; redis_conn.c and redis_sentinel.c build on it. */
#ifndef DRAY_IO_REDIS_LINK_H
#define DRAY_IO_REDIS_LINK_H

#include "dray/redis.h"

struct redis_tls;

struct redis_link_owner {
    void *arg;
    /* The connection is over. The owner now fails what is owed (redis_link_fail) and frees the
     * link. */
    void (*lost)(void *arg, const char *reason);
    /* After the callback that got an error reply. May be NULL. */
    void (*error_reply)(void *arg, const char *text);
    uint32_t command_timeout_ms;
    struct redis_stats *stats;
};

struct redis_link;

/* Takes `fd`, which is closed also on failure. `tls` (or NULL) and `host` for the name's check.
 * NULL and the reason when it can't. */
struct redis_link *redis_link_new(uv_loop_t *loop, int fd, const struct redis_tls *tls, const char *host,
                                  const struct redis_link_owner *owner, struct err *err);
void redis_link_send(struct redis_link *l, struct span resp, uint32_t block_ms, redis_reply_fn done,
                     void *arg);
void redis_link_flush(struct redis_link *l);
/* Reads what has arrived, then calls lost(reason), from the loop. */
void redis_link_break(struct redis_link *l, const char *reason);
/* No more I/O and no calls from here on but redis_link_fail's. */
void redis_link_stop(struct redis_link *l);
/* Calls every callback owed with NULL and `reason`. Only after lost() or redis_link_stop(). */
void redis_link_fail(struct redis_link *l, const char *reason);
/* Not from within a reply callback. NULL is fine. */
void redis_link_free(struct redis_link *l);
/* Frees the link but not its context, which is idle and non-blocking. From nowhere within it. */
redisContext *redis_link_detach(struct redis_link *l);

#endif
