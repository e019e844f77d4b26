/* What the files of the look-ups share. */
#ifndef DRAY_SANDBOX_LOOKUP_H
#define DRAY_SANDBOX_LOOKUP_H

#include "sandbox/internal.h"

struct lookup {
    struct sandbox *s;
    const struct request *r;
    struct reply *reply;
    uint16_t endpoint, caller;
    uint64_t visible_until_ms; /* orders created later are not in the index yet */
    bool empty_page;           /* a list shows none of what it counts */
};

/* lookup_answer.c */
void lookup_fail(struct lookup *l, unsigned status, const char *message);
/* Writes the whole order in the form of its create answer. */
cJSON *lookup_order(struct lookup *l, uint32_t order);

/* mislead.c: what the magic of order keys does to a look-up. The first two are called before it is answered: by
 * the key that is looked for (NULL: none), or for all orders that a list by time may hold. True: answered. */
bool mislead_by_name(struct lookup *l, const char *name);
bool mislead_by_time(struct lookup *l);
/* Whether an order with that key (TALLY_NONE: it has none) is to be hidden. */
bool mislead_hides(struct lookup *l, uint32_t key);
/* Call it after an order was written: the answer may have to show it under another key. */
void mislead_disguise(struct lookup *l, uint32_t key);

/* lookup_list.c. GET /openapi/v2/order/orders and v1's: the caller's orders of both in a window of creation
 * times. POST …/custom/orders/search: the same of custom orders, with a body. */
void lookup_list_kakaclo(struct lookup *l);
void lookup_search_kakaclo(struct lookup *l);
/* GET /order, GET /json/orders: `term` stands anywhere in the order's key, or is the key; NULL:
 * all. */
void lookup_list_by_term(struct lookup *l, const char *term, bool exactly);

#endif
