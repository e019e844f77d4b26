/* What Redis keeps of an account's gate (lua/gate.lua), for those who only look. */
#ifndef DRAY_QUEUE_GATE_H
#define DRAY_QUEUE_GATE_H

#include "dray/buf.h"

struct gate {
    double tokens; /* in the bucket, as of at_ms (Redis's clock) */
    uint64_t at_ms;
    uint64_t concurrency; /* requests under way that count */
    uint64_t failures;    /* consecutive */
    char mode;            /* n normal, p paused, h held, b breaker open */
    uint64_t until_ms;    /* see gate.lua */
};

/* Reads what the hash `accounts` holds of an account, packed or text. False (and a normal gate, never used) where
 * that is neither, or absent. */
bool gate_read(struct span stored, struct gate *gate);

#endif
