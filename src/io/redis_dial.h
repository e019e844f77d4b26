/* From an address to a connected socket, without blocking the loop. */
#ifndef DRAY_IO_REDIS_DIAL_H
#define DRAY_IO_REDIS_DIAL_H

#include <stdint.h>
#include <uv.h>

/* The strings are the caller's and must outlive the dial. */
struct redis_address {
    const char *unix_path; /* or NULL, then host and port */
    const char *host;      /* a name, an IPv4 or an IPv6 address (without brackets) */
    uint16_t port;
};

struct redis_dial;
/* `fd` is connected, non-blocking and now the callee's; or -1 and the reason. The dial is gone. */
typedef void (*redis_dial_fn)(void *arg, int fd, const char *reason);

/* Calls `done` once, from the loop. `timeout_ms` bounds the name's look-up and each address by
 * itself. NULL when out of memory. */
struct redis_dial *redis_dial_start(uv_loop_t *loop, const struct redis_address *address,
                                    uint32_t timeout_ms, redis_dial_fn done, void *arg);
/* `done` will not be called. NULL is fine. */
void redis_dial_cancel(struct redis_dial *d);

#endif
