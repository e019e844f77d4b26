/* Access tokens.
 *
 * Happy path: the first order of an account finds no token → Redis is asked for the fleet's (grant_share.c) → there is one,
 * or this worker fetches it: one request, whatever number of orders and workers wait → the account's target is made with the
 * token, the orders go. From some three quarters of its life on, the next order has it renewed, and goes with the old one
 * meanwhile. Failure modes: 401 to an order: the token is thrown away and a newer one taken, or fetched, once for that order,
 * which surely created nothing; a second 401 holds the account. The endpoint refuses (400, 401, 403): the account is held as
 * after 401. It does not answer, or not with a token: nothing was sent, and the account pauses for a moment, which doubles. A
 * renewal ahead of time that fails: the old token is used to its end.
 *
 * The token lies in this process's memory, and sealed in Redis: not on disk, in no log line. */
#include "worker/grant_parts.h"

#include <stdlib.h>
#include <string.h>

#define EARLY_MS 5000 /* a token is not used in its last seconds (or tenth): clocks and networks differ */

static uint64_t early_ms(uint64_t life_ms) {
    return life_ms / 10 < EARLY_MS ? life_ms / 10 : EARLY_MS;
}

void grant_take(struct account_runtime *runtime, const struct grant_token *t) {
    struct grant *g = runtime->grant;
    uint64_t now = clock_boot_ns();
    grant_wipe(&g->token);
    g->token = strndup(t->token.ptr, t->token.len);
    g->ends_at_ns = g->renew_at_ns = UINT64_MAX;
    if (t->good_ms > 0) {
        uint64_t last = t->life_ms * 1000 * (200 + rng_below(&runtime->worker->rng, 100));
        uint64_t left = (t->good_ms + early_ms(t->life_ms)) * MS_NS;
        g->ends_at_ns = now + t->good_ms * MS_NS;
        g->renew_at_ns = now + (left > last ? left - last : 0);
    }
    g->number++;
    g->failed = NULL;
    g->failures = 0;
    g->refused = false;
    g->not_before_ns = 0;
    if (!grant_make_target(runtime))
        grant_wipe(&g->token);
}

void grant_set_refresh_token(struct grant *g, struct span token) {
    grant_wipe(&g->refresh_token);
    g->refresh_token = strndup(token.ptr, token.len);
}

static void take(struct account_runtime *runtime, const struct oauth2_answer *answer) {
    struct grant *g = runtime->grant;
    struct grant_token t = {.token = answer->token,
                            .good_ms = answer->lifetime_ms - early_ms(answer->lifetime_ms),
                            .life_ms = answer->lifetime_ms};
    grant_take(runtime, &t);
    if (answer->refresh_token.len > 0) /* the old one may be void from now on */
        grant_set_refresh_token(g, answer->refresh_token);
    grant_tell_token(runtime, &t, answer->refresh_token);
    log_msg(LOG_INFO, "token_fetched", "account %s: a new access token, for %llu s", runtime->account->name,
            (unsigned long long)(answer->lifetime_ms / 1000));
}

bool grant_is_good(const struct grant *g, uint64_t now_ns) {
    return g->token != NULL && now_ns < g->ends_at_ns;
}

static uint64_t pause_after(struct grant *g, uint64_t now) {
    if (!grant_is_good(g, now))
        return g->refused ? 0 : PAUSE_NS << (g->failures < 5 ? g->failures++ : 5);
    uint64_t left = g->ends_at_ns - now;
    return left > PAUSE_NS ? left : PAUSE_NS;
}

static void fail(struct account_runtime *runtime, const struct http_exchange *x,
                 const struct oauth2_answer *answer) {
    struct grant *g = runtime->grant;
    uint64_t now = clock_boot_ns();
    g->failed = answer->error;
    g->refused = answer->refused;
    uint64_t pause = pause_after(g, now);
    pause = pause < LATER_NS ? pause : LATER_NS;
    g->not_before_ns = pause > 0 ? now + pause : 0;
    grant_tell_failed(runtime, x->cancelled ? 0 : pause / MS_NS);
    if (x->cancelled) /* the worker ends, or the account is gone */
        return;
    log_msg(LOG_WARN, answer->error, "account %s: the token endpoint %s (HTTP %ld)", runtime->account->name,
            answer->refused ? "refuses"
            : x->answered   ? "gave no token"
                            : "does not answer",
            x->status);
}

static void no_token(struct order *o) {
    const struct grant *g = o->runtime->grant;
    uint64_t now = clock_boot_ns(),
             pause_ms = g->not_before_ns > now ? (g->not_before_ns - now) / 1000000 : 0;
    o->consumer->worker->up->no_token(o, g->refused ? 0 : pause_ms + 1,
                                      g->failed != NULL ? g->failed : "token_unavailable");
}

void grant_wake(struct account_runtime *runtime) {
    struct grant *g = runtime->grant;
    bool runs = runtime->worker->mode == WORKER_RUNNING;
    for (struct order *o; (o = order_waiting(runtime)) != NULL;) {
        o->token_number = g->number;
        if (runs && (g->token == NULL || g->failed != NULL))
            no_token(o);
        else
            o->consumer->worker->up->token_there(o); /* a worker that ends gives it back */
    }
}

static void on_token(void *arg, const struct http_exchange *x) {
    struct account_runtime *runtime = arg;
    struct grant *g = runtime->grant;
    struct oauth2_answer answer;
    g->call = NULL;
    explicit_bzero(g->body.data, g->body.len);
    oauth2_read(x, &runtime->worker->scratch.doc, &answer);
    if (answer.token.ptr != NULL)
        take(runtime, &answer);
    else
        fail(runtime, x, &answer);
    grant_idle(runtime);
}

bool grant_fetch(struct account_runtime *runtime) {
    struct grant *g = runtime->grant;
    struct target_spec spec;
    struct err err;
    const char *refresh =
        g->refresh_token != NULL ? g->refresh_token : runtime->account->http_json.refresh_token;
    if (oauth2_request(runtime->account, refresh, &spec, &g->body, &err) == 0) {
        struct http_target *target = http_target_new(runtime->worker->http, &spec.options, &err);
        struct http_request request = {.body = buf_span(&g->body)};
        if (target != NULL)
            g->call = http_send(runtime->worker->http, target, &request, on_token, runtime);
        http_target_unref(target);
    }
    target_spec_deinit(&spec);
    if (g->call != NULL) {
        grant_busy(runtime, GRANT_FETCHES);
        return true;
    }
    g->failed = "token_unavailable";
    g->not_before_ns = clock_boot_ns() + PAUSE_NS;
    return false;
}

bool grant_ready(struct order *o) {
    struct account_runtime *runtime = o->runtime;
    struct grant *g = runtime->grant;
    uint64_t now = clock_boot_ns();
    bool good = grant_is_good(g, now);
    if ((!good || now >= g->renew_at_ns) && now >= g->not_before_ns && g->state == GRANT_IDLE)
        grant_ask(runtime);
    if (good)
        o->token_number = g->number;
    else if (g->state != GRANT_IDLE)
        o->waits_token = true;
    else
        no_token(o);
    return good;
}

bool grant_renew(struct order *o) {
    struct grant *g = o->runtime->grant;
    if (g == NULL || o->token_renewed || o->runtime->worker->mode != WORKER_RUNNING)
        return false;
    o->token_renewed = true;
    if (o->token_number == g->number) { /* else somebody has renewed it meanwhile */
        grant_wipe(&g->token);
        g->not_before_ns = g->failed == NULL ? 0 : g->not_before_ns;
    }
    if (grant_ready(o))
        o->consumer->worker->up->token_there(o);
    return true;
}
