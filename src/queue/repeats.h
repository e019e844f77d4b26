/* Whether a name stands twice in a turn: a ledger key, which is rare, and then they are looked at one by one; an account. */
#ifndef DRAY_QUEUE_REPEATS_H
#define DRAY_QUEUE_REPEATS_H

#include "queue/batch.h"

/* True if a key to begin is the key of another item to begin, or of one to settle. */
bool batch_keys_repeat(const struct batch *settle, const struct batch *begin);
/* True if an account is of more than one run, of either batch. */
bool batch_accounts_repeat(const struct batch *settle, const struct batch *begin);

#endif
