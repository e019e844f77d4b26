/* TLS through hiredis_ssl; without it, the error that says so.
 *
 * OpenSSL is set up here and not by hiredis, which can't check the host's name: the chain is
 * verified against `tls_ca` or the system's authorities, and the certificate must be for the host
 * (a name or an address) that was asked for. */
#include "io/redis_tls.h"

#ifdef DRAY_HAVE_HIREDIS_SSL

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

struct redis_tls {
    SSL_CTX *ctx;
};

bool redis_tls_available(void) {
    return true;
}

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "unknown error";
}

static int load_trust(SSL_CTX *ctx, const struct redis_options *o, struct err *err) {
    if (o->tls_ca == NULL) {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1)
            return err_set(err, "TLS: the system's authorities: %s", openssl_reason());
    } else if (SSL_CTX_load_verify_locations(ctx, o->tls_ca, NULL) != 1) {
        return err_set(err, "TLS: the authorities in %s (tls_ca): %s", o->tls_ca, openssl_reason());
    }
    return 0;
}

static int load_certificate(SSL_CTX *ctx, const struct redis_options *o, struct err *err) {
    if (o->tls_cert == NULL && o->tls_key == NULL)
        return 0;
    if (o->tls_cert == NULL || o->tls_key == NULL)
        return err_set(err, "TLS: tls_cert and tls_key must both be given, or neither");
    if (SSL_CTX_use_certificate_chain_file(ctx, o->tls_cert) != 1)
        return err_set(err, "TLS: the certificate in %s (tls_cert): %s", o->tls_cert, openssl_reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, o->tls_key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return err_set(err, "TLS: the key in %s (tls_key): %s", o->tls_key, openssl_reason());
    return 0;
}

struct redis_tls *redis_tls_new(const struct redis_options *o, struct err *err) {
    struct redis_tls *t = calloc(1, sizeof(*t));
    ERR_clear_error();
    if (t != NULL)
        t->ctx = SSL_CTX_new(TLS_client_method());
    if (t == NULL || t->ctx == NULL) {
        redis_tls_free(t);
        err_set(err, "out of memory");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    if (load_trust(t->ctx, o, err) != 0 || load_certificate(t->ctx, o, err) != 0) {
        redis_tls_free(t);
        return NULL;
    }
    return t;
}

void redis_tls_free(struct redis_tls *t) {
    if (t == NULL)
        return;
    SSL_CTX_free(t->ctx);
    free(t);
}

/* An address is compared with the certificate's addresses, a name with its names. */
static bool expect_host(SSL *ssl, const char *host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct ssl_st *redis_tls_start(const struct redis_tls *t, redisContext *ctx, const char *host,
                               struct err *err) {
    SSL *ssl = SSL_new(t->ctx);
    if (ssl == NULL || !expect_host(ssl, host)) {
        SSL_free(ssl);
        err_set(err, "TLS: out of memory");
        return NULL;
    }
    if (redisInitiateSSL(ctx, ssl) != REDIS_OK) {
        char text[256];
        snprintf(text, sizeof(text), "TLS: %s", ctx->errstr);
        redis_tls_explain(ssl, text, sizeof(text));
        err_set(err, "%s", text);
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

bool redis_tls_wants_read(const struct ssl_st *session) {
    return SSL_want_read(session);
}

void redis_tls_forget_errors(void) {
    ERR_clear_error();
}

void redis_tls_explain(const struct ssl_st *session, char *text, size_t size) {
    long verdict = SSL_get_verify_result(session);
    if (verdict != X509_V_OK)
        snprintf(text, size, "TLS: the server's certificate is not accepted: %s",
                 X509_verify_cert_error_string(verdict));
    else if (ERR_peek_last_error() != 0)
        snprintf(text, size, "TLS: %s", openssl_reason());
    ERR_clear_error();
}

#else

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

bool redis_tls_available(void) {
    return false;
}

struct redis_tls *redis_tls_new(const struct redis_options *o, struct err *err) {
    (void)o;
    err_set(err, "rediss:// needs hiredis with TLS (hiredis >= 1.0 built with SSL); this build has "
                 "hiredis " TEXT(HIREDIS_MAJOR) "." TEXT(HIREDIS_MINOR));
    return NULL;
}

void redis_tls_free(struct redis_tls *t) {
    (void)t;
}

struct ssl_st *redis_tls_start(const struct redis_tls *t, redisContext *ctx, const char *host,
                               struct err *err) {
    (void)t, (void)ctx, (void)host;
    err_set(err, "no TLS in this build");
    return NULL;
}

bool redis_tls_wants_read(const struct ssl_st *session) {
    (void)session;
    return false;
}

void redis_tls_forget_errors(void) {
}

void redis_tls_explain(const struct ssl_st *session, char *text, size_t size) {
    (void)session, (void)text, (void)size;
}

#endif

int redis_tls_renew(struct redis_tls **t, const struct redis_options *o, struct err *err) {
    struct redis_tls *new = redis_tls_new(o, err);
    if (new == NULL)
        return -1;
    redis_tls_free(*t); /* connections that use it keep what they need of it */
    *t = new;
    return 0;
}
