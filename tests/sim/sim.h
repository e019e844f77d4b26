/* The simulated world in which the real worker code runs (tests/sim/README.md).
 *
 * The worker's objects come out of libdraycore.a as they are; its I/O contracts (redis.h, http.h,
 * clock.h, the few uv_* functions) are implemented here instead. Every command is executed on a
 * real redis-server; when, whether its reply arrives, and who dies meanwhile is drawn from the
 * seed. */
#ifndef DRAY_TESTS_SIM_H
#define DRAY_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "dray/buf.h"
#include "dray/clock.h"
#include "dray/config.h"
#include "dray/http.h"
#include "dray/redis.h"
#include "worker/flow.h"

#define MS               1000000ull
#define SECOND           (1000 * MS)
#define START_UNIX_MS    1700000000000ull /* the world's clock at the start, which is Redis's too */
#define ACCOUNTS         6
#define QUEUES           2
#define KEYS_PER_ACCOUNT 4
#define JOBS_MAX         24
#define WORKERS_MAX      24 /* incarnations in one schedule */
#define HANDLES_MAX      16
#define DEFERRED_MAX     32
#define CLAIMS_MAX       64
#define TRACE_LINES      60

struct timer {
    uv_handle_t *handle;
    uv_timer_cb fire;
    uint64_t due_ns, repeat_ns;
    bool active;
};

/* A callback owed by the loop: of a handle that was closed, or of work that was done. */
struct deferred {
    uv_close_cb close;
    uv_after_work_cb after;
    void *arg;
    int status;
};

struct sim_worker {
    unsigned number;
    struct worker *w; /* NULL: gone */
    bool crashed, paused, stopped, draining;
    bool turn_due;
    uint64_t paused_until_ns;
    uint64_t boot_offset_ns;
    int64_t unix_offset_ms;
    struct timer timers[HANDLES_MAX];
    uv_prepare_t *prepare;
    uv_prepare_cb turn;
    struct deferred deferred[DEFERRED_MAX];
    unsigned deferred_count;
    struct http_pool *pool;
};

/* A command on its way: in a connection's line, or left behind by one that died (a ghost). */
struct command {
    struct command *next;
    struct buf bytes;
    redis_reply_fn done;
    void *arg;
    redisReply *reply;
    bool executed;
    bool refused; /* given while the connection was down */
    uint64_t deadline_ns;
    uint64_t block_until_ns; /* of a BLMOVE; else 0 */
    unsigned queue;          /* of a BLMOVE */
    unsigned conn;           /* of a ghost: the number of its connection */
    bool unblocked;          /* of a BLMOVE: CLIENT UNBLOCK ended it */
    struct sim_worker *from;
};

struct redis_conn {
    struct redis_conn *next;
    struct sim_worker *owner;
    unsigned number;
    redis_state_fn on_state;
    void *arg;
    enum redis_state state;
    uint64_t retry_at_ns;
    bool broken; /* the peer is gone; the owner has not noticed */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct command *first, *last;
    uint32_t command_timeout_ms;
};

