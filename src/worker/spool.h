/* The spool: what was learned while Redis was away, kept in a file until it is back.
 *
 * A worker that must end while Redis takes no settlements writes them to SPOOL_DIR/WORKER_ID.spool;
 * the next worker with that directory settles them, as the worker that wrote them, before it recovers
 * or claims anything of their queues (docs/spool.md). */
#ifndef DRAY_WORKER_SPOOL_H
#define DRAY_WORKER_SPOOL_H

#include "worker/worker.h"

#define SPOOL_SUFFIX ".spool"
#define SPOOL_BAD    ".bad"
#define SPOOL_MAX    (256u << 20) /* bytes of a file; what does not fit is left to recovery */

/* spool_out.c: at the very end, after every callback owed was called. True: writes in a thread and calls
 * worker_closed_one then; false: there is nothing to write. */
bool spool_write(struct worker *w);

/* spool_in.c. Reads the directory in a thread. */
void spool_start(struct worker *w);
void spool_free(struct worker *w);
/* Each turn: sends what is to be settled. */
void spool_turn(struct worker *w, uint64_t now_ns);
/* When the next turn is needed, boot clock; 0: not because of the spool. */
uint64_t spool_wake_ns(const struct worker *w, uint64_t now_ns);
/* Settlements of that queue are still to be made: nothing may be recovered or claimed. */
bool spool_holds(const struct lane *lane);

#endif
