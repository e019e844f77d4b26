/* TLS for a hiredis context, where hiredis was built with it. */
#ifndef DRAY_IO_REDIS_TLS_H
#define DRAY_IO_REDIS_TLS_H

#include "dray/redis.h"

struct redis_tls; /* the trust, the certificate and the key: for all connections of one redis_conn
                   */

/* NULL and `err`: no TLS in this build, or a file that can't be read. */
struct redis_tls *redis_tls_new(const struct redis_options *o, struct err *err);
/* From the options' files as they are now: 0; or -1 and `err`, and what was there stays. */
int redis_tls_renew(struct redis_tls **t, const struct redis_options *o, struct err *err);
void redis_tls_free(struct redis_tls *t);
/* Begins the handshake on a connected context; it goes on with the context's reads and writes. The
 * session returned is the context's. NULL and `err` on failure. */
struct ssl_st *redis_tls_start(const struct redis_tls *t, redisContext *ctx, const char *host,
                               struct err *err);
/* Whether a write waits for the peer to speak first, so that waiting for writable would spin. */
bool redis_tls_wants_read(const struct ssl_st *session);
/* Before each read and write: OpenSSL's queue of errors is the thread's, and others write to it
 * too. */
void redis_tls_forget_errors(void);
/* Writes why the handshake failed to `text`; leaves it alone if that is not what happened. */
void redis_tls_explain(const struct ssl_st *session, char *text, size_t size);

#endif
