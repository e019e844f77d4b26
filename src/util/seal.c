/* A sealed text: 12 bytes of nonce, as many as the text has, 16 of GCM's tag. Nonces are random: a key seals some thousand
 * texts in its life, far from the 2^32 up to which that is safe. */
#include "dray/seal.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#define NONCE_BYTES 12
#define TAG_BYTES   16
#define TEXT_MAX    (1u << 20)

int seal_key(struct span secret, struct span label, unsigned char out[static SEAL_KEY_BYTES]) {
    static const unsigned char salt[] = "dray";
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    size_t n = SEAL_KEY_BYTES;
    bool done = ctx != NULL && secret.len <= TEXT_MAX && label.len <= 1024 && EVP_PKEY_derive_init(ctx) > 0 &&
                EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) > 0 &&
                EVP_PKEY_CTX_set1_hkdf_salt(ctx, salt, sizeof(salt) - 1) > 0 &&
                EVP_PKEY_CTX_set1_hkdf_key(ctx, (const unsigned char *)secret.ptr, (int)secret.len) > 0 &&
                EVP_PKEY_CTX_add1_hkdf_info(ctx, (const unsigned char *)label.ptr, (int)label.len) > 0 &&
                EVP_PKEY_derive(ctx, out, &n) > 0;
    EVP_PKEY_CTX_free(ctx);
    return done ? 0 : -1;
}

int seal_text(const unsigned char key[static SEAL_KEY_BYTES], struct span use, struct span text,
              struct buf *out) {
    unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES];
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (text.len > TEXT_MAX || !buf_reserve(out, NONCE_BYTES + text.len + TAG_BYTES) || ctx == NULL ||
        RAND_bytes(nonce, sizeof(nonce)) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return -1;
    }
    unsigned char *body = (unsigned char *)out->data + out->len + NONCE_BYTES;
    bool done = EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) > 0 &&
                EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)use.ptr, (int)use.len) > 0 &&
                EVP_EncryptUpdate(ctx, body, &n, (const unsigned char *)text.ptr, (int)text.len) > 0 &&
                EVP_EncryptFinal_ex(ctx, body + n, &n) > 0 &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag) > 0;
    EVP_CIPHER_CTX_free(ctx);
    if (!done)
        return -1;
    buf_add(out, nonce, sizeof(nonce));
    out->len += text.len; /* it stands there */
    buf_add(out, tag, sizeof(tag));
    return 0;
}

int seal_open(const unsigned char key[static SEAL_KEY_BYTES], struct span use, struct span sealed,
              struct buf *out) {
    if (sealed.len < NONCE_BYTES + TAG_BYTES || sealed.len > TEXT_MAX + NONCE_BYTES + TAG_BYTES)
        return -1;
    size_t len = sealed.len - NONCE_BYTES - TAG_BYTES;
    const unsigned char *nonce = (const unsigned char *)sealed.ptr, *body = nonce + NONCE_BYTES;
    unsigned char tag[TAG_BYTES];
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    memcpy(tag, body + len, sizeof(tag));
    bool done = ctx != NULL && buf_reserve(out, len + 1);
    unsigned char *to = done ? (unsigned char *)out->data + out->len : NULL;
    done = done && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) > 0 &&
           EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)use.ptr, (int)use.len) > 0 &&
           EVP_DecryptUpdate(ctx, to, &n, body, (int)len) > 0 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag) > 0 &&
           EVP_DecryptFinal_ex(ctx, to + n, &n) > 0;
    EVP_CIPHER_CTX_free(ctx);
    if (!done)
        return -1;
    out->len += len;
    return 0;
}
