/* The generic provider: any endpoint that takes an order as a JSON body and answers in JSON. Path,
 * authentication, success test and ids are JSON Pointers of the account's configuration. */
#include "provider/module.h"

#include <string.h>
#include <strings.h>

static bool one_of(const char *text, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static int check_oauth2(const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    bool used = oauth2_is_used(account), secret = o->client_secret != NULL || o->client_secret_file != NULL;
    bool some = o->token_url != NULL || o->client_id != NULL || secret || o->scope != NULL ||
                o->token_params != NULL || o->refresh_token != NULL || o->refresh_token_file != NULL;
    if (some && !used)
        return err_set(err, "account %s: token_url, client_id and their like are used by auth = oauth2 only",
                       account->name);
    if (used && (o->token_url == NULL || o->client_id == NULL || !secret))
        return err_set(
            err,
            "account %s: auth = oauth2 needs token_url, client_id and client_secret (or client_secret_file)",
            account->name);
    if (used && (account->token != NULL || account->token_file != NULL))
        return err_set(err, "account %s: auth = oauth2 fetches its token; leave token and token_file out",
                       account->name);
    return 0;
}

static int check_auth(const struct account *account, struct err *err) {
    const char *auth = account->http_json.auth;
    static const char *const words[] = {"bearer", "basic", "header", "oauth2", "none"};
    if (auth == NULL || !one_of(auth, words, COUNT(words)))
        return err_set(err, "account %s: auth must be bearer, basic, header, oauth2 or none", account->name);
    if (check_oauth2(account, err) != 0)
        return -1;
    if (strcmp(auth, "basic") == 0)
        return require_key_and_secret(account, err);
    if (strcmp(auth, "header") == 0 && account->http_json.auth_header == NULL)
        return err_set(err, "account %s: auth = header needs auth_header", account->name);
    return strcmp(auth, "none") == 0 || strcmp(auth, "oauth2") == 0 ? 0 : require_token(account, err);
}

/* Refuses a key that the chosen authentication does not read, and a header that two keys set. */
static int check_unused(const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    bool header = strcmp(o->auth, "header") == 0,
         bearer = strcmp(o->auth, "bearer") == 0 || oauth2_is_used(account);
    if (o->auth_header != NULL && !header)
        return err_set(err, "account %s: auth_header is used by auth = header only", account->name);
    if (o->auth_prefix != NULL && !header && !bearer)
        return err_set(err, "account %s: auth_prefix is used by auth = bearer, header and oauth2 only",
                       account->name);
    if (strcmp(o->auth, "none") == 0 && (account->token != NULL || account->key != NULL))
        return err_set(err, "account %s: auth = none sends no token and no key", account->name);
    const char *sets = header ? o->auth_header : strcmp(o->auth, "none") == 0 ? NULL : "Authorization";
    const char *const names[] = {sets, o->idempotency_header};
    for (size_t i = 0; i < COUNT(names); i++)
        for (const struct account_header *h = o->headers; names[i] != NULL && h != NULL && h->line != NULL;
             h++)
            if (strncasecmp(h->line, names[i], strlen(names[i])) == 0 && h->line[strlen(names[i])] == ':')
                return err_set(err, "account %s: header %s is set by %s too", account->name, names[i],
                               i == 0 ? "auth" : "idempotency_header");
    return 0;
}

static int check_request(const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    bool hash = o->idempotency_value != NULL && strcmp(o->idempotency_value, "hash") == 0;
    if (hash && o->idempotency_header == NULL)
        return err_set(err, "account %s: idempotency_value needs idempotency_header", account->name);
    if (request_method(account) == HTTP_PUT && strstr(o->create_path, KEY_MARK) == NULL)
        return err_set(err,
                       "account %s: method = PUT needs {key} in create_path: a PUT to one place for all "
                       "orders would replace each with the next",
                       account->name);
    if ((o->client_cert == NULL) != (o->client_key == NULL))
        return err_set(err, "account %s: client_cert and client_key go together", account->name);
    if (o->client_cert != NULL && strncasecmp(account->base_url, "https://", 8) != 0)
        return err_set(err, "account %s: client_cert is used with https:// only", account->name);
    return 0;
}

static int check_answer(const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    if (o->code_pointer != NULL && o->error_code_pointers != NULL)
        return err_set(err,
                       "account %s: code_pointer is the older name of error_code_pointer: set one of them",
                       account->name);
    if (o->success_value != NULL && o->success_pointer == NULL)
        return err_set(err, "account %s: success_value needs success_pointer", account->name);
    for (code_list r = o->reject_pointers; r != NULL && *r != NULL; r++)
        if (o->success_pointer != NULL && o->success_value == NULL && strcmp(*r, o->success_pointer) == 0)
            return err_set(err, "account %s: %s is both reject_pointer and success_pointer", account->name,
                           *r);
    if (o->reject_pointers != NULL && o->success_pointer == NULL && o->id_pointer == NULL)
        return err_set(err,
                       "account %s: reject_pointer says what is a no; success_pointer or id_pointer must say "
                       "what is a yes",
                       account->name);
    return 0;
}

static int check_pointer(const struct account *account, const char *key, const char *pointer,
                         struct err *err) {
    if (pointer == NULL || pointer[0] == '\0' || pointer[0] == '/')
        return 0;
    return err_set(err, "account %s: %s must be a JSON Pointer such as /data/id", account->name, key);
}

static int check_pointers(const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    const struct {
        const char *key, *pointer;
    } all[] = {
        {"key_pointer", o->key_pointer},
        {"success_pointer", o->success_pointer},
        {"id_pointer", o->id_pointer},
        {"order_pointer", o->order_pointer},
        {"code_pointer", o->code_pointer},
        {"answer_key_pointer", o->answer_key_pointer},
        {"lookup_absent_pointer", o->lookup_absent_pointer},
        {"lookup_items_pointer", o->lookup_items_pointer},
        {"lookup_key_pointer", o->lookup_key_pointer},
        {"lookup_id_pointer", o->lookup_id_pointer},
        {"lookup_next_pointer", o->lookup_next_pointer},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (check_pointer(account, all[i].key, all[i].pointer, err) != 0)
            return -1;
    return 0;
}

static int check_lookup(const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    bool pages = o->lookup_page_param != NULL || o->lookup_next_pointer != NULL;
    if (pages && (o->lookup_path == NULL || o->lookup_items_pointer == NULL))
        return err_set(err,
                       "account %s: lookup_page_param and lookup_next_pointer need lookup_path and "
                       "lookup_items_pointer: pages are of a list",
                       account->name);
    if (o->lookup_path == NULL)
        return 0;
    if (strstr(o->lookup_path, KEY_MARK) == NULL && o->lookup_page_param == NULL)
        return err_set(
            err,
            "account %s: lookup_path must hold {key}, or lookup_page_param must say how to read all of "
            "a list",
            account->name);
    if (o->key_pointer == NULL)
        return err_set(err, "account %s: lookup_path needs key_pointer", account->name);
    if (o->lookup_key_pointer == NULL)
        return err_set(err,
                       "account %s: lookup_path needs lookup_key_pointer, so that another "
                       "order is never taken for this one",
                       account->name);
    if (o->lookup_absent_value != NULL && o->lookup_absent_pointer == NULL)
        return err_set(err, "account %s: lookup_absent_value needs lookup_absent_pointer", account->name);
    if (o->lookup_exact && o->lookup_absent_pointer == NULL && o->lookup_items_pointer == NULL)
        return err_set(
            err,
            "account %s: lookup_exact needs lookup_absent_pointer (or lookup_items_pointer): how the "
            "provider itself says that it has no such order. Any 404 may be a router's",
            account->name);
    return 0;
}

/* Else any page with 200 would be an order. */
static int check_yes(const struct account *account, struct err *err) {
    if (account->http_json.success_pointer != NULL || account->http_json.id_pointer != NULL)
        return 0;
    return err_set(
        err,
        "account %s: http-json needs success_pointer or id_pointer: what in the answer says that the "
        "order was created",
        account->name);
}

static int check_account(const struct account *account, struct err *err) {
    if (account->base_url == NULL)
        return err_set(err, "account %s: http-json needs base_url", account->name);
    if (account->http_json.create_path == NULL)
        return err_set(err, "account %s: http-json needs create_path", account->name);
    if (check_auth(account, err) != 0 || check_unused(account, err) != 0 ||
        check_request(account, err) != 0 || check_pointers(account, err) != 0 ||
        check_answer(account, err) != 0 || check_yes(account, err) != 0)
        return -1;
    return check_lookup(account, err);
}

/* `doc` may be NULL: no JSON. */
static uint32_t at(const struct json_doc *doc, uint32_t node, const char *pointer) {
    return doc != NULL && pointer != NULL && node != JSON_NONE ? json_pointer(doc, node, pointer) : JSON_NONE;
}

static void read_error(const struct account *account, const struct json_doc *answer, struct outcome *out) {
    /* what most APIs call them */
    static const char *const words[] = {"message", "error", "errors", "detail"};
    const struct http_json_options *o = &account->http_json;
    struct span code = json_scalar(answer, at(answer, 0, o->code_pointer));
    for (code_list p = o->error_code_pointers; code.len == 0 && p != NULL && *p != NULL; p++)
        code = json_scalar(answer, at(answer, 0, *p));
    if (code.len > 0)
        outcome_code(out, code);
    for (code_list p = o->message_pointers; out->message[0] == '\0' && p != NULL && *p != NULL; p++)
        outcome_message_node(out, answer, at(answer, 0, *p));
    for (size_t i = 0; o->message_pointers == NULL && i < COUNT(words) && out->message[0] == '\0'; i++)
        outcome_message_node(out, answer,
                             json_type(answer, 0) == JSON_OBJECT ? json_get(answer, 0, words[i]) : JSON_NONE);
}

/* Is there something that means yes? */
static bool holds(const struct json_doc *doc, uint32_t node) {
    if (node == JSON_NONE)
        return false;
    struct span raw = json_raw(doc, node);
    switch (json_type(doc, node)) {
    case JSON_NULL:
        return false;
    case JSON_STRING:
        return json_inner(doc, node).len > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return json_first(doc, node) != JSON_NONE;
    default:
        return !span_is(raw, "false") && !span_is(raw, "0");
    }
}

static bool refuses(const struct http_json_options *o, const struct json_doc *answer) {
    for (code_list p = o->reject_pointers; answer != NULL && p != NULL && *p != NULL; p++)
        if (holds(answer, at(answer, 0, *p)))
            return true;
    return false;
}

enum success { SUCCEEDED, REFUSED, UNREADABLE };

/* Where a success test is configured but its field is missing, the answer is unreadable, not a no.
 */
static enum success succeeded(const struct http_json_options *o, const struct json_doc *answer) {
    if (o->success_pointer == NULL)
        return SUCCEEDED;
    uint32_t node = at(answer, 0, o->success_pointer);
    if (o->success_value == NULL)
        return node != JSON_NONE && json_type(answer, node) != JSON_NULL ? SUCCEEDED : UNREADABLE;
    struct span seen = json_scalar(answer, node);
    if (seen.ptr == NULL)
        return UNREADABLE;
    return span_is(seen, o->success_value) ? SUCCEEDED : REFUSED;
}

static bool echoes_key(const struct account *account, const struct envelope *envelope,
                       const struct json_doc *answer, struct outcome *out) {
    const struct http_json_options *o = &account->http_json;
    struct span key = envelope->provider_key.ptr != NULL ? envelope->provider_key : envelope->order_key;
    if (o->answer_key_pointer == NULL || node_is(answer, at(answer, 0, o->answer_key_pointer), key))
        return true;
    outcome_other_order(out, answer, at(answer, 0, o->id_pointer), "the order key");
    return false;
}

static void read_success(const struct account *account, const struct envelope *envelope,
                         const struct json_doc *answer, struct outcome *out) {
    const struct http_json_options *o = &account->http_json;
    enum success success = succeeded(o, answer);
    if (refuses(o, answer)) {
        bool yes = success == SUCCEEDED && o->success_pointer != NULL;
        if (yes || holds(answer, at(answer, 0, o->id_pointer))) {
            outcome_set(out, VERDICT_UNKNOWN, "contradictory_answer",
                        "the answer says no (reject_pointer), and yes or an order id");
            return;
        }
        success = REFUSED;
    }
    switch (success) {
    case REFUSED:
        outcome_set(out, VERDICT_REJECTED, "refused", "");
        read_error(account, answer, out);
        return;
    case UNREADABLE:
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer",
                    "the answer does not have what success_pointer names");
        return;
    case SUCCEEDED:
        break;
    }
    if (o->id_pointer != NULL && !outcome_add_ids(out, answer, at(answer, 0, o->id_pointer))) {
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the answer does not have what id_pointer names");
        return;
    }
    if (!echoes_key(account, envelope, answer, out))
        return;
    outcome_set(out, VERDICT_CREATED, "created", "");
    uint32_t order_node = at(answer, 0, o->order_pointer);
    if (order_node != JSON_NONE)
        out->order = json_raw(answer, order_node);
}

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    const struct http_json_options *o = &account->http_json;
    if (o->lookup_path == NULL || envelope->provider_key.ptr == NULL ||
        path_expand(o->lookup_path, account->name, envelope->provider_key, url) != 0)
        return -1;
    if (o->lookup_page_param != NULL) {
        buf_add_char(url, strchr(o->lookup_path, '?') != NULL ? '&' : '?');
        add_percent_encoded(url, span_str(o->lookup_page_param));
        buf_addf(url, "=%u", o->lookup_page_first + cursor->page);
    }
    return buf_ok(url) ? 0 : -1;
}

