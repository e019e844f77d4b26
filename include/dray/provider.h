/* What a provider's module is. It consists of data and pure functions: it does no I/O, keeps no state, and says what
 * an exchange means. It only reads bodies: policy/classify.c reads statuses and failures of the transport, by one
 * table for all providers. Retrying is the worker's business alone.
 *
 * Adding a provider: docs/HACKING.md. */
#ifndef DRAY_PROVIDER_H
#define DRAY_PROVIDER_H

#include "dray/account.h"
#include "dray/http.h"
#include "dray/job.h"
#include "dray/verdict.h"

enum field_type {
    FIELD_STRING,
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_BOOLEAN,
    FIELD_OBJECT,
    FIELD_ARRAY,             /* of objects where the row has members; else of anything */
    FIELD_STRING_ARRAY,      /* `max` is each element's */
    FIELD_STRING_OR_INTEGER, /* a phone number typed int with a spaced sample */
    FIELD_OBJECT_OR_ARRAY,   /* S2's meta: "an empty object {} or an empty array []" */
    FIELD_ANY,
};

enum field_flag {
    FIELD_REQUIRED = 1 << 0,
    FIELD_NULLABLE = 1 << 1,  /* null counts as absent */
    FIELD_NONEMPTY = 1 << 2,  /* a string or array that may not be empty */
    FIELD_DATETIME = 1 << 3,  /* a string that must be RFC 3339 */
    FIELD_ORDER_KEY = 1 << 4, /* the provider's own order key */
    FIELD_UTC = 1 << 5,       /* with FIELD_DATETIME: as Java's OffsetDateTime, and the offset is zero */
    FIELD_ISO8601 = 1 << 6,   /* with FIELD_DATETIME: any ISO 8601 date and time, offset optional */
    FIELD_TRIMMED = 1 << 7,   /* no white space at either end: it is compared exactly */
    FIELD_EMPTY_OK = 1 << 8,  /* with `allowed`: an empty text, too */
    FIELD_BOTH_OK = 1 << 9,   /* may stand under both of its names, where both say the same */
};

#define FIELDS_MAX 64 /* rows of one object */

/* One row of a table: a member of an object in the provider's document. The rows of an object lie together, so
 * that a member is compared with its siblings only. An object that two members share is written once. */
struct field {
    const char *name;
    const char *alias; /* another name that the document uses for the same field ("orderAddress"), or NULL */
    uint16_t name_len, alias_len;
    enum field_type type;
    unsigned flags;
    uint32_t max; /* code points of a string, the largest integer; 0: none */
    bool has_min;
    int64_t min;                /* of a number, where has_min */
    const char *const *allowed; /* NULL-terminated, or NULL: any. Compared exactly unless allowed_nocase */
    bool allowed_nocase;
    const struct field *members; /* of an object, or of each object of an array; NULL: not looked into */
    uint32_t member_count;
    const char *missing; /* what to say where it is missing, beside "is required"; NULL: nothing */
    const char *note;    /* the document's own words, or our choice, for `dray providers NAME` */
};

enum auth_kind { AUTH_NONE, AUTH_BEARER, AUTH_BEARER_ORGANIZATION, AUTH_BASIC, AUTH_CONFIGURED };
enum lookup_kind {
    LOOKUP_NONE,
    LOOKUP_EXACT, /* "not found" proves absence */
    LOOKUP_SCAN,  /* "not found" proves nothing by itself */
};

/* State of a look-up that reads several pages. */
struct lookup_cursor {
    uint32_t page;                         /* 0 first */
    uint64_t seen;                         /* items seen so far */
    uint64_t window_from_ms, window_to_ms; /* Unix ms: the order was created in it, if at all */
};

struct provider {
    const char *name;
    const char *title;            /* one line for `dray providers` */
    const char *seed;             /* the document that the facts are from */
    const char *path;             /* appended to the account's base_url; NULL: from the account */
    const char *default_base_url; /* NULL: base_url is required */
    enum auth_kind auth;
    const struct field *fields; /* of the order itself; NULL: any object will do */
    uint32_t field_count;
    const char *order_key_pointer; /* JSON Pointer from the order's root; NULL: none, or from the account */
    const char *order_key_alias;   /* the key's other spelling, as a JSON Pointer; NULL: none */
    enum lookup_kind lookup;
    bool
        lookup_withdrawn; /* the provider no longer documents it: used only where an account has `lookup = yes` */
    double default_rate; /* 0: no limit documented */
    uint32_t default_burst;
    enum on_absent default_on_absent;
    uint64_t default_lookup_delay_ms;

