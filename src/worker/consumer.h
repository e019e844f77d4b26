/* A worker: consumers (one a queue) on one loop, one router to Redis for commands, one per consumer for the
 * blocking pick-up (which holds its connection up), one HTTP pool. Each queue lives on one node; in a
 * cluster, some consumers may work while the nodes of others are away. What they are made of, where an order is, and what keeps a
 * consumer alive: its accounts, its connections, its lease. How orders flow through it: flow.h. For src/worker, and for those
 * who only look (src/admin). */
#ifndef DRAY_WORKER_CONSUMER_H
#define DRAY_WORKER_CONSUMER_H

#include <uv.h>

#include "dray/clock.h"
#include "dray/config.h"
#include "dray/redis_cluster.h"
#include "queue/turn.h"
#include "worker/controls.h"
#include "worker/format.h"
#include "worker/grant.h"
#include "worker/log.h"
#include "worker/stats.h"
#include "worker/trial.h"

#define PARTS       3 /* a queue's slots go round in so many, and so many turns and claims may be under way */
#define CLAIM_BYTES (4u << 20)
#define SERVERS_MAX 64 /* Redis servers that are remembered as checked */

enum worker_mode {
    WORKER_STARTING, /* no lease yet */
    WORKER_RUNNING,
    WORKER_QUIET,    /* USR1: claims nothing, lives on */
    WORKER_DRAINING, /* finishes what is in flight */
    WORKER_STOPPED,
};

/* What a worker needs of an account: made once per configuration, counted by its consumer and its orders. */
struct account_runtime {
    uint32_t refs;
    struct worker *worker;
    struct consumer *consumer;
    struct config *config; /* counted: it owns the account */
    const struct account *account;
    struct http_target *create;
    struct grant *grant; /* of an account with OAuth2; NULL: none */
    bool plain;          /* nothing but an order's bytes differs from request to request */
    struct buf limits;   /* packed, as scripts take them */
    uint32_t active;     /* orders of this consumer that are BEGINNING or SENDING */
    /* boot clock: last answer, or since when it has something active; how long the last took */
    uint64_t stir_ns, took_ns;
    /* share.c: those that had work lately and have nothing active, by when that ended */
    struct account_runtime *older, *newer;
    uint64_t idle_ns;
    bool listed;
    uint64_t created_number; /* the highest number of a claim whose order was created */
    bool current;            /* one of the consumer's accounts; false: a reload has replaced it */
    struct account_stats stats;
    struct account_controls controls;
};

struct order_list {
    struct order *first, *last;
    uint32_t count;
};

enum eviction { EVICTION_UNKNOWN, EVICTION_NONE, EVICTION_POSSIBLE };

struct consumer {
    struct worker *worker;
    const struct queue_config *config; /* of worker->config; of config_held where that is set */
    struct config *config_held;
    struct queue_keys keys;
    struct redis_router *blocker; /* the pick-up's; NULL: jobs are asked for over the worker's (pickup.c) */
    bool blocker_leaves;          /* to be closed once no pick-up is under way on it */
    uint32_t blocker_failures;    /* attempts in a row that did not come up */
    uint64_t blocker_not_before_ns;
    uint32_t poll_ms;    /* the pause before the next such question; 0: the last one found jobs */
    uint64_t poll_at_ns; /* when it is due; 0: none is, as one is under way or it may block */
    bool info_stale;     /* the next beat says anew what the worker says of itself */
    bool blocker_lost;   /* a pick-up was unanswered when its connection went: Redis may still serve it */
    struct account_runtime **accounts; /* sorted by account name */
    struct account_runtime *default_account;
    uint32_t account_count;
    struct account_runtime *idle_first, *idle_last; /* share.c */
    uint32_t idle_recent;
    /* while all slots are taken: when the queue is looked through next; 0: they are not */
    uint64_t full_look_ns;

    struct order_list orders[ORDER_STATES];
    struct order *pool;
    uint32_t pooled;

    struct batch *begin, *settle;       /* being filled; NULL: none */
    struct batch *resend, *resend_last; /* unanswered or refused; sent again in order */
    struct batch *spare;
    struct turn_call *spare_calls;
    uint32_t turns_out;      /* calls of turn.lua under way */
    uint32_t turns_open;     /* of these, those whose own reply is still to come (WAIT's comes behind it) */
    bool gathers;            /* the next turn waits for one more look at the sockets */
    uint64_t turn_number;    /* the last that was sent; pick-ups have one, too (fence.lua) */
    uint64_t turn_answered;  /* the last that was answered */
    char limits_version[24]; /* of the limits in Redis, when ours were told; empty: not known */