static bool take_found(const struct account *account, const struct envelope *envelope,
                       const struct json_doc *answer, uint32_t node, struct outcome *out) {
    const struct http_json_options *o = &account->http_json;
    if (!node_is(answer, at(answer, node, o->lookup_key_pointer), envelope->provider_key))
        return false;
    outcome_set(out, VERDICT_CREATED, "found", "");
    if (o->lookup_id_pointer != NULL && !outcome_add_ids(out, answer, at(answer, node, o->lookup_id_pointer)))
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id",
                    "the order found does not have what lookup_id_pointer names");
    else if (o->order_pointer != NULL && json_type(answer, node) == JSON_OBJECT)
        out->order = json_raw(answer, node);
    return true;
}

/* The page does not list the order. Returns true if the next one is to be read. */
static bool next_page(const struct http_json_options *o, const struct json_doc *answer, uint32_t items,
                      struct lookup_cursor *cursor, struct outcome *out) {
    bool more = o->lookup_next_pointer == NULL || holds(answer, at(answer, 0, o->lookup_next_pointer));
    if (o->lookup_page_param != NULL && more)
        return lookup_next_page(cursor, items, 0, UINT64_MAX, out);
    if (o->lookup_next_pointer != NULL && more)
        outcome_set(
            out, VERDICT_UNKNOWN, "lookup_more_pages",
            "the order is not on the first page, and the configuration does not say how to ask for the next");
    else
        outcome_set(out, VERDICT_ABSENT, "not_found", "the look-up does not list the order");
    return false;
}

