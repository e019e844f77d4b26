/* Checks an account of provider `http-json` at start: whether what it says belongs together. */
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

int http_json_check(const struct account *account, struct err *err) {
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
