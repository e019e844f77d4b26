/* The parts of `dray dead`: which letters are meant, what a letter says, and its way back. */
#ifndef DRAY_CLI_DEAD_H
#define DRAY_CLI_DEAD_H

#include "cli/progress.h"
#include "cli/session.h"
#include "dray/json.h"

#define DEAD_BATCH 200 /* letters read or moved by one command: Redis is held up for some ms */

struct dead_options {
    const char *config, *queue;
    char **ids;
    int id_count;
    bool json, yes, dry_run, all, edit, resend;
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

/* One letter, read. Spans point into `raw` and `text`. */
struct letter {
    struct json_doc doc, job_doc;
    struct span id;                                        /* the dead letter's id */
    struct span raw;                                       /* as it is kept */
    struct buf text;                                       /* decoded parts */
    struct span reason, account, order_key, code, message; /* decoded; absent where null */
    struct span job;      /* the exact text that was pushed; absent where it was no UTF-8 */
    struct span job_id;   /* inner bytes; absent where null */
    struct span attempts; /* what is between the brackets */
    uint32_t attempt_count;
    int64_t died_at, http_status; /* of the last attempt; 0: none */
    bool readable;                /* false: no dead letter of dray's; only id and raw are set */
};

struct dead {
    struct session s;
    struct dead_options o;
    struct buf ids; /* those chosen, each with a NUL behind it, oldest first */
    uint64_t count;
    struct letter letter; /* reused */
};

/* dead_letter.c */
void letter_init(struct letter *l);
void letter_deinit(struct letter *l);
void letter_read(struct letter *l, struct span id, struct span raw);
/* True if nobody knows whether its order exists: then it takes `resolve`. */
bool letter_is_unknown(const struct letter *l);
/* The record that goes back into the queue: header with the history, then `job`. */
void letter_record(const struct letter *l, struct span job, struct buf *out);
/* Appends the ledger's key, or the queue's `dead` key where the letter has none. */
void letter_ledger_key(const struct session *s, const struct letter *l, struct buf *out);
/* The order's hash, or false where the job holds no order. Parses the job into l->job_doc. */
bool letter_order_hash(struct letter *l, char out[static 33]);

/* dead_select.c: fills d->ids by IDs, age and the filters. 0, or -1 (s.code is set). */
int dead_select(struct dead *d);
/* True if the letters are chosen by more than naming them. */
bool dead_filtered(const struct dead_options *o);
/* Asks before a bulk change. False: it is not wanted. */
bool dead_confirm(const struct dead *d, const char *what);
/* Calls `each` for every batch of the chosen ids: `letters` is HMGET's reply. 0, or -1. */
typedef int (*dead_batch_fn)(struct dead *d, const char *const *ids, const redisReply *letters,
                             void *arg);
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
