/* A grant is made of an account's credentials: they say what it is called in Redis, how its token is sealed there, and
 * whether the token of an earlier configuration is still good. The target of its account carries the token. */
#include "worker/grant_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/sha256.h"

void grant_wipe(char **text) {
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static bool same(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool grant_same_credentials(const struct account *a, const struct account *b) {
    const struct http_json_options *x = &a->http_json, *y = &b->http_json;
    return same(x->token_url, y->token_url) && same(x->client_id, y->client_id) &&
           same(x->client_secret, y->client_secret) && same(x->scope, y->scope) &&
           same(x->refresh_token, y->refresh_token) && same(x->token_params, y->token_params) &&
           same(x->auth, y->auth);
}

static void add(struct buf *b, const char *text) {
    buf_add_str(b, text != NULL ? text : "");
    buf_add_char(b, '\0');
}

/* The key's name and the seal, of the account's credentials. */
static void init_share(struct account_runtime *runtime) {
    struct grant *g = runtime->grant;
    const struct http_json_options *o = &runtime->account->http_json;
    unsigned char name[SEAL_KEY_BYTES];
    char label[80] = "name ";
    struct buf secret, open;
    buf_init(&secret, 1u << 20);
    buf_init(&open, 1u << 20);
    add(&secret, o->client_secret);
    add(&secret, o->refresh_token);
    add(&open, o->token_url);
    add(&open, o->client_id);
    add(&open, o->scope);
    add(&open, o->token_params);
    sha256_hex(buf_span(&open), label + 5, 64);
    if (buf_ok(&secret) && buf_ok(&open) && seal_key(buf_span(&secret), span_str(label), name) == 0 &&
        seal_key(buf_span(&secret), SPAN_LIT("seal"), g->seal_key) == 0)
        sha256_hex((struct span){(const char *)name, sizeof(name)}, g->name, sizeof(g->name) - 1);
    snprintf(g->holder, sizeof(g->holder), "%s %08llx", runtime->worker->id,
             (unsigned long long)(rng_u64(&runtime->worker->rng) & 0xffffffffu));
    if (secret.data != NULL)
        explicit_bzero(secret.data, secret.len);
    buf_deinit(&secret);
    buf_deinit(&open);
}

bool grant_new(struct account_runtime *runtime, const struct account_runtime *before) {
    struct grant *g = calloc(1, sizeof(*g));
    const struct grant *old =
        before != NULL && grant_same_credentials(before->account, runtime->account) ? before->grant : NULL;
    if (g == NULL)
        return false;
    runtime->grant = g;
    buf_init(&g->body, 64u << 10);
    init_share(runtime);
    if (old == NULL)
        return true;
    memcpy(g->version, old->version, sizeof(g->version));
    g->number = old->number;
    g->renew_at_ns = old->renew_at_ns;
    g->ends_at_ns = old->ends_at_ns;
    if (old->token != NULL)
        g->token = strdup(old->token);
    if (old->refresh_token != NULL)
        g->refresh_token = strdup(old->refresh_token);
    return true;
}

void grant_free(struct grant *g) {
    if (g == NULL)
        return;
    grant_wipe(&g->token);
    grant_wipe(&g->refresh_token);
    explicit_bzero(g->seal_key, sizeof(g->seal_key));
    if (g->body.data != NULL)
        explicit_bzero(g->body.data, g->body.cap);
    buf_deinit(&g->body);
    free(g);
}

const struct account *grant_account(const struct account_runtime *runtime, struct account *copy) {
    if (runtime->grant == NULL)
        return runtime->account;
    *copy = *runtime->account;
    copy->token = runtime->grant->token;
    return copy;
}

/* The target that carries the token. Without one (no memory) the old stays, and orders wait for the next fetch. */
bool grant_make_target(struct account_runtime *runtime) {
    struct account with;
    struct target_spec spec;
    struct err err;
    struct http_target *target = NULL;
    if (runtime->grant->token == NULL)
        return false;
    const struct account *a = grant_account(runtime, &with);
    if (target_spec_init(&spec, a, request_method(a), NULL, &err) == 0)
        target = http_target_new(runtime->worker->http, &spec.options, &err);
    target_spec_deinit(&spec);
    if (target == NULL)
        return false;
    http_target_unref(runtime->create);
    runtime->create = target;
    return true;
}
