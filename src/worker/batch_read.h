/* The texts of a claimed batch: read right behind the turn that claims it. */
#ifndef DRAY_WORKER_BATCH_READ_H
#define DRAY_WORKER_BATCH_READ_H

#include "worker/claim.h"

struct consumer;
struct batch_read;

/* A claim of at most `asked` jobs as this batch is about to be sent; it counts as under way until its texts are here. */
struct batch_read *batch_read_new(struct consumer *consumer, uint64_t batch, uint32_t asked);
/* The turn is sent: asks for the texts, behind it. */
void batch_read_ask(struct batch_read *r);
/* What the turn said of the batch; NULL: nothing, or no answer came. Ends with the texts, or here if there are none. */
void batch_read_told(struct batch_read *r, const struct claimed *claimed);

#endif
