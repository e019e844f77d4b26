/* One fetch of an access token for the fleet: token endpoints count their requests, and many void the earlier token with
 * each new one, so that workers which fetch for themselves would knock each other out.
 *
 * Happy path: Redis is asked (grant.lua) → it has a token, sealed, or lets this worker fetch, which tells it what it got
 * (granted.lua), or another worker fetches: asked again in a moment. One that dies meanwhile is waited for no longer than its
 * request may take. Failure modes: Redis refuses the script (rights, memory): the worker fetches for itself, as if it were alone. Redis is
 * away: no token is fetched, as no order could begin with it. What Redis has does not open, or it could not be told a token:
 * what is there is not taken, and a new one fetched.
 *
 * The key's name and the seal are made of the credentials: accounts of a queue with the same ones share, and other
 * credentials are another key. A version is random, so that the token that was refused is told from a newer one. */
#include "worker/grant_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/sha256.h"

#define KEEP_MS  (90ull * 24 * 3600 * 1000) /* a refresh token, and a token whose life is not told */
#define AGAIN_MS 100  /* until Redis is asked whether the other worker has it; up to twice */
#define RENEW_MS 1000 /* the same, while the old token is good */
#define SPARE_MS 2000 /* to the timeouts of a fetch, for who may fetch */

static const struct span token_use = {"token", 5}, refresh_use = {"refresh", 7};

void grant_busy(struct account_runtime *runtime, enum grant_state state) {
    struct worker *w = runtime->worker;
    if (runtime->grant->state == GRANT_IDLE) {
        runtime_ref(runtime);
        runtime->consumer->asides++;
        runtime->grant->next = w->busy_grants;
        w->busy_grants = runtime;
    }
    runtime->grant->state = state;
}

void grant_idle(struct account_runtime *runtime) {
    struct account_runtime **at = &runtime->worker->busy_grants;
    while (*at != runtime)
        at = &(*at)->grant->next;
    *at = runtime->grant->next;
    runtime->grant->state = GRANT_IDLE;
    grant_wake(runtime);
    runtime->consumer->asides--;
    runtime_unref(runtime);
}

static void begin(struct account_runtime *runtime, enum script_id script, size_t args) {
    struct consumer *consumer = runtime->consumer;
    struct buf *cmd = &consumer->worker->scratch.cmd;
    struct span prefix = consumer->keys.grant_prefix;
    buf_reset(cmd);
    queue_cmd_begin(cmd, script, 1, args);
    redis_resp_head(cmd, prefix.len + strlen(runtime->grant->name));
    buf_add_span(cmd, prefix);
    buf_addf(cmd, "%s\r\n", runtime->grant->name);
    redis_resp_str(cmd, runtime->grant->holder);
}

/* ---- asking ---- */

static struct span element(const redisReply *r, size_t i) {
    bool is = i < r->elements && r->element[i]->type == REDIS_REPLY_STRING;
    return is ? (struct span){r->element[i]->str, r->element[i]->len} : (struct span){NULL, 0};
}

static uint64_t number(struct span text) {
    return text.len > 0 ? strtoull(text.ptr, NULL, 10) : 0; /* hiredis ends a text with a NUL */
}

