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
    uint64_t refused;     /* orders in a row that the provider refused with `code` */
    char code[64];        /* or with which the account itself is refused; empty: none */
};

/* Reads what the hash `accounts` holds of an account. False (and a normal gate, never used) where that is no gate, or
 * absent. */
bool gate_read(struct span stored, struct gate *gate);

#define GATE_REASON_MAX 128
/* Why an account of mode h is held: "refused with 20017, 20 times". */
void gate_hold_reason(uint64_t refused, const char *code, char out[static GATE_REASON_MAX]);

#endif
