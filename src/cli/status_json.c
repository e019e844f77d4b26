/* `dray status --json`: one object per queue. */
#include "cli/status.h"

#include <math.h>
#include <string.h>

#include "queue/gate.h"
#include "util/json_tree.h"

/* Thousandths: more is noise of the clock. */
static double rounded(double v) {
    return round(v * 1000) / 1000;
}

static void add_pause(cJSON *o, const char *pause) {
    const char *reason;
    int64_t till = pause_parts(pause, &reason);
    cJSON *paused =
        pause[0] != '\0' ? cJSON_AddObjectToObject(o, "paused") : cJSON_AddNullToObject(o, "paused");
    if (pause[0] == '\0')
        return;
    tree_add_i64(paused, "until", till);
    tree_add_text(paused, "reason", span_str(reason));
}

static cJSON *account_of(const struct snapshot *s, size_t i) {
    struct account_view a;
    cJSON *o = cJSON_CreateObject();
    snapshot_account(s, i, &a);
    tree_add_text(o, "account", span_str(a.name));
    cJSON_AddStringToObject(o, "state", account_state_name(snapshot_state(s, &a)));
    tree_add_i64(o, "until", a.mode != 'n' ? a.till : 0);
    cJSON_AddBoolToObject(o, "probing", a.probing);
    tree_add_i64(o, "waiting", a.waiting);
    tree_add_i64(o, "under_way", a.conc);
    tree_add_i64(o, "concurrency", a.limit);
    cJSON_AddNumberToObject(o, "tokens", rounded(a.tokens));
    tree_add_i64(o, "burst", a.burst);
    cJSON_AddNumberToObject(o, "rate", a.rate);
    tree_add_i64(o, "failures", a.fails);
    tree_add_i64(o, "breaker_failures", a.failures);
    tree_add_i64(o, "cooldown_ms", a.cool);
    tree_add_i64(o, "stray_answers", a.strays);
    tree_add_i64(o, "repeated_ids", a.repeated_ids);
    if (a.token_ms > 0)
        tree_add_i64(o, "token_expires_at", a.token_ms);
    else
        cJSON_AddNullToObject(o, "token_expires_at");
    char held[GATE_REASON_MAX] = "";
    if (a.mode == 'h')
        gate_hold_reason((uint64_t)a.refused, a.code, held);
    tree_add_text(o, "held", span_str(a.mode == 'h' ? held : NULL));
    add_pause(o, a.pause);
    return o;
}

static void add_format(cJSON *o, int64_t format) {
    if (format > 0)
        tree_add_i64(o, "format", format);
    else
        cJSON_AddNullToObject(o, "format");
}

static cJSON *worker_of(const struct snapshot *s, size_t i, int64_t *inflight) {
    struct worker_view w;
    cJSON *o = cJSON_CreateObject();
    snapshot_worker(s, i, &w);
    tree_add_text(o, "worker", span_str(w.name));
    tree_add_text(o, "host", span_str(w.host));
    tree_add_text(o, "version", span_str(w.version));
    tree_add_text(o, "mode", span_str(w.mode));
    add_format(o, w.format);
    tree_add_text(o, "pickup_mode", span_str(w.pickup));
    tree_add_i64(o, "pid", w.pid);
    tree_add_i64(o, "lease_left_ms", w.lease_left_ms);
    tree_add_i64(o, "in_flight", w.inflight);
    tree_add_i64(o, "uptime_ms", w.uptime_ms);
    tree_add_i64(o, "connections", w.connections);
    *inflight += w.inflight;
    return o;
}

static void add_rate(cJSON *o, const char *name, double rate) {
    if (rate >= 0)
        cJSON_AddNumberToObject(o, name, rounded(rate));
    else
        cJSON_AddNullToObject(o, name);
}

static void add_counters(cJSON *o, const struct snapshot *s) {
    const redisReply *list = s->reply->element[1];
    cJSON *counters = cJSON_AddObjectToObject(o, "counters");
    for (size_t i = 12; i + 1 < list->elements; i += 2) /* behind the six sizes */
        if (strcmp(list->element[i]->str, "seq") != 0)
            tree_add_i64(counters, list->element[i]->str, snapshot_number(s, list->element[i]->str));
}

cJSON *status_json(const struct snapshot *s) {
    static const char *const sizes[] = {"jobs", "picked_up", "waiting", "delayed", "dead", "results"};
    int64_t inflight = 0;
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "queue", span_str(s->queue));
    tree_add_i64(o, "at", s->now_ms);
    cJSON_AddNullToObject(o, "error");
    cJSON_AddBoolToObject(o, "results_full", s->high_water > 0);
    cJSON_AddBoolToObject(o, "redis_full", s->redis_full);
    add_format(o, s->format);
    tree_add_text(o, "wrong_format", span_str(s->format_words[0] != '\0' ? s->format_words : NULL));
    add_pause(o, snapshot_pause(s));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        tree_add_i64(o, sizes[i], snapshot_number(s, sizes[i]));
    if (s->oldest_ms >= 0)
        tree_add_i64(o, "oldest_age_ms", s->oldest_ms);
    else
        cJSON_AddNullToObject(o, "oldest_age_ms");
    add_rate(o, "in_per_s", s->in_per_s);
    add_rate(o, "out_per_s", s->out_per_s);
    cJSON *accounts = cJSON_AddArrayToObject(o, "accounts"), *workers = cJSON_AddArrayToObject(o, "workers");
    for (size_t i = 0; i < snapshot_accounts(s); i++)
        cJSON_AddItemToArray(accounts, account_of(s, i));
    for (size_t i = 0; i < snapshot_workers(s); i++)
        cJSON_AddItemToArray(workers, worker_of(s, i, &inflight));
    tree_add_i64(o, "in_flight", inflight);
    add_counters(o, s);
    return o;
}
