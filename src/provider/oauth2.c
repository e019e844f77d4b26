/* OAuth 2 (RFC 6749): what is asked of the token endpoint, and what it answers. By client credentials (4.4), or
 * by a refresh token (6) where one is configured. Answers hold secrets: no error quotes one. */
#include "provider/module.h"

#include <string.h>

#define TOKEN_MAX      (32u << 10) /* bytes of a token; a longer one fits into no header */
#define LIFETIME_MAX_S (365u * 24 * 3600)

static void add_pair(struct buf *out, const char *name, const char *value) {
    if (value == NULL)
        return;
    if (out->len > 0)
        buf_add_char(out, '&');
    buf_addf(out, "%s=", name);
    add_percent_encoded(out, span_str(value));
}

bool oauth2_is_used(const struct account *a) {
    return a->provider->auth == AUTH_CONFIGURED && a->http_json.auth != NULL &&
           strcmp(a->http_json.auth, "oauth2") == 0;
}

int oauth2_request(const struct account *a, const char *refresh_token, struct target_spec *spec,
                   struct buf *body, struct err *err) {
    const struct http_json_options *o = &a->http_json;
    bool in_body = o->token_auth != NULL && strcmp(o->token_auth, "body") == 0;
    *spec = (struct target_spec){.options = {.method = HTTP_POST,
                                             .url = o->token_url,
                                             .ca_file = a->ca_file,
                                             .proxy = a->proxy,
                                             .client_cert = o->client_cert,
                                             .client_key = o->client_key,
                                             .user_agent = a->user_agent,
                                             .connect_timeout_ms = a->connect_timeout_ms,
                                             .request_timeout_ms = a->request_timeout_ms}};
    buf_init(&spec->text, 64u << 10);
    spec->headers[0] = "Content-Type: application/x-www-form-urlencoded";
    spec->headers[1] = "Accept: application/json";
    spec->options.headers = spec->headers;
    buf_reset(body);
    add_pair(body, "grant_type", refresh_token != NULL ? "refresh_token" : "client_credentials");
    add_pair(body, "refresh_token", refresh_token);
    add_pair(body, "scope", o->scope);
    if (in_body) {
        add_pair(body, "client_id", o->client_id);
        add_pair(body, "client_secret", o->client_secret);
    } else {
        /* Both are form-encoded before they become user and password (2.3.1), so that an id may hold a colon. */
        add_percent_encoded(&spec->text, span_str(o->client_id));
        buf_add_char(&spec->text, '\0');
        size_t secret = spec->text.len;
        add_percent_encoded(&spec->text, span_str(o->client_secret));
        buf_add_char(&spec->text, '\0');
        spec->options.basic_user = spec->text.data;
        spec->options.basic_password = spec->text.data + secret;
    }
    if (o->token_params != NULL)
        buf_addf(body, "&%s", o->token_params);
    if (!buf_ok(body) || !buf_ok(&spec->text))
        return err_set(err, "account %s: out of memory for a token request", a->name);
    return 0;
}

static bool header_safe(struct span s) {
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] > 0x7e)
            return false;
    return s.len > 0 && s.len <= TOKEN_MAX;
}

static struct span text_at(const struct json_doc *doc, const char *name) {
    uint32_t node = json_get(doc, 0, name);
    bool plain = node != JSON_NONE && json_type(doc, node) == JSON_STRING && !doc->nodes[node].escaped;
    return plain ? json_inner(doc, node) : (struct span){NULL, 0};
}

void oauth2_read(const struct http_exchange *x, struct json_doc *doc, struct oauth2_answer *out) {
    int64_t seconds = 0;
    *out = (struct oauth2_answer){.error = "token_unavailable"};
    bool parsed = x->answered &&
                  json_parse(doc, x->body.ptr != NULL ? x->body.ptr : "", x->body.len, NULL) == 0 &&
                  json_type(doc, 0) == JSON_OBJECT;
    if (x->answered && (x->status == 400 || x->status == 401 || x->status == 403)) {
        out->refused = true;
        out->error = "token_refused";
    }
    if (!parsed || x->status != 200)
        return;
    struct span token = text_at(doc, "access_token");
    if (!header_safe(token))
        return;
    out->token = token;
    out->refresh_token = text_at(doc, "refresh_token");
    uint32_t node = json_get(doc, 0, "expires_in");
    struct span text = node != JSON_NONE ? json_scalar(doc, node) : (struct span){NULL, 0};
    for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9' && seconds < LIFETIME_MAX_S;
         i++)
        seconds = seconds * 10 + (text.ptr[i] - '0'); /* also the text "3600", as some write it */
    out->lifetime_ms = (uint64_t)(seconds < LIFETIME_MAX_S ? seconds : LIFETIME_MAX_S) * 1000;
}
