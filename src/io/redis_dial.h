/* From an address to a connected socket, without blocking the loop. */
#ifndef DRAY_IO_REDIS_DIAL_H
#define DRAY_IO_REDIS_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

/* The strings are the caller's and must outlive the dial. */
struct redis_address {
    const char *unix_path; /* or NULL, then host and port */
    const char *host;      /* a name, an IPv4 or an IPv6 address (without brackets) */
    uint16_t port;
};

struct redis_dial;
/* `fd` is connected, non-blocking and now the callee's, and the dial stays until it is cancelled; or -1, the
 * last address's reason, and the dial is gone. */
typedef void (*redis_dial_fn)(void *arg, int fd, const char *reason);

/* Calls `done` once, from the loop. `timeout_ms` bounds the name's look-up and each address by
 * itself. Of several addresses, the one that equals `last` (or NULL) is tried after all others. NULL when
 * out of memory. */
struct redis_dial *redis_dial_start(uv_loop_t *loop, const struct redis_address *address,
                                    const struct sockaddr_storage *last, uint32_t timeout_ms,
                                    redis_dial_fn done, void *arg);
/* Whoever answered at the address will not do: goes on with the next, and calls `done` again. False: there
 * is none. */
bool redis_dial_next(struct redis_dial *d);
/* The address that was connected to last; all zero for a Unix socket. */
struct sockaddr_storage redis_dial_peer(const struct redis_dial *d);
/* Writes " (ADDRESS)" where the host is a name, else "". */
void redis_dial_describe(const struct redis_dial *d, char *out, size_t size);
/* `done` will not be called. NULL is fine. */
void redis_dial_cancel(struct redis_dial *d);

#endif
