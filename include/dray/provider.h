/* The provider contract. A module is data and pure functions: it does no I/O, keeps no state, and
 * returns what an exchange means; the engine alone owns retrying (policy/classify.c reads transport
 * failures and statuses by the default table; a module only reads bodies).
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

/* One row of the seed's tables: a member of an object. Rows of one object lie together, so that a
 * member is compared with its siblings only; an object shared by two members is written once. */
struct field {
    const char *name;
    const char *alias; /* another name the seed uses for the same field ("orderAddress"), or NULL */
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
    const char *note;    /* the seed's own words or our choice, for `dray providers NAME` */
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
    const char *seed;             /* where the facts are from */
    const char *path;             /* appended to the account's base_url; NULL: from the account */
    const char *default_base_url; /* NULL: base_url is required */
    enum auth_kind auth;
    const struct field *fields; /* of the order itself; NULL: any object will do */
    uint32_t field_count;
    const char *order_key_pointer; /* JSON Pointer from the order's root; NULL: none, or from the account */
    const char *order_key_alias;   /* the key's other spelling, as a JSON Pointer; NULL: none */
    enum lookup_kind lookup;
    bool lookup_withdrawn; /* the provider documents it no longer: only for accounts with `lookup = yes` */
    double default_rate;   /* 0: no limit documented */
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

    /* Reads code and message from an error answer that parsed as JSON; leaves `out->verdict`, but where the
     * answer says that the order exists: LOOKUP, and `exists`. NULL: outcome_read_error(). */
    void (*read_error)(const struct account *account, const struct json_doc *answer, struct outcome *out);

    /* Look-up: writes path and query of the page (appended to base_url) into `url`. 0, or -1 when the
     * envelope lacks what is needed (then the look-up is inconclusive). NULL: no look-up. */
    int (*build_lookup)(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url);
    /* The page's body, for a look-up that is a POST (it creates nothing and may be asked again). NULL: GET. */
    int (*build_lookup_body)(const struct account *account, const struct envelope *envelope,
                             const struct lookup_cursor *cursor, struct buf *body);
    /* Reads a look-up's answer. `answer` is NULL when the body was no JSON. Sets verdict CREATED (ids, order), ABSENT
     * (no more pages and it is not there: the engine decides by `lookup` whether that proves anything), UNKNOWN
     * (unreadable), RETRY (ask again later). Returns true when the next page must be read: then the
     * cursor was advanced. */
    bool (*read_lookup)(const struct account *account, const struct envelope *envelope, long http_status,
                        const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out);
};

/* The registry, NULL-terminated. */
extern const struct provider *const providers[];
const struct provider *provider_find(const char *name);

/* Checks `order` (node of an object inside `doc`) against the table and the module's own rules. All
 * faults are added, paths starting with "order". Unknown fields are allowed (the seeds do not forbid
 * them, and the bytes are forwarded as they are). Returns the faults found.
 * `account` gives `validation`, `allow_empty` and `max_length`; NULL: strict, as the document says.
 * What lenient validation lets pass goes into `warnings` (NULL: not wanted). */
uint32_t provider_validate(const struct provider *p, const struct account *account,
                           const struct json_doc *doc, uint32_t order, struct faults *faults,
                           struct faults *warnings);

/* The row of a table's path such as "orderItemsList[].sku", or NULL. */
const struct field *provider_field(const struct provider *p, const char *path);

/* The value of the order's own key, under either of its spellings: the node, JSON_NONE where it is not
 * given, null or an empty text. `account` names it for http-json; NULL: by the provider alone. `pointer`,
 * where it is not NULL, is set to where it stands, or should (NULL: the provider has no such key). */
uint32_t provider_order_key(const struct provider *p, const struct account *account,
                            const struct json_doc *doc, uint32_t order, const char **pointer);

/* What looks like a mistake and breaks no rule: members that no table knows and that differ from a known
 * one by case, '_' or a plural only, and an order without a key of its own. Adds to `warnings`. */
void provider_look_alikes(const struct provider *p, const struct account *account, const struct json_doc *doc,
                          uint32_t order, struct faults *warnings);

/* Adds the fault of a text that is no JSON, as `err` says; with a hint where it begins with a member: the
 * example of VU's document is printed without its outer brace. */
