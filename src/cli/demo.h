/* What the files of `dray demo` share. */
#ifndef DRAY_CLI_DEMO_H
#define DRAY_CLI_DEMO_H

#include <signal.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "sandbox/sandbox.h"

#define DEMO_QUEUE      "demo"
#define DEMO_DEADLINE_S 30

/* A provider's example order, from its document (embed_examples.py); the last has no name. */
struct demo_example {
    const char *provider;
    const char *order;
};
extern const struct demo_example demo_examples[];

/* A child process; its output goes to a log in the demo's directory. */
struct demo_child {
    const char *name;
    pid_t pid;     /* 0: none, or it was reaped */
    char log[128]; /* path */
    int status;    /* as of waitpid(2), once it was reaped */
};

/* The private Redis, the sandbox and the worker. Unused parts are zero. */
struct demo_world {
    char dir[96]; /* "" until it is made */
    char socket[128], config[128], job[128];
    struct demo_child redis, worker;
    struct sandbox *sandbox;
    redisContext *context;
    uint64_t deadline_ns; /* boot clock; UINT64_MAX: none any more */
    int interrupted;      /* the signal that wants the demo to end, or 0 */
};

/* demo_child.c */
/* Blocks the signals that demo_pause watches. */
void demo_watch_signals(void);
/* Waits up to `ms`, less where a signal comes in. 0; or -1 and `err`: interrupted, past the
 * deadline, or a child has ended. */
int demo_pause(struct demo_world *w, unsigned ms, struct err *err);
int demo_child_start(struct demo_world *w, struct demo_child *c, char *const argv[], struct err *err);
/* Asks it to end, and kills it after five seconds. True if it ended by itself with exit code 0. */
bool demo_child_stop(struct demo_child *c);
/* Writes the last lines of its log to stderr. */
void demo_child_tail(const struct demo_child *c);

/* demo_world.c */
int demo_world_start(struct demo_world *w, struct err *err);
/* Ends the children, closes the sandbox (its totals to `totals`), removes the directory. May be
 * called whatever has been started. False: a child did not end well. */
bool demo_world_stop(struct demo_world *w, struct sandbox_totals *totals);

/* demo_jobs.c */
struct demo_row {
    const char *name, *provider;
    const char *status, *reason; /* expected; reason NULL: none */
    int64_t attempts;            /* expected; -1: any */
    const char *note;            /* NULL: none */
    /* as the result says */
    bool done;
    char got_status[16], got_reason[32], order_id[64], fault[256];
    int64_t got_attempts, ms;
};
extern struct demo_row demo_rows[];
extern const size_t demo_row_count;
int demo_push(struct demo_world *w, struct err *err);
int demo_collect(struct demo_world *w, struct err *err);
bool demo_row_is_right(const struct demo_row *row);
/* An envelope to push by hand; for the file that --keep names. */
void demo_write_job(struct buf *out);

/* demo_table.c */
void demo_print_table(void);

#endif