    /* Rules beyond the table (VU's b2b). `order` is the order object's node. NULL: none. */
    void (*validate)(const struct json_doc *doc, uint32_t order, struct faults *faults);

    /* Account-level checks at start ("organization is required for s2"). 0 or -1. NULL: none. */
    int (*check_account)(const struct account *account, struct err *err);

    /* Reads a 2xx answer that parsed as JSON. Sets verdict (CREATED, REJECTED, UNKNOWN), code,
     * message, ids, order. `envelope` lets it compare keys. */
    void (*read_success)(const struct account *account, const struct envelope *envelope,
                         const struct json_doc *answer, struct outcome *out);

    /* Reads code and message from an error answer that parsed as JSON. Leaves `out->verdict` as it is, unless the
     * answer says that the order exists: then it sets LOOKUP and `exists`. NULL: outcome_read_error(). */
    void (*read_error)(const struct account *account, const struct json_doc *answer, struct outcome *out);

    /* Appends the path and query of a look-up's page to `url`; base_url goes before them. 0, or -1 if the envelope lacks
     * what is needed: then the look-up tells nothing. NULL: there is no look-up. */
    int (*build_lookup)(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url);
    /* Writes the page's body, for a look-up by POST. It must create nothing, for it may be sent again. NULL: a GET. */
    int (*build_lookup_body)(const struct account *account, const struct envelope *envelope,
                             const struct lookup_cursor *cursor, struct buf *body);
    /* Reads a look-up's answer. `answer` is NULL if the body was no JSON. Sets the verdict: CREATED, with ids and
     * order; ABSENT, if there are no more pages and the order is in none (the worker decides by `lookup` whether that
     * proves anything); RETRY, to ask again later; UNKNOWN, if the answer is unreadable. Returns true, and advances the
     * cursor, if the next page must be read. */
    bool (*read_lookup)(const struct account *account, const struct envelope *envelope, long http_status,
                        const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out);
};

/* The registry, NULL-terminated. */
extern const struct provider *const providers[];
const struct provider *provider_find(const char *name);

/* Checks `order`, the node of an object in `doc`, against the table and the module's own rules. Adds every fault,
 * with a path that starts with "order", and returns how many it found. Unknown fields are allowed: no document forbids
 * them, and they are forwarded as they stand. `account` gives `validation`, `allow_empty` and `max_length`; NULL:
 * strict, as the document says. What lenient validation lets pass is added to `warnings`; NULL: not wanted. */
uint32_t provider_validate(const struct provider *p, const struct account *account,
                           const struct json_doc *doc, uint32_t order, struct faults *faults,
                           struct faults *warnings);

/* The row of a table's path such as "orderItemsList[].sku", or NULL. */
const struct field *provider_field(const struct provider *p, const char *path);

/* The node of the order's own key, under either of its spellings. JSON_NONE if it is not given, null or an empty text.
 * For http-json the account names the key; `account` NULL: the provider alone does. If `pointer` is not NULL, it is
 * set to where the key stands or should stand (NULL: the provider has no such key). */
uint32_t provider_order_key(const struct provider *p, const struct account *account,
                            const struct json_doc *doc, uint32_t order, const char **pointer);

/* Adds to `warnings` what breaks no rule but looks like a mistake: a member that no table knows and that differs from
 * a known one only by case, '_' or a plural; an order without a key of its own. */
void provider_look_alikes(const struct provider *p, const struct account *account, const struct json_doc *doc,
                          uint32_t order, struct faults *warnings);

/* Adds the fault that a text is no JSON, with the words of `err`. A text that begins with a member gets a hint: VU's
 * document prints its example without the outer brace. */
void faults_add_not_json(struct faults *faults, const char *path, struct span text, const struct err *err);

