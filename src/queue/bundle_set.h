/* Numbers of bundles (bundle.lua): 1 to 255; 0 is none. */
#ifndef DRAY_QUEUE_BUNDLE_SET_H
#define DRAY_QUEUE_BUNDLE_SET_H

#include "queue/keys.h"

#define BUNDLES 256 /* 0 among them */

struct bundle_set {
    uint64_t bits[BUNDLES / 64];
};

/* Whether the text of a claim lies in one. */
bool token_is_bundled(struct span token);

void bundle_set_add(struct bundle_set *s, uint8_t n); /* 0 adds nothing */
bool bundle_set_has(const struct bundle_set *s, uint8_t n);
void bundle_set_fill(struct bundle_set *s); /* all, but 0 */
void bundle_set_join(struct bundle_set *s, const struct bundle_set *other);
size_t bundle_set_count(const struct bundle_set *s);
/* appends a byte for each, its number */
void bundle_set_bytes(const struct bundle_set *s, struct buf *out);
/* Appends a bundle's key, or theirs, to a command, as RESP. `worker`: whose they are. */
void bundle_key_write(uint8_t n, const struct queue_keys *k, struct span worker, struct buf *cmd);
void bundle_set_write(const struct bundle_set *s, const struct queue_keys *k, struct span worker,
                      struct buf *cmd);

#endif
