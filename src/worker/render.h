/* The texts that dray writes: results, dead letters, attempts, ledger entries (docs/protocol.md). */
#ifndef DRAY_WORKER_RENDER_H
#define DRAY_WORKER_RENDER_H

#include "worker/life.h"

#define ANSWER_KEPT 2048 /* bytes of an answer that a dead letter keeps */

struct render_job {
    const char *queue;
    const char *worker;
    const struct envelope *envelope;
    const struct account *account;      /* or NULL */
    const struct record_header *header; /* after the decision */
    uint64_t claimed_ms;                /* Unix; the first claim where that is known */
    uint64_t now_ms;
    struct span warnings; /* what lenient validation let pass: JSON, comma-separated */
};

/* What is known of the order: from an answer (`outcome`) or the ledger (`entry`, "C hash ms ids"). */
struct render_known {
    const struct outcome *outcome; /* or NULL */
    struct span ledger_entry;      /* or absent */
};

struct render_attempt {
    const struct outcome *outcome;
    struct span answer;
    uint64_t at_ms, ms;
    bool lookup, control;
    uint32_t times;    /* so many in a row were answered so: this is the last … */
    uint64_t since_ms; /* … and that the first, where there were several */
};
/* One attempt of the history: {"at":…,"http_status":…,…}. */
void render_attempt(struct buf *out, const struct render_attempt *attempt);
void render_result(struct buf *out, const struct render_job *job, const struct decision *d,
                   const struct render_known *known, const struct faults *faults, const char *dead_id);
/* `history`: all attempts, comma-separated. */
void render_dead(struct buf *out, const struct render_job *job, const struct decision *d,
                 const struct render_known *known, const struct faults *faults, struct span history,
                 const char *dead_id);
/* The ledger's new value for `change`; nothing for LEDGER_KEEP. */
void render_ledger(struct buf *out, enum ledger_change change, const char *hash,
                   const struct render_known *known, uint64_t now_ms, const char *dead_id);

#endif
