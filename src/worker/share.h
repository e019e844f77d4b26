/* Slots among the accounts of a queue: who may take one. */
#ifndef DRAY_WORKER_SHARE_H
#define DRAY_WORKER_SHARE_H

#include "worker/flow.h"

void share_began(struct account_runtime *runtime);
void share_ended(struct account_runtime *runtime,
                 uint64_t began_ns);                /* boot clock: when its request left; 0: none did */
void share_forget(struct account_runtime *runtime); /* a reload replaces it */
/* how long a job of its is moved aside: no slot, or none for it. 0: it may go */
uint64_t share_wait_ms(struct account_runtime *runtime);
/* How many jobs to look at although all slots are taken; 0: none now. */
uint32_t share_look_due(struct consumer *consumer, uint64_t now_ns);

#endif
