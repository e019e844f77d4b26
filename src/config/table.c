/* Every key there is: the one place that defines type, default, bounds and help. Loading, `dray
 * config show`, `dray config keys` and docs/configuration.md read this table. */
#include "config/table.h"

#include <string.h>

#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define CONFIG(member)      FIELD(struct config, member)
#define QUEUE(member)       FIELD(struct queue_config, member)
#define ACCOUNT(member)     FIELD(struct account, member)
#define UNSTORED            .offset = 0, .size = 0
#define COUNT(low, high)    .type = &type_count, .min = (low), .max = (high)
#define MS(low, high)       .type = &type_duration, .min = (low), .max = (high)

#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const char *const log_levels[] = {"debug", "info", "warn", "error", "off", NULL};
static const char *const log_formats[] = {"json", "text", "auto", NULL};
static const char *const unknown_choices[] = {"lookup", "hold", "resend", NULL};
static const char *const absent_choices[] = {"retry", "hold", NULL};
static const char *const auth_choices[] = {"bearer", "basic", "header", "none", NULL};

/* clang-format off: one row, one paragraph */
#define SECRET(base, member, what)                                                                 \
    { .name = base, .type = &type_secret, .max = 65536, .flags = KEY_SECRET, member, .help = what }
#define SECRET_FILE(base, member)                                                                  \
    {                                                                                              \
        .name = base "_file", .type = &type_file, .flags = KEY_SECRET_FILE, member,                \
        .help =                                                                                    \
            "A file that holds the `" base "`, at most 64 KiB; a newline at its end is dropped. "  \
            "Not together with `" base "`."                                                        \
    }

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
     .help =
         "Sentinels that know the master; together with `sentinel_master`. The host in `url` is "
         "then not used."},
    {.name = "sentinel_master",
     .type = &type_text,
     .max = 256,
     CONFIG(redis.sentinel_master),
     .help = "The master's name in Sentinel."},
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
     .help =
         "How long to wait for them before the order is put back. At most a third of the lease."},
    {.name = "connect_timeout",
     MS(100, MINUTE),
     .def = "5s",
     CONFIG(redis.connect_timeout_ms),
     .help = "For a connection, with TLS and login."},
    {.name = "command_timeout",
     MS(100, 5 * MINUTE),
     CONFIG(redis.command_timeout_ms),
     .help = "Without an answer for so long the connection is dropped. Below two thirds of the "
             "lease, or a "
             "hanging connection would cost a living worker its jobs.",
     .default_help = "10s, or a third of the lease where that is less"},
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
     .help =
         "A worker that was not heard of for so long is taken for dead and its jobs are recovered. "
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
    SECRET("token", CONFIG(admin_token), "Bearer token of `/api/v1/`."),
    SECRET_FILE("token", CONFIG(admin_token_file)),
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

