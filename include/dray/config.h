/* The effective configuration. One table (src/config/table.c) defines every key with its type, default, bounds
 * and help. A value comes from the first of these that has one: the environment, the INI file, the provider's
 * default, the table's default. A secret may lie in a file of its own (`token_file`). */
#ifndef DRAY_CONFIG_H
#define DRAY_CONFIG_H

#include "dray/account.h"
#include "dray/buf.h"
#include "dray/err.h"
#include "dray/log.h"
#include "dray/redis.h"

struct queue_config {
    char name[NAME_MAX_LEN + 1];
    uint32_t concurrency; /* in flight per worker */
    uint32_t weight;      /* share of a worker's max_inflight when queues compete, 1 to 100, default 1 */
    uint64_t max_job_bytes;
    uint64_t results_high_water; /* claiming stops while the results list is this long; 0: no limit */
    const struct account *default_account; /* never NULL after loading */
};

#define ADMIN_OPERATORS_MAX 200
/* Somebody with a token of their own ([admin] operators_file). */
struct admin_operator {
    char name[NAME_MAX_LEN + 1];
    const char *token;
};

struct config {
    uint32_t refs;
    /* [redis] */
    struct redis_options redis;               /* client_name is the worker's name */
    const char *redis_password_file;          /* NULL: not from a file */
    const char *redis_sentinel_password_file; /* likewise */
    const char *redis_prefix;                 /* "dray" */
    uint32_t pickup_connections;              /* at most so many of a worker wait for jobs */
    uint32_t min_replicas;
    uint32_t min_replicas_timeout_ms;
    /* [worker] */
    const char *worker_name;
    uint64_t lease_ms, drain_timeout_ms;
    uint32_t max_inflight;
    enum log_level log_level;
    enum log_format log_format;
    const char *spool_dir; /* where settlements wait if Redis is away when the worker ends */
    /* [admin] */
    const char *admin_listen; /* "127.0.0.1:9780"; "off": no admin server */
    uint64_t liveness_after_ms;
    const char *admin_token;          /* NULL: none */
    const char *admin_token_file;     /* NULL: not from a file */
    const char *admin_operators_file; /* NULL: none */
    struct admin_operator *admin_operators;
    uint32_t admin_operator_count;
    /* [trace] */
    const char *trace_endpoint;                       /* NULL: nothing is traced */
    const char *trace_token, *trace_header;           /* NULL: none */
    const char *trace_token_file, *trace_header_file; /* NULL: not from a file */
    const char *trace_tls_ca;                         /* NULL: the system's */
    const char *trace_service_name;
    double trace_sample; /* the share of jobs without a traceparent that are traced, 0 to 1 */
    /* [queue NAME] and [account NAME], both sorted by name. Each account is a counted reference. */
    struct queue_config *queues;
    uint32_t queue_count;
    struct account **accounts;
    uint32_t account_count;
    const char *path; /* the file read, or NULL */
};

/* Messages, one a line. Each names the file, the line and the rule:
 * "dray.ini:12: [account shop] rate: 'fast' is not a rate (such as 2/s, 100/m)". */
struct config_faults {
    struct buf text;
    uint32_t count;
};

/* Reads the file `path`, every *.ini in the directory `accounts.d` beside it, and `env`, which has the form of
 * `environ`. `path` NULL: $DRAY_CONFIG, else ./dray.ini, else /etc/dray/dray.ini, else no file. Returns a counted
 * reference, or NULL with all faults. Warnings (http:// beyond loopback, …) go to `warnings`, which may be NULL. */
struct config *config_load(const char *path, char *const *env, struct config_faults *faults,
                           struct config_faults *warnings);
/* For commands that call no provider. No account need be configured; what is wrong with a queue or an account
 * only warns, and a faulty account is left out. No secret but Redis's password is read. */
struct config *config_load_partial(const char *path, char *const *env, struct config_faults *faults,
                                   struct config_faults *warnings);
/* As config_load, for `dray config check`, before the worker's unit runs. A secret's file in /run/credentials/UNIT/
 * that is missing because the unit does not run only warns; a placeholder stands for the secret. */
struct config *config_load_check(const char *path, char *const *env, struct config_faults *faults,
                                 struct config_faults *warnings);
struct config *config_ref(struct config *c);
void config_unref(struct config *c);
void config_faults_init(struct config_faults *f);
void config_faults_deinit(struct config_faults *f);

/* True for a queue's or account's name: [A-Za-z0-9][A-Za-z0-9_.-]{0,63}. */
bool name_valid(const char *s);

/* The queue or account of that name, owned by `c`, or NULL. Binary searches. */
const struct queue_config *config_queue(const struct config *c, const char *name);
const struct account *config_account(const struct config *c, const char *name);

/* Writes the effective settings as INI with comments on where each came from; secrets as "(hidden)". */
void config_show(const struct config *c, struct buf *out);
/* The same as JSON: {"file","redis":{KEY:{"value","from"}},…,"queues":{NAME:{…}},"accounts":{NAME:{…}}}. */
void config_show_json(const struct config *c, struct buf *out);
/* Writes the table: as text for --help, or as Markdown for docs/configuration.md. */
void config_help(struct buf *out, bool markdown);
/* The keys that are http-json's alone, as text. */
void config_help_http_json(struct buf *out);

#endif
