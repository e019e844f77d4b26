/* A worker inside: consumers (one a queue) on one loop, one router to Redis for commands, one per consumer for the
 * blocking pick-up (which holds its connection up), one HTTP pool. Each queue lives on one node; in a
 * cluster, some consumers may work while the nodes of others are away. How orders flow through a consumer: flow.h. For
 * src/worker, and for those who only look (src/admin). */
#ifndef DRAY_WORKER_INTERNAL_H
#define DRAY_WORKER_INTERNAL_H

#include <uv.h>

#include "dray/clock.h"
#include "worker/consumer.h"
#include "worker/trial.h"
#include "worker/worker.h"

#define SERVERS_MAX 64 /* Redis servers that are remembered as checked */

enum worker_mode {
    WORKER_STARTING, /* no lease yet */
    WORKER_RUNNING,
    WORKER_QUIET,    /* USR1: claims nothing, lives on */
    WORKER_DRAINING, /* finishes what is in flight */
    WORKER_STOPPED,
};

struct worker_redis {
    struct redis_router *router;  /* worker.c, close.c */
    struct redis_options options; /* reload.c: boot's, with the passwords and TLS files of … */
    struct config *config;        /* … the last that was read */
    bool rights_unchecked;        /* the simulation's connections are none on which commands come in order */
    bool was_up, is_down;         /* worker.c */
    char words[200];              /* log.c: of the last error reply, for people */
    /* startcheck.c: run ids of the Redis servers that were checked */
    char server_ids[SERVERS_MAX][41];
    unsigned servers_seen;
};

/* worker.c, stop.c, watch.c, close.c */
struct worker_timers {
    uv_prepare_t turn;
    uv_timer_t wake; /* the next moment that something is due */
    uv_timer_t beat;
    uv_timer_t drain;
    uv_timer_t watch;
    uint32_t open_handles; /* what is still to be closed, or to come back from a thread */
    uint64_t wake_at_ns;
    uint64_t beat_due_ns; /* boot clock: when the beat's timer fires next */
};

/* reload.c, watch.c */
struct worker_reload {
    struct reload *under_way; /* NULL: none */
    bool again;               /* asked for meanwhile */
    bool queue_returned;      /* a queue is configured again whose consumer is still leaving */
    uint64_t secrets_seen;    /* fingerprint of the secret files */
    bool secrets_checking;
};

/* worker.c */
struct worker_start {
    bool wait_for_redis, ready_logged;
    uint64_t unix_ms;
};

/* stop.c, close.c; whoever finds that it cannot go on sets the exit code */
struct worker_end {
    bool begun;        /* nothing is under way any more; Redis has a moment left */
    bool spool_wanted; /* the end came before Redis had taken everything */
    void (*stopped)(void *arg, int exit_code);
    void *stopped_arg;
    int exit_code;
};

/* Steps upward. A file calls by name what stands below it, and by this table of worker.c's what stands above: so no two files
 * of the flow call each other, and each can be read without the next. */
struct worker_up {
    void (*ready)(struct worker *w);         /* beat.c says: a queue is leased */
    void (*drain)(struct worker *w);         /* the worker cannot go on, or its one order is done */
    void (*check_drained)(struct worker *w); /* settle.c says: Redis took something */
    void (*check_secrets)(struct worker *w); /* settle.c says: credentials are refused */
    void (*beat)(struct consumer *consumer); /* look.c, format.c: at once */
    /* turns.c; part_open.c, claim.c, admit.c and replicas.c have something to be sent */
    void (*send_part)(struct consumer *consumer, struct part *b);
    void (*send_claim)(struct consumer *consumer, uint32_t n);
    bool (*send_picked)(struct consumer *consumer, struct order *order, const struct beginning *begin,
                        struct span text);
    void (*flush)(struct consumer *consumer);
    void (*go_on)(struct consumer *consumer); /* batch_read.c: texts have come */
    /* dispatch.c; grant.c says what became of the token that an order waits for */
    void (*token_there)(struct order *o);
    void (*no_token)(struct order *o, uint64_t pause_ms, const char *code);
};

/* Reused by all: what is in there lasts no longer than a callback. */
struct worker_scratch {
    struct json_doc doc;
    struct faults faults, warnings;
    struct buf body, result, history, ledger, cmd, path;
};

struct worker {
    uv_loop_t *loop;
    struct config *config; /* queues and accounts; replaced by a reload */
    struct config *boot;   /* as started: [redis], name, lease, max_inflight */
    const struct worker_up *up;
    struct rng rng;
    char id[128]; /* name and random: one incarnation */
    enum worker_mode mode;
    struct queue_caller *caller;
    struct http_pool *http;
    struct tracer *tracer; /* or NULL */
    struct consumer **consumers;
    uint32_t consumer_count;
    uint32_t active; /* orders.c: over all consumers, BEGINNING and SENDING */

    struct worker_redis redis;
    struct worker_timers timers;
    struct worker_reload reload;
    struct worker_start start;
    struct worker_end end;
    struct worker_pickups pickups;
    struct worker_logs logs;
    struct worker_scratch scratch;

    struct spool *spool; /* spool_in.c: what earlier workers left to settle; NULL: nothing */
    struct account_runtime
        *busy_grants;    /* grant_share.c: whose token is asked for or fetched; grant_parts.h */
    struct told *told;   /* answer_owner.c: order ids; NULL: none yet */
    struct trial *trial; /* trial.c: one order is all it does; NULL: a worker as any */
    bool trial_begun;
    bool replicas_waiting;  /* replicas.c: a begin's WAIT is unanswered */
    uint64_t last_claim_ns; /* claim.c; boot clock: the last answered claim or pick-up, for liveness */
};

/* The node of its slot is there. */
static inline bool consumer_is_up(const struct consumer *consumer) {
    struct redis_router *r = consumer->worker->redis.router; /* NULL once it is closed */
    return r != NULL && redis_router_state(r, consumer->keys.slot) == REDIS_UP;
}

/* service_notify.c: to the service manager, if there is one */
void service_ready(const struct worker *w);
void service_draining(const struct worker *w);

/* worker.c, stop.c, watch.c, close.c: the worker's own */
void worker_watch_secrets(struct worker *w);
void worker_check_secrets(struct worker *w); /* now */
void worker_turn(struct worker *w);
void worker_became_ready(struct worker *w);
void worker_check_retired(struct worker *w);
void worker_close(struct worker *w);
void worker_closed_one(void *worker);
void worker_check_drained(struct worker *w);

#endif
