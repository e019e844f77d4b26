/* What the configuration says of accounts, told to Redis for the scripts (gate.lua): their limits,
 * each time Redis comes back and after a reload; and whose credentials have changed.
 *
 * Turns carry the limits of their accounts along, with the version of all limits that Redis gave us when it was
 * told ours: as long as it is the same there, scripts need not read them.
 *
 * Failure modes: a lost call is made again when the connection is back, as the whole of it is.
 * Workers with different configurations overwrite each other's limits: the last one told is in
 * force; the others' version is another then, and scripts read what Redis has. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/flow.h"

#include "queue/turn.h"

#define LIMITS_CALL 500 /* accounts of one call, so that Redis is not held up */
#define LIMITS_MAX  80  /* packed */

static void on_limits(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    consumer->asides--;
    consumer->accounts.limits_version[0] = '\0';
    if (r != NULL && r->type == REDIS_REPLY_ERROR)
        log_redis_error(consumer, "limits", error);
    else if (r != NULL && r->type == REDIS_REPLY_STRING && r->len < sizeof(consumer->accounts.limits_version))
        memcpy(consumer->accounts.limits_version, r->str, r->len + 1);
}

static void on_told(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    consumer->asides--;
    if (r != NULL && r->type == REDIS_REPLY_ERROR)
        log_redis_error(consumer, "reopen", error);
}

static void tell(struct consumer *consumer, enum script_id script, queue_reply_fn done) {
    consumer->asides++;
    queue_call(consumer->worker->caller, consumer->keys.slot, script, &consumer->worker->scratch.cmd, done,
               consumer);
}

static struct turn_limits limits_of(const struct account *a, const struct config *boot) {
    return (struct turn_limits){
        .rate = a->rate,
        .burst = a->burst > 0 ? a->burst : 1,
        .concurrency = a->concurrency,
        .breaker_failures = a->breaker_failures,
        .breaker_cooldown_ms = a->breaker_cooldown_ms,
        .probe_ms = a->connect_timeout_ms + a->request_timeout_ms + 2 * boot->lease_ms,
        .reject_limit = a->reject_limit,
        .ledger_ttl_ms = a->ledger_ttl_ms,
    };
}

bool runtime_pack_limits(struct account_runtime *runtime, const struct config *boot) {
    struct turn_limits l = limits_of(runtime->account, boot);
    buf_init(&runtime->limits, LIMITS_MAX);
    turn_pack_limits(&l, &runtime->limits);
    return buf_ok(&runtime->limits);
}

void consumer_send_limits(struct consumer *consumer) {
    static const enum queue_key keys[] = {KEY_LIMITS, KEY_GATES, KEY_STATS};
    const size_t key_n = sizeof(keys) / sizeof(keys[0]);
    struct buf *cmd = &consumer->worker->scratch.cmd;
    for (uint32_t from = 0; from < consumer->accounts.count; from += LIMITS_CALL) {
        uint32_t n =
            consumer->accounts.count - from < LIMITS_CALL ? consumer->accounts.count - from : LIMITS_CALL;
        buf_reset(cmd);
        queue_cmd_begin(cmd, SCRIPT_LIMITS, key_n, 2 * (size_t)n);
        for (size_t i = 0; i < key_n; i++)
            queue_cmd_key(cmd, &consumer->keys, keys[i]);
        for (uint32_t i = from; i < from + n; i++) {
            redis_resp_str(cmd, consumer->accounts.list[i]->account->name);
            redis_resp_arg(cmd, buf_span(&consumer->accounts.list[i]->limits));
        }
        tell(consumer, SCRIPT_LIMITS, on_limits);
    }
}

static bool same(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_headers(const struct account_header *a, const struct account_header *b) {
    for (; a != NULL && b != NULL && a->line != NULL && b->line != NULL; a++, b++)
        if (strcmp(a->line, b->line) != 0)
            return false;
    return (a == NULL || a->line == NULL) && (b == NULL || b->line == NULL);
}

static bool credentials_changed(const struct config *old, const struct account *new) {
    const struct account *a = config_account(old, new->name);
    return a == NULL || !same(a->token, new->token) || !same(a->key, new->key) ||
           !same(a->secret, new->secret) || !same(a->organization, new->organization) ||
           !same(a->base_url, new->base_url) || !grant_same_credentials(a, new) ||
           !same_headers(a->http_json.headers, new->http_json.headers);
}

static void reopen_some(struct consumer *consumer, const char *const names[static LIMITS_CALL], size_t n) {
    static const enum queue_key keys[] = {KEY_ACCOUNTS, KEY_LIMITS, KEY_GATES};
    const size_t key_n = sizeof(keys) / sizeof(keys[0]);
    struct buf *cmd = &consumer->worker->scratch.cmd;
    if (n == 0)
        return;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_REOPEN, key_n, n);
    for (size_t i = 0; i < key_n; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    for (size_t i = 0; i < n; i++)
        redis_resp_str(cmd, names[i]);
    tell(consumer, SCRIPT_REOPEN, on_told);
}

void consumer_reopen(struct consumer *consumer, const struct config *old) {
    const char *names[LIMITS_CALL];
    size_t n = 0;
    for (uint32_t i = 0; i < consumer->accounts.count; i++) {
        if (!credentials_changed(old, consumer->accounts.list[i]->account))
            continue;
        names[n++] = consumer->accounts.list[i]->account->name;
        if (n == LIMITS_CALL) {
            reopen_some(consumer, names, n);
            n = 0;
        }
    }
    reopen_some(consumer, names, n);
}