/* { "T", version, sealed token, ms it is good, ms of its life }. False: it does not open. */
static bool take(struct account_runtime *runtime, const redisReply *r) {
    struct grant *g = runtime->grant;
    struct span version = element(r, 1);
    struct buf text;
    buf_init(&text, 1u << 20);
    bool opens = version.len + 1 == sizeof(g->version) &&
                 seal_open(g->seal_key, token_use, element(r, 2), &text) == 0 && text.len > 0;
    if (opens) {
        struct grant_token t = {
            .token = buf_span(&text), .good_ms = number(element(r, 3)), .life_ms = number(element(r, 4))};
        memcpy(g->version, version.ptr, version.len + 1);
        grant_take(runtime, &t);
        log_msg(LOG_INFO, "token_shared", "account %s: the access token that another worker fetched",
                runtime->account->name);
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
    return opens;
}

/* Ours to fetch, or Redis refuses to say. */
static void fetch(struct account_runtime *runtime, struct span refresh_token) {
    struct grant *g = runtime->grant;
    struct buf text;
    buf_init(&text, 1u << 20);
    if (refresh_token.len > 0 && runtime->account->http_json.refresh_token != NULL &&
        seal_open(g->seal_key, refresh_use, refresh_token, &text) == 0)
        grant_set_refresh_token(g, buf_span(&text));
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
    if (runtime->worker->mode != WORKER_RUNNING || !grant_fetch(runtime)) {
        grant_tell_failed(runtime, 0);
        grant_idle(runtime);
    }
}

static void put_off(struct account_runtime *runtime, uint64_t ms) {
    runtime->grant->not_before_ns = clock_boot_ns() + ms * MS_NS;
    grant_idle(runtime);
}

static void wait(struct account_runtime *runtime, uint64_t ms) {
    struct grant *g = runtime->grant;
    uint64_t now = clock_boot_ns(), again = AGAIN_MS + rng_below(&runtime->worker->rng, AGAIN_MS);
    if (runtime->worker->mode != WORKER_RUNNING || grant_is_good(g, now)) {
        put_off(runtime, RENEW_MS);
        return;
    }
    g->state = GRANT_WAITS;
    g->ask_at_ns = now + (ms < again ? ms : again) * MS_NS;
}

static void ask(struct account_runtime *runtime);

static void on_asked(void *arg, const redisReply *r, const char *error) {
    struct account_runtime *runtime = arg;
    struct grant *g = runtime->grant;
    bool told = r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements > 1 && element(r, 0).len == 1;
    char letter = told ? r->element[0]->str[0] : '-';
    if (letter == 'T' && take(runtime, r)) {
        grant_idle(runtime);
    } else if (letter == 'T') {
        strcpy(g->version, ANY_VERSION);
        ask(runtime);
    } else if (letter == 'F') {
        fetch(runtime, element(r, 1));
    } else if (letter == 'W') {
        wait(runtime, number(element(r, 1)));
    } else if (letter == 'P' || r == NULL) {
        g->failed = "token_unavailable";
        put_off(runtime, r != NULL ? number(element(r, 1)) : PAUSE_NS / MS_NS);
    } else {
        log_redis_error(runtime->consumer, "grant", error);
        fetch(runtime, (struct span){NULL, 0});
    }
}

static void ask(struct account_runtime *runtime) {
    const struct account *a = runtime->account;
    struct buf *cmd = &runtime->worker->scratch.cmd;
    begin(runtime, SCRIPT_GRANT, 3);
    redis_resp_u64(cmd, a->connect_timeout_ms + a->request_timeout_ms + SPARE_MS);
    redis_resp_str(cmd, runtime->grant->version);
    grant_busy(runtime, GRANT_ASKS);
    queue_call(runtime->worker->caller, runtime->consumer->keys.slot, SCRIPT_GRANT, cmd, on_asked, runtime);
}

void grant_ask(struct account_runtime *runtime) {
    if (runtime->grant->name[0] != '\0')
        ask(runtime);
    else
        grant_fetch(runtime);
}

/* ---- telling ---- */

static void on_told(void *arg, const redisReply *r, const char *error) {
    struct account_runtime *runtime = arg;
    runtime->consumer->asides--;
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        strcpy(runtime->grant->version, ANY_VERSION);
    if (r != NULL && r->type == REDIS_REPLY_ERROR)
        log_redis_error(runtime->consumer, "granted", error);
    runtime_unref(runtime);
}

static void tell(struct account_runtime *runtime) {
    runtime_ref(runtime);
    runtime->consumer->asides++;
    queue_call(runtime->worker->caller, runtime->consumer->keys.slot, SCRIPT_GRANTED,
               &runtime->worker->scratch.cmd, on_told, runtime);
}

static bool may_tell(const struct account_runtime *runtime) {
    return runtime->grant->name[0] != '\0' && runtime->worker->mode != WORKER_STOPPED;
}

void grant_tell_token(struct account_runtime *runtime, const struct grant_token *t,
                      struct span refresh_token) {
    struct grant *g = runtime->grant;
    struct buf *cmd = &runtime->worker->scratch.cmd, sealed, refresh;
    if (!may_tell(runtime))
        return;
    buf_init(&sealed, 1u << 20);
    buf_init(&refresh, 1u << 20);
    snprintf(g->version, sizeof(g->version), "%016llx", (unsigned long long)rng_u64(&runtime->worker->rng));
    if (seal_text(g->seal_key, token_use, t->token, &sealed) != 0 ||
        (refresh_token.len > 0 && seal_text(g->seal_key, refresh_use, refresh_token, &refresh) != 0)) {
        strcpy(g->version, ANY_VERSION);
        grant_tell_failed(runtime, 0);
    } else {
        begin(runtime, SCRIPT_GRANTED, 7);
        redis_resp_str(cmd, g->version);
        redis_resp_arg(cmd, buf_span(&sealed));
        redis_resp_u64(cmd, t->good_ms);
        redis_resp_u64(cmd, t->life_ms);
        redis_resp_arg(cmd, buf_span(&refresh));
        redis_resp_u64(cmd, KEEP_MS);
        tell(runtime);
    }
    buf_deinit(&sealed);
    buf_deinit(&refresh);
}

void grant_tell_failed(struct account_runtime *runtime, uint64_t pause_ms) {
    struct buf *cmd = &runtime->worker->scratch.cmd;
    if (!may_tell(runtime))
        return;
    begin(runtime, SCRIPT_GRANTED, 7);
    redis_resp_str(cmd, "");
    redis_resp_str(cmd, "");
    redis_resp_u64(cmd, pause_ms);
    redis_resp_u64(cmd, 0);
    redis_resp_str(cmd, "");
    redis_resp_u64(cmd, KEEP_MS);
    tell(runtime);
}

/* ---- what goes on in the worker ---- */

void grants_turn(struct worker *w, uint64_t now_ns) {
    for (struct account_runtime *runtime = w->busy_grants, *next; runtime != NULL; runtime = next) {
        next = runtime->grant->next;
        if (runtime->grant->state != GRANT_WAITS)
            continue;
        if (w->mode != WORKER_RUNNING)
            grant_idle(runtime);
        else if (now_ns >= runtime->grant->ask_at_ns)
            ask(runtime);
    }
}

uint64_t grants_wake_ns(const struct worker *w) {
    uint64_t at = 0;
    for (const struct account_runtime *runtime = w->busy_grants; runtime != NULL;
         runtime = runtime->grant->next)
        if (runtime->grant->state == GRANT_WAITS && (at == 0 || runtime->grant->ask_at_ns < at))
            at = runtime->grant->ask_at_ns;
    return at;
}

void grants_leave(struct consumer *consumer) {
    for (struct account_runtime *runtime = consumer->worker->busy_grants, *next; runtime != NULL;
         runtime = next) {
        next = runtime->grant->next;
        if (runtime->consumer == consumer && runtime->grant->state == GRANT_FETCHES)
            http_cancel(runtime->grant->call);
        else if (runtime->consumer == consumer && runtime->grant->state == GRANT_WAITS)
            grant_idle(runtime);
    }
}

void grants_end(struct worker *w) {
    while (w->busy_grants != NULL)
        grant_idle(w->busy_grants);
}
