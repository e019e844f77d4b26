/* A claim's name: its batch, which its worker counts from 1 on, and its place there (lua/claims.lua). As text it is the
 * claim's token, "7.0". */
#ifndef DRAY_QUEUE_CLAIM_H
#define DRAY_QUEUE_CLAIM_H

#include "dray/buf.h"

#define TOKEN_SIZE 32

struct claim {
    uint64_t batch;  /* 0: none */
    uint16_t place;  /* from 0 on */
    uint64_t number; /* the job's, among all of the queue; not part of the name. 0: not known */
};

void claim_token(const struct claim *claim, char out[TOKEN_SIZE]);
/* 0, or -1 where the text is no token. The number stays 0. */
int claim_parse(struct span token, struct claim *claim);

/* What Redis has of a batch (lua/claims.lua). Spans point into what was read. */
struct batch_state {
    uint64_t first; /* number of its first claim */
    uint16_t count, due, passed, left;
    struct span letters; /* CLAIM_HELD, CLAIM_ENDED, or that it has begun */
    struct span begun;   /* of those that have begun; batch_next_begun */
};

#define BATCH_CLAIMS 512 /* claims of a batch, at most */

#define CLAIM_HELD  '-' /* never begun */
#define CLAIM_ENDED '.'

/* 0, or -1 where that is not what scripts write. */
int batch_state_read(struct span packed, struct batch_state *out);
/* The next claim that has begun (it may have ended since): its place, and "account:key". False: no more. */
bool batch_next_begun(struct batch_state *b, uint16_t *place, struct span *account_key);

#endif
