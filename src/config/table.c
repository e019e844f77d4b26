/* Every key there is, with table_account.c: the one place that defines type, default, bounds and
 * help. Loading, `dray config show`, `dray config keys` and docs/configuration.md read this table. */
#include "config/table_rows.h"

#include <string.h>

static const char *const log_levels[] = {"debug", "info", "warn", "error", "off", NULL};
static const char *const log_formats[] = {"json", "text", "auto", NULL};

/* clang-format off: one row, one paragraph */
static const struct key redis_keys[] = {
    {.name = "url",
     .type = &type_redis_url,
     .def = "redis://127.0.0.1:6379",
     .flags = KEY_UNSTORED | KEY_MASK_URL,
     UNSTORED,
     .help = "`redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or "
             "`unix:///path[?db=n]`."},
    {.name = "username",
     .type = &type_text,
     .max = 512,
     CONFIG(redis.username),
     .help = "ACL user. Not together with a user in `url`."},
    SECRET("password", CONFIG(redis.password), "Password. Not together with a password in `url`."),
    SECRET_FILE("password", CONFIG(redis_password_file)),
    {.name = "tls_ca",
     .type = &type_file,
     CONFIG(redis.tls_ca),
     .help = "CA certificates (PEM) that the server's is checked against.",
     .default_help = "the system's"},
    {.name = "tls_cert",
     .type = &type_file,
     CONFIG(redis.tls_cert),
     .help = "Client certificate (PEM); together with `tls_key`."},
    {.name = "tls_key",
     .type = &type_file,
     CONFIG(redis.tls_key),
     .help = "The client certificate's private key (PEM)."},
    {.name = "sentinels",
     .type = &type_endpoints,
     CONFIG(redis.sentinels),
     .help = "Sentinels that know the master; together with `sentinel_master`. The host in `url` is "
             "then not used."},
    {.name = "sentinel_master",
     .type = &type_text,
     .max = 256,
     CONFIG(redis.sentinel_master),
     .help = "The master's name in Sentinel."},
    {.name = "sentinel_username",
     .type = &type_text,
     .max = 512,
     CONFIG(redis.sentinel_username),
     .help = "ACL user at the sentinels; together with `sentinel_password`."},
    SECRET("sentinel_password", CONFIG(redis.sentinel_password),
           "Password of the sentinels; `password` is not used for them."),
    SECRET_FILE("sentinel_password", CONFIG(redis_sentinel_password_file)),
    {.name = "min_replicas",
     COUNT(0, 16),
     .def = "0",
     CONFIG(min_replicas),
     .help = "So many replicas must have an order's `sending` mark before it is POSTed; 0 waits "
             "for none."},
    {.name = "min_replicas_timeout",
     MS(10, MINUTE),
     .def = "1s",
     CONFIG(min_replicas_timeout_ms),
     .help = "How long to wait for them before the order is put back. At most a sixth of the lease."},
    {.name = "connect_timeout",
     MS(100, MINUTE),
     .def = "5s",
     CONFIG(redis.connect_timeout_ms),
     .help = "For a connection, with TLS and login."},
    {.name = "command_timeout",
     MS(100, 5 * MINUTE),
     CONFIG(redis.command_timeout_ms),
     .help = "Without an answer for so long the connection is dropped. At most a third of the "
             "lease: a beat interval, this, and reconnecting must fit into it, or a hanging "
             "command would cost a living worker its jobs.",
     .default_help = "10s, or a third of the lease where that is less"},
    {.name = "pickup_connections",
     COUNT(0, 65536),
     .def = "65536",
     CONFIG(pickup_connections),
     .help = "Queues of a worker that may have a connection of their own, on which Redis hands out a job at "
             "once; "
             "the others' jobs are asked for over the worker's one connection, once a second at least. Where "
             "Redis "
             "takes no more clients the worker does with fewer by itself."},
    {.name = "prefix",
     .type = &type_prefix,
     .def = "dray",
     CONFIG(redis_prefix),
     .help = "The start of every key: `dray:{QUEUE}:jobs`."},
};

static const struct key worker_keys[] = {
    {.name = "name",
     .type = &type_name,
     CONFIG(worker_name),
     .help = "This worker's name, different from every other's of the same Redis.",
     .default_help = "host name and random digits"},
    {.name = "lease",
     MS(SECOND, 10 * MINUTE),
     .def = "15s",
     CONFIG(lease_ms),
     .help = "A worker that was not heard of for so long is taken for dead and its jobs are recovered. "
             "It is renewed three times as often."},
    {.name = "drain_timeout",
     MS(0, HOUR),
     .def = "25s",
     CONFIG(drain_timeout_ms),
     .help = "At shutdown, how long to wait for what is in flight. A request that is cut then "
             "leaves an "
             "order unknown: stay above the slowest answer, and below the kill timeout of what "
             "runs dray."},
    {.name = "max_inflight",
     COUNT(1, 65536),
     .def = "1024",
     CONFIG(max_inflight),
     .help = "Requests in flight over all queues of this worker."},
    {.name = "log_level",
     .type = &type_choice,
     .choices = log_levels,
     .def = "info",
     CONFIG(log_level),
     .help = "The least level that is logged."},
    {.name = "log_format",
     .type = &type_choice,
     .choices = log_formats,
     .def = "auto",
     CONFIG(log_format),
     .help = "`auto` is text on a terminal and JSON elsewhere."},
    {.name = "spool_dir",
     .type = &type_text,
     .max = 4000,
     .def = "/var/lib/dray/spool",
     CONFIG(spool_dir),
     .help = "Where outcomes wait when Redis is away at shutdown. Used, and created if its parent "
             "exists, "
             "only then."},
};