static const struct key account_keys[] = {
    {.name = "provider",
     .type = &type_provider,
     .flags = KEY_REQUIRED,
     ACCOUNT(provider),
     .help = "Who is called, and how: one of `dray providers`."},
    {.name = "queue",
     .type = &type_name,
     ACCOUNT(queue),
     .help = "The queue whose jobs may use this account.",
     .default_help = "the account's name"},
    {.name = "base_url",
     .type = &type_base_url,
     .flags = KEY_FROM_PROVIDER,
     ACCOUNT(base_url),
     .help =
         "The provider's origin, with a path prefix if it has one; the provider's whole path is "
         "appended.",
     .default_help = "the provider's; `s2` and `http-json` have none"},
    SECRET("token", ACCOUNT(token), "Bearer token (or the value of `auth_header`)."),
    SECRET_FILE("token", ACCOUNT(token_file)),
    SECRET("key", ACCOUNT(key), "User of HTTP Basic."),
    SECRET_FILE("key", ACCOUNT(key_file)),
    SECRET("secret", ACCOUNT(secret), "Password of HTTP Basic."),
    SECRET_FILE("secret", ACCOUNT(secret_file)),
    {.name = "organization",
     .type = &type_text,
     .max = 256,
     ACCOUNT(organization),
     .help = "S2's organization."},
    {.name = "rate",
     .type = &type_rate,
     .max = 100000,
     .flags = KEY_FROM_PROVIDER,
     ACCOUNT(rate),
     .help = "Requests over all workers, such as `2/s`; 0 is no limit.",
     .default_help = "the provider's documented limit, else 0"},
    {.name = "burst",
     COUNT(1, 1000000),
     .flags = KEY_FROM_PROVIDER,
     ACCOUNT(burst),
     .help = "Requests that may go at once after a pause.",
     .default_help = "the provider's, else one second's worth of `rate`, at least 1"},
    {.name = "concurrency",
     COUNT(0, 100000),
     .def = "0",
     ACCOUNT(concurrency),
     .help = "Requests in flight over all workers; 0 is no limit."},
    {.name = "connect_timeout",
     MS(10, 5 * MINUTE),
     .def = "5s",
     ACCOUNT(connect_timeout_ms),
     .help = "For a connection, with TLS."},
    {.name = "request_timeout",
     MS(10, 30 * MINUTE),
     .def = "30s",
     ACCOUNT(request_timeout_ms),
     .help = "For the whole exchange. An order whose answer comes later is unknown."},
    {.name = "max_attempts",
     COUNT(1, 100),
     .def = "8",
     ACCOUNT(max_attempts),
     .help = "After so many the job dies as `exhausted`. A job may lower it for itself."},
    {.name = "backoff_base",
     MS(10, HOUR),
     .def = "1s",
     ACCOUNT(backoff_base_ms),
     .help = "Attempt n + 1 waits a random time up to `backoff_base` * 2^n."},
    {.name = "backoff_cap",
     MS(10, DAY),
     .def = "5m",
     ACCOUNT(backoff_cap_ms),
     .help = "The most that an attempt waits. Not below `backoff_base`."},
    {.name = "max_age",
     MS(SECOND, 365 * DAY),
     .def = "24h",
     ACCOUNT(max_age_ms),
     .help = "A job that is older dies as `expired`."},
    {.name = "ledger_ttl",
     MS(SECOND, 3650 * DAY),
     .def = "7d",
     ACCOUNT(ledger_ttl_ms),
     .help = "How long an order key is remembered, so that it is not ordered twice. Not below "
             "`max_age`."},
    {.name = "on_unknown",
     .type = &type_choice,
     .choices = unknown_choices,
     .def = "lookup",
     ACCOUNT(on_unknown),
     .help = "An order that may or may not exist: `lookup` asks the provider, `hold` waits for a "
             "person, "
             "`resend` sends it again (and may double it)."},
    {.name = "on_absent",
     .type = &type_choice,
     .choices = absent_choices,
     .flags = KEY_FROM_PROVIDER,
     ACCOUNT(on_absent),
     .help = "A look-up that did not find the order: `retry` sends it again, `hold` waits for a "
             "person.",
     .default_help = "the provider's: `retry` where its look-up is documented as exact"},
    {.name = "lookup_delay",
     MS(0, DAY),
     .flags = KEY_FROM_PROVIDER,
     ACCOUNT(lookup_delay_ms),
     .help = "From the unclear answer to the first look-up: the provider's "
             "indexing lag.",
     .default_help = "the provider's"},
    {.name = "lookup_attempts",
     COUNT(1, 100),
     .def = "6",
     ACCOUNT(lookup_attempts),
     .help = "Look-ups before the order is given up as unknown."},
    {.name = "retry_codes",
     .type = &type_codes,
     ACCOUNT(retry_codes),
     .help = "Provider codes (and statuses, `http:503`) that surely created nothing and are worth "
             "another "
             "attempt."},
    {.name = "reject_codes",
     .type = &type_codes,
     ACCOUNT(reject_codes),
     .help = "Codes that mean no, whatever the default table says."},
    {.name = "retry_after_cap",
     MS(0, DAY),
     .def = "1h",
     ACCOUNT(retry_after_cap_ms),
     .help = "The longest that a provider's `Retry-After` pauses the account."},
    {.name = "breaker_failures",
     COUNT(0, 10000),
     .def = "10",
     ACCOUNT(breaker_failures),
     .help = "So many failures in a row open the breaker: jobs stay queued, one probes; 0 is no "
             "breaker."},
    {.name = "breaker_cooldown",
     MS(0, DAY),
     .def = "30s",
     ACCOUNT(breaker_cooldown_ms),
     .help = "Between probes while the breaker is open or the credentials are refused."},
    {.name = "ca_file",
     .type = &type_file,
     ACCOUNT(ca_file),
     .help = "CA certificates (PEM) that the provider's is checked against.",
     .default_help = "the system's"},
    {.name = "proxy",
     .type = &type_proxy,
     .flags = KEY_MASK_URL,
     ACCOUNT(proxy),
     .help = "`http://`, `https://`, `socks5://` or `socks5h://`. The environment's proxies are "
             "ignored."},
    {.name = "create_path",
     .type = &type_path,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.create_path),
     .help = "Appended to `base_url`; orders are POSTed there."},
    {.name = "auth",
     .type = &type_choice_text,
     .choices = auth_choices,
     .def = "bearer",
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.auth),
     .help = "`bearer` sends `token`, `basic` sends `key` and `secret`, `header` sends `token` in "
             "`auth_header`."},
    {.name = "auth_header",
     .type = &type_header,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.auth_header),
     .help = "The header's name, for `auth = header`."},
    {.name = "key_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.key_pointer),
     .help = "In the order: the order key.",
     .default_help = "the job's `order_key` or `id`"},
    {.name = "success_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON | KEY_MAY_BE_EMPTY,
     ACCOUNT(http_json.success_pointer),
     .help = "In the answer: what must be there in case of success.",
     .default_help = "any 2xx is success"},
    {.name = "success_value",
     .type = &type_text,
     .max = 1024,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.success_value),
     .help =
         "What stands at `success_pointer`: a string's text, or another value as it is written.",
     .default_help = "anything"},
    {.name = "id_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON | KEY_MAY_BE_EMPTY,
     ACCOUNT(http_json.id_pointer),
     .help = "In the answer: the order's id; a string, a number, or an array of them."},
    {.name = "order_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON | KEY_MAY_BE_EMPTY,
     ACCOUNT(http_json.order_pointer),
     .help = "In the answer: the order object that is passed on; empty is the whole answer.",
     .default_help = "none is passed on"},
    {.name = "code_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.code_pointer),
     .help = "In the answer: the provider's error code."},
    {.name = "message_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.message_pointer),
     .help = "In the answer: the error message."},
    {.name = "lookup_path",
     .type = &type_path,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.lookup_path),
     .help = "Path and query of a GET that finds an order; `{key}` stands for the order key.",
     .default_help = "no look-up"},
    {.name = "lookup_items_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON | KEY_MAY_BE_EMPTY,
     ACCOUNT(http_json.lookup_items_pointer),
     .help = "In the look-up's answer: an array of orders.",
     .default_help = "the answer itself is the order"},
    {.name = "lookup_key_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.lookup_key_pointer),
     .help = "In such an order: the order key, which must match exactly."},
    {.name = "lookup_id_pointer",
     .type = &type_pointer,
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.lookup_id_pointer),
     .help = "In such an order: its id."},
    {.name = "lookup_exact",
     .type = &type_bool,
     .def = "no",
     .flags = KEY_HTTP_JSON,
     ACCOUNT(http_json.lookup_exact),
     .help = "Whether \"not found\" proves that the order does not exist."},
};

/* clang-format on */

#define ROWS(keys) keys, sizeof(keys) / sizeof((keys)[0])

const struct section_info section_infos[SECTION_KINDS] = {
    [SECTION_REDIS] = {"redis", false, ROWS(redis_keys), "Where the queues are."},
    [SECTION_WORKER] = {"worker", false, ROWS(worker_keys), "The process that sends orders."},
    [SECTION_ADMIN] = {"admin", false, ROWS(admin_keys),
                       "Health, metrics and dashboard over HTTP."},
    [SECTION_QUEUE] = {"queue", true, ROWS(queue_keys),
                       "A queue exists because an account names it; this section is optional."},
    [SECTION_ACCOUNT] = {"account", true, ROWS(account_keys),
                         "One provider account. The smallest configuration is one of these."},
};

const struct key *table_key(enum section_kind kind, const char *name) {
    const struct section_info *info = &section_infos[kind];
    for (size_t i = 0; i < info->key_count; i++)
        if (strcmp(info->keys[i].name, name) == 0)
            return &info->keys[i];
    return NULL;
}
