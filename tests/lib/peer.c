/* See peer.h. Threads block on their sockets; peer_free ends them with shutdown(2). */
#include "peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_MAX 1024 /* connections of one peer's life */
#define BODY_MAX (4u << 20)

struct peer_thread {
    struct peer_conn conn;
    pthread_t thread;
};

struct peer {
    struct peer_options options;
    SSL_CTX *tls;
    int listener, port;
    char url[64];
    pthread_t acceptor;
    pthread_mutex_t lock; /* everything below */
    struct peer_thread *threads[PEER_MAX];
    unsigned count, requests;
    size_t bytes;
    bool stopping;
};

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                     unsigned in_len, void *arg) {
    (void)ssl, (void)arg;
    for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
        if (in[i] == 2 && memcmp(in + i + 1, "h2", 2) == 0) {
            *out = in + i + 1;
            *out_len = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static bool handshake(struct peer_conn *c) {
    if (c->peer->tls == NULL)
        return true;
    c->ssl = SSL_new(c->peer->tls);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_accept(c->ssl) == 1;
}

static void *serve(void *arg) {
    struct peer_conn *c = arg;
    if (handshake(c))
        c->peer->options.serve(c, c->peer->options.arg);
    if (c->ssl != NULL) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    pthread_mutex_lock(&c->peer->lock);
    close(c->fd);
    c->fd = -1;
    pthread_mutex_unlock(&c->peer->lock);
    return NULL;
}

static void start_thread(struct peer *p, int fd) {
    struct peer_thread *t = calloc(1, sizeof(*t));
    assert(t != NULL && p->count < PEER_MAX);
    t->conn = (struct peer_conn){.peer = p, .fd = fd, .number = p->count + 1};
    p->threads[p->count++] = t;
    int rc = pthread_create(&t->thread, NULL, serve, &t->conn);
    assert(rc == 0);
    (void)rc;
}

static void *accept_all(void *arg) {
    struct peer *p = arg;
    int one = 1;
    for (;;) {
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_mutex_lock(&p->lock);
        bool stop = fd < 0 || p->stopping;
        if (!stop) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
            start_thread(p, fd);
        } else if (fd >= 0) {
            close(fd);
        }
        pthread_mutex_unlock(&p->lock);
        if (stop)
            return NULL;
    }
}

static int listen_on_loopback(int backlog, int *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = bind(fd, (struct sockaddr *)&a, sizeof(a));
    rc = rc == 0 ? listen(fd, backlog) : rc;
    rc = rc == 0 ? getsockname(fd, (struct sockaddr *)&a, &len) : rc;
    assert(fd >= 0 && rc == 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void use_tls(struct peer *p) {
    p->tls = SSL_CTX_new(TLS_server_method());
    assert(p->tls != NULL);
    int ok = SSL_CTX_use_certificate_chain_file(p->tls, p->options.cert_file) == 1 &&
             SSL_CTX_use_PrivateKey_file(p->tls, p->options.key_file, SSL_FILETYPE_PEM) == 1;
    assert(ok);
    (void)ok;
    if (p->options.h2)
        SSL_CTX_set_alpn_select_cb(p->tls, choose_h2, NULL);
}

struct peer *peer_new(const struct peer_options *options) {
    struct peer *p = calloc(1, sizeof(*p));
    assert(p != NULL);
    p->options = *options;
    signal(SIGPIPE, SIG_IGN); /* SSL_write has no MSG_NOSIGNAL */
    if (options->cert_file != NULL)
        use_tls(p);
    p->listener = listen_on_loopback(1024, &p->port);
    snprintf(p->url, sizeof(p->url), "http%s://127.0.0.1:%d/orders", p->tls != NULL ? "s" : "", p->port);
    pthread_mutex_init(&p->lock, NULL);
    int rc = pthread_create(&p->acceptor, NULL, accept_all, p);
    assert(rc == 0);
    (void)rc;
    return p;
}

void peer_free(struct peer *p) {
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_mutex_unlock(&p->lock);
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->acceptor, NULL);
    close(p->listener);
    for (unsigned i = 0; i < p->count; i++) {
        pthread_mutex_lock(&p->lock);
        if (p->threads[i]->conn.fd >= 0)
            shutdown(p->threads[i]->conn.fd, SHUT_RDWR);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->threads[i]->thread, NULL);
        free(p->threads[i]);
    }
    pthread_mutex_destroy(&p->lock);
    SSL_CTX_free(p->tls);
    free(p);
}

int peer_port(const struct peer *p) {
    return p->port;
}

const char *peer_url(const struct peer *p) {
    return p->url;
}

unsigned peer_connections(struct peer *p) {
    pthread_mutex_lock(&p->lock);
    unsigned n = p->count;
    pthread_mutex_unlock(&p->lock);
    return n;
}

unsigned peer_requests(struct peer *p) {
    pthread_mutex_lock(&p->lock);
    unsigned n = p->requests;
    pthread_mutex_unlock(&p->lock);
    return n;
}

size_t peer_bytes(struct peer *p) {
    pthread_mutex_lock(&p->lock);
    size_t n = p->bytes;
    pthread_mutex_unlock(&p->lock);
    return n;
}

void peer_count_request(struct peer_conn *c) {
    pthread_mutex_lock(&c->peer->lock);
    c->peer->requests++;
    pthread_mutex_unlock(&c->peer->lock);
}

bool peer_read(struct peer_conn *c, void *data, size_t n) {
    for (char *p = data; n > 0;) {
        ssize_t got = c->ssl != NULL ? SSL_read(c->ssl, p, (int)n) : read(c->fd, p, n);
        if (got <= 0)
            return false;
        pthread_mutex_lock(&c->peer->lock);
        c->peer->bytes += (size_t)got;
        pthread_mutex_unlock(&c->peer->lock);
        p += got;
        n -= (size_t)got;
    }
    return true;
}

void peer_request_deinit(struct peer_request *r) {
    free(r->body);
    r->body = NULL;
}

bool peer_read_request(struct peer_conn *c, struct peer_request *r) {
    size_t n = 0;
    *r = (struct peer_request){0};
    while (n < 4 || memcmp(r->head + n - 4, "\r\n\r\n", 4) != 0) {
        assert(n < sizeof(r->head) - 1);
        if (!peer_read(c, r->head + n, 1))
            return false;
        n++;
    }
    const char *length = strcasestr(r->head, "\r\nContent-Length:");
    r->body_len = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
    assert(r->body_len <= BODY_MAX);
    r->body = calloc(1, r->body_len + 1);
    assert(r->body != NULL);
    if (!peer_read(c, r->body, r->body_len)) {
        peer_request_deinit(r);
        return false;
    }
    peer_count_request(c);
    return true;
}

/* What a client that hung up doesn't take is no fault of the test. */
void peer_send(struct peer_conn *c, const void *data, size_t n) {
    for (const char *p = data; n > 0;) {
        ssize_t put = c->ssl != NULL ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        p += put;
        n -= (size_t)put;
    }
}

void peer_say(struct peer_conn *c, const char *text) {
    peer_send(c, text, strlen(text));
}

void peer_answer(struct peer_conn *c, const char *status, const char *headers, const char *body) {
    char head[1024];
    snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body),
             headers);
    peer_say(c, head);
    peer_say(c, body);
}

void peer_wait_closed(struct peer_conn *c) {
    char byte;
    while (peer_read(c, &byte, 1)) {
    }
}

/* Linux queues backlog + 1 connections and then drops what arrives. */
void blackhole_open(struct blackhole *b) {
    b->listener = listen_on_loopback(0, &b->port);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((unsigned short)b->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < sizeof(b->fill) / sizeof(b->fill[0]); i++) {
        b->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int rc = connect(b->fill[i], (struct sockaddr *)&a, sizeof(a));
        assert(rc == 0 || errno == EINPROGRESS);
        (void)rc;
    }
}

void blackhole_close(struct blackhole *b) {
    for (size_t i = 0; i < sizeof(b->fill) / sizeof(b->fill[0]); i++)
        close(b->fill[i]);
    close(b->listener);
}
