/* A server on 127.0.0.1 whose every connection is served by a function of the test, in a thread of
 * its own: for faults that a real server can't be made to show. */
#ifndef DRAY_TESTS_PEER_H
#define DRAY_TESTS_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct peer;

struct peer_conn {
    struct peer *peer;
    int fd;
    void *ssl;       /* SSL *, NULL for plain */
    unsigned number; /* 1 for the first connection */
};

struct peer_request {
    char head[8192]; /* NUL-terminated */
    char *body;      /* NUL-terminated; valid until the next read on this connection's request */
    size_t body_len;
};

/* Serves one connection; it is closed when the function returns. */
typedef void (*peer_serve_fn)(struct peer_conn *c, void *arg);

struct peer_options {
    peer_serve_fn serve;
    void *arg;
    const char *cert_file, *key_file; /* both: TLS */
    bool h2;                          /* TLS: choose "h2" where the client offers it */
};

struct peer *peer_new(const struct peer_options *options); /* asserts on failure */
void peer_free(struct peer *p);                            /* hangs up on everybody; joins */
int peer_port(const struct peer *p);
const char *peer_url(const struct peer *p); /* "http://127.0.0.1:PORT/orders" */
unsigned peer_connections(struct peer *p);  /* accepted */
unsigned peer_requests(struct peer *p);     /* read whole, with their bodies */
size_t peer_bytes(struct peer *p);          /* read */

/* False on end of file before a whole request came. */
bool peer_read_request(struct peer_conn *c, struct peer_request *r);
void peer_request_deinit(struct peer_request *r);
/* Reads exactly n bytes; false on end of file. */
bool peer_read(struct peer_conn *c, void *data, size_t n);
void peer_send(struct peer_conn *c, const void *data, size_t n);
void peer_say(struct peer_conn *c, const char *text);
/* A whole HTTP/1.1 answer; `headers` are lines with CRLF, or "". */
void peer_answer(struct peer_conn *c, const char *status, const char *headers, const char *body);
void peer_count_request(struct peer_conn *c);
/* Returns when the client (or peer_free) hung up. */
void peer_wait_closed(struct peer_conn *c);

/* A listening port whose queue is full: connecting to it hangs. */
struct blackhole {
    int listener;
    int fill[8];
    int port;
};
void blackhole_open(struct blackhole *b);
void blackhole_close(struct blackhole *b);

#endif
