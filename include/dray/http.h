/* HTTP client for provider requests: libcurl multi on the uv loop.
 *
 * Promises: a POST of which a byte left us is never written again: libcurl would silently repeat it
 * when a kept-alive connection dies before the first byte of an answer, or when an HTTP/2 peer refuses
 * the stream; it is stopped right before it writes (`replay_refused`). A GET may be repeated.
 * A kept connection is used again only while it is silent and not too long idle: else an answer that nobody
 * asked for would be taken for the next request's, or the peer closes it under the request.
 * Redirects are not followed; TLS is verified; answers are capped; the callback is called exactly
 * once, from the loop, never from within http_send. Names are looked up in threads,
 * one for each request that needs a new connection while the name is not cached (60 s). */
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
    /* "Name: value" lines, NULL-terminated; may be NULL. A body without a Content-Type is JSON. Each
     * line costs about 1 us a request. */
    const char *const *headers;
    const char *bearer;     /* Authorization: Bearer …, or NULL */
    const char *basic_user; /* Authorization: Basic …, or NULL */
    const char *basic_password;
    const char *ca_file;                  /* NULL: the system's */
    const char *client_cert, *client_key; /* PEM files, or NULL */
    const char *user_agent;               /* NULL: none is sent */
    const char *wait_header;     /* read like Retry-After where an answer 429 has no such header; or NULL */
    const char *proxy;           /* NULL: none (the environment's proxies are ignored) */
    uint32_t connect_timeout_ms; /* name, connection and TLS; 0: 5,000 */
    uint32_t request_timeout_ms; /* the whole exchange; 0: 30,000 */
    /* A connection that has been idle for longer carries no request of this target; 0: 2,000. It may be less:
     * what the server's Keep-Alive promised, and what earlier closes taught. */
    uint32_t idle_reuse_ms;
    bool no_reuse;     /* each request on a connection of its own */
    const char *owner; /* whose requests these are, for http_pool_on_stray; NULL: "" */
};

struct http_request {
    struct span body;        /* POST, PUT; must stay until the callback */
    const char *traceparent; /* NULL or a header value (else left out), copied */
    const char *header;      /* NULL or one more line "Name: value", copied */
    const char *query;       /* NULL or an encoded query without '?', copied; GET */
    /* Asked on a ready connection, right before the first byte of the request is written, with the
     * callback's `arg`; false aborts the request with `guard_refused` and nothing sent. NULL: always
     * yes. A worker that lost its lease while it was stopped says no here. Runs inside libcurl: it
     * may call nothing of this interface. */
    bool (*may_send)(void *arg);
};

/* What happened. All pointers are valid during the callback only. */
struct http_exchange {
    /* at least one byte of this request may have reached the peer, and it may have acted on it */
    bool sent;
    bool answered;       /* a whole answer was read: `status`, `body` count */
    bool too_large;      /* the answer was larger than HTTP_ANSWER_MAX (answered is false) */
    bool replay_refused; /* libcurl wanted to send the body again */
    bool guard_refused;  /* may_send said no */
    /* An answer came on a connection that others had used before the peer had the whole request, or a 2xx
     * before it had it on any: it is hardly this request's. `answered` may be true. */
    bool early;
    bool cancelled;
    bool reused;      /* on a connection that had carried requests before */
    bool unprocessed; /* HTTP/2: the peer says that it did nothing (REFUSED_STREAM, GOAWAY below our stream);
                          * `sent` is false then */
    /* what our proxy answered to CONNECT where that was no 2xx: nothing was sent; else 0 */
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
/* From the next loop turn on: cancels what is in flight (callbacks are called), closes connections,
 * frees the pool, then calls `closed`. Targets may be given back before or after. */
void http_pool_close(struct http_pool *pool, void (*closed)(void *arg), void *arg);

struct http_target *http_target_new(struct http_pool *pool, const struct http_target_options *options,
                                    struct err *err);
/* Reference-counted: a target that calls still use lives until they are done. NULL is fine. */
void http_target_unref(struct http_target *target);
/* "host:port" of its URL, and whether a proxy is before it; lives as long as the pool. */
const char *http_target_place(const struct http_target *target);

/* Starts a request. Returns the call, or NULL (out of memory, pool closing, `query` is none): then
 * `done` is not called and nothing was sent. The call is valid until `done` returns. */
struct http_call *http_send(struct http_pool *pool, struct http_target *target,
                            const struct http_request *request, http_done_fn done, void *arg);
/* Ends it at once; `done` is called (with `cancelled`) before this returns. */
void http_cancel(struct http_call *call);

/* From within `done` only: what came may be another request's answer, so its connection is not used again. */
void http_doubt(struct http_call *call);

/* Bytes came on a connection that nobody was waiting on; it is closed. `owner`: of the last request that it had
 * carried; `host`: where it leads; `bytes`: how many wait, of what is encrypted the encrypted ones. Called from
 * the loop or from within libcurl: it may call nothing of this interface. */
typedef void (*http_stray_fn)(void *arg, const char *owner, const char *host, size_t bytes);
void http_pool_on_stray(struct http_pool *pool, http_stray_fn fn, void *arg);

/* Requests started whose callback has not been called. */
uint32_t http_inflight(const struct http_pool *pool);

/* Counters since the start. */
struct http_stats {
    uint64_t requests, connections, replays_refused, guards_refused;
    uint64_t strays; /* connections on which bytes came that nobody had asked for */
    uint64_t unfit;  /* kept connections that were not used again: too long idle, closed, not silent */
};
struct http_stats http_pool_stats(const struct http_pool *pool);

#endif
