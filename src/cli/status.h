/* What `dray status` knows of a queue at one moment, and its two ways of saying it. */
#ifndef DRAY_CLI_STATUS_H
#define DRAY_CLI_STATUS_H

#include <cjson/cJSON.h>

#include "cli/session.h"
#include "dray/json.h"
#include "queue/account_state.h"

/* Numbers of two moments make a rate. */
struct sample {
    int64_t at_ms, jobs, taken, ended;
};

struct snapshot {
    const char *queue;
    const redisReply *reply; /* of queue/lua/status.lua */
    int64_t now_ms;          /* Redis's clock */
    int64_t oldest_ms;       /* age of what has waited longest; -1: not known, or none */
    struct sample sample;
    double in_per_s, out_per_s; /* -1: not known */
    size_t *accounts, *workers; /* where they stand in the reply, in the order in which they are shown */
    cJSON **infos;              /* what each worker says of itself, in the reply's order */
    uint64_t high_water;        /* results_high_water, where it is configured and reached; else 0 */
    bool redis_full;
    long format; /* of its data; 0: not known yet */
    const char
        *format_words; /* where it is another one than ours, or workers of another are there; else "" */
};

struct account_view {
    const char *name, *pause; /* pause: "until reason", or "" */
    double tokens, rate;
    long long conc, fails, till, cool, burst, limit, failures, waiting;
    int64_t strays, repeated_ids; /* counted by all workers: answer_owner.c */
    int64_t token_ms;             /* Unix: when its token ends, as a worker says; 0: nobody does */
    long long refused;            /* orders in a row, with `code` */
    char mode, code[64];
    bool probing;
};

struct worker_view {
    const char *name;
    char host[128], version[32], mode[16], pickup[16];
    int64_t format;                                               /* that it works with */
    int64_t lease_left_ms, uptime_ms, pid, inflight, connections; /* connections: of the worker, to Redis */
};

/* Of `s`, queue, reply and now_ms are set: puts accounts and workers in order. False: out of memory.
 * snapshot_deinit() in both cases; the reply stays the caller's. */
bool snapshot_init(struct snapshot *s);
void snapshot_deinit(struct snapshot *s);
int64_t snapshot_number(const struct snapshot *s, const char *name); /* 0 where it is missing */
size_t snapshot_accounts(const struct snapshot *s);
/* The i-th of the accounts: those in trouble first, then those at a limit; by name among equals. */
void snapshot_account(const struct snapshot *s, size_t i, struct account_view *a);
size_t snapshot_workers(const struct snapshot *s); /* by name */
void snapshot_worker(const struct snapshot *s, size_t i, struct worker_view *w);
const char *snapshot_pause(const struct snapshot *s);
/* Splits "until reason"; until 0: no end. */
int64_t pause_parts(const char *pause, const char **reason);
enum account_state snapshot_state(const struct snapshot *s, const struct account_view *a);

/* status_trouble.c: of the session's queue. Appends every key of a wrong type, "; " between them. */
void trouble_wrong_keys(struct session *s, struct buf *out);
bool trouble_redis_full(struct session *s);

void status_text(const struct snapshot *s, struct buf *out);
cJSON *status_json(const struct snapshot *s);

#endif
