/* `dray status` for people: a line of sizes, the accounts with what keeps them, the workers. */
#include "cli/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dray/timefmt.h"
#include "queue/gate.h"
#include "util/terminal.h"

static void add_age(struct buf *out, int64_t ms) {
    int64_t s = ms / 1000;
    if (ms < 0)
        buf_add_str(out, "-");
    else if (s < 1)
        buf_addf(out, "%" PRId64 "ms", ms);
    else if (s < 120)
        buf_addf(out, "%" PRId64 "s", s);
    else if (s < 7200)
        buf_addf(out, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else
        buf_addf(out, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
}

static void add_rate(struct buf *out, const char *name, double per_s) {
    if (per_s >= 0)
        buf_addf(out, "   %s %.1f/s", name, per_s);
}

static void add_pause(struct buf *out, const struct snapshot *s, const char *pause) {
    const char *reason;
    int64_t till = pause_parts(pause, &reason);
    buf_add_str(out, "paused by an operator ");
    if (till > 0) {
        buf_add_str(out, "for ");
        add_age(out, till - s->now_ms);
    } else {
        buf_add_str(out, "until resumed");
    }
    if (reason[0] != '\0') {
        buf_add_str(out, ": ");
        foreign_add(out, span_str(reason), foreign_for(STDOUT_FILENO), 0);
    }
}

static void add_wait(struct buf *out, const struct snapshot *s, const struct account_view *a,
                     const char *why) {
    buf_add_str(out, why);
    if (a->probing) {
        buf_add_str(out, "; a probe is under way");
        return;
    }
    buf_add_str(out, a->mode == 'p' ? " for " : "; next probe in ");
    add_age(out, a->till > s->now_ms ? a->till - s->now_ms : 0);
}

static void add_held(struct buf *out, const struct snapshot *s, const struct account_view *a) {
    char reason[GATE_REASON_MAX];
    gate_hold_reason((uint64_t)a->refused, a->code, reason);
    buf_add_str(out, "HELD: ");
    add_wait(out, s, a, reason);
}

static void add_why(struct buf *out, const struct snapshot *s, const struct account_view *a) {
    switch (snapshot_state(s, a)) {
    case ACCOUNT_PAUSED_BY_OPERATOR:
        add_pause(out, s, a->pause);
        return;
    case ACCOUNT_PAUSED_BY_PROVIDER:
        add_wait(out, s, a, "paused by the provider");
        return;
    case ACCOUNT_HELD:
        add_held(out, s, a);
        return;
    case ACCOUNT_BREAKER_OPEN:
        add_wait(out, s, a, "BREAKER OPEN: the provider fails");
        return;
    case ACCOUNT_LIMITED:
        buf_add_str(out, a->limit > 0 && a->conc >= a->limit ? "limited: at its concurrency"
                                                             : "limited: at its rate");
        return;
    case ACCOUNT_OK:
        buf_add_str(out, "ok");
    }
}

static void add_token(struct buf *out, const struct snapshot *s, const struct account_view *a) {
    if (a->token_ms == 0)
        return;
    bool over = a->token_ms <= s->now_ms;
    buf_add_str(out, over ? "; TOKEN ENDED " : "; token ends in ");
    add_age(out, over ? s->now_ms - a->token_ms : a->token_ms - s->now_ms);
    buf_add_str(out, over ? " ago" : "");
}

static void add_accounts(struct buf *out, const struct snapshot *s) {
    struct account_view a;
    char under_way[48], tokens[64], fails[48];
    if (snapshot_accounts(s) > 0)
        buf_addf(out, "  %-24s %9s %12s %18s %8s  state\n", "account", "waiting", "under way", "tokens",
                 "failures");
    for (size_t i = 0; i < snapshot_accounts(s); i++) {
        snapshot_account(s, i, &a);
        snprintf(under_way, sizeof(under_way), a.limit > 0 ? "%lld of %lld" : "%lld", a.conc, a.limit);
        snprintf(tokens, sizeof(tokens), a.rate > 0 ? "%.0f of %lld, %g/s" : "no limit", a.tokens, a.burst,
                 a.rate);
        snprintf(fails, sizeof(fails), a.failures > 0 ? "%lld of %lld" : "%lld", a.fails, a.failures);
        buf_addf(out, "  %-24s %9lld %12s %18s %8s  ", a.name, a.waiting, under_way, tokens, fails);
        add_why(out, s, &a);
        add_token(out, s, &a);
        if (a.strays > 0)
            buf_addf(out, "; %" PRId64 " STRAY ANSWERS", a.strays);
        if (a.repeated_ids > 0)
            buf_addf(out, "; %" PRId64 " ORDER IDS REPEATED", a.repeated_ids);
        buf_add_char(out, '\n');
    }
}

static void add_workers(struct buf *out, const struct snapshot *s) {
    struct worker_view w;
    if (snapshot_workers(s) == 0) {
        buf_add_str(out, "  NO WORKER\n");
        return;
    }
    buf_addf(out, "  %-32s %-20s %-9s %9s %10s  lease\n", "worker", "host", "version", "in flight", "up");
    for (size_t i = 0; i < snapshot_workers(s); i++) {
        struct buf up;
        buf_init(&up, 64);
        snapshot_worker(s, i, &w);
        add_age(&up, w.uptime_ms);
        buf_addf(out, "  %-32s %-20s %-9s %9" PRId64 " %10s  ", w.name, w.host, w.version, w.inflight,
                 buf_cstr(&up));
        buf_deinit(&up);
        if (w.lease_left_ms > 0)
            add_age(out, w.lease_left_ms);
        else
            buf_add_str(out, "RAN OUT; others recover its orders");
        buf_addf(out, "%s%s", strcmp(w.mode, "running") == 0 ? "" : "  ",
                 strcmp(w.mode, "running") == 0 ? "" : w.mode);
        if (strcmp(w.pickup, "polling") == 0)
            buf_addf(out, "  asks for jobs: no connection of its own (%" PRId64 " in all)", w.connections);
        buf_add_char(out, '\n');
    }
}

void status_text(const struct snapshot *s, struct buf *out) {
    static const char *const sizes[] = {"jobs", "waiting", "delayed"};
    struct worker_view w;
    int64_t inflight = 0;
    for (size_t i = 0; i < snapshot_workers(s); i++) {
        snapshot_worker(s, i, &w);
        inflight += w.inflight;
    }
    buf_addf(out, "queue %s", s->queue);
    if (snapshot_pause(s)[0] != '\0') {
        buf_add_str(out, "   ");
        add_pause(out, s, snapshot_pause(s));
    }
    buf_add_str(out, "\n ");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        buf_addf(out, " %s %" PRId64 "  ", sizes[i], snapshot_number(s, sizes[i]));
    buf_addf(out, " in flight %" PRId64 "   dead %" PRId64 "   results %" PRId64 "   oldest ", inflight,
             snapshot_number(s, "dead"), snapshot_number(s, "results"));
    add_age(out, s->oldest_ms);
    add_rate(out, "in", s->in_per_s);
    add_rate(out, "out", s->out_per_s);
    buf_add_char(out, '\n');
    if (s->format_words[0] != '\0')
        buf_addf(out, "  WRONG FORMAT: %s\n", s->format_words);
    if (s->high_water > 0)
        buf_addf(out,
                 "  RESULTS FULL: results_high_water (%" PRIu64
                 ") is reached; nothing is claimed until they are consumed\n",
                 s->high_water);
    if (s->redis_full)
        buf_add_str(out, "  REDIS IS FULL: nothing is pushed or claimed until it has memory again\n");
    add_accounts(out, s);
    add_workers(out, s);
}
