/* What the parts of a POST share: its usual way (create.c), what the order's key makes of it (act.c), and how both
 * end (creation.c). */
#ifndef DRAY_SANDBOX_CREATE_H
#define DRAY_SANDBOX_CREATE_H

#include "sandbox/internal.h"
#include "sandbox/magic.h"

struct creation {
    struct sandbox *s;
    struct request *r;
    struct reply *reply;
    const struct endpoint *endpoint;
    uint16_t endpoint_index, caller;
    uint32_t key; /* TALLY_NONE: the order has none */
    struct span name;
    const struct sandbox_trouble *trouble;
    uint64_t now_ms;
};

/* Answers in the provider's error form, and counts the POST as one that created nothing. */
void creation_refuse(struct creation *c, unsigned status, const char *code, const char *message);
void creation_refuse_balance(struct creation *c);
void creation_refuse_full(struct creation *c); /* the tally has no room; says so on stderr, once */
/* Makes the order and its usual answer. False: no room, answered. `counts`: as created by this
 * POST. */
bool creation_make(struct creation *c, uint32_t count, bool counts, bool without_id);

/* Does what the key's magic says. False: it has none, or that is used up. */
bool magic_act(struct creation *c);

/* spoil.c: changes the answer in sandbox.out. */
void spoil_names(struct creation *c);
/* Changes the id of the order just made to `to`. */
void spoil_id(struct creation *c, const char *to);

#endif