    bool up;                 /* its node was there in the last turn */
    bool leased;             /* Redis knows us */
    uint64_t lease_until_ns; /* boot clock; nothing may be sent after it */
    uint32_t lease_epoch;    /* one more each time that others may have recovered what we held */
    uint64_t beat_sent_ns;
    int64_t redis_ms; /* Redis's clock, as it was last told; 0: not yet */
    uint32_t beats;
    bool registered, beat_out; /* Redis knew us at some time */
    enum eviction eviction;    /* what its Redis does when it is full */
    bool recovering;
    char spool_of[128]; /* whose recovery waits for its spool file, until: */
    uint64_t spool_until_ns;

    uint32_t claims_out; /* claims and pick-ups that are unanswered */
    uint32_t asked;      /* jobs that these claims may still bring; a pick-up's is an order already */
    bool more;           /* the last claim got all it asked for: there is more work */
    bool claim_lost;     /* a claim's reply was lost: look for orphans */
    bool orphans_out;
    uint64_t highest_token;       /* of the claims that this worker was told of */
    size_t longest;               /* record of the last claim that gave any; 0: none yet */
    bool blocking;                /* BLMOVE is armed */
    uint64_t armed_ns;            /* since when */
    bool look_now;                /* there may be work */
    uint64_t look_at_ns;          /* 0: nothing known to come */
    uint64_t claim_not_before_ns; /* after an error */
    uint64_t resend_at_ns;
    uint32_t failures;           /* consecutive error replies */
    bool redis_full;             /* the last of them was for want of memory */
    uint64_t barred_since_ns;    /* nothing can be claimed although Redis answers; 0: all is well */
    uint32_t replica_failures;   /* consecutive begins that too few replicas knew of */
    enum consumer_closed closed; /* why nothing may be claimed */
    uint64_t closed_logged_ns;
    uint32_t asides;      /* unanswered calls that nothing else waits for: limits, reopen */
    uint32_t lost_begins; /* of the batch being read */
    bool retiring;        /* its queue is gone from the configuration */
    bool leaving;
    bool left;
    struct consumer_controls controls;
    struct consumer_format format;
    struct consumer_stats stats;
};

struct worker {
    uv_loop_t *loop;
    struct config *config;              /* queues and accounts; replaced by a reload */
    struct config *boot;                /* as started: [redis], name, lease, max_inflight */
    struct redis_options redis_options; /* boot's, with the passwords and TLS files of … */
    struct config *redis_config;        /* … the last that was read */
    struct rng rng;
    char id[128]; /* name and random: one incarnation */
    enum worker_mode mode;
    struct redis_router *redis;
    struct queue_caller *caller;
    struct http_pool *http;
    struct tracer *tracer; /* or NULL */
    struct consumer **consumers;
    uint32_t consumer_count;
    uint32_t active;       /* over all consumers: BEGINNING and SENDING */
    bool rights_unchecked; /* the simulation's connections are none on which commands come in order */

    uv_prepare_t turn;
    uv_timer_t wake; /* the next moment that something is due */
    uv_timer_t beat;
    uv_timer_t drain;
    uv_timer_t watch;
    struct spool *spool;   /* what earlier workers left to settle; NULL: nothing */
    bool ending;           /* nothing is under way any more; Redis has a moment left */
    bool spool_wanted;     /* the end came before Redis had taken everything */
    struct reload *reload; /* under way; NULL: none */
    bool reload_again;     /* asked for meanwhile */
    bool queue_returned;   /* a queue is configured again whose consumer is still leaving */
    struct trial *trial;   /* one order is all it does; NULL: a worker as any */
    bool trial_begun;
    uint64_t secrets_seen; /* fingerprint of the secret files */
    bool secrets_checking;
    uint32_t open_handles;
    uint64_t wake_at_ns;
    uint64_t beat_due_ns; /* boot clock: when the beat's timer fires next */

    uint64_t error_logged_ns, errors_unlogged;
    uint64_t lost_logged_ns, lost_unlogged; /* orders */
    uint64_t replicas_logged_ns;            /* 0: enough answer */
    bool replicas_waiting;                  /* a begin's WAIT is unanswered */
    char redis_words[200];                  /* of the last error reply, for people */
    bool ready_logged, redis_was_up, redis_is_down;
    char server_ids[SERVERS_MAX][41]; /* run ids of the Redis servers that were checked */
    unsigned servers_seen;
    uint32_t pickups, pickups_most;  /* connections of consumers' own, and how many there may be */
    struct redis_stats pickups_gone; /* of those that were closed */
    uint64_t pickups_logged_ns;
    uint64_t started_unix_ms;
    uint64_t last_claim_ns; /* boot clock: the last answered claim or pick-up, for liveness */

