/* Encrypts texts that are stored where others can read them. The key is derived from a secret (HKDF-SHA-256), the
 * text encrypted and authenticated (AES-256-GCM). */
#ifndef DRAY_SEAL_H
#define DRAY_SEAL_H

#include "dray/buf.h"

#define SEAL_KEY_BYTES 32

/* Derives a key from `secret` for the purpose that `label` names. Another label gives another key. No key reveals the
 * secret, unless that can be guessed. 0, or -1: libcrypto has no memory. */
int seal_key(struct span secret, struct span label, unsigned char out[static SEAL_KEY_BYTES]);

/* Appends `text` encrypted. It can only be opened for the same `use`, which is not stored in it. 0, or -1: no memory or
 * no random numbers. */
int seal_text(const unsigned char key[static SEAL_KEY_BYTES], struct span use, struct span text,
              struct buf *out);

/* Appends the decrypted text. 0, or -1, and `out` as it was: it was sealed with another key or for another use, or was
 * changed since. */
int seal_open(const unsigned char key[static SEAL_KEY_BYTES], struct span use, struct span sealed,
              struct buf *out);

#endif