/* Whether this is the provider's own "no such order", as the configuration describes it. */
static bool says_absent(const struct http_json_options *o, long http_status, const struct json_doc *answer) {
    if (o->lookup_absent_pointer == NULL || answer == NULL || http_status != (long)o->lookup_absent_status)
        return false;
    uint32_t node = at(answer, 0, o->lookup_absent_pointer);
    if (node == JSON_NONE || json_type(answer, node) == JSON_NULL)
        return false;
    return o->lookup_absent_value == NULL || span_is(json_scalar(answer, node), o->lookup_absent_value);
}

static bool read_lookup(const struct account *account, const struct envelope *envelope, long http_status,
                        const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out) {
    const char *items_pointer = account->http_json.lookup_items_pointer;
    uint32_t count = 0;
    if (says_absent(&account->http_json, http_status, answer)) {
        outcome_set(out, VERDICT_ABSENT, "not_found", "the provider says that it has no such order");
        return false;
    }
    uint32_t items = JSON_NONE;
    bool readable = http_status / 100 == 2 && answer != NULL;
    if (readable && items_pointer == NULL && take_found(account, envelope, answer, 0, out))
        return false;
    if (readable && items_pointer != NULL)
        items = at(answer, 0, items_pointer);
    if (items == JSON_NONE || json_type(answer, items) != JSON_ARRAY) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable",
                    "the look-up's answer does not hold what the configuration names");
        return false;
    }
    for (uint32_t i = json_first(answer, items); i != JSON_NONE; i = json_next(answer, items, i), count++)
        if (take_found(account, envelope, answer, i, out))
            return false;
    const struct http_json_options *o = &account->http_json;
    if (o->lookup_exact && count > 0 && o->lookup_page_param == NULL && o->lookup_next_pointer == NULL) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable",
                    "the look-up lists other orders than the one that was asked for");
        return false;
    }
    return next_page(o, answer, count, cursor, out);
}

const struct provider provider_http_json = {
    .name = "http-json",
    .title = "any endpoint that takes an order as JSON, by configuration",
    .seed = "none: docs/providers.md",
    .auth = AUTH_CONFIGURED,
    .lookup = LOOKUP_SCAN, /* or none, or exact: provider_lookup_kind() */
    .default_on_absent = ON_ABSENT_HOLD,
    .check_account = check_account,
    .read_success = read_success,
    .read_error = read_error,
    .build_lookup = build_lookup,
    .read_lookup = read_lookup,
};