/* Parses and checks a whole job envelope. Returns the number of faults; *account is the account found, or NULL.
 * `e` is filled as far as possible even if there are faults, so that a dead letter can name its job. Its spans point
 * into `raw`, those with escapes, decoded, into `scratch`, which this call resets: most jobs need no memory of it.
 * `find_account` gets a name, or NULL for the queue's default, and returns NULL if there is no such account.
 * `hash_tag` is the queue's, with its braces: "{orders}". `warnings` is as in provider_validate. */
uint32_t envelope_parse(struct envelope *e, struct json_doc *doc, struct span raw,
                        const struct account *(*find_account)(void *arg, const char *name), void *arg,
                        const char *hash_tag, struct buf *scratch, struct faults *faults,
                        struct faults *warnings, const struct account **account);

/* URL, method, headers and credentials of an account's requests. The options point into this struct and into the
 * account, which must live as long. */
struct target_spec {
    struct http_target_options options;
    const char *headers[ACCOUNT_HEADERS_MAX + 6];
    struct buf text;
};
/* For creating orders: `method` is request_method(), `path` the module's, or NULL for the account's create_path. For a
 * look-up: HTTP_GET and its path. A query is part of the path. 0, or -1 and `err`; target_spec_deinit() in both
 * cases. */
int target_spec_init(struct target_spec *spec, const struct account *account, enum http_method method,
                     const char *path, struct err *err);
void target_spec_deinit(struct target_spec *spec);

/* Whether the account's token is fetched by OAuth 2 (`auth = oauth2`) and not configured. */
bool oauth2_is_used(const struct account *account);
/* Makes the request for a token: its target, as target_spec_init does, and its body, which holds a secret.
 * `refresh_token` NULL: client credentials. 0, or -1 and `err`; target_spec_deinit() in both cases. */
int oauth2_request(const struct account *account, const char *refresh_token, struct target_spec *spec,
                   struct buf *body, struct err *err);
struct oauth2_answer {
    struct span token, refresh_token; /* they point into the exchange; absent: none came */
    uint64_t lifetime_ms;             /* 0: the answer does not say */
    bool refused;                     /* the endpoint refuses the client or the refresh token */
    const char *error;                /* a code, where there is no token */
};
/* Reads the token endpoint's answer. `exchange` may be one that got none. */
void oauth2_read(const struct http_exchange *exchange, struct json_doc *doc, struct oauth2_answer *out);

/* How the account's orders are sent: POST, or what is configured. */
enum http_method request_method(const struct account *account);
/* The parts of a request that differ from order to order; the rest is the account's target. */
struct request_parts {
    const char *path;   /* with its query, for target_spec_init; NULL: the target's own */
    const char *header; /* one more line; NULL: none */
    struct span body;
};
/* Whether nothing differs but the body, and that is the order's bytes. */
bool request_is_plain(const struct account *account);
/* Makes the parts of an order's request. They point into `out`, the body perhaps into the envelope. 0, or -1: out of
 * memory, or the order's key does not fit into a path. */
int request_build(const struct account *account, const struct envelope *envelope, struct buf *out,
                  struct request_parts *parts);
/* The rule that keeps an order with this key from being sent by the account, or NULL. */
const char *request_key_fault(const struct account *account, struct span key);

/* When the account's token ends, Unix ms: `token_expires_at`, or, where that is not set, `exp` of a token that is a JWT.
 * 0: not known. */
uint64_t account_token_expires_ms(const struct account *account);

/* What the account's look-up proves: by the provider, or for http-json by the configuration. LOOKUP_NONE if the
 * account's `lookup` is no, or if the look-up was withdrawn and `lookup` is not yes. */
enum lookup_kind provider_lookup_kind(const struct account *account);

/* Turns an exchange into an outcome (policy/classify.c): by the table for all providers, by the module, and by the
 * account's lists of codes. `doc` is a scratch tape. */
void classify_create(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms, struct json_doc *doc,
                     struct outcome *out);
/* The same for one page of a look-up; true: read the next page. */
bool classify_lookup(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms, struct json_doc *doc,
                     struct lookup_cursor *cursor, struct outcome *out);

#endif
