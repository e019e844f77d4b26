/* What the parts of the HTTP client share. A pool holds several CURLMs. A call owns one easy handle, which
 * stays with one CURLM for life, so that its connections are found again. */
#ifndef DRAY_IO_HTTP_INTERNAL_H
#define DRAY_IO_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "dray/http.h"

#define HTTP_PER_MULTI        64 /* libcurl 7.88 walks a CURLM's connections to a host on each request */
#define HTTP_SPARE_ANSWERS    64
#define HTTP_SPARE_ANSWER_MAX (64u << 10) /* bytes; a larger answer's memory is given back at once */
#define HTTP_TRACEPARENT_MAX  128
#define HTTP_OPENED           8    /* sockets opened for a request that are remembered, the last ones */
#define HTTP_CONN_BUCKETS     4096 /* by local port, of which the kernel gives every other one */
#define HTTP_OWNER_MAX        64   /* characters of a target's owner */

/* What is known of a host (and the proxy before it) about how long it keeps idle connections. */
struct http_host {
    LIST_ENTRY(http_host) link;
    uint64_t looked_ms;                          /* when the oldest of `idle` were last looked at */
    TAILQ_HEAD(http_idle_conns, http_conn) idle; /* its connections that carry nothing, last used first */
    uint64_t kept_ms;   /* so long it surely keeps one: one was seen open after that time */
    uint64_t closed_ms; /* it closed one that had been idle for so long; 0: not seen */
    uint64_t closed_at_ms;
    char name[];
};

/* A connection, from its first request until it is closed. It is part of the http_socket of its descriptor
 * number. */
struct http_conn {
    struct http_pool *pool;
    struct http_multi *multi;
    struct http_host *host;
    curl_socket_t fd;
    uint32_t serial;  /* of the connection, among those that have had this number */
    uint32_t users;   /* requests on it */
    bool bound;       /* it is one: in pool->conns */
    bool listed;      /* in host->idle */
    bool spoiled;     /* nothing may be sent on it any more */
    bool multiplexed; /* HTTP/2: streams say which answer is whose, and frames come at any time */
    bool opaque;      /* TLS that we cannot look into (a proxy's, or a library's other than OpenSSL) */
    bool used;        /* it has carried a request */
    int port, local_port;
    char ip[INET6_ADDRSTRLEN];
    bool goaway; /* HTTP/2: the peer takes no stream above `last_stream` */
    uint32_t last_stream;
    void *ssl; /* SSL *, libcurl's; NULL: plain, or opaque */
    uint64_t idle_since_ms;
    uint64_t answer_ms; /* the shortest time from a request's first byte to its whole answer; 0: none yet */
    uint64_t keep_ms;   /* what the server's Keep-Alive header promised; 0: nothing */
    char owner[HTTP_OWNER_MAX + 1]; /* of the last request */
    LIST_ENTRY(http_conn) bucket_link;
    TAILQ_ENTRY(http_conn) idle_link;
};

/* One descriptor number that libcurl has used. */
struct http_socket {
    uv_poll_t poll;
    struct http_pool *pool;
    struct http_multi *multi; /* whose it was last */
    curl_socket_t fd;
    int mask;    /* what uv watches now; 0: stopped */
    int want;    /* what libcurl last asked for */
    bool active; /* libcurl waits for it */
    bool steady; /* an established connection: closed through http_socket_close only */
    struct http_conn conn;
};

struct http_multi {
    struct http_pool *pool;
    CURLM *curl;
    uv_timer_t timer;
    uint64_t due;   /* uv_now() at which libcurl wants to be called; UINT64_MAX: not */
    uint64_t armed; /* what `timer` is set to, never later than `due`; UINT64_MAX: not running */
    bool kick;      /* libcurl asked to be called at once */
    bool fired;     /* the kick comes from the timer */
    bool queued;    /* in pool->ready */
    STAILQ_ENTRY(http_multi) ready_link;
};

