/* What the parts of the HTTP client share. One pool holds several CURLMs; each call owns one easy
 * handle, which stays with one CURLM for life, so that connections are found again. */
#ifndef DRAY_IO_HTTP_INTERNAL_H
#define DRAY_IO_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "dray/http.h"

#define HTTP_PER_MULTI     64 /* libcurl 7.88 walks a CURLM's connections to a host on each request */
#define HTTP_SPARE_ANSWERS 64
#define HTTP_SPARE_ANSWER_MAX                                                                      \
    (64u << 10) /* bytes; a larger answer's memory is given back at once */
#define HTTP_TRACEPARENT_MAX 128

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
    char *ca_file, *proxy; /* NULL: the system's; none */
    char *client_cert, *client_key, *user_agent, *wait_header; /* NULL: none */
    long connect_timeout_ms, request_timeout_ms;
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
    struct http_stats stats;
};

/* http_pool.c: something happened to this CURLM; it is looked at before the loop sleeps. */
void http_multi_ready(struct http_multi *m);
void http_handle_closed(struct http_pool *pool);

/* http_socket.c */
int http_socket_event(CURL *easy, curl_socket_t fd, int what, void *multi, void *unused);
curl_socket_t http_socket_open(struct http_multi *m, const struct curl_sockaddr *address);
int http_socket_close(void *pool, curl_socket_t fd);
void http_socket_steady(struct http_pool *pool, curl_socket_t fd);
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
void http_outcome(const struct http_call *c, CURLcode code, bool cancelled,
                  struct http_exchange *x);

#endif
