/* The Lua transitions, embedded at build time (lua/embed.py). Each file opens with its KEYS, ARGV and
 * what it returns. */
#ifndef DRAY_QUEUE_SCRIPT_H
#define DRAY_QUEUE_SCRIPT_H

#include <stddef.h>

enum script_id {
    SCRIPT_TURN,
    SCRIPT_BEAT,
    SCRIPT_RECOVER,
    SCRIPT_LEAVE,
    SCRIPT_REOPEN,
    SCRIPT_LIMITS,
    SCRIPT_HELD,
    SCRIPT_IN_FLIGHT,
    SCRIPT_FIND,
    SCRIPT_RUN_NOW,
    SCRIPT_WAITS,
    SCRIPT_GRANT,
    SCRIPT_GRANTED,
    SCRIPT_TAKEOVER,
    SCRIPT_WORKER_COUNT, /* a worker uses those above; the command line these: */
    SCRIPT_AUDIT = SCRIPT_WORKER_COUNT,
    SCRIPT_AUDIT_HOLDER,
    SCRIPT_DEAD_RETRY,
    SCRIPT_DEAD_RESOLVE,
    SCRIPT_DEAD_DROP,
    SCRIPT_DEAD_IMPORT,
    SCRIPT_PAUSE,
    SCRIPT_STATUS,
    SCRIPT_FORMAT,
    SCRIPT_COUNT,
};

struct script {
    const char *name;
    const char *sha; /* 40 hex digits */
    const char *text;
    size_t len;
};

extern const struct script scripts[SCRIPT_COUNT];

#endif
