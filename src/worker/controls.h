/* What a worker keeps of controls (controls.c): per account, and per queue. */
#ifndef DRAY_WORKER_CONTROLS_H
#define DRAY_WORKER_CONTROLS_H

#include <stdbool.h>
#include <stdint.h>

#define CONTROL_CLASSES 16 /* of order keys */

struct consumer;
struct account_runtime;
struct control;

struct account_controls {
    struct control **of; /* by class of key; NULL: none */
    uint64_t read_ns;    /* boot clock; 0: Redis was not asked */
};

struct consumer_controls {
    bool dirty; /* some are not in Redis yet */
    struct account_runtime
        *asked; /* the account whose controls Redis is asked for; a counted reference, or NULL */
};

void controls_write(struct consumer *consumer); /* each beat: what Redis does not know yet */

#endif