static const struct key admin_keys[] = {
    {.name = "listen",
     .type = &type_listen,
     .def = "127.0.0.1:9780",
     CONFIG(admin_listen),
     .help = "`host:port` of health, metrics and dashboard, or `off`. Beyond loopback it needs a "
             "`token`."},
    {.name = "liveness_after",
     MS(10 * SECOND, DAY),
     .def = "5m",
     CONFIG(liveness_after_ms),
     .help = "When nothing could be claimed for so long although Redis answers (a replica, a refused "
             "password, a missing "
             "right), `/healthz` fails, so that whatever supervises the worker starts it anew."},
    SECRET("token", CONFIG(admin_token), "Bearer token of `/api/v1/`."),
    SECRET_FILE("token", CONFIG(admin_token_file)),
    {.name = "operators_file",
     .type = &type_file,
     CONFIG(admin_operators_file),
     .help = "A file with a line for each operator: a name, a blank, a token of their own (16 characters or "
             "more), which does "
             "what `token` does; the log says whose it was. Read again by a reload."},
};

static const struct key trace_keys[] = {
    {.name = "endpoint",
     .type = &type_base_url,
     CONFIG(trace_endpoint),
     .help = "Where spans are sent by OTLP/HTTP in JSON, such as `http://127.0.0.1:4318/v1/traces`; "
             "`/v1/traces` is "
             "added where there is no path.",
     .default_help = "nothing is traced"},
    SECRET("token", CONFIG(trace_token), "Bearer token for the endpoint."),
    SECRET_FILE("token", CONFIG(trace_token_file)),
    SECRET("header", CONFIG(trace_header),
           "One header line for the endpoint, `Name: value`, such as an API key."),
    SECRET_FILE("header", CONFIG(trace_header_file)),
    {.name = "tls_ca",
     .type = &type_file,
     CONFIG(trace_tls_ca),
     .help = "CA certificates (PEM) that the endpoint's is checked against.",
     .default_help = "the system's"},
    {.name = "service_name",
     .type = &type_text,
     .max = 128,
     .def = "dray",
     CONFIG(trace_service_name),
     .help = "`service.name` of the spans."},
    {.name = "sample",
     .type = &type_share,
     .def = "1",
     CONFIG(trace_sample),
     .help = "Share of the jobs without a `traceparent` that are traced, 0 to 1. Of the others, those whose "
             "`traceparent` says that it is sampled, whatever this is."},
};

static const struct key queue_keys[] = {
    {.name = "concurrency",
     COUNT(1, 65536),
     .def = "64",
     QUEUE(concurrency),
     .help = "Orders in flight per worker."},
    {.name = "weight",
     COUNT(1, 100),
     .def = "1",
     QUEUE(weight),
     .help = "Share of the worker's `max_inflight` when queues compete."},
    {.name = "max_job_bytes",
     .type = &type_size,
     .min = 1024,
     .max = 16u << 20,
     .def = "256K",
     QUEUE(max_job_bytes),
     .help = "A longer job is a dead letter `invalid`."},
    {.name = "results_high_water",
     COUNT(0, 1000000000),
     .def = "0",
     QUEUE(results_high_water),
     .help = "With so many results not popped, no further job is taken; 0 is no limit."},
    {.name = "default_account",
     .type = &type_name,
     .flags = KEY_UNSTORED,
     UNSTORED,
     .help = "For jobs that name no account.",
     .default_help = "the queue's first account, in the order of the file"},
};

/* clang-format on */

static const struct section_info redis_section = {"redis", false, ROWS(redis_keys), "Where the queues are."};
static const struct section_info worker_section = {"worker", false, ROWS(worker_keys),
                                                   "The process that sends orders."};
static const struct section_info admin_section = {"admin", false, ROWS(admin_keys),
                                                  "Health, metrics and dashboard over HTTP."};
static const struct section_info trace_section = {
    "trace", false, ROWS(trace_keys), "OpenTelemetry spans of each order. Changes need a restart."};
static const struct section_info queue_section = {
    "queue", true, ROWS(queue_keys), "A queue exists because an account names it; this section is optional."};

const struct section_info *const section_infos[SECTION_KINDS] = {
    [SECTION_REDIS] = &redis_section, [SECTION_WORKER] = &worker_section,
    [SECTION_ADMIN] = &admin_section, [SECTION_TRACE] = &trace_section,
    [SECTION_QUEUE] = &queue_section, [SECTION_ACCOUNT] = &account_section,
};

const struct key *table_key(enum section_kind kind, const char *name) {
    const struct section_info *info = section_infos[kind];
    for (size_t i = 0; i < info->key_count; i++)
        if (strcmp(info->keys[i].name, name) == 0)
            return &info->keys[i];
    return NULL;
}
