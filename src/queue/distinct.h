/* Texts of which a turn's part needs each but once: limits of accounts, ops of settlements, batches. They stand as
 * RESP bulk strings, ready to be sent; an item names its text by its place, in one byte. */
#ifndef DRAY_QUEUE_DISTINCT_H
#define DRAY_QUEUE_DISTINCT_H

#include "dray/buf.h"

#define DISTINCT_MAX 120 /* two parts' fit into a byte, and 0 stays free */

struct distinct {
    struct buf resp;
    uint32_t count;
    uint32_t at[DISTINCT_MAX], len[DISTINCT_MAX]; /* of each text, in `resp` */
};

/* `max`: bytes of all texts. */
void distinct_init(struct distinct *d, size_t max);
void distinct_deinit(struct distinct *d);
void distinct_reset(struct distinct *d);
bool distinct_full(const struct distinct *d);
/* The text's place, from 1 on; it is added if it is new. 0: no room or no memory. */
uint8_t distinct_place(struct distinct *d, struct span text);
/* The text at a place, from 1 on. */
struct span distinct_text(const struct distinct *d, uint8_t place);

#endif
