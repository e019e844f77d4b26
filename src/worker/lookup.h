/* Looking orders up, and the controls that tell whether a look-up can be believed. */
#ifndef DRAY_WORKER_LOOKUP_H
#define DRAY_WORKER_LOOKUP_H

#include "worker/flow.h"

/* lookup.c: the order, or its control, is asked for. */
void order_look_up(struct order *o);
void order_look_up_now(struct order *o);                            /* the account's token is there */
void order_not_looked_up(struct order *o, struct outcome *outcome); /* it is not: `outcome` says so */

/* controls.c */
enum control_state {
    CONTROL_READY, /* `key` is set */
    /* ask again soon: Redis is being asked, or the order is too young to be found for sure */
    CONTROL_COMING,
    CONTROL_MISSING, /* the account has none that would do */
};
/* The order of the same account that a look-up of `o` is controlled with. `key` lives until the loop's next turn. */
enum control_state control_of(struct order *o, uint64_t now_ms, struct span *key);
/* The account's look-up finds this order, as far as we know: a control for others. */
void control_remember(struct order *o, uint64_t now_ms);
/* It was not found: another one takes its place as soon as there is one. */
void control_distrust(struct order *o, struct span key);
/* The account's controls that other workers know. */
void controls_read(struct consumer *consumer, struct account_runtime *runtime);

#endif
