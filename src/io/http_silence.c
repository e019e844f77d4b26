/* HTTP silence: on a connection where nobody waits for an answer, no byte may wait. Else the next request would
 * be given an answer that is not its own.
 *
 * Happy path: one recv(MSG_PEEK) finds nothing, and OpenSSL holds nothing.
 * Failure modes: bytes wait (a second answer, a late 408): LOOK_TALKS. The peer closed: LOOK_CLOSED.
 * TLS: what waits may be a session ticket, which OpenSSL then reads. For that moment it reads through BIOs of
 * ours, since libcurl's work only from within libcurl, and without libcurl's reference, which its callback for
 * tickets needs too. HTTP/2 is exempt. Inside the TLS of a proxy, or of a library other than OpenSSL, nobody
 * can look: there any byte is one too many, except on a new connection, where it may be a ticket.
 * An answer that overtakes its own request is found by how much of the request the peer has acknowledged when
 * it comes (`early`). */
#include <errno.h>
#include <string.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io/http_internal.h"

#ifdef DRAY_HAVE_OPENSSL
#include <openssl/err.h>
#include <openssl/ssl.h>

/* Whether libcurl uses the very OpenSSL that we are linked to. */
static bool same_openssl(void) {
    const char *used = curl_version_info(CURLVERSION_NOW)->ssl_version;
    return used != NULL && strncmp(used, "OpenSSL/", 8) == 0 &&
           (unsigned long)strtoul(used + 8, NULL, 10) == OpenSSL_version_num() >> 28;
}

static void *ssl_of(struct http_call *c) {
    struct curl_tlssessioninfo *info = NULL;
    if (!same_openssl() || curl_easy_getinfo(c->easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK ||
        info == NULL || info->backend != CURLSSLBACKEND_OPENSSL)
        return NULL;
    return info->internals;
}

static bool is_h2(void *ssl) {
    const unsigned char *protocol = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &n);
    return n == 2 && memcmp(protocol, "h2", 2) == 0;
}

static enum http_look look_inside(const struct http_conn *k) {
    SSL *ssl = k->ssl;
    char byte;
    BIO *in = SSL_get_rbio(ssl), *out = SSL_get_wbio(ssl), *own = BIO_new_socket(k->fd, BIO_NOCLOSE);
    void *reference = SSL_get_app_data(ssl);
    if (own == NULL)
        return LOOK_TALKS;
    BIO_up_ref(in);
    BIO_up_ref(out);
    BIO_up_ref(own);
    SSL_set0_rbio(ssl, own);
    SSL_set0_wbio(ssl, own);
    SSL_set_app_data(ssl, NULL);
    ERR_clear_error();
    int n = SSL_peek(ssl, &byte, 1);
    int why = SSL_get_error(ssl, n);
    ERR_clear_error();
    SSL_set_app_data(ssl, reference);
    SSL_set0_rbio(ssl, in);
    SSL_set0_wbio(ssl, out);
    if (n > 0)
        return LOOK_TALKS;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? LOOK_SILENT : LOOK_CLOSED;
}

static bool holds_bytes(const struct http_conn *k) {
    return k->ssl != NULL && SSL_has_pending(k->ssl);
}

static int decrypted(const struct http_conn *k) {
    return k->ssl != NULL ? SSL_pending(k->ssl) : 0;
}
#else
static void *ssl_of(struct http_call *c) {
    (void)c;
    return NULL;
}

static bool is_h2(void *ssl) {
    (void)ssl;
    return false;
}

static enum http_look look_inside(const struct http_conn *k) {
    (void)k;
    return LOOK_TALKS;
}

static bool holds_bytes(const struct http_conn *k) {
    (void)k;
    return false;
}

static int decrypted(const struct http_conn *k) {
    (void)k;
    return 0;
}
#endif

static bool through_tls_proxy(const struct http_target *t) {
    return t->proxy != NULL && strncasecmp(t->proxy, "https:", 6) == 0;
}

void http_silence_learn(struct http_call *c, struct http_conn *k) {
    bool inside = c->bound->tls && !through_tls_proxy(c->bound);
    k->ssl = inside ? ssl_of(c) : NULL;
    k->opaque = k->ssl == NULL && (c->bound->tls || through_tls_proxy(c->bound));
    k->multiplexed = k->ssl != NULL && is_h2(k->ssl);
}

enum http_look http_silence(const struct http_conn *k) {
    char byte;
    ssize_t n = recv(k->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return !k->multiplexed && holds_bytes(k) ? LOOK_TALKS : LOOK_SILENT;
    if (n <= 0)
        return LOOK_CLOSED;
    if (k->multiplexed || (k->opaque && !k->used))
        return LOOK_SILENT;
    return k->ssl != NULL ? look_inside(k) : LOOK_TALKS;
}

void http_silence_stray(struct http_conn *k) {
    int bytes = 0;
    ioctl(k->fd, FIONREAD, &bytes);
    bytes += decrypted(k);
    k->pool->stats.strays++;
    if (k->pool->on_stray != NULL)
        k->pool->on_stray(k->pool->stray_arg, k->owner, k->host->name, bytes > 0 ? (size_t)bytes : 0);
    http_conn_spoil(k);
}

/* A peer that has the whole request acknowledges all of it with its answer. */
static bool is_early(const struct http_call *c) {
    int unacknowledged = 0;
    curl_off_t written = 0;
    if (c->body_len > 0 && curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &written) == CURLE_OK &&
        (size_t)written < c->body_len)
        return true;
    return http_conn_holds(c) && ioctl(c->conn->fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0;
}

static void on_status(struct http_call *c, const char *line, size_t n) {
    const char *code = memchr(line, ' ', n);
    c->says_close = false;
    if (code == NULL || line + n - code < 4 || code[1] == '1' || line[5] != '1')
        return; /* 1xx announces an answer; HTTP/2 has streams */
    c->early = c->early || (is_early(c) && (c->reused || code[1] == '2'));
}

/* `with` starts with a letter, which tells most lines apart. */
static bool starts(const char *line, size_t n, const char *with) {
    size_t m = strlen(with);
    return n >= m && (line[0] | 0x20) == (with[0] | 0x20) && strncasecmp(line, with, m) == 0;
}

static void on_keep_alive(struct http_call *c, const char *line, size_t n) {
    for (const char *p = line, *end = line + n; p < end; p++)
        if (starts(p, (size_t)(end - p), "timeout=") && http_conn_holds(c)) {
            unsigned long s = 0;
            for (p += 8; p < end && *p >= '0' && *p <= '9' && s < 86400; p++)
                s = s * 10 + (unsigned long)(*p - '0');
            c->conn->keep_ms = s * 1000 + 1; /* 0 is a promise too */
            return;
        }
}

size_t http_on_header(char *line, size_t size, size_t n, void *call) {
    n *= size;
    if (starts(line, n, "HTTP/"))
        on_status(call, line, n);
    else if (starts(line, n, "Keep-Alive:"))
        on_keep_alive(call, line, n);
    else if (starts(line, n, "Connection:") && memmem(line, n, "close", 5) != NULL)
        ((struct http_call *)call)->says_close = true;
    return n;
}
