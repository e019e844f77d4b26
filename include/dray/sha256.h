/* SHA-256, for what must not collide even where somebody tries. */
#ifndef DRAY_SHA256_H
#define DRAY_SHA256_H

#include "dray/buf.h"

/* All 32 bytes of it. */
void sha256(const void *data, size_t n, unsigned char out[static 32]);

/* The first `digits` (up to 64) hex digits of it, and a NUL: `out` has digits + 1 bytes. */
void sha256_hex(struct span text, char *out, size_t digits);

#endif
