/* What the sandbox's own files share. Everything here belongs to the sandbox's one thread. */
#ifndef DRAY_SANDBOX_INTERNAL_H
#define DRAY_SANDBOX_INTERNAL_H

#include <microhttpd.h>

#include "dray/clock.h"
#include "dray/job.h"
#include "dray/json.h"
#include "dray/provider.h"
#include "sandbox/sandbox.h"
#include "sandbox/tally.h"
#include "util/json_tree.h"

#define BODY_MAX        (1u << 20)  /* of a request; more is answered 413 */
#define BODY_KEPT       (64u << 10) /* what a request's buffer may hold on to between requests */
#define CALLERS_MAX     1024
#define CALLER_NAME_MAX 512
#define ARRIVALS_MAX    16384 /* the last so many per caller */
#define OUT_MAX         (512u << 20)

struct sandbox;

/* One set of credentials: a bearer token, the user of a basic one, or "" for none. */
struct caller {
    char name[CALLER_NAME_MAX + 1];
    uint64_t first_ms; /* Unix: when it first called; its token may end */
    bool has_trouble;  /* else the sandbox's */
    struct sandbox_trouble trouble;
    uint64_t *arrivals; /* ring of Unix ms; NULL until the first POST */
    uint64_t arrival_count;
};

/* A created order as an answer shows it. */
struct created {
    uint64_t serial; /* of the first, if there are several */
    uint32_t count;
    uint64_t created_ms;
    const struct json_doc *order; /* the request; its root is node 0 */
    struct span organization;
    bool without_id;
};

typedef void (*write_id_fn)(struct buf *out, uint64_t serial, uint64_t created_ms); /* without quotes */

/* One create endpoint, and the forms of its answers. */
struct endpoint {
    const char *name; /* of its module in the provider registry */
    const char *path;
    enum auth_kind auth;
    bool keeps_body; /* look-ups show the whole order */
    unsigned created_status, invalid_status, rejected_status;
    const char *key_pointer; /* NULL: the module's */
    cJSON *(*created)(const struct created *c);
    write_id_fn write_id;
    /* `code` is the sandbox's own word: "invalid" "unauthorized" "rejected" "balance" "exists"
     * "status". */
    cJSON *(*error)(struct rng *rng, unsigned status, const char *code, const char *message);
};
extern const struct endpoint endpoints[];
extern const uint16_t endpoint_count;
enum {
    ENDPOINT_KAKACLO_V2,
    ENDPOINT_KAKACLO_V1,
    ENDPOINT_KAKACLO_CUSTOM,
    ENDPOINT_S2,
    ENDPOINT_VU,
    ENDPOINT_JSON,
    ENDPOINTS
};

enum reply_kind { REPLY_SEND, REPLY_HANGUP, REPLY_TRUNCATED };

/* An answer in the making; its body is sandbox.out. */
struct reply {
    enum reply_kind kind;
    unsigned status;
    const char *content_type;
    char retry_after[40];         /* "": none */
    const char *location;         /* NULL: none; lives as long as the request */
    const char *content_encoding; /* NULL: none */
    uint64_t delay_ms;
    uint64_t again_ms; /* the same answer comes once more after this; 0: it does not */
    uint64_t keep_ms;  /* the connection closes when it is idle for so long; 0: it does not */
    bool says_keep;    /* … and the answer says so */
};

/* A connection, and what it does by itself after an answer (line.c). */
struct line {
    struct line *next, *previous; /* of those with something to do */
    bool armed;
    int fd;      /* libmicrohttpd's */
    char *again; /* owned: a second answer; NULL: none */
    size_t again_len;
    uint64_t again_ns; /* boot clock */
    uint64_t close_ns; /* boot clock; 0: it stays open */
};

/* One HTTP request: READING its body → (DELAYED →) ANSWERED. */
struct request {
    struct request *next_free;
    struct MHD_Connection *connection;
    const char *method;
    const char *path; /* libmicrohttpd's, for as long as the request lives */
    struct buf body;
    bool too_large;
    bool prepared; /* kind and response are set */
    enum reply_kind kind;
    struct MHD_Response *response; /* owned; NULL for a hang-up */
    unsigned status;
    char *again; /* owned: the same answer as bytes, to be sent once more; NULL: it is not */
    size_t again_len;
    uint64_t again_ms, keep_ms;
    uint64_t due_ns;    /* boot clock; while delayed */
    uint32_t heap_slot; /* HEAP_NONE while not delayed */
};

#define HEAP_NONE UINT32_MAX

/* Delayed requests, the next one due on top. */
struct delays {
    struct request **heap;
    uint32_t count, cap;
};
int delays_push(struct delays *d, struct request *r); /* 0, or -1: out of memory */
void delays_remove(struct delays *d, struct request *r);
struct request *delays_top(const struct delays *d); /* NULL: none */
void delays_deinit(struct delays *d);

/* response.c. The body is sandbox.out. NULL: out of memory. */
struct MHD_Response *response_make(struct sandbox *s, const struct reply *reply);
/* The same answer as bytes, to be sent once more: into request.again. */
void response_keep_for_again(struct sandbox *s, struct request *r, const struct reply *reply);

