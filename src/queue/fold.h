/* Folded bundles (lua/fold.lua) as a turn tells of them: where its items are in theirs. */
#ifndef DRAY_QUEUE_FOLD_H
#define DRAY_QUEUE_FOLD_H

#include "queue/batch.h"

/* Whether Redis may take all that begin for whole bundles: they are claims of such, in their order, and all or none of
 * them are counted. */
bool fold_may(const struct batch *begin);

/* Appends an argument: where each settlement's claim is in its bundle's bits. */
void fold_write_places(const struct batch *settle, struct buf *cmd);
/* Appends an argument for each bundle that begins are of: the keys of these, as BEGUN has them; nothing where they are not
 * the bundle's claims in their order, from the first on. */
void fold_write_keys(const struct batch *begin, const struct queue_keys *k, struct buf *cmd);

#endif
