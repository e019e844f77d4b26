/* Access tokens.
 *
 * Happy path: the first order of an account finds no token → one request to the token endpoint, whatever number of orders
 * wait → the account's target is made with the token, the orders go. From some three quarters of its life on, the next order has
 * it renewed, and goes with the old one meanwhile. Failure modes: 401 to an order: the token is thrown away and fetched anew
 * once for that order, which surely created nothing; a second 401 holds the account. The endpoint refuses (400, 401, 403):
 * the account is held as after 401. It does not answer, or not with a token: nothing was
 * sent, and the account pauses for a moment, which doubles. A renewal ahead of time that fails: the old token is used to its end.
 *
 * The token lies in this process's memory only: not in Redis, not on disk, in no log line. Each worker fetches its own. */
#include "worker/grant.h"

#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define S_NS 1000000000ull
#define EARLY_NS                                                                                             \
    (5 * S_NS)        /* a token is not used in its last seconds (or tenth): clocks and networks differ */
#define PAUSE_NS S_NS /* after a failure, before the endpoint is asked again; doubles, up to: */
#define LATER_NS (30 * S_NS) /* also while there still is a token */

struct grant {
    char *token;         /* NULL: none */
    char *refresh_token; /* a newer one than the configuration's, as the endpoint gave it; NULL: none */
    uint64_t number;     /* tokens had so far */
    uint64_t renew_at_ns, ends_at_ns; /* boot clock; UINT64_MAX: its life is not told */
    uint64_t not_before_ns;           /* the endpoint is not asked again before that */
    struct http_call *call;           /* a fetch under way */
    struct buf body;
    const char *failed; /* why the last fetch did; NULL: it did not */
    uint32_t failures;  /* in a row */
    bool refused;
};

