/* Whose answer was it: what a worker remembers of order ids that it was told, and of bytes that nobody had asked for. */
#ifndef DRAY_WORKER_ANSWER_OWNER_H
#define DRAY_WORKER_ANSWER_OWNER_H

#include "worker/flow.h"

/* For http_pool_on_stray; `worker`. */
void answer_owner_stray(void *worker, const char *account, const char *host, size_t bytes);

/* A 2xx that is no clear answer to this order ends its connection. Remembers the ids of an order that was just created. Where one of them was told for another order by the same host
 * a short time ago, the outcome becomes UNKNOWN, and the connection is not used again. */
void answer_owner_check(struct order *o, struct http_call *call, const struct http_exchange *x,
                        struct outcome *outcome);

#endif
