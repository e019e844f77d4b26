/* What a provider, or something before it, may say to an order and to its look-ups. */
#ifndef DRAY_TEST_SAID_H
#define DRAY_TEST_SAID_H

#include "rig.h"

#define BODIES_MAX 64

/* Each with 200; another 2xx may take its place. */
struct bodies {
    struct http_exchange of[BODIES_MAX];
    char *text[BODIES_MAX]; /* owned; NULL: a literal */
    unsigned count;
};

/* Every kind of body, of the rig's provider. The caller frees the texts. */
void make_bodies(struct bodies *b, const struct rig *r);

enum look { FOUND, ABSENT, HTML, ROUTER, DOWN, BUSY, REFUSED, HANGS_UP, NOT_REACHED, LOOKS };

/* A look-up of `key`, so answered; valid until the next call. */
struct http_exchange look_answer(const struct rig *r, struct span key, enum look look);

#endif
