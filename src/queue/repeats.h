/* Whether two items of a turn have the same ledger key: rare, and then they are looked at one by one. */
#ifndef DRAY_QUEUE_REPEATS_H
#define DRAY_QUEUE_REPEATS_H

#include "queue/batch.h"

/* True if a key to begin is the key of another item to begin, or of one to settle. */
bool batch_keys_repeat(const struct batch *settle, const struct batch *begin);

#endif
