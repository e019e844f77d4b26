/* Texts that lie where others can read them, sealed with a key that is made of a secret (HKDF-SHA-256, AES-256-GCM). */
#ifndef DRAY_SEAL_H
#define DRAY_SEAL_H

#include "dray/buf.h"

#define SEAL_KEY_BYTES 32

/* A key of `secret` for the use that `label` names: another label gives another key, and none tells the secret (if that is
 * none that can be guessed). 0, or -1: libcrypto has no memory. */
int seal_key(struct span secret, struct span label, unsigned char out[static SEAL_KEY_BYTES]);

/* Appends `text`, sealed; `use` is bound to it and not in it. 0, or -1: no memory or no random numbers. */
int seal_text(const unsigned char key[static SEAL_KEY_BYTES], struct span use, struct span text,
              struct buf *out);

/* Appends the text. 0; -1 where it was sealed with another key or for another use, or was changed: `out` is as it was. */
int seal_open(const unsigned char key[static SEAL_KEY_BYTES], struct span use, struct span sealed,
              struct buf *out);

#endif
