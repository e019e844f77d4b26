/* One order sent now, outside the queue: a worker that claims nothing but that (`dray try`).
 *
 *   claimed and begun (pick.lua) → sent → answered → settled → the worker ends
 *       └ not free to go: nothing is done, and what the ledger has against it is read
 *
 * The same scripts, the same ledger: while it is sent its key is "sending" for every worker, and should this process die,
 * it becomes unknown as any other order of a worker that died. What a worker would try again later ends here. */
#ifndef DRAY_WORKER_TRIAL_H
#define DRAY_WORKER_TRIAL_H

#include <uv.h>

#include "dray/config.h"
#include "dray/http.h"
#include "dray/verdict.h"

enum trial_end {
    TRIAL_NOTHING, /* it was never asked: Redis is away, or somebody interrupted */
    TRIAL_STOOD,   /* nothing was sent: something stands against it; `entry` if that is the ledger's */
    /* Redis did not say whether it was let go: nothing was sent, but a worker may take it up */
    TRIAL_UNSURE,
    TRIAL_DONE, /* the order exists */
    TRIAL_DEAD, /* it was not created, or nobody knows: `reason`, `dead_id` */
};

struct trial {
    const char *queue, *account;
    struct span job; /* an envelope that names the account and, as reply_to, a list of its own */
    /* An answer came, or none; the exchange and the outcome live during the call only. */
    void (*answered)(void *arg, const struct http_exchange *x, const struct outcome *outcome);
    void *arg;
    /* what came of it */
    enum trial_end end;
    bool settled; /* Redis has taken it */
    char entry[4096];
    char why[160]; /* TRIAL_STOOD without an entry: what the account's gate says */
    char reason[32], dead_id[64];
};

/* As worker_new, without waiting for Redis; `trial` must live until `stopped` was called. */
struct worker *worker_try(uv_loop_t *loop, struct config *config, struct trial *trial,
                          void (*stopped)(void *arg, int exit_code), void *arg, struct err *err);

#endif
