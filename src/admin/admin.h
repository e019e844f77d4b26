/* The admin server's parts. A request is routed once its headers are there, handled once its body
 * is, and answered at once, or when Redis has answered (request_wait, request_done). */
#ifndef DRAY_ADMIN_ADMIN_H
#define DRAY_ADMIN_ADMIN_H

#include <microhttpd.h>

#include "admin/view.h"
#include "dray/admin.h"
#include "queue/letter.h"
#include "util/json_tree.h"
#include "worker/internal.h"

#define ADMIN_PARAMS    3
#define ADMIN_PARAM_MAX 160
#define ADMIN_WAIT_MS   5000 /* for Redis, before a request is answered with 503 */

/* One TCP connection; in the order of their deadlines. */
struct client {
    struct client *prev, *next;
    struct admin *admin;
    MHD_socket fd;
    uint64_t deadline_ns; /* boot clock; 0: cut off already */
};

struct request;
typedef void (*handler_fn)(struct request *r);

enum access {
    ACCESS_OPEN,     /* anybody who can connect */
    ACCESS_READ,     /* the token; where none is configured (loopback only): anybody */
    ACCESS_CONTENTS, /* the token: shows what stands in an order */
    ACCESS_ACT,      /* the token: changes something */
};

struct route {
    const char *method;
    const char *path; /* ":" stands for a parameter */
    enum access access;
    handler_fn handle;
};

struct request {
    struct admin *admin;
    struct MHD_Connection *connection;
    const struct route *route;
    char param[ADMIN_PARAMS][ADMIN_PARAM_MAX];
    bool with_token;            /* it came with the right one */
    char who[NAME_MAX_LEN + 1]; /* whose: an operator's name, "token" for [admin]'s own; "" without */
    struct buf body, out;
    unsigned status; /* 0: not answered yet */
    const char *content_type;
    const char *allow;    /* of a 405 */
    const char *csp;      /* of the page; NULL: nothing may be loaded */
    struct span constant; /* an answer that lies in the program; absent: `out` */
    /* Waiting for Redis: in the admin's list, and where the one who fetches points at it. */
    struct request *wait_prev, *wait_next;
    struct request **waiter;
    struct request *slot;   /* for those whom nobody else points at */
    handler_fn on_view;     /* waits for the queues' figures: called when they are there */
    uint64_t wait_until_ns; /* 0: not waiting */
};

struct admin {
    uv_loop_t *loop;
    struct worker *worker; /* NULL until admin_watch */
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timeout; /* libmicrohttpd's own */
    uv_timer_cb on_timeout;
    uv_timer_t cutter;  /* the next client whose time is over */
    uv_timer_t waiting; /* the next request whose wait for Redis is over */
    uv_timer_t refresh;
    uint32_t open_handles;
    bool closing;
    struct client *oldest, *newest;
    struct request *wait_first, *wait_last;
    bool beyond_loopback;
    uint32_t clients;
    uint64_t requests, refused, cut;
    uint64_t denied_logged_ns;
    struct views views;
    struct letter letter; /* scratch */
};

/* request.c */
struct request *request_new(struct admin *a, struct MHD_Connection *connection); /* NULL: out of memory */
void request_free(struct request *r);
/* The answer comes later: *waiter is set to `r`, and to NULL when it is answered in another way
 * (503 after ADMIN_WAIT_MS). */
void request_wait(struct request *r, struct request **waiter);
/* `r` has its answer (answer.c): sends it. */
void request_done(struct request *r);
/* The queue that the first parameter names; NULL: answered already (no such queue, Redis is away). */
struct consumer *request_consumer(struct request *r);

/* clients.c */
void clients_started(struct admin *a, struct client *c);
void clients_touch(struct client *c);
void clients_remove(struct client *c);

/* answer.c */
/* Answers with the tree and frees it; NULL, or a tree that cannot be printed: 500. */
void answer_tree(struct request *r, unsigned status, cJSON *tree);
void answer_error(struct request *r, unsigned status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct MHD_Response *answer_response(struct request *r);
const char *request_query(const struct request *r, const char *name); /* decoded; NULL: not given */

/* route.c */
/* Finds the route; false: answered already (404, 405, 401, 403, 413). */
bool route(struct request *r, const char *method, const char *path);

/* health.c */
void handle_healthz(struct request *r);
void handle_readyz(struct request *r);
const char *mode_name(const struct worker *w);
/* NULL while every queue's Redis is there, or why one is not. */
const char *redis_away(const struct worker *w);
/* NULL, or why the worker is not ready. */
const char *not_ready(const struct worker *w);

/* metrics.c */
void handle_metrics(struct request *r);

/* api.c: what is known of queues, accounts and workers, read from Redis at most a second ago */
void api_read(struct admin *a); /* a reading has ended */
void handle_status(struct request *r);
void handle_queues(struct request *r);
void handle_accounts(struct request *r);
void handle_workers(struct request *r);

/* page.c */
void handle_page(struct request *r);
void handle_openapi(struct request *r);

/* Somebody may act from elsewhere than this host: a token is configured. */
static inline bool admin_has_tokens(const struct config *c) {
    return c->admin_token != NULL || c->admin_operator_count > 0;
}

#endif