struct http_call {
    struct http_pool *pool;
    struct http_multi *multi;
    struct http_target *bound; /* whose options `easy` has; NULL: none's */
    CURL *easy;
    http_done_fn done;
    void *arg;
    bool (*may_send)(void *arg);
    uint64_t started_ns;
    long size_before; /* request bytes that libcurl had counted when the request was let go */
    bool running;     /* started, `done` not called yet */
    bool opened;      /* a socket, for this request */
    bool let_go;      /* libcurl was allowed to write this request on a connection */
    bool too_large, replay_refused, guard_refused, unresolved;
    bool unfit;      /* the connection that libcurl chose was not to be used: another is taken */
    bool fresh;      /* `easy` must take a new connection */
    bool reused;     /* the connection had carried requests before */
    bool early;      /* an answer came before the peer had the whole request */
    bool refused;    /* HTTP/2: the peer says that it did nothing with it */
    bool stood;      /* its HTTP/2 connection was there when libcurl wanted to send it again */
    bool listens;    /* `easy` tells its verbose text */
    uint32_t stream; /* HTTP/2; 0: not known */
    bool says_close; /* the answer says that the peer closes */
    uint32_t restarts;
    struct http_conn *conn; /* while its serial is `conn_serial`; NULL: none yet */
    uint32_t conn_serial;
    uint64_t idle_ms; /* how long the connection had been idle */
    uint64_t left_ms; /* when the request was let go on it */
    curl_socket_t opened_fds[HTTP_OPENED];
    uint32_t opened_count;
    size_t body_len;
    struct buf answer;
    CURLU *url;                 /* with the request's own query; NULL: the target's */
    struct curl_slist *headers; /* what `easy` has now */
    struct curl_slist own[3];   /* this request's own lines, in front of the target's */
    char *own_line;             /* one of them; NULL: none */
    char traceparent[HTTP_TRACEPARENT_MAX];
    char error[CURL_ERROR_SIZE];
    LIST_ENTRY(http_call) running_link;
    TAILQ_ENTRY(http_call) idle_link;  /* pool->idle, unless running */
    LIST_ENTRY(http_call) target_link; /* bound->idle, unless running or unbound */
};

struct http_target {
    uint32_t refs; /* the owner's and one per running call */
    enum http_method method;
    bool tls;
    CURLU *url;
    char *host, *port; /* of the URL */
    struct curl_slist *headers;
    char *ca_file, *proxy;                                     /* NULL: the system's; none */
    char *client_cert, *client_key, *user_agent, *wait_header; /* NULL: none */
    long connect_timeout_ms, request_timeout_ms;
    uint64_t idle_reuse_ms;  /* 0: each request on a connection of its own */
    struct http_host *where; /* the pool's */
    char owner[HTTP_OWNER_MAX + 1];
    LIST_HEAD(, http_call) idle; /* last used first: its connection is the warmest */
};

struct http_pool {
    uv_loop_t *loop;
    uv_prepare_t prepare; /* referenced while a call runs: an idle pool doesn't hold the loop */
    uv_check_t check;
    uv_idle_t again; /* active while `ready` is not empty: the loop must not sleep */
    CURLSH *share;   /* DNS and TLS sessions, across the CURLMs */
    struct http_multi *multis;
    size_t multi_count;
    STAILQ_HEAD(, http_multi) ready;
    LIST_HEAD(, http_call) running;
    TAILQ_HEAD(http_idle, http_call) idle; /* unbound first, then the longest unused */
    struct http_socket **sockets;          /* by descriptor */
    size_t socket_cap;
    size_t handles; /* uv handles not closed yet */
    size_t calls, max_inflight;
    struct buf spare[HTTP_SPARE_ANSWERS];
    size_t spare_count;
    uint32_t inflight;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    /* libcurl 8 reads what waits on a kept connection and closes it without a word: look first */
    bool looks_itself;
    http_stray_fn on_stray;
    void *stray_arg;
    LIST_HEAD(, http_conn) conns[HTTP_CONN_BUCKETS];
    LIST_HEAD(, http_host) hosts;
    struct http_stats stats;
};