    struct account_runtime *busy_grants; /* whose token is asked for or fetched; grant_parts.h */
    struct told *told;                   /* order ids; answer_owner.c; NULL: none yet */
    uint64_t answer_owner_logged_ns, answer_owner_unlogged;

    /* scratch, reused */
    struct json_doc doc;
    struct faults faults, warnings;
    struct buf text_body, text_result, text_history, text_ledger, text_cmd, text_path;

    void (*stopped)(void *arg, int exit_code);
    void *stopped_arg;
    int exit_code;
    bool wait_for_redis;
};

/* orders.c: where an order is */
struct order *order_get(struct consumer *consumer);
void order_move(struct order *o, enum order_state to); /* the one mover; ORDER_FREE gives it back */
void order_discard(struct order *o); /* CLAIMED, and never mind: Redis knows no claim of it */
void order_drop(struct order *o);
uint32_t consumer_active(const struct consumer *consumer); /* CLAIMED, BEGINNING and SENDING */
uint32_t consumer_held(const struct consumer *consumer);   /* everything */
void consumer_free_pool(struct consumer *consumer);

/* account_runtime.c: the accounts of a consumer */
struct account_runtime *consumer_account(const struct consumer *consumer, const char *account);
void runtime_ref(struct account_runtime *runtime);
void runtime_unref(struct account_runtime *runtime); /* NULL is fine */
/* Replaces the consumer's accounts by those of the worker's present configuration. 0, or -1 and the old stay. */
int consumer_set_accounts(struct consumer *consumer, struct err *err);
void consumer_drop_accounts(struct consumer *consumer);

/* consumer.c: a queue comes and goes */
struct consumer *consumer_new(struct worker *w, const struct queue_config *config, struct err *err);
void consumer_free(struct consumer *consumer);
bool consumer_is_up(const struct consumer *consumer); /* the node of its slot is there */
void consumer_follow(struct consumer *consumer);      /* each turn: the node came or went */
void consumer_stop_pickup(struct consumer *consumer); /* ends a blocking pick-up under way */
/* barred.c: each beat, and what keeps it from claiming ("" if nothing) */
void consumer_note_barred(struct consumer *consumer, uint64_t now_ns);
void consumer_barred_by(const struct consumer *consumer, char *out, size_t size);
/* pickup.c: connections of the blocking pick-up, and what is done without one */
bool pickup_blocks(const struct consumer *consumer); /* it has one, and may block on it */
void pickup_close(struct consumer *consumer);        /* nothing is under way on it; none is fine */
void pickups_open(struct worker *w);                 /* those that are missing, as far as may be */
/* at the start and after a reload: what was given up is tried again */
void pickups_anew(struct worker *w);
void pickups_beat(struct worker *w);
void pickup_poll(struct consumer *consumer, uint64_t now_ns); /* sets when to ask next */
/* rights.c: the first time */
void consumer_check_rights(struct consumer *consumer);
/* startcheck.c: each time the node has come */
void consumer_check_server(const struct consumer *consumer);
bool consumer_is_empty(const struct consumer *consumer);
void consumer_leave(struct consumer *consumer);

/* beat.c: lease and recovery */
void consumer_beat(struct consumer *consumer);
/* Makes begun claims of our own unknown that no order here knows of. `claims`: token, begun, …; `picked`:
 * where the tokens stand. Until it is answered, orphans_out. */
void consumer_recover_own(struct consumer *consumer, const redisReply *claims, const size_t picked[],
                          size_t begun);
/* Asked right before an order's first byte leaves: is the lease alive, and the one it was begun in, and
 * is that not too long ago? */
bool order_may_send(void *order);
void order_set_deadline(struct order *o, uint64_t begun_ns);

/* limits.c: what accounts may do, told to Redis */
bool runtime_pack_limits(struct account_runtime *runtime,
                         const struct config *boot); /* false: out of memory */
/* Each turn: a lease that ran out here ends begins and claims until a beat is answered. */
void consumer_expire(struct consumer *consumer, uint64_t now_ns);
void consumer_send_limits(struct consumer *consumer);
/* Held accounts whose credentials are not those of `old`: one probe at once. */
void consumer_reopen(struct consumer *consumer, const struct config *old);

/* eviction.c: asks; the answer goes into consumer->eviction */
void consumer_check_eviction(struct consumer *consumer);

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
