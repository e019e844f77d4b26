/* What is said on a fresh connection before anything else. */
#ifndef DRAY_IO_REDIS_HANDSHAKE_H
#define DRAY_IO_REDIS_HANDSHAKE_H

#include "io/redis_parts.h"

struct redis_link;

/* Sends AUTH, SELECT, CLIENT SETNAME, HELLO and PING as the options ask, all at once. Calls `done` for the answer that decides: "" when all is well, or the server's words. It
 * isn't called when the link is lost first. `arg` must outlive the link. */
struct redis_handshake {
    void (*done)(void *arg, const char *refusal);
    void *arg;
    bool sentinel; /* the sentinels named this node */
    bool decided;
    enum redis_server_kind kind; /* as HELLO says, where it does */
};
void redis_handshake_send(struct redis_handshake *h, struct redis_link *l, const struct redis_options *o);

#endif
