/* TLS through hiredis_ssl; without it, the error that says so. */
#include "io/redis_tls.h"

#ifndef DRAY_HAVE_HIREDIS_SSL

#define STRINGIFY(x)    #x
#define VERSION_PART(x) STRINGIFY(x)

struct redis_tls *redis_tls_new(const struct redis_options *o, struct err *err) {
    (void)o;
    err_set(err, "rediss:// needs hiredis with TLS (hiredis >= 1.0 built with SSL); this build has "
                 "hiredis " VERSION_PART(HIREDIS_MAJOR) "." VERSION_PART(HIREDIS_MINOR));
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

void redis_tls_explain(const struct ssl_st *session, char *text, size_t size) {
    (void)session, (void)text, (void)size;
}

#endif
