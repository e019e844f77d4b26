/* One provider account as configured: credentials, address, limits, policy. Read-only after loading;
 * reference-counted so that a reload may replace it while jobs still use it. */
#ifndef DRAY_ACCOUNT_H
#define DRAY_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "dray/err.h"

#define NAME_MAX_LEN 64 /* queue and account names: [A-Za-z0-9][A-Za-z0-9_.-]{0,63} */

struct provider;
struct field;

enum on_unknown { ON_UNKNOWN_LOOKUP, ON_UNKNOWN_HOLD, ON_UNKNOWN_RESEND };
enum lookup_use { LOOKUP_AUTO, LOOKUP_YES, LOOKUP_NO };
enum on_absent { ON_ABSENT_RETRY, ON_ABSENT_HOLD };

/* What happens to an order that breaks a rule of its document's table. STRICT: every rule is a fault.
 * LENIENT: a text that is too long or empty only warns. OFF: only the order key is read. */
enum validation { VALIDATION_STRICT, VALIDATION_LENIENT, VALIDATION_OFF };

/* A NULL-terminated list. An element is a provider's code as text, or an HTTP status as "http:503". */
typedef char *const *code_list;

#define ACCOUNT_HEADERS_MAX 32 /* of one account, besides dray's own */

struct account_header {
    const char *line; /* "Name: value" */
    const char
        *path; /* the file that the value was read from; NULL: the configuration has the value itself */
};

/* Options of the generic provider `http-json`. A pointer is a JSON Pointer (RFC 6901). NULL: not set. */
struct http_json_options {
    const char *create_path;     /* required; appended to base_url */
    const char *auth;            /* "bearer" "basic" "header" "none" */
    const char *auth_header;     /* for "header": the header's name; its value is the token */
    const char *key_pointer;     /* in the order: the provider's own order key */
    const char *success_pointer; /* in the answer; NULL: any 2xx is success */
    /* what must stand there: a string's text, or another value's bytes; NULL: anything */
    const char *success_value;
    const char *id_pointer;    /* in the answer: the order's id; string, number, or array of them */
    const char *order_pointer; /* in the answer: the order object; NULL: none is passed on */
    const char *code_pointer;  /* in the answer: the provider's error code */
    const char *lookup_path;   /* with {key}, percent-encoded; NULL: no look-up */
    /* in the look-up's answer: an array to search; NULL: the answer itself is the order */
    const char *lookup_items_pointer;
    const char *lookup_key_pointer; /* in an item (or the answer): the key that must match exactly */
    const char *lookup_id_pointer;  /* in an item (or the answer): the order's id */
    const char *lookup_page_param;  /* in the query: the page's number; NULL: one page */
    uint32_t lookup_page_first;
    /* in the look-up's answer: where something stands, there is another page */
    const char *lookup_next_pointer;
    /* in the answer: the order key, which must be the one that was sent; NULL: the answer has none */
    const char *answer_key_pointer;
    /* How the provider itself says "no such order": by this status, and by this value at this place of its JSON.
     * `lookup_absent_pointer` NULL: not known. `lookup_absent_value` NULL: anything but null. */
    uint32_t lookup_absent_status;
    const char *lookup_absent_pointer;
    const char *lookup_absent_value;
    bool lookup_exact;                    /* "not found" (404, an empty list) proves absence */
    const char *method;                   /* "POST", "PUT" */
    const char *wrap;                     /* "none"; "array": the body is [order] */
    const char *auth_prefix;              /* before the token, instead of Bearer; NULL: none */
    const struct account_header *headers; /* sent with every request; ends with a NULL line; NULL: none */
    const char *idempotency_header;       /* NULL: none is sent */
    const char *idempotency_value;        /* "key", "hash" */
    code_list reject_pointers;            /* where one of them leads to something, the provider said no */
    code_list error_code_pointers;        /* the error's code: at the first that leads to something */
    code_list message_pointers;           /* its message: likewise */
    const char *retry_after_header;       /* read where there is no Retry-After; NULL: none */
    const char *client_cert, *client_key; /* PEM files; NULL: none */
    const char *fields_file;              /* the table of an order's fields; NULL: any object is an order */
    const struct field *fields;           /* what that file says */
    uint32_t field_count;
    const char *token_url, *client_id; /* auth = oauth2 */
    const char *client_secret, *client_secret_file;
    const char *refresh_token, *refresh_token_file; /* NULL: client credentials */
    const char *scope, *token_auth, *token_params;  /* token_auth: "basic", "body" */
};

struct account {
    uint32_t refs;
    char name[NAME_MAX_LEN + 1];
    char queue[NAME_MAX_LEN + 1];
    const struct provider *provider;
    const char *base_url;
    const char *token, *key, *secret, *organization; /* NULL: not set */
    const char *token_file, *key_file, *secret_file; /* NULL: not from a file */
    double rate;                                     /* requests per second over all workers; 0: no limit */
    uint32_t burst;                                  /* bucket size, at least 1 */
    uint32_t concurrency;                            /* over all workers; 0: no limit */
    uint32_t connect_timeout_ms, request_timeout_ms;
    uint64_t idle_reuse_ms; /* a connection that was idle for longer is not used again; 0: none is */
    bool repeated_ids;      /* the provider may give several orders the same id */
    uint32_t max_attempts;
    uint64_t backoff_base_ms, backoff_cap_ms, max_age_ms, ledger_ttl_ms, retry_after_cap_ms;
    enum on_unknown on_unknown;
    enum on_absent on_absent;
    enum lookup_use lookup;
    uint64_t lookup_delay_ms;
    uint32_t lookup_attempts;
    uint64_t token_expires_at_ms; /* Unix ms, as configured; 0: not set */
    /* an order is taken as absent when the provider says so twice, at least this long apart */
    uint64_t absent_window_ms;
    enum validation validation;
    code_list allow_empty; /* paths of the field table, "orderAddresses.province" */
    code_list max_length;  /* "orderAddresses.recipient:64" */
    code_list retry_codes, reject_codes, unknown_codes; /* NULL: none */
    code_list hold_codes, pause_codes, duplicate_codes; /* taken as a 401, a 429, a 409 */
    uint32_t breaker_failures;                          /* 0: no breaker */
    uint64_t breaker_cooldown_ms;
    uint32_t reject_limit; /* so many orders in a row refused with one code hold the account; 0: never */
    const char *ca_file, *proxy;
    const char *user_agent;
    struct http_json_options http_json;
};

struct account *account_ref(struct account *a);
void account_unref(struct account *a); /* NULL is fine */

/* Calls `each` with the path of every file that the account's secrets are read from. */
void account_each_secret_file(const struct account *a, void (*each)(void *arg, const char *path), void *arg);

/* Reads the files of the account's secrets again. Returns a counted copy of `a` with what they hold now, or
 * NULL and `err`. The copy shares all other strings with `a`, and keeps `a` alive. Blocks on the disk: call it
 * from a thread of uv's pool, or where blocking does not matter. */
struct account *account_reread(struct account *a, struct err *err);

#endif
