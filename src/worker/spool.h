/* The spool: what was learned while Redis was away, kept in a file until it is back.
 *
 * A worker that must end while Redis takes no settlements writes them to SPOOL_DIR/WORKER_ID.spool;
 * the next worker with that directory settles them, as the worker that wrote them, before it
 * recovers or claims anything of their queues (docs/spool.md). */
#ifndef DRAY_WORKER_SPOOL_H
#define DRAY_WORKER_SPOOL_H

#include "worker/flow.h"

#define SPOOL_SUFFIX ".spool"
#define SPOOL_BAD    ".bad"
#define SPOOL_MAX    (256u << 20) /* bytes of a file; what does not fit is left to recovery */

/* What one worker left of one queue. */
struct spool_group {
    struct spool_group *next;
    struct spool_file *file;
    struct queue_keys keys; /* of the worker that wrote them */
    struct part *first, *last;
    bool out; /* `first` is unanswered */
    uint32_t failures;
    uint64_t not_before_ns;
};

struct spool_file {
    struct spool_file *next;
    struct worker *worker;
    uv_work_t work;
    char *dir, *path;
    int fd; /* holds the lock; -1: none */
    struct spool_group *groups;
    uint64_t lines, bad, settled, lost;
    bool ending; /* all is settled: being removed */
    int error;
};

struct spool {
    uv_work_t work;
    struct worker *worker;
    char *dir;
    bool reading;
    int error;
    struct spool_file *files;
};

/* spool_read.c, in a thread: what is in the directory. */
void spool_read_dir(struct spool *s);
void spool_file_free(struct spool_file *f);

/* spool_out.c: at the very end, after every callback owed was called. True: writes in a thread and
 * calls `written` then; false: there is nothing to write. */
bool spool_write(struct worker *w, void (*written)(void *worker));

/* spool_in.c. Reads the directory in a thread. */
void spool_start(struct worker *w);
void spool_free(struct worker *w);
/* Each turn: sends what is to be settled. */
void spool_turn(struct worker *w, uint64_t now_ns);
/* When the next turn is needed, boot clock; 0: not because of the spool. */
uint64_t spool_wake_ns(const struct worker *w, uint64_t now_ns);
/* Settlements of that queue are still to be made: nothing may be recovered or claimed. */
bool spool_holds(const struct consumer *consumer);
/* A piece of work of the spool in a thread has ended. */
void spool_one_less(struct worker *w);

/* spool_ask.c: before `dead` is recovered. Looks, in a thread, whether its file is still to be settled, then calls `done`
 * with whether to wait: until the next beat, one lease in all. False: it can't be asked, and `done` is not called. */
typedef void (*spool_asked_fn)(void *arg, bool wait);
bool spool_ask(struct consumer *consumer, const char *dead, spool_asked_fn done, void *arg);

#endif