static void wipe(char **text) {
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

bool grant_new(struct port *port, const struct port *before) {
    struct grant *g = calloc(1, sizeof(*g));
    const struct grant *old =
        before != NULL && grant_same_credentials(before->account, port->account) ? before->grant : NULL;
    if (g == NULL)
        return false;
    port->grant = g;
    buf_init(&g->body, 64u << 10);
    if (old == NULL)
        return true;
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
    wipe(&g->token);
    wipe(&g->refresh_token);
    if (g->body.data != NULL)
        explicit_bzero(g->body.data, g->body.cap);
    buf_deinit(&g->body);
    free(g);
}

const struct account *grant_account(const struct port *port, struct account *copy) {
    if (port->grant == NULL)
        return port->account;
    *copy = *port->account;
    copy->token = port->grant->token;
    return copy;
}

/* The target that carries the token. Without one (no memory) the old stays, and orders wait for the next fetch. */
bool grant_make_target(struct port *port) {
    struct account with;
    struct target_spec spec;
    struct err err;
    struct http_target *target = NULL;
    if (port->grant->token == NULL)
        return false;
    const struct account *a = grant_account(port, &with);
    if (target_spec_init(&spec, a, request_method(a), NULL, &err) == 0)
        target = http_target_new(port->worker->http, &spec.options, &err);
    target_spec_deinit(&spec);
    if (target == NULL)
        return false;
    http_target_unref(port->create);
    port->create = target;
    return true;
}

static void take(struct port *port, const struct oauth2_answer *answer) {
    struct grant *g = port->grant;
    uint64_t now = clock_boot_ns();
    wipe(&g->token);
    g->token = strndup(answer->token.ptr, answer->token.len);
    g->ends_at_ns = g->renew_at_ns = UINT64_MAX;
    if (answer->lifetime_ms > 0) {
        uint64_t early = answer->lifetime_ms * 100000 < EARLY_NS ? answer->lifetime_ms * 100000 : EARLY_NS;
        g->ends_at_ns = now + answer->lifetime_ms * 1000000 - early;
        g->renew_at_ns = now + answer->lifetime_ms * 1000 * (700 + rng_below(&port->worker->rng, 100));
    }
    if (answer->refresh_token.len > 0) { /* the old one may be void from now on */
        wipe(&g->refresh_token);
        g->refresh_token = strndup(answer->refresh_token.ptr, answer->refresh_token.len);
    }
    g->number++;
    g->failed = NULL;
    g->failures = 0;
    if (!grant_make_target(port))
        wipe(&g->token);
    log_msg(LOG_INFO, "token_fetched", "account %s: a new access token, for %llu s", port->account->name,
            (unsigned long long)(answer->lifetime_ms / 1000));
}

static bool is_good(const struct grant *g, uint64_t now) {
    return g->token != NULL && now < g->ends_at_ns;
}

static void fail(struct port *port, const struct http_exchange *x, const struct oauth2_answer *answer) {
    struct grant *g = port->grant;
    bool has = is_good(g, clock_boot_ns());
    uint64_t pause = PAUSE_NS << (g->failures < 5 ? g->failures++ : 5);
    g->not_before_ns =
        answer->refused && !has ? 0 : clock_boot_ns() + (has || pause > LATER_NS ? LATER_NS : pause);
    g->failed = answer->error;
    g->refused = answer->refused;
    if (x->cancelled) /* the worker ends */
        return;
    log_msg(LOG_WARN, answer->error, "account %s: the token endpoint %s (HTTP %ld)", port->account->name,
            answer->refused ? "refuses"
            : x->answered   ? "gave no token"
                            : "does not answer",
            x->status);
}

static void no_token(struct order *o) {
    const struct grant *g = o->port->grant;
    uint64_t now = clock_boot_ns(),
             pause_ms = g->not_before_ns > now ? (g->not_before_ns - now) / 1000000 : 0;
    dispatch_no_token(o, g->refused ? 0 : pause_ms + 1, g->failed != NULL ? g->failed : "token_unavailable");
}

static void wake_orders(struct port *port) {
    struct grant *g = port->grant;
    for (struct order *o; (o = dispatch_waiting(port)) != NULL;) {
        o->token_number = g->number;
        if (g->token == NULL || g->failed != NULL)
            no_token(o);
        else
            dispatch_again(o);
    }
}

static void on_token(void *arg, const struct http_exchange *x) {
    struct port *port = arg;
    struct grant *g = port->grant;
    struct oauth2_answer answer;
    g->call = NULL;
    explicit_bzero(g->body.data, g->body.len);
    oauth2_read(x, &port->worker->doc, &answer);
    if (answer.token.ptr != NULL)
        take(port, &answer);
    else
        fail(port, x, &answer);
    wake_orders(port);
    port_unref(port);
}

static void fetch(struct port *port) {
    struct grant *g = port->grant;
    struct target_spec spec;
    struct err err;
    const char *refresh =
        g->refresh_token != NULL ? g->refresh_token : port->account->http_json.refresh_token;
    if (g->call != NULL)
        return;
    if (oauth2_request(port->account, refresh, &spec, &g->body, &err) == 0) {
        struct http_target *target = http_target_new(port->worker->http, &spec.options, &err);
        struct http_request request = {.body = buf_span(&g->body)};
        if (target != NULL)
            g->call = http_send(port->worker->http, target, &request, on_token, port);
        http_target_unref(target);
    }
    target_spec_deinit(&spec);
    if (g->call != NULL)
        port_ref(port);
    else
        g->not_before_ns = clock_boot_ns() + PAUSE_NS;
}

bool grant_ready(struct order *o) {
    struct port *port = o->port;
    struct grant *g = port->grant;
    uint64_t now = clock_boot_ns();
    bool good = is_good(g, now);
    if ((!good || now >= g->renew_at_ns) && now >= g->not_before_ns)
        fetch(port);
    if (good)
        o->token_number = g->number;
    else if (g->call != NULL)
        o->waits_token = true;
    else
        no_token(o);
    return good;
}

bool grant_renew(struct order *o) {
    struct grant *g = o->port->grant;
    if (g == NULL || o->token_renewed || o->port->worker->mode != WORKER_RUNNING)
        return false;
    o->token_renewed = true;
    if (o->token_number == g->number) /* else somebody has renewed it meanwhile */
        wipe(&g->token);
    if (grant_ready(o))
        dispatch_again(o);
    return true;
}
