/* What was last read from Redis of each queue. It is read at the beat, by commands that are O(1) or bounded by
 * the number of accounts and workers, never by a scan. While Redis is away it stays as it was. */
#ifndef DRAY_ADMIN_VIEW_H
#define DRAY_ADMIN_VIEW_H

#include "worker/internal.h"

#define VIEW_WORKERS_MAX 256
#define VIEW_REASON_MAX  96

struct pause_view {
    bool on;
    uint64_t until_ms; /* 0: no end */
    char reason[VIEW_REASON_MAX];
};

struct view;

/* Sorted by name, as the consumer's accounts are. */
struct account_view {
    struct view *view;
    char name[NAME_MAX_LEN + 1];
    char mode;     /* as in gate.lua: n p h b */
    double tokens; /* as of tokens_at_ms, Redis's clock */
    uint64_t tokens_at_ms;
    uint64_t concurrency; /* requests under way, over all workers, of an account with a limit of them */
    uint64_t failures;
    uint64_t until_ms;
    uint64_t refused; /* in a row, with `code` */
    char code[64];
    uint64_t waiting; /* jobs in its waiting list */
    struct pause_view pause;
};

struct worker_view {
    char id[128];
    uint64_t lease_until_ms;
    uint64_t inflight; /* jobs that it holds */
    char info[512];    /* JSON as it wrote it, or "" */
};

/* Counters of the queue over all workers (the `stats` hash). */
enum queue_counter {
    COUNTER_TAKEN,
    COUNTER_SETTLED,
    COUNTER_DIED,
    COUNTER_RESULTS,
    COUNTER_CREATED,
    COUNTER_DUPLICATE,
    COUNTER_RETRIED,
    COUNTER_FENCED,
    COUNTER_RECOVERED,
    COUNTER_RECOVERED_UNKNOWN,
    COUNTER_BREAKER_OPENED,
    QUEUE_COUNTERS,
};
extern const char *const queue_counter_names[QUEUE_COUNTERS];

struct view {
    struct views *views;
    char queue[NAME_MAX_LEN + 1]; /* its consumer comes and goes with the configuration: view_consumer */
    uint64_t at_ms;               /* Unix ms of the last reading; 0: none yet */
    uint64_t redis_ms;            /* Redis's clock then */
    uint64_t jobs, results, dead, delayed, waiting;
    uint64_t counters[QUEUE_COUNTERS];
    struct pause_view pause;
    struct account_view *accounts;
    uint32_t account_count;
    struct worker_view *workers; /* room for VIEW_WORKERS_MAX */
    uint32_t worker_count;
    uint64_t workers_alive;
    /* The job at the head of the queue. */
    uint64_t head_hash;
    uint64_t head_since_ms; /* enqueued_at, or when it was first seen there; 0: no job */
    /* Beside the queue itself (waits.lua), Redis's clock; 0: nothing waits. */
    uint64_t waiting_since_ms; /* of the job that has waited longest for its account */
    uint64_t overdue_since_ms; /* when the delayed job was due whose time passed first */
    uint64_t overdue;          /* delayed jobs past their time */
    /* For liveness: since when the consumer could have claimed and did not. */
    uint64_t claimed;
    uint64_t stuck_since_ns; /* boot clock; 0: it is not */
    uint32_t replies_out;    /* of the reading under way */
    bool failed;             /* a reply of it was missing or an error */
};

struct views {
    struct worker *worker;
    struct view **list; /* one a queue */
    uint32_t count;
    uint32_t reading; /* queues with a reading under way */
    bool stale;       /* something was changed: the next request reads again */
    struct json_doc doc;
    void (*read)(void *arg); /* a reading has ended */
    void *arg;
};

void views_init(struct views *v, struct worker *w, void (*read)(void *arg), void *arg);
void views_deinit(struct views *v);
/* Starts a reading unless one is under way or Redis is away. */
void views_read(struct views *v);
/* The oldest of the queues' readings, Unix ms; 0 if one was never read. */
uint64_t views_read_at(const struct views *v);

const struct view *views_find(const struct views *v, const char *queue);               /* or NULL */
const struct account_view *view_account(const struct view *view, const char *account); /* or NULL */
/* Whether this is an operator's pause that is not over yet. */
bool pause_holds(const struct pause_view *p, uint64_t now_ms);
/* NULL while its queue is not configured. */
struct consumer *view_consumer(const struct view *view);
/* Since when the job that has waited longest does: in the queue, for its account, or past its time. 0: nothing
 * waits. */
uint64_t view_oldest_ms(const struct view *view);
/* How long (boot-clock nanoseconds) jobs have waited that could have been claimed and were not; 0: all is well. */
uint64_t view_stuck_ns(const struct view *view, uint64_t now_ns);

#endif