/* line.c. Happy path: opened → (a request begins → it is answered →)* closed. */
struct line *line_opened(int fd);                    /* NULL: out of memory */
void line_closed(struct sandbox *s, struct line *l); /* frees it; NULL is fine */
void line_request_begins(struct sandbox *s, struct line *l);
/* Takes the request's second answer over. */
void line_answered(struct sandbox *s, struct line *l, struct request *r);
void lines_act(struct sandbox *s, uint64_t now_ns); /* does what is due */
uint64_t lines_next_ns(const struct sandbox *s);    /* UINT64_MAX: nothing */

struct sandbox {
    struct sandbox_options options;
    struct sandbox_trouble trouble; /* as it is now */
    struct tally tally;
    const struct provider *modules[ENDPOINTS];
    struct rng rng;
    struct caller **callers;
    uint32_t caller_count;
    bool said_full;
    struct buf out;     /* the answer's body */
    struct buf scratch; /* an order's key */
    struct json_doc doc, stored_doc;
    struct faults faults;
    /* server.c */
    struct MHD_Daemon *daemon;
    int epoll_fd, stop_fd;
    uint16_t port;
    struct delays delays;
    struct line *armed_lines;
    struct request *free_requests;
    pthread_t thread;
};

/* request.c */
struct request *sandbox_request_new(struct sandbox *s, struct MHD_Connection *connection, const char *method,
                                    const char *path); /* NULL: out of memory */
void sandbox_request_done(struct sandbox *s, struct request *r);
/* A query parameter's value, decoded, or NULL. */
const char *query_value(const struct request *r, const char *name);
const char *header_value(const struct request *r, const char *name);

/* forms.c: helpers of the answers. Values of the request stand in them byte for byte. `node` JSON_NONE gives
 * null. */
void form_member(cJSON *o, const char *name, const struct json_doc *doc, uint32_t node);
void form_time(cJSON *o, const char *name, uint64_t unix_ms);
cJSON *form_id(write_id_fn write_id, uint64_t serial, uint64_t created_ms); /* as a string */
/* Copies the members of `node`, except those named in `but` (NULL-terminated). */
void form_copy(cJSON *o, const struct json_doc *doc, uint32_t node, const char *const *but);
cJSON *kakaclo_created(const struct created *c);
cJSON *kakaclo_custom_created(const struct created *c);
cJSON *kakaclo_error(struct rng *rng, unsigned status, const char *code, const char *message);
void kakaclo_write_id(struct buf *out, uint64_t serial, uint64_t created_ms);
void kakaclo_custom_write_id(struct buf *out, uint64_t serial, uint64_t created_ms);
void s2_write_id(struct buf *out, uint64_t serial, uint64_t created_ms);
cJSON *s2_created(const struct created *c);
cJSON *s2_error(struct rng *rng, unsigned status, const char *code, const char *message);
bool s2_serial(const char *id, uint64_t *serial);
void vu_write_id(struct buf *out, uint64_t serial, uint64_t created_ms);
cJSON *vu_created(const struct created *c);
cJSON *vu_error(struct rng *rng, unsigned status, const char *code, const char *message);
void json_write_id(struct buf *out, uint64_t serial, uint64_t created_ms);
cJSON *json_created(const struct created *c);
cJSON *json_error(struct rng *rng, unsigned status, const char *code, const char *message);

/* reply.c */
/* Makes the tree the answer's body, and deletes it. Out of memory: sandbox.out fails. */
void reply_tree(struct sandbox *s, cJSON *tree);
/* {"message": …}, in no provider's form. */
void reply_message(struct sandbox *s, struct reply *reply, unsigned status, const char *message);
void reply_nowhere(struct sandbox *s, struct reply *reply);
/* An error in the endpoint's own form. */
void reply_error(struct sandbox *s, uint16_t endpoint, struct reply *reply, unsigned status, const char *code,
                 const char *message);
/* A web page, as gateways and firewalls answer. */
void reply_page(struct sandbox *s, struct reply *reply, unsigned status, const char *text);
/* Answers as `down` says. False: the sandbox is up, and nothing was done. */
bool reply_down(struct sandbox *s, uint16_t endpoint, uint16_t caller, struct reply *reply);

/* callers.c: finds the caller by its credentials. False: `*why` says what is wrong with them, or that there are
 * too many different ones: then *status is 507. */
bool caller_read(struct sandbox *s, const struct request *r, enum auth_kind auth, uint16_t *caller,
                 unsigned *status, const char **why);
/* The caller of that name, added if it is new. NULL: there are too many. */
struct caller *caller_named(struct sandbox *s, const char *name, uint16_t *index);
void caller_arrived(struct caller *c, uint64_t unix_ms);
const struct sandbox_trouble *caller_trouble(const struct sandbox *s, uint16_t caller);
void callers_deinit(struct sandbox *s);

/* trouble.c */
cJSON *trouble_json(const struct sandbox_trouble *t);
bool trouble_hits(struct rng *rng, double rate);
uint64_t trouble_latency_ms(const struct sandbox_trouble *t, struct rng *rng);

/* Each fills `reply` and sandbox.out. */
void create_handle(struct sandbox *s, struct request *r, uint16_t endpoint, struct reply *reply);
/* Whether a POST there is a look-up. */
bool lookup_is_search(const char *path);
void lookup_handle(struct sandbox *s, struct request *r, struct reply *reply);
void control_handle(struct sandbox *s, struct request *r, struct reply *reply);
/* spoil.c: changes the answer in `out`. */
void spoil_bom(struct buf *out);
void spoil_gzip(struct buf *out);
/* Replaces the order key `name` by another one wherever sandbox.out shows it. */
void spoil_key(struct sandbox *s, struct span name);

#endif
