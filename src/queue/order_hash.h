/* The hash of an order's bytes that the ledger keeps: XXH3-128, hex. */
#ifndef DRAY_QUEUE_ORDER_HASH_H
#define DRAY_QUEUE_ORDER_HASH_H

#include "dray/buf.h"

void order_hash(struct span order, char out[static 33]);

#endif