/* http_pool.c: something happened to this CURLM; it is looked at before the loop sleeps. */
void http_multi_ready(struct http_multi *m);
void http_handle_closed(struct http_pool *pool);

/* http_socket.c */
int http_socket_event(CURL *easy, curl_socket_t fd, int what, void *multi, void *unused);

/* http_conn.c: connections, and who is on them */
/* Whether this request may be written on the connection that libcurl chose; then the call is on it. */
bool http_conn_fit(struct http_call *c, const char *ip, int port, int local_port);
/* the call has left libcurl, or is about to */
void http_conn_done(struct http_call *c, CURLcode code, uint64_t now_ms);
void http_conn_stirred(struct http_conn *k, bool *watch); /* it can be read, and carries nothing */
void http_conn_gone(struct http_conn *k);                 /* it is about to be closed */
void http_conn_spoil(struct http_conn *k);                /* nothing is sent on it any more */
/* Whether the call is still on the connection that it was let go on. */
bool http_conn_holds(const struct http_call *c);

/* http_silence.c */
enum http_look { LOOK_SILENT, LOOK_TALKS, LOOK_CLOSED };
/* a new connection: how it is to be looked at */
void http_silence_learn(struct http_call *c, struct http_conn *k);
enum http_look http_silence(const struct http_conn *k);
void http_silence_stray(struct http_conn *k); /* it talks though nobody asked: told and counted */
size_t http_on_header(char *line, size_t size, size_t n, void *call);

/* http_refused.c: HTTP/2 streams that the peer did nothing with */
void http_refused_listen(struct http_call *c);      /* it is about to be written on an HTTP/2 connection */
void http_refused_replay(struct http_call *c);      /* libcurl wants to send it again: sets `refused` */
bool http_refused_above(const struct http_call *c); /* its stream is above what the peer's GOAWAY takes */

/* http_idle.c: how long a connection may have been idle */
uint64_t http_now_ms(void); /* uv_hrtime(), read once for each request that leaves, each connection that is
                             * chosen and each answer */
/* NULL: out of memory */
struct http_host *http_idle_host(struct http_pool *pool, const struct http_target *t);
void http_idle_free(struct http_pool *pool);
bool http_idle_allows(const struct http_conn *k, const struct http_target *t, uint64_t now_ms);
/* the peer closed one that was idle so long */
void http_idle_closed(struct http_host *h, uint64_t idle_ms);
/* Whether the call must take a new connection; those that are too old for any are closed. */
bool http_idle_none(const struct http_call *c, uint64_t now_ms);

curl_socket_t http_socket_open(struct http_multi *m, const struct curl_sockaddr *address);
int http_socket_close(void *pool, curl_socket_t fd);
void http_socket_keep(struct http_pool *pool, curl_socket_t fd);              /* watched while it is idle */
struct http_conn *http_socket_conn(struct http_pool *pool, curl_socket_t fd); /* NULL: no such socket */
void http_socket_close_handles(struct http_pool *pool);

/* http_target.c: sets on a fresh easy handle what is the target's. */
CURLcode http_target_apply(const struct http_target *t, CURL *easy);
/* Whether two targets differ in nothing but path, query and headers, as shops of one provider do: a handle goes
 * from one to the other as it is, and finds the same connections. */
bool http_target_alike(const struct http_target *a, const struct http_target *b);

/* http_handle.c: easy handles. A taken one has the target's options and holds a reference on it. */
struct http_call *http_call_take(struct http_pool *pool, struct http_target *t, bool fresh);
void http_call_give_back(struct http_call *c);
void http_call_free_idle(struct http_pool *pool);
long http_request_size(const struct http_call *c);

/* http_call.c: takes the call from libcurl, tells its owner, gives the handle back. */
void http_call_finish(struct http_call *c, CURLcode code, bool cancelled);

/* http_outcome.c: what is known about a call that libcurl has let go of. */
void http_outcome(const struct http_call *c, CURLcode code, bool cancelled, uint64_t now_ns,
                  struct http_exchange *x);

#endif
