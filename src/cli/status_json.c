/* `dray status --json`: one object per queue. */
#include "cli/status.h"

#include <inttypes.h>
#include <string.h>

#include "queue/gate.h"

static void add_text(struct buf *out, const char *name, const char *value) {
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_str(out, span_str(value));
}

static void add_pause(struct buf *out, const char *pause) {
    const char *reason;
    int64_t till = pause_parts(pause, &reason);
    if (pause[0] == '\0') {
        buf_add_str(out, ",\"paused\":null");
        return;
    }
    buf_addf(out, ",\"paused\":{\"until\":%" PRId64, till);
    add_text(out, "reason", reason);
    buf_add_char(out, '}');
}

static void add_account(struct buf *out, const struct snapshot *s, size_t i) {
    struct account_view a;
    snapshot_account(s, i, &a);
    buf_add_str(out, i > 0 ? ",{\"account\":" : "{\"account\":");
    buf_add_json_str(out, span_str(a.name));
    add_text(out, "state", account_state_name(snapshot_state(s, &a)));
    buf_addf(
        out,
        ",\"until\":%lld,\"probing\":%s,\"waiting\":%lld,\"under_way\":%lld,\"concurrency\":%lld",
        a.mode != 'n' ? a.till : 0, a.probing ? "true" : "false", a.waiting, a.conc, a.limit);
    buf_addf(out,
             ",\"tokens\":%.3f,\"burst\":%lld,\"rate\":%g,\"failures\":%lld,\"breaker_failures\":%"
             "lld,\"cooldown_ms\":%lld",
             a.tokens, a.burst, a.rate, a.fails, a.failures, a.cool);
    buf_addf(out, ",\"stray_answers\":%" PRId64 ",\"repeated_ids\":%" PRId64, a.strays, a.repeated_ids);
    if (a.token_ms > 0)
        buf_addf(out, ",\"token_expires_at\":%" PRId64, a.token_ms);
    else
        buf_add_str(out, ",\"token_expires_at\":null");
    if (a.mode == 'h') {
        char reason[GATE_REASON_MAX];
        gate_hold_reason((uint64_t)a.refused, a.code, reason);
        add_text(out, "held", reason);
    } else {
        buf_add_str(out, ",\"held\":null");
    }
    add_pause(out, a.pause);
    buf_add_char(out, '}');
}

static int64_t add_worker(struct buf *out, const struct snapshot *s, size_t i,
                          struct json_doc *doc) {
    struct worker_view w;
    snapshot_worker(s, i, doc, &w);
    buf_add_str(out, i > 0 ? ",{\"worker\":" : "{\"worker\":");
    buf_add_json_str(out, span_str(w.name));
    add_text(out, "host", w.host);
    add_text(out, "version", w.version);
    add_text(out, "mode", w.mode);
    add_text(out, "pickup_mode", w.pickup);
    buf_addf(out,
             ",\"pid\":%" PRId64 ",\"lease_left_ms\":%" PRId64 ",\"in_flight\":%" PRId64
             ",\"uptime_ms\":%" PRId64 ",\"connections\":%" PRId64 "}",
             w.pid, w.lease_left_ms, w.inflight, w.uptime_ms, w.connections);
    return w.inflight;
}

static void add_rate(struct buf *out, const char *name, double rate) {
    if (rate >= 0)
        buf_addf(out, ",\"%s\":%.3f", name, rate);
    else
        buf_addf(out, ",\"%s\":null", name);
}

static void add_counters(struct buf *out, const struct snapshot *s) {
    const redisReply *list = s->reply->element[1];
    bool first = true;
    buf_add_str(out, ",\"counters\":{");
    for (size_t i = 12; i + 1 < list->elements; i += 2) { /* behind the six sizes */
        if (strcmp(list->element[i]->str, "seq") == 0)
            continue;
        buf_add_str(out, first ? "" : ",");
        buf_add_json_str(out, span_str(list->element[i]->str));
        buf_addf(out, ":%" PRId64, snapshot_number(s, list->element[i]->str));
        first = false;
    }
    buf_add_char(out, '}');
}

void status_json(const struct snapshot *s, struct json_doc *doc, struct buf *out) {
    static const char *const sizes[] = {"jobs",    "picked_up", "waiting",
                                        "delayed", "dead",      "results"};
    int64_t inflight = 0;
    buf_addf(out, "{\"queue\":\"%s\",\"at\":%" PRId64, s->queue, s->now_ms);
    buf_addf(out, ",\"error\":null,\"results_full\":%s,\"redis_full\":%s", s->high_water > 0 ? "true" : "false",
             s->redis_full ? "true" : "false");
    add_pause(out, snapshot_pause(s));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        buf_addf(out, ",\"%s\":%" PRId64, sizes[i], snapshot_number(s, sizes[i]));
    if (s->oldest_ms >= 0)
        buf_addf(out, ",\"oldest_age_ms\":%" PRId64, s->oldest_ms);
    else
        buf_add_str(out, ",\"oldest_age_ms\":null");
    add_rate(out, "in_per_s", s->in_per_s);
    add_rate(out, "out_per_s", s->out_per_s);
    buf_add_str(out, ",\"accounts\":[");
    for (size_t i = 0; i < snapshot_accounts(s); i++)
        add_account(out, s, i);
    buf_add_str(out, "],\"workers\":[");
    for (size_t i = 0; i < snapshot_workers(s); i++)
        inflight += add_worker(out, s, i, doc);
    buf_addf(out, "],\"in_flight\":%" PRId64, inflight);
    add_counters(out, s);
    buf_add_char(out, '}');
}
