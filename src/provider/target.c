/* The URL, headers and credentials of an account's requests. Errors name the account and the key of
 * the configuration that is wrong, never what it holds. */
#include "provider/module.h"

#include <string.h>
#include <strings.h>

#define TEXT_MAX (64u << 10)

/* A header's value: no control character, so that none can end its line early. */
static bool header_safe(const char *value) {
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++)
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

static bool header_name_safe(const char *name) {
    for (const char *c = name; *c != '\0'; c++)
        if (*c <= ' ' || *c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *c) != NULL)
            return false;
    return name[0] != '\0';
}

static int check_base_url(const struct account *account, const char *url, struct err *err) {
    const char *host = NULL;
    if (strncasecmp(url, "https://", 8) == 0)
        host = url + 8;
    else if (strncasecmp(url, "http://", 7) == 0)
        host = url + 7;
    if (host == NULL || host[0] == '\0' || host[0] == '/')
        return err_set(err, "account %s: base_url must start with http:// or https:// and a host",
                       account->name);
    if (strpbrk(url, "?#") != NULL)
        return err_set(err, "account %s: base_url must have no query and no fragment", account->name);
    if (memchr(host, '@', strcspn(host, "/")) != NULL)
        return err_set(err, "account %s: base_url must hold no credentials; use key and secret",
                       account->name);
    for (const unsigned char *c = (const unsigned char *)url; *c != '\0'; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return err_set(err, "account %s: base_url must be plain ASCII without spaces", account->name);
    return 0;
}

/* base_url and path, with exactly one slash between them. */
static int add_url(struct target_spec *spec, const struct account *account, const char *path,
                   struct err *err) {
    const struct provider *p = account->provider;
    const char *base = account->base_url != NULL ? account->base_url : p->default_base_url;
    if (path == NULL)
        path = p->path != NULL ? p->path : account->http_json.create_path;
    if (base == NULL || path == NULL)
        return err_set(err, "account %s: %s needs %s", account->name, p->name,
                       base == NULL ? "base_url" : "create_path");
    if (check_base_url(account, base, err) != 0)
        return -1;
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    buf_add(&spec->text, base, len);
    if (path[0] != '/')
        buf_add_char(&spec->text, '/');
    /* A create path that holds an order's key differs from order to order: the path is given then. */
    if (strchr(path, '{') == NULL)
        buf_add_str(&spec->text, path);
    else if (path_expand(path, account->name, SPAN_LIT("key"), &spec->text) != 0)
        return err_set(err, "account %s: create_path is too long", account->name);
    buf_add_char(&spec->text, '\0');
    return 0;
}

static const char *const create_headers[] = {"Content-Type: application/json", "Accept: application/json"};

/* The one header that has the account's words in it, or none. */
static int add_own_header(struct target_spec *spec, const struct account *account, const char *name,
                          const char *value, const char *key, struct err *err) {
    if (value == NULL)
        return err_set(err, "account %s: %s is not set", account->name, key);
    if (!header_safe(value) || !header_name_safe(name))
        return err_set(err, "account %s: %s cannot be sent as a header", account->name, key);
    buf_add_str(&spec->text, name);
    buf_add_str(&spec->text, ": ");
    buf_add_str(&spec->text, value);
    buf_add_char(&spec->text, '\0');
    return 0;
}

static int set_bearer(struct target_spec *spec, const struct account *account, struct err *err) {
    if (account->token == NULL || !header_safe(account->token))
        return err_set(err, "account %s: token is %s", account->name,
                       account->token == NULL ? "not set" : "not fit for a header");
    spec->options.bearer = account->token;
    return 0;
}

/* The token behind its prefix: "Token abc", "Token token=abc". */
static int add_prefixed(struct target_spec *spec, const struct account *account, const char *name,
                        struct err *err) {
    const char *prefix = account->http_json.auth_prefix, *token = account->token;
    size_t len = strlen(prefix);
    const char *space = len > 0 && strchr("=: ", prefix[len - 1]) == NULL ? " " : "";
    if (token == NULL)
        return err_set(err, "account %s: token is not set", account->name);
    if (!header_safe(token) || !header_safe(prefix) || !header_name_safe(name))
        return err_set(err, "account %s: token, auth_prefix or auth_header cannot be sent", account->name);
    buf_addf(&spec->text, "%s: %s%s%s", name, prefix, space, token);
    buf_add_char(&spec->text, '\0');
    return 0;
}

static int set_basic(struct target_spec *spec, const struct account *account, struct err *err) {
    if (account->key == NULL || account->secret == NULL)
        return err_set(err, "account %s: %s is not set", account->name,
                       account->key == NULL ? "key" : "secret");
    if (strchr(account->key, ':') != NULL)
        return err_set(err, "account %s: key must hold no colon (HTTP Basic)", account->name);
    spec->options.basic_user = account->key;
    spec->options.basic_password = account->secret;
    return 0;
}

static int set_configured(struct target_spec *spec, const struct account *account, struct err *err) {
    const struct http_json_options *o = &account->http_json;
    const char *auth = o->auth != NULL ? o->auth : "";
    if (strcmp(auth, "bearer") == 0 ||
        strcmp(auth, "oauth2") == 0) /* of the latter the worker brings the token */
        return o->auth_prefix != NULL ? add_prefixed(spec, account, "Authorization", err)
                                      : set_bearer(spec, account, err);
    if (strcmp(auth, "basic") == 0)
        return set_basic(spec, account, err);
    if (strcmp(auth, "header") == 0 && o->auth_prefix != NULL)
        return add_prefixed(spec, account, o->auth_header != NULL ? o->auth_header : "", err);
    if (strcmp(auth, "header") == 0)
        return add_own_header(spec, account, o->auth_header != NULL ? o->auth_header : "", account->token,
                              "token", err);
    if (strcmp(auth, "none") == 0)
        return 0;
    return err_set(err, "account %s: auth must be bearer, basic, header, oauth2 or none", account->name);
}

static int set_auth(struct target_spec *spec, const struct account *account, struct err *err) {
    switch (account->provider->auth) {
    case AUTH_NONE:
        return 0;
    case AUTH_BEARER:
        return set_bearer(spec, account, err);
    case AUTH_BEARER_ORGANIZATION:
        if (set_bearer(spec, account, err) != 0)
            return -1;
        return add_own_header(spec, account, "X-S2-Organization", account->organization, "organization", err);
    case AUTH_BASIC:
        return set_basic(spec, account, err);
    case AUTH_CONFIGURED:
        return set_configured(spec, account, err);
    }
    return -1;
}

static bool said(const struct account *account, const char *name) {
    size_t n = strlen(name);
    for (const struct account_header *h = account->http_json.headers; h != NULL && h->line != NULL; h++)
        if (strncasecmp(h->line, name, n) == 0 && h->line[n] == ':')
            return true;
    return false;
}

/* Headers that the account sets take the place of dray's own. `own`: where the credentials' line starts in the
 * text. */
static void add_headers(struct target_spec *spec, const struct account *account, enum http_method method,
                        size_t own) {
    size_t n = 0;
    if (method != HTTP_GET && !said(account, "Content-Type"))
        spec->headers[n++] = create_headers[0];
    if (!said(account, "Accept"))
        spec->headers[n++] = create_headers[1];
    if (spec->text.len > own)
        spec->headers[n++] = spec->text.data + own;
    const struct account_header *h = account->http_json.headers;
    for (; h != NULL && h->line != NULL && n < ACCOUNT_HEADERS_MAX + 5; h++)
        spec->headers[n++] = h->line;
    spec->headers[n] = NULL;
    spec->options.headers = spec->headers;
}

int target_spec_init(struct target_spec *spec, const struct account *account, enum http_method method,
                     const char *path, struct err *err) {
    *spec = (struct target_spec){.options = {.method = method,
                                             .ca_file = account->ca_file,
                                             .client_cert = account->http_json.client_cert,
                                             .client_key = account->http_json.client_key,
                                             .user_agent = account->user_agent,
                                             .wait_header = account->http_json.retry_after_header,
                                             .proxy = account->proxy,
                                             .owner = account->name,
                                             .idle_reuse_ms = (uint32_t)account->idle_reuse_ms,
                                             .no_reuse = account->idle_reuse_ms == 0,
                                             .connect_timeout_ms = account->connect_timeout_ms,
                                             .request_timeout_ms = account->request_timeout_ms}};
    buf_init(&spec->text, TEXT_MAX);
    if (add_url(spec, account, path, err) != 0)
        return -1;
    size_t own = spec->text.len;
    if (set_auth(spec, account, err) != 0)
        return -1;
    if (!buf_ok(&spec->text))
        return err_set(err, "account %s: base_url or a credential is too long", account->name);
    add_headers(spec, account, method, own);
    spec->options.url = spec->text.data;
    return 0;
}

enum http_method request_method(const struct account *account) {
    const char *method = account->http_json.method;
    return method != NULL && strcmp(method, "PUT") == 0 ? HTTP_PUT : HTTP_POST;
}

void target_spec_deinit(struct target_spec *spec) {
    buf_deinit(&spec->text);
}