void faults_add_not_json(struct faults *faults, const char *path, struct span text, const struct err *err);

/* Parses and checks a whole job envelope. `warnings` (NULL: not wanted) is as in provider_validate. `e` is filled as far as possible, also when there are faults
 * (so that an `id` can be echoed). Decoded fields lie in `scratch` (reset by this call).
 * `find_account` resolves a name (NULL: the queue's default) or returns NULL: unknown. `hash_tag` is
 * the queue's, with its braces: "{orders}". What stands without escapes is not copied: such spans point
 * into `raw`, so that a usual job needs no memory of `scratch`.
 * Returns the number of faults; *account is the account found, or NULL. */
uint32_t envelope_parse(struct envelope *e, struct json_doc *doc, struct span raw,
                        const struct account *(*find_account)(void *arg, const char *name), void *arg,
                        const char *hash_tag, struct buf *scratch, struct faults *faults,
                        struct faults *warnings, const struct account **account);

/* URL, method, headers and credentials of an account's requests. The options point into `spec` and
 * into the account, which must live as long. */
struct target_spec {
    struct http_target_options options;
    const char *headers[ACCOUNT_HEADERS_MAX + 6];
    struct buf text;
};
/* For creating orders (request_method(); the module's path or, with NULL, the account's create_path) or, with HTTP_GET,
 * for a look-up's path. A query is part of the URL. 0, or -1 and `err`. target_spec_deinit() in both cases. */
int target_spec_init(struct target_spec *spec, const struct account *account, enum http_method method,
                     const char *path, struct err *err);
void target_spec_deinit(struct target_spec *spec);

/* auth = oauth2: the account's token is fetched, not configured. */
bool oauth2_is_used(const struct account *account);
/* The request for a token: what target_spec_init gives, and the body. `refresh_token` NULL: client credentials. 0, or -1 and
 * `err`. target_spec_deinit() in both cases; `body` holds a secret. */
int oauth2_request(const struct account *account, const char *refresh_token, struct target_spec *spec,
                   struct buf *body, struct err *err);
struct oauth2_answer {
    struct span token, refresh_token; /* absent: none came; they point into the exchange */
    uint64_t lifetime_ms;             /* 0: not told */
    bool refused;                     /* the endpoint says no to the client, or to the refresh token */
    const char *error;                /* a code, where there is no token */
};
/* Reads the token endpoint's answer, or that there is none. */
void oauth2_read(const struct http_exchange *exchange, struct json_doc *doc, struct oauth2_answer *out);

/* How the account's orders are sent: POST, or what is configured. */
enum http_method request_method(const struct account *account);
/* What of an order's request is its own; the rest is the account's target. */
struct request_parts {
    const char *path;   /* with its query, for target_spec_init; NULL: the target's */
    const char *header; /* one more line; NULL: none */
    struct span body;
};
/* True: nothing but the body, which is the order's bytes. */
bool request_is_plain(const struct account *account);
/* Writes them into `out`, which they point into (the body perhaps into the envelope). 0, or -1: out of memory, or the key
 * fits into no path. */
int request_build(const struct account *account, const struct envelope *envelope, struct buf *out,
                  struct request_parts *parts);
/* Why an order with this key cannot be sent by the account: a rule, or NULL. */
const char *request_key_fault(const struct account *account, struct span key);

/* When the account's token ends, Unix ms: its `token_expires_at`, else what a token that is a JWT says (`exp`);
 * 0: nobody says. */
uint64_t account_token_expires_ms(const struct account *account);

/* What the account's look-up is worth: the provider's kind, or for http-json what is configured; none where the
 * account's `lookup` says no, or does not say yes to one that was withdrawn. */
enum lookup_kind provider_lookup_kind(const struct account *account);

/* policy/classify.c: an exchange to an outcome, by the default table, the module, and the account's
 * lists of codes. `doc` is a scratch tape. */
void classify_create(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms, struct json_doc *doc,
                     struct outcome *out);
/* The same for one page of a look-up; true: read the next page. */
bool classify_lookup(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms, struct json_doc *doc,
                     struct lookup_cursor *cursor, struct outcome *out);

#endif