struct http_pool {
    struct sim_worker *owner;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

enum call_state { CALL_NEW, CALL_SENT, CALL_ANSWERED, CALL_BROKEN };

struct http_call {
    struct http_call *next;
    struct sim_worker *owner; /* NULL: nobody waits for the answer, but the request is on its way */
    unsigned number;
    unsigned account, key;
    bool post;
    enum call_state state;
    bool (*may_send)(void *arg);
    http_done_fn done;
    void *arg;
    uint64_t started_ns, deadline_ns;      /* the client's timeout */
    uint64_t land_until_ns;                /* it reaches the provider before this, or never */
    uint64_t window_from_ms, window_to_ms; /* of a look-up by time */
    long status;
    struct buf answer;
    char retry_after[24];
};

/* What the provider holds of one order key of one account. */
struct made_order {
    unsigned count;
    bool preexisting;
    uint64_t visible_ns, unix_ms; /* in look-ups since; created at */
};

enum job_kind { JOB_PLAIN, JOB_NOT_BEFORE, JOB_EXPIRES, JOB_INVALID };

struct sim_job {
    unsigned account, key;
    enum job_kind kind;
    char place[8]; /* as the last audit saw it */
};

/* What the last audit saw of one claim. */
struct seen_claim {
    char worker[96], token[32];
    bool begun;
};

struct seen_lease {
    char queue[16], worker[96];
    uint64_t until_ms;
};

enum fault {
    FAULT_DROP,
    FAULT_CRASH,
    FAULT_PAUSE,
    FAULT_RESTART,
    FAULT_DRAIN,
    FAULT_QUIET,
    FAULT_OPERATOR,
    FAULT_PROVIDER,
    FAULT_HTTP,
    FAULT_GHOSTS,
    FAULT_STALL,
    FAULT_ERRORS,
    FAULT_FORGETS, /* Redis comes back without its last writes */
    FAULT_KINDS,
};

/* What the providers do to every request while they are out (outage.c). */
struct outage {
    const char *name;
    /* nothing gets through: where it ends (of struct http_exchange), and what our proxy says; NULL: it gets through */
    const char *phase;
    long proxy_status;
    long status, look_status; /* how orders and look-ups are answered; 0: the connection dies, -1: never */
    const char *retry_after, *body;
    bool makes; /* the order is created all the same */
    bool first; /* no order of the account was created before */
    bool free;  /* no attempt may burn */
    /* what becomes of an order whose provider has an exact look-up, another, none: c created, u unknown_outcome */
    const char *want;
    char gate; /* how the account's gate stands at the end of it (gate.lua); 0: in whatever way */
};

struct mutation {
    const char *name;
    const char *script; /* NULL: in the world itself */
    const char *from, *to;
    const char *why;
};

struct world {
    uint64_t seed;
    struct rng rng;
    uint64_t now_ns;
    uint64_t away_until_ns; /* nobody reaches Redis before */
    bool settling;          /* faults are off: everything must come to rest */
    bool warming;           /* faults are off, and no jobs come, until the first workers are ready */
    bool fault[FAULT_KINDS];
    unsigned fault_rate; /* of 100 steps, in how many may a fault happen */
    bool fault_now;
    unsigned steps, commands;
    struct config *config;
    const struct outage *outage; /* NULL: there is none */
    unsigned asked[ACCOUNTS][2]; /* look-ups and orders that were tried during it */
    struct sim_worker workers[WORKERS_MAX];
    unsigned worker_count;
    struct sim_worker *current; /* whose code runs */
    struct redis_conn *conns;
    struct command *ghosts;
    struct http_call *calls;
    unsigned conn_numbers, call_numbers;
    struct made_order made[ACCOUNTS][KEYS_PER_ACCOUNT];
    bool resend_ok[ACCOUNTS];
    bool remembers; /* there is a copy of Redis to come back with */
    bool forgot;    /* Redis has come back with it: what depends on its memory need not hold any more */
    uint64_t index_lag_ns[ACCOUNTS];
    bool blind[ACCOUNTS];              /* its exact look-up finds nothing */
    uint64_t blind_until_ns[ACCOUNTS]; /* … nor does it before */
    /* with what status these orders are refused until they are mended; 0: they are not */
    uint16_t refuses[ACCOUNTS][KEYS_PER_ACCOUNT];
    /* an answered look-up says that the account is well */
    bool refuses_all[ACCOUNTS], looked_up[ACCOUNTS], mended;
    uint32_t trouble[ACCOUNTS]; /* of 100 requests, how many meet trouble */
    struct sim_job jobs[JOBS_MAX];
    unsigned job_count, jobs_to_push;
    unsigned push_weight, connect_weight; /* how soon jobs come; how soon requests leave */
    bool jobs_waiting[QUEUES];            /* a blocked pick-up may find something */
    struct seen_claim claims[CLAIMS_MAX];
    unsigned claim_count;
    struct seen_lease leases[WORKERS_MAX * QUEUES];
    unsigned lease_count;
    char ledger[ACCOUNTS][KEYS_PER_ACCOUNT]; /* first letter of the entry, 0: none */
    uint64_t trace_hash;
    bool failed;
    char failure[512];
};

extern struct world world;

/* main.c: the run as a whole */
extern bool sim_verbose;
extern const struct mutation *sim_mutation;
bool mutated(const char *name);
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_print(void);

/* mutations.c: what must be fatal; ends with a NULL name */
extern const struct mutation mutations[];
/* The seed to look from, at least `from`: few schedules show that this guard is missing. */
uint64_t mutation_first(const char *name, uint64_t from);

/* schedule.c: one schedule from start to rest */
void schedule_run(uint64_t seed);
void world_begin(uint64_t seed); /* an empty one */
void world_end(void);
bool all_running(void);
bool at_rest(void);
uint64_t draw(uint64_t n); /* 0 … n-1 */
bool chance(unsigned of_100);
void enter(struct sim_worker *s); /* worker code runs until leave() */
void leave(void);

/* actions.c: what may happen next */
bool step(void);
bool advance_to_next_event(void);

/* life.c: workers come, die, and go */
struct sim_worker *worker_start(void);
void worker_crash(struct sim_worker *s);
void worker_reap(struct sim_worker *s); /* stopped, and nothing of it is left on the loop */
unsigned workers_alive(void);
void loop_fire(struct sim_worker *s, struct timer *t);
void loop_deferred(struct sim_worker *s);
uint64_t loop_next_due(const struct sim_worker *s);

/* conn.c: redis.h */
void conn_up(struct redis_conn *c);
void conn_execute(struct redis_conn *c, struct command *cmd);
void conn_refuse(struct redis_conn *c, struct command *cmd); /* an error reply; nothing ran */
void conn_deliver(struct redis_conn *c);
void conn_break(struct redis_conn *c);                    /* the peer side is gone */
void conn_down(struct redis_conn *c, const char *reason); /* the owner notices */
void conn_finish_close(struct redis_conn *c);
bool conn_unblock(unsigned number);
void conn_forget(struct sim_worker *s);
struct command *conn_next_command(const struct redis_conn *c);
void ghost_end(struct command *g, bool execute);

/* server.c: the real redis-server */
void server_connect(const char *socket);
void server_disconnect(void);
void server_reset(void); /* an empty database */
void server_flush_scripts(void);
void server_remember(void); /* keeps a copy of all that dray has there */
void server_forget(void);   /* … and goes back to it; producers push what is gone again */
/* And checks what it did. `conn` is the number of the connection it came by. */
redisReply *server_execute(struct sim_worker *from, unsigned conn, const struct command *cmd);
redisReply *server_command(const char *format, ...);
bool server_take_blocked(struct command *cmd, redisReply **reply); /* LMOVE for a BLMOVE */

/* audit.c: what must hold */
extern const char *audit_script;
void audit_read(const redisReply *reply);
bool claimed_any(const redisReply *claimed); /* a claim's part of a turn's reply: it took a job at least */
void audit_before(struct sim_worker *from, int script, char **argv, const size_t *len, int argc);
void audit_after(struct sim_worker *from, int script, char **argv, const size_t *len, int argc,
                 const redisReply *reply);
void audit_sending(const struct http_call *c);
void audit_at_rest(void);
bool all_jobs_ended(void);

/* books.c */
void audit_worker_books(void);

/* provider.c and http.c */
void call_ready(struct http_call *c);
void call_refuse(struct http_call *c);
void call_land(struct http_call *c); /* it reaches the provider */
void call_deliver(struct http_call *c);
void call_hang_up(struct http_call *c);
void call_time_out(struct http_call *c);
void call_repeat_late(const struct http_call *c); /* the provider goes on after it has answered */
void call_lose(struct http_call *c);              /* a request nobody waits for never arrives */
void calls_forget(struct sim_worker *s);
void pool_finish_close(struct sim_worker *s);
void provider_answer(struct http_call *c); /* fills status and answer, or breaks the call */
void provider_creates(struct http_call *c);

/* outage.c: hours without the providers, at the shipped defaults */
extern const char outage_settings[];
bool outages_run(void);
bool outage_bars(const struct http_call *c, struct http_exchange *x); /* true: the request ended as in *x */
bool outage_answers(struct http_call *c);

/* jobs.c: the producer */
void job_push(unsigned account, unsigned key); /* a plain one */
void jobs_push(void);
void jobs_push_lost(void);
void job_queue_key(const char *queue, const char *suffix, char *out, size_t size);
extern const char *const queue_names[QUEUES];
unsigned account_queue(unsigned account);

#endif
