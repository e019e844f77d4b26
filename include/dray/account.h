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

/* How an order that breaks its document's table is taken: all rules are faults; lengths and emptiness only
 * warn; nothing but the order key is looked at. */
enum validation { VALIDATION_STRICT, VALIDATION_LENIENT, VALIDATION_OFF };

/* Provider codes as text, HTTP statuses as "http:503". NULL-terminated list. */
typedef char *const *code_list;

#define ACCOUNT_HEADERS_MAX 32 /* of one account, besides dray's own */

struct account_header {
    const char *line; /* "Name: value" */
    const char *path; /* the file that the value is from; NULL: it stands in the configuration */
};

/* Options of the generic provider `http-json`. Pointers are RFC 6901; NULL where not set. */
struct http_json_options {
    const char *create_path;     /* required; appended to base_url */
    const char *auth;            /* "bearer" "basic" "header" "none" */
    const char *auth_header;     /* for "header": the header's name; its value is the token */
    const char *key_pointer;     /* in the order: the provider's own order key */
    const char *success_pointer; /* in the answer; NULL: any 2xx is success */
    const char *success_value;   /* what stands there (string's text or raw bytes); NULL: it exists */
    const char *id_pointer;      /* in the answer: the order's id; string, number, or array of them */
    const char *order_pointer;   /* in the answer: the order object; NULL: none is passed on */
    const char *code_pointer;    /* in the answer: the provider's error code */
    const char *lookup_path;     /* with {key}, percent-encoded; NULL: no look-up */
    /* in the look-up's answer: an array to search; NULL: the answer itself is the order */
    const char *lookup_items_pointer;
    const char *lookup_key_pointer; /* in an item (or the answer): the key that must match exactly */
    const char *lookup_id_pointer;  /* in an item (or the answer): the order's id */
    const char *lookup_page_param;  /* in the query: the page's number; NULL: one page */
    uint32_t lookup_page_first;
    /* in the look-up's answer: something there means that there is another page */
    const char *lookup_next_pointer;
    /* in the answer: the order key, which must be ours; NULL: it does not say */
    const char *answer_key_pointer;
    uint32_t lookup_absent_status;        /* the provider's own "no such order": this status … */
    const char *lookup_absent_pointer;    /* … and what stands here in its JSON; NULL: not known */
    const char *lookup_absent_value;      /* … is this; NULL: is anything but null */
    bool lookup_exact;                    /* "not found" (404, empty) proves absence */
    const char *method;                   /* "POST", "PUT" */
    const char *wrap;                     /* "none"; "array": the body is [order] */
    const char *auth_prefix;              /* before the token, instead of Bearer; NULL: none */
    const struct account_header *headers; /* sent with every request; ends with a NULL line; NULL: none */
    const char *idempotency_header;       /* NULL: none is sent */
    const char *idempotency_value;        /* "key", "hash" */
    code_list reject_pointers;            /* something stands at one of them: the provider's no */
    code_list error_code_pointers;        /* the first that leads to something is the error's code */
    code_list message_pointers;
    const char *retry_after_header;       /* besides Retry-After; NULL: none */
    const char *client_cert, *client_key; /* PEM files; NULL: none */
    const char *fields_file;              /* NULL: any object is an order */
    const struct field *fields;           /* what it says */
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
    uint64_t idle_reuse_ms; /* 0: no connection is used twice */
    bool repeated_ids;      /* the provider may give several orders one id */
    uint32_t max_attempts;
    uint64_t backoff_base_ms, backoff_cap_ms, max_age_ms, ledger_ttl_ms, retry_after_cap_ms;
    enum on_unknown on_unknown;
    enum on_absent on_absent;
    enum lookup_use lookup;
    uint64_t lookup_delay_ms;
    uint32_t lookup_attempts;
    uint64_t token_expires_at_ms; /* Unix ms, as configured; 0: not set */
    /* between the two times that a provider must say that it has no such order */
    uint64_t absent_window_ms;
    enum validation validation;
    code_list allow_empty; /* paths of the field table, "orderAddresses.province" */
    code_list max_length;  /* "orderAddresses.recipient:64" */
    code_list retry_codes, reject_codes, unknown_codes; /* NULL: none */
    code_list hold_codes, pause_codes, duplicate_codes; /* as 401, 429, 409 */
    uint32_t breaker_failures;                          /* 0: no breaker */
    uint64_t breaker_cooldown_ms;
    uint32_t reject_limit; /* orders refused alike, in a row, that hold the account; 0: never */
    const char *ca_file, *proxy;
    const char *user_agent;
    struct http_json_options http_json;
};

struct account *account_ref(struct account *a);
void account_unref(struct account *a); /* NULL is fine */

/* Calls `each` with the path of every file that the account's secrets are read from. */
void account_each_secret_file(const struct account *a, void (*each)(void *arg, const char *path), void *arg);

/* Reads the `_file` secrets again. Returns a counted copy of `a` with what they hold now (other strings
 * are shared with `a`, which it keeps alive), or NULL and `err`. Blocks on the disk: call it from a
 * thread of uv's pool, or at a time when that does not matter. */
struct account *account_reread(struct account *a, struct err *err);

#endif
