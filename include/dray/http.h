/* HTTP client for provider requests: libcurl multi on the uv loop.
 *
 * What it promises:
 * - A POST of which one byte has left is never written again. libcurl would repeat it silently when a kept
 *   connection dies before the first byte of an answer, or when an HTTP/2 peer refuses the stream. It is stopped
 *   right before it writes (`replay_refused`). A GET may be repeated.
 * - A kept connection is used again only if no byte waits on it and it was not idle for too long. Otherwise an
 *   answer that nobody asked for would be taken for the next request's, or the peer would close the connection
 *   under the request.
 * - The callback is called exactly once, from the loop, never from within http_send.
 * - Redirects are not followed. TLS is verified. An answer has a maximum size.
 * Names are resolved in threads, one for each request that needs a new connection while its host's name is not
 * cached (60 s). */
#ifndef DRAY_HTTP_H
#define DRAY_HTTP_H

#include <uv.h>

#include "dray/buf.h"
#include "dray/err.h"

#define HTTP_ANSWER_MAX (1u << 20) /* bytes of an answer that are kept; more is an unreadable answer */

struct http_pool;   /* connections and handles of one worker */
struct http_target; /* one URL with its fixed headers and limits; made once, used by many requests */
struct http_call;   /* one request in flight */

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT };

/* Everything is copied. */
struct http_target_options {
    enum http_method method;
    const char *url; /* absolute, http:// or https:// */
    /* "Name: value" lines, NULL-terminated; NULL: none. Without a Content-Type among them a body is sent as JSON.
     * Each line costs a request about 1 us. */
    const char *const *headers;
    const char *bearer;     /* Authorization: Bearer …, or NULL */
    const char *basic_user; /* Authorization: Basic …, or NULL */
    const char *basic_password;
    const char *ca_file;                  /* NULL: the system's */
    const char *client_cert, *client_key; /* PEM files, or NULL */
    const char *user_agent;               /* NULL: none is sent */
    const char *wait_header;              /* read in place of a Retry-After that a 429 lacks; NULL: none */
    const char *proxy;                    /* NULL: none (the environment's proxies are ignored) */
    uint32_t connect_timeout_ms;          /* name, connection and TLS; 0: 5,000 */
    uint32_t request_timeout_ms;          /* the whole exchange; 0: 30,000 */
    /* A connection that has been idle for longer carries no request of this target; 0: 2,000. The limit becomes
     * shorter where the server's Keep-Alive says so, or where it closed connections earlier. */
    uint32_t idle_reuse_ms;
    bool no_reuse;     /* each request on a connection of its own */
    const char *owner; /* the name that http_pool_on_stray tells; NULL: "" */
};

struct http_request {
    struct span body;        /* POST, PUT; must stay until the callback */
    const char *traceparent; /* the header's value, left out if it is none; NULL: none; copied */
    const char *header;      /* one more line "Name: value"; NULL: none; copied */
    const char *query;       /* of a GET: encoded, without '?'; NULL: none; copied */
    /* Called with the callback's `arg` when the connection is ready, right before the request's first byte. If it
     * returns false, nothing is sent and the request ends with `guard_refused`. So a worker that lost its lease while
     * the process was stopped sends nothing. NULL: always true. It runs inside libcurl and may call no function
     * of this header. */
    bool (*may_send)(void *arg);
};

/* What happened. All pointers are valid during the callback only. */
struct http_exchange {
    /* at least one byte of this request may have reached the peer, and it may have acted on it */
    bool sent;
    bool answered;       /* a whole answer was read; only then `status` and `body` are the answer */
    bool too_large;      /* the answer was larger than HTTP_ANSWER_MAX (answered is false) */
    bool replay_refused; /* libcurl wanted to send the body again */
    bool guard_refused;  /* may_send said no */
    /* The answer came before the peer had the whole request: any answer on a connection that others had used, or a
     * 2xx on a new one. It is hardly the answer to this request. `answered` may be true. */
    bool early;
    bool cancelled;
    bool reused;      /* on a connection that had carried requests before */
    bool unprocessed; /* HTTP/2: the peer says that it did nothing (REFUSED_STREAM, GOAWAY below our stream);
                          * `sent` is false then */
    /* our proxy's answer to CONNECT, if it was no 2xx: then nothing was sent; else 0 */
    long proxy_status;
    long status;             /* 0 where no status line came; may be set though answered is false */
    struct span body;        /* what was read of the answer, also of a broken one */
    struct span retry_after; /* header's value, or absent */
    struct span content_type;
    const char *error; /* libcurl's words on a failure; "" otherwise. Holds no body, no secret. */
    const char *phase; /* "resolve" "connect" "tls" "send" "receive" "timeout" "done": for `code` */
    uint64_t duration_us;
};

typedef void (*http_done_fn)(void *arg, const struct http_exchange *exchange);

/* `max_inflight` sizes the connection caches (one CURLM per 64). The process must ignore SIGPIPE
 * (TLS writes with write(2)). NULL and `err` on failure. */
struct http_pool *http_pool_new(uv_loop_t *loop, uint32_t max_inflight, struct err *err);
/* In the next turn of the loop: cancels what is in flight, whose callbacks are called, closes all connections, frees
 * the pool, and calls `closed`. Targets may be given back before or after. */
void http_pool_close(struct http_pool *pool, void (*closed)(void *arg), void *arg);

struct http_target *http_target_new(struct http_pool *pool, const struct http_target_options *options,
                                    struct err *err);
/* Reference-counted: a target that calls still use lives until they are done. NULL is fine. */
void http_target_unref(struct http_target *target);
/* "host:port" of its URL, and the proxy before it, if there is one. Lives as long as the pool. */
const char *http_target_place(const struct http_target *target);

/* Starts a request. Returns the call, or NULL (out of memory, pool closing, `query` is none): then
 * `done` is not called and nothing was sent. The call is valid until `done` returns. */
struct http_call *http_send(struct http_pool *pool, struct http_target *target,
                            const struct http_request *request, http_done_fn done, void *arg);
/* Ends it at once; `done` is called (with `cancelled`) before this returns. */
void http_cancel(struct http_call *call);

/* Call it from within `done` only, if the answer may be another request's: its connection is then not used
 * again. */
void http_doubt(struct http_call *call);

/* Called when bytes came on a connection while no request was waiting there; the connection is closed. `owner`
 * is that of the last request that the connection had carried, `host` where it leads, `bytes` how many bytes wait (on a
 * TLS connection, encrypted ones). Runs in the loop or inside libcurl, and may call no function of this header. */
typedef void (*http_stray_fn)(void *arg, const char *owner, const char *host, size_t bytes);
void http_pool_on_stray(struct http_pool *pool, http_stray_fn fn, void *arg);

/* How many requests were started whose callback has not been called yet. */
uint32_t http_inflight(const struct http_pool *pool);

/* Counters since the start. */
struct http_stats {
    uint64_t requests, connections, replays_refused, guards_refused;
    uint64_t strays; /* connections on which bytes came that nobody had asked for */
    uint64_t
        unfit; /* kept connections that were not used again: idle for too long, closed, or bytes waited */
};
struct http_stats http_pool_stats(const struct http_pool *pool);

#endif
