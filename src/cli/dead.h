/* The parts of `dray dead`: which letters are meant, what a letter says, and its way back. */
#ifndef DRAY_CLI_DEAD_H
#define DRAY_CLI_DEAD_H

#include "cli/progress.h"
#include "cli/session.h"
#include "queue/letter.h"

#define DEAD_BATCH 200 /* letters read or moved by one command: Redis is held up for some ms */

struct dead_options {
    const char *config, *queue;
    char **ids;
    int id_count;
    bool json, yes, dry_run, all, edit, resend, force;
    /* filters; NULL, 0 or -1: not given */
    const char *reason, *account, *provider, *text, *code;
    long status;
    uint64_t older_ms, newer_ms;
    bool has_older, has_newer;
    uint64_t limit;
    uint64_t over_ms;       /* retry: spread over so long */
    const char *order_file; /* retry */
    const char *created;    /* resolve */
};

struct dead {
    struct session s;
    struct dead_options o;
    struct buf ids; /* those chosen, each with a NUL behind it, oldest first */
    uint64_t count;
    struct letter letter; /* reused */
};

/* dead_select.c: fills d->ids by IDs, age and the filters. 0, or -1 (s.code is set). */
int dead_select(struct dead *d);
/* True if the letters are chosen by more than naming them. */
bool dead_filtered(const struct dead_options *o);
/* Asks before a bulk change. False: it is not wanted. */
bool dead_confirm(const struct dead *d, const char *what);
/* Calls `each` for every batch of the chosen ids: `letters` is HMGET's reply. 0, or -1. */
typedef int (*dead_batch_fn)(struct dead *d, const char *const *ids, const redisReply *letters, void *arg);
int dead_batches(struct dead *d, const char *what, dead_batch_fn each, void *arg);

/* one file each: what `dray dead VERB` does; returns the exit code */
int dead_ls(struct dead *d);
int dead_show(struct dead *d);
int dead_retry(struct dead *d);
int dead_resolve(struct dead *d);
int dead_drop(struct dead *d);
int dead_export(struct dead *d);
int dead_import(struct dead *d);

/* dead_edit.c: the job with another order (--order) or as edited (--edit), checked. 0, or -1. */
int dead_new_job(struct dead *d, struct letter *l, struct buf *job);

#endif
