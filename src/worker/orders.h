/* Where an order is: each state has a list, one function moves. */
#ifndef DRAY_WORKER_ORDERS_H
#define DRAY_WORKER_ORDERS_H

#include "worker/order.h"

struct order_list {
    struct order *first, *last;
    uint32_t count;
};

/* orders.c writes; all look */
struct consumer_orders {
    struct order_list in[ORDER_STATES];
    struct order *pool; /* of free ones */
    uint32_t pooled;
};

struct order *order_get(struct consumer *consumer);
void order_move(struct order *o, enum order_state to); /* the one mover; ORDER_FREE gives it back */
void order_discard(struct order *o); /* CLAIMED, and never mind: Redis knows no claim of it */
void order_drop(struct order *o);
uint32_t consumer_active(const struct consumer *consumer); /* CLAIMED, BEGINNING and SENDING */
uint32_t consumer_held(const struct consumer *consumer);   /* everything */
/* One that waits for the account's token; NULL: none does. */
struct order *order_waiting(const struct account_runtime *runtime);
/* Asked right before an order's first byte leaves: is the lease alive, and the one it was begun in, and
 * is that not too long ago? */
bool order_may_send(void *order);
void order_set_deadline(struct order *o, uint64_t begun_ns);
void consumer_free_pool(struct consumer *consumer);

#endif
