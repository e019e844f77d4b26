/* The configuration: what is read, what is refused and with which words, and who wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dray/config.h"
#include "dray/provider.h"

/* ---- memory that runs out: linked with --wrap ---- */

static long allocations_left = -1; /* -1: no limit */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool may_allocate(void) {
    if (allocations_left < 0)
        return true;
    return allocations_left > 0 && allocations_left-- > 0;
}

void *__wrap_malloc(size_t n) {
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size) {
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n) {
    return may_allocate() ? __real_realloc(p, n) : NULL;
}

/* ---- files ---- */

static char dir[64]; /* the test's own; also the working directory */

static void write_bytes(const char *name, const char *text, size_t len) {
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void write_file(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/dray-test-config-XXXXXX");
    return mkdtemp(dir) == NULL || chdir(dir) != 0 ? -1 : 0;
}

static int remove_dir(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return chdir("/") != 0 ? -1 : system(command);
}

static struct config_faults faults, warnings;

/* The type of `environ`: literals are never written to. */
static char *const *as_environ(const char *const *list) {
    union {
        const char *const *literals;
        char *const *environment;
    } u = {.literals = list};
    return u.environment;
}

static struct config *load_env(const char *path, const char *const *env, bool partial) {
    config_faults_deinit(&faults);
    config_faults_deinit(&warnings);
    config_faults_init(&faults);
    config_faults_init(&warnings);
    return (partial ? config_load_partial : config_load)(path, as_environ(env), &faults, &warnings);
}

static struct config *load(const char *text, const char *const *env) {
    write_file("dray.ini", text);
    struct config *c = load_env("dray.ini", env, false);
    if (c == NULL)
        assert_true(faults.count > 0);
    return c;
}

static struct config *load_fine(const char *text, const char *const *env) {
    struct config *c = load(text, env);
    if (c == NULL)
        fail_msg("refused: %s", buf_cstr(&faults.text));
    return c;
}

static void expect_text(struct config_faults *list, const char *text) {
    if (strstr(buf_cstr(&list->text), text) == NULL)
        fail_msg("expected \"%s\" in:\n%s", text, buf_cstr(&list->text));
}

#define SHOP "[account shop]\nprovider = kakaclo-v2\ntoken = abc\n"

/* ---- what is read ---- */

static void test_the_smallest_file_is_one_account(void **state) {
    (void)state;
    struct config *c = load_fine(SHOP, NULL);
    assert_int_equal(c->account_count, 1);
    assert_int_equal(c->queue_count, 1);
    const struct account *a = config_account(c, "shop");
    assert_non_null(a);
    assert_string_equal(a->queue, "shop");
    assert_string_equal(a->token, "abc");
    assert_ptr_equal(a->provider, provider_find("kakaclo-v2"));
    assert_string_equal(a->base_url, a->provider->default_base_url);
    assert_true(a->rate == 2.0);
    assert_int_equal(a->burst, 120);
    assert_int_equal(a->lookup_delay_ms, a->provider->default_lookup_delay_ms);
    assert_int_equal(a->connect_timeout_ms, 5000);
    assert_int_equal(a->request_timeout_ms, 30000);
    assert_int_equal(a->max_attempts, 25);
    assert_int_equal(a->backoff_base_ms, 1000);
    assert_int_equal(a->backoff_cap_ms, 1800000);
    assert_int_equal(a->max_age_ms, 86400000);
    assert_int_equal(a->ledger_ttl_ms, 7 * 86400000);
    assert_int_equal(a->retry_after_cap_ms, 3600000);
    assert_int_equal(a->lookup_attempts, 6);
    assert_int_equal(a->breaker_failures, 10);
    assert_int_equal(a->breaker_cooldown_ms, 30000);
    assert_int_equal(a->on_unknown, ON_UNKNOWN_LOOKUP);
    const struct queue_config *q = config_queue(c, "shop");
    assert_non_null(q);
    assert_ptr_equal(q->default_account, a);
    assert_int_equal(q->concurrency, 64);
    assert_int_equal(q->max_job_bytes, 262144);
    assert_int_equal(q->weight, 1);
    assert_null(config_queue(c, "other"));
    assert_null(config_account(c, "sho"));
    assert_string_equal(c->redis.host, "127.0.0.1");
    assert_int_equal(c->redis.port, 6379);
    assert_string_equal(c->redis_prefix, "dray");
    assert_int_equal(c->lease_ms, 15000);
    assert_int_equal(c->drain_timeout_ms, 25000);
    assert_int_equal(c->max_inflight, 1024);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_AUTO);
    assert_string_equal(c->admin_listen, "127.0.0.1:9780");
    assert_true(strlen(c->worker_name) > 0 && strlen(c->worker_name) <= NAME_MAX_LEN);
    assert_int_equal(warnings.count, 0);
    config_unref(c);
}

static void test_values_reach_their_fields(void **state) {
    (void)state;
    struct config *c =
        load_fine("\xef\xbb\xbf# a comment\r\n"
                  "[redis] ; with a comment\r\n"
                  "url = unix:///run/redis.sock?db=3\r\n"
                  "  username: me\n"
                  "password = a;b#c=d:e ; the rest is a comment\n"
                  "prefix = p:1\nmin_replicas = 2\nmin_replicas_timeout = 150ms\n"
                  "[worker]\nlease=1s\nlog_level=debug\nlog_format=json\nname = w-1\n"
                  "[admin]\nlisten = off\n"
                  "[queue q.1]\nmax_job_bytes = 1M\ndefault_account = b\nconcurrency = 1\n"
                  "[account a]\nqueue = q.1\nprovider = vu\nkey = k\nsecret = s\nrate = 100/m\n"
                  "on_unknown = resend\non_absent = hold\nretry_codes = 17, http:503,x\n"
                  "base_url = http://127.0.0.1:8080/pre/\nbreaker_cooldown = 0\n"
                  "proxy = socks5h://u:p@proxy:1080\n"
                  "[account b]\nqueue = q.1\nprovider = vu\nkey = k\nsecret = s\n",
                  NULL);
    assert_string_equal(c->redis.unix_path, "/run/redis.sock");
    assert_int_equal(c->redis.database, 3);
    assert_string_equal(c->redis.username, "me");
    assert_string_equal(c->redis.password, "a;b#c=d:e");
    assert_string_equal(c->redis.client_name, "w-1");
    assert_int_equal(c->redis.command_timeout_ms, 333); /* a third of the lease */
    assert_string_equal(c->redis_prefix, "p:1");
    assert_int_equal(c->min_replicas, 2);
    assert_int_equal(c->min_replicas_timeout_ms, 150);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_string_equal(c->admin_listen, "off");
    assert_int_equal(c->queue_count, 1);
    const struct queue_config *q = config_queue(c, "q.1");
    assert_int_equal(q->max_job_bytes, 1 << 20);
    assert_int_equal(q->concurrency, 1);
    assert_string_equal(q->default_account->name, "b");
    const struct account *a = config_account(c, "a");
    assert_true(a->rate > 1.666 && a->rate < 1.667);
    assert_int_equal(a->burst, 2);
    assert_int_equal(a->on_unknown, ON_UNKNOWN_RESEND);
    assert_int_equal(a->on_absent, ON_ABSENT_HOLD);
    assert_int_equal(config_account(c, "b")->on_absent, ON_ABSENT_RETRY);
    assert_string_equal(a->retry_codes[0], "17");
    assert_string_equal(a->retry_codes[1], "http:503");
    assert_string_equal(a->retry_codes[2], "x");
    assert_null(a->retry_codes[3]);
    assert_string_equal(a->base_url, "http://127.0.0.1:8080/pre");
    assert_int_equal(a->breaker_cooldown_ms, 0);
    assert_string_equal(a->proxy, "socks5h://u:p@proxy:1080");
    assert_int_equal(warnings.count, 0);
    config_unref(c);
}

#define HTTP_JSON "[account h]\nprovider = http-json\nbase_url = https://h.example\n"

static void test_http_json_has_its_own_keys(void **state) {
    (void)state;
    struct config *c =
        load_fine(HTTP_JSON "create_path = /orders\ntoken = t\nid_pointer = /data/id\nkey_pointer = /ref\n"
                            "order_pointer =\nlookup_path = /orders?ref={key}\n"
                            "lookup_key_pointer = /ref\nlookup_id_pointer = /id\n"
                            "lookup_absent_pointer = /error\nlookup_exact = yes\n",
                  NULL);
    const struct http_json_options *o = &config_account(c, "h")->http_json;
    assert_string_equal(o->create_path, "/orders");
    assert_string_equal(o->auth, "bearer");
    assert_string_equal(o->order_pointer, "");
    assert_string_equal(o->id_pointer, "/data/id");
    assert_null(o->success_pointer);
    assert_true(o->lookup_exact);
    config_unref(c);
    assert_null(load(SHOP "create_path = /x\n", NULL));
    expect_text(&faults, "dray.ini:4: [account shop] create_path: belongs to provider http-json; this "
                         "account's is kakaclo-v2");
}

static void test_the_first_account_of_a_queue_is_its_default(void **state) {
    (void)state;
    struct config *c = load_fine("[account z]\nqueue=q\nprovider=kakaclo-v2\ntoken=t\n"
                                 "[account a]\nqueue=q\nprovider=kakaclo-v2\ntoken=t\n",
                                 NULL);
    assert_string_equal(config_queue(c, "q")->default_account->name, "z");
    assert_string_equal(c->accounts[0]->name, "a"); /* sorted */
    config_unref(c);
}

static void test_accounts_d_is_read_in_the_order_of_names(void **state) {
    (void)state;
    assert_int_equal(mkdir("accounts.d", 0700), 0);
    write_file("accounts.d/20.ini", "[account second]\nprovider=kakaclo-v2\ntoken=t\nqueue=q\n");
    write_file("accounts.d/10.ini", "[account first]\nprovider=kakaclo-v2\ntoken=t\nqueue=q\n");
    write_file("accounts.d/.hidden.ini", "junk\n");
    write_file("accounts.d/note.txt", "junk\n");
    struct config *c = load_fine("[worker]\nlease = 20s\n", NULL);
    assert_string_equal(config_queue(c, "q")->default_account->name, "first");
    config_unref(c);
    write_file("accounts.d/30.ini", "[worker]\nlease=1s\n[account first]\nrate=1/s\n");
    assert_null(load("[worker]\nlease = 20s\n", NULL));
    expect_text(&faults, "accounts.d/30.ini:1: [worker]: belongs into the main file");
    expect_text(&faults, "accounts.d/30.ini:3: [account first]: this section stands already at "
                         "accounts.d/10.ini:1");
    assert_int_equal(faults.count, 2);
    assert_int_equal(system("rm -r accounts.d"), 0);
}

/* ---- the environment ---- */

static void test_the_environment_wins_over_the_file(void **state) {
    (void)state;
    const char *const env[] = {"HOME=/",
                               "DRAY_REDIS_URL=redis://r:1",
                               "DRAY_WORKER_LEASE=30s",
                               "DRAY_QUEUE_SHOP_CONCURRENCY=7",
                               "DRAY_ACCOUNT_SHOP_RATE=5/s",
                               "DRAY_ACCOUNT_SHOP_MAX_ATTEMPTS=",
                               "DRAY_CONFIG=elsewhere",
                               NULL};
    struct config *c = load_fine("[worker]\nlease=10s\n" SHOP "max_attempts = 3\n", env);
    assert_string_equal(c->redis.host, "r");
    assert_int_equal(c->lease_ms, 30000);
    assert_int_equal(config_queue(c, "shop")->concurrency, 7);
    assert_true(config_account(c, "shop")->rate == 5.0);
    assert_int_equal(config_account(c, "shop")->max_attempts, 3); /* empty: not set */
    config_unref(c);
}

static void test_the_environment_alone_is_enough(void **state) {
    (void)state;
    const char *const env[] = {"DRAY_ACCOUNTS=shop-eu, shop.us", "DRAY_ACCOUNT_SHOP_EU_PROVIDER=kakaclo-v2",
                               "DRAY_ACCOUNT_SHOP_EU_TOKEN=t1",  "DRAY_ACCOUNT_SHOP_US_PROVIDER=kakaclo-v2",
                               "DRAY_ACCOUNT_SHOP_US_TOKEN=t2",  "DRAY_ACCOUNT_SHOP_US_QUEUE=us_q",
                               "DRAY_QUEUE_US_Q_WEIGHT=3",       NULL};
    unlink("dray.ini");
    struct config *c = load_env(NULL, env, false);
    if (c == NULL)
        fail_msg("%s", buf_cstr(&faults.text));
    assert_string_equal(config_account(c, "shop-eu")->token, "t1");
    assert_string_equal(config_account(c, "shop.us")->token, "t2");
    assert_int_equal(config_queue(c, "us_q")->weight, 3);
    assert_null(c->path);
    config_unref(c);
}

static void test_a_variable_finds_its_account_whatever_the_underscores(void **state) {
    (void)state;
    static const char file[] = "[account a]\nprovider=kakaclo-v2\n[account a_token]\nprovider=kakaclo-v2\n";
    const char *const env[] = {"DRAY_ACCOUNT_A_TOKEN=one", "DRAY_ACCOUNT_A_TOKEN_TOKEN=two", NULL};
    struct config *c = load_fine(file, env);
    assert_string_equal(config_account(c, "a")->token, "one");
    assert_string_equal(config_account(c, "a_token")->token, "two");
    config_unref(c);
}

static void test_a_variable_that_fits_two_is_refused(void **state) {
    (void)state;
    const char *const env[] = {"DRAY_ACCOUNT_S_1_RATE=1/s", "DRAY_ACCOUNT_X_LOOKUP_KEY_POINTER=/a", NULL};
    assert_null(load("[account s-1]\nprovider=kakaclo-v2\ntoken=t\n"
                     "[account s_1]\nprovider=kakaclo-v2\ntoken=t\n"
                     "[account x]\nprovider=kakaclo-v2\ntoken=t\n"
                     "[account x_lookup]\nprovider=kakaclo-v2\ntoken=t\n",
                     env));
    expect_text(&faults, "DRAY_ACCOUNT_S_1_RATE: fits both [account s");
    expect_text(&faults, "DRAY_ACCOUNT_X_LOOKUP_KEY_POINTER: fits both [account x");
    assert_int_equal(faults.count, 2);
}

static void test_unknown_variables_are_refused_but_not_kubernetes_own(void **state) {
    (void)state;
    const char *const env[] = {"DRAY_SERVICE_HOST=10.0.0.1",
                               "DRAY_PORT=tcp://10.0.0.1:80",
                               "DRAY_PORT_80_TCP_ADDR=10.0.0.1",
                               "DRAY_REDIS_PORT_6379_TCP=tcp://1",
                               "DRAY_REDIS_SERVICE_PORT=6379",
                               "DRAY_ACCOUNT_X_PORT=tcp://1",
                               NULL};
    config_unref(load_fine(SHOP, env));
    const char *const bad[] = {"DRAY_REDIS_URI=redis://x", "DRAY_ACCOUNT_SHOP_TOKN=secret-value",
                               "DRAY_ACCOUNT_OTHER_RATE=1/s", "DRAY_ACCOUNT_SHOP_RATE=fast", NULL};
    assert_null(load(SHOP, bad));
    expect_text(&faults, "DRAY_REDIS_URI: there is no such setting (did you mean 'DRAY_REDIS_URL'?)");
    expect_text(&faults, "DRAY_ACCOUNT_SHOP_TOKN: there is no such setting (did you mean "
                         "'DRAY_ACCOUNT_SHOP_TOKEN'?)");
    expect_text(&faults, "DRAY_ACCOUNT_OTHER_RATE: there is no such setting");
    expect_text(&faults, "DRAY_ACCOUNT_SHOP_RATE: [account shop] rate: 'fast' is not a rate");
    assert_int_equal(faults.count, 4);
    assert_null(strstr(buf_cstr(&faults.text), "secret-value"));
}

static void test_which_file_is_read(void **state) {
    (void)state;
    write_file("other.ini", SHOP "max_attempts = 4\n");
    const char *const env[] = {"DRAY_CONFIG=other.ini", NULL};
    struct config *c = load_env(NULL, env, false);
    assert_non_null(c);
    assert_string_equal(c->path, "other.ini");
    config_unref(c);
    assert_null(load_env("absent.ini", env, false));
    expect_text(&faults, "absent.ini: No such file or directory");
    assert_null(load_env(".", NULL, false));
    expect_text(&faults, ".: is a directory");
    unlink("dray.ini");
    const char *const none[] = {NULL};
    assert_null(load_env(NULL, none, false));
    expect_text(&faults, "no configuration: there is neither ./dray.ini nor");
    assert_null(load("[worker]\n", NULL));
    expect_text(&faults, "dray.ini: no account: the least is [account NAME] with `provider`");
}

/* ---- what is refused ---- */

struct refusal {
    const char *text;
    const char *fault; /* the whole line */
};

static const struct refusal refusals[] = {
    {"x = 1\n" SHOP, "dray.ini:1: a key before the first [section]"},
    {SHOP "[acount b]\nx = 1\n", "dray.ini:4: there is no section 'acount' (did you mean "
                                 "'account'?); there are [redis], [worker], "
                                 "[admin], [trace], [queue NAME] and [account NAME]"},
    {SHOP "[redis x]\n", "dray.ini:4: [redis]: this section has no name"},
    {SHOP "[account]\n", "dray.ini:4: [account]: the name is missing: [account NAME]"},
    {SHOP "[account -b]\n", "dray.ini:4: [account]: '-b' is no name (1 to 64 letters, digits, '_', '.' or "
                            "'-', starting with a letter or digit)"},
    {SHOP "[account shop]\nrate = 1/s\n",
     "dray.ini:4: [account shop]: this section stands already at dray.ini:1"},
    {SHOP "[redis\n", "dray.ini:4: a section's heading ends with ']'"},
    {SHOP "[redis] x\n", "dray.ini:4: only a comment may follow a section's heading"},
    {SHOP "junk\n", "dray.ini:4: expected [section] or key = value"},
    {SHOP "= 1\n", "dray.ini:4: the key before '=' is missing"},
    {SHOP "organization = 'x'\n", "dray.ini:4: values are written without quotes"},
    {SHOP "tokne_file = x\n",
     "dray.ini:4: [account shop] there is no key 'tokne_file' (did you mean 'token_file'?)"},
    {SHOP "lease = 1s\n", "dray.ini:4: [account shop] there is no key 'lease' (it belongs to [worker])"},
    {SHOP "token = xyz\n", "dray.ini:4: [account shop] token: stands already in line 3"},
    {SHOP "rate =\n", "dray.ini:4: [account shop] rate: is empty: give a value or leave the key out"},
    {SHOP "rate = fast\n", "dray.ini:4: [account shop] rate: 'fast' is not a rate (such as 2/s, 100/m, "
                           "3600/h; 0 is no limit)"},
    {SHOP "max_attempts = 101\n",
     "dray.ini:4: [account shop] max_attempts: 101 is out of bounds: from 1 to 100"},
    {SHOP "max_attempts = -1\n", "dray.ini:4: [account shop] max_attempts: '-1' is not a whole number"},
    {SHOP "backoff_base = 9ms\n",
     "dray.ini:4: [account shop] backoff_base: '9ms' is out of bounds: from 10ms to 1h"},
    {SHOP "backoff_base = 5\n", "dray.ini:4: [account shop] backoff_base: '5' is not a duration (such as "
                                "500ms, 5s, 2m, 24h, 7d)"},
    {SHOP "backoff_cap = 999ms\n",
     "dray.ini:4: [account shop] backoff_cap: 999ms is below `backoff_base`, 1s"},
    {SHOP "ledger_ttl = 1h\n", "dray.ini:4: [account shop] ledger_ttl: 1h is below `max_age`, 1d: an "
                               "order's key would be forgotten while its job lives"},
    {SHOP "on_unknown = lokup\n", "dray.ini:4: [account shop] on_unknown: 'lokup' is none of lookup, hold, "
                                  "resend (did you mean 'lookup'?)"},
    {SHOP "validation = lax\n",
     "dray.ini:4: [account shop] validation: 'lax' is none of strict, lenient, off"},
    {SHOP "allow_empty = orderAddresses.provinze\n",
     "dray.ini:4: [account shop] allow_empty: 'orderAddresses.provinze' is no text of `dray providers "
     "kakaclo-v2`"},
    {SHOP "allow_empty = a b\n", "dray.ini:4: [account shop] allow_empty: 'a b' is no path (such as "
                                 "orderAddresses.province, orderItemsList[].sku)"},
    {SHOP "max_length = orderItemsList[].quantity:5\n",
     "dray.ini:4: [account shop] max_length: 'orderItemsList[].quantity' is no text of `dray providers "
     "kakaclo-v2`"},
    {SHOP "max_length = orderAddresses.recipient\n",
     "dray.ini:4: [account shop] max_length: 'orderAddresses.recipient' is no path and length (such as "
     "orderAddresses.recipient:64)"},
    {SHOP "max_length = orderAddresses.recipient:0\n",
     "dray.ini:4: [account shop] max_length: 'orderAddresses.recipient:0': a length is from 1 to 1000000"},
    {SHOP "lookup = maybe\n", "dray.ini:4: [account shop] lookup: 'maybe' is none of auto, yes, no"},
    {SHOP "token_expires_at = 1795448588\n", "dray.ini:4: [account shop] token_expires_at: '1795448588' is "
                                             "long past: Unix milliseconds are meant, not seconds"},
    {SHOP "token_expires_at = soon\n", "dray.ini:4: [account shop] token_expires_at: 'soon' is no point in "
                                       "time (such as 2026-12-06T08:00:00Z, or Unix milliseconds)"},
    {SHOP "retry_codes = 1,,2\n",
     "dray.ini:4: [account shop] retry_codes: has an empty element between commas"},
    {SHOP "retry_codes = http:903\n",
     "dray.ini:4: [account shop] retry_codes: 'http:903' is no HTTP status (such as http:503)"},
    {SHOP "retry_codes = 7\nreject_codes = 7\n",
     "dray.ini:5: [account shop] reject_codes: '7' stands in `retry_codes` too"},
    {SHOP "retry_codes = 7\nunknown_codes = 8, 7\n",
     "dray.ini:5: [account shop] unknown_codes: '7' stands in `retry_codes` too"},
    {SHOP "reject_codes = http:502\nunknown_codes = http:502\n",
     "dray.ini:5: [account shop] unknown_codes: 'http:502' stands in `reject_codes` too"},
    {SHOP "base_url = https://x/?a=1\n", "dray.ini:4: [account shop] base_url: must be an origin with at "
                                         "most a path, without query and fragment"},
    {SHOP "base_url = https://u:p@x/\n", "dray.ini:4: [account shop] base_url: must hold no user and "
                                         "password: use `token`, or `key` and `secret`"},
    {SHOP "base_url = ftp://x\n", "dray.ini:4: [account shop] base_url: must start with https:// or http://"},
    {SHOP "base_url = https://:80\n",
     "dray.ini:4: [account shop] base_url: needs a host, and a port from 1 to 65535 if any"},
    {SHOP "base_url = https://x:70000\n",
     "dray.ini:4: [account shop] base_url: needs a host, and a port from 1 to 65535 if any"},
    {SHOP "proxy = x:1\n", "dray.ini:4: [account shop] proxy: must start with http://, https://, "
                           "socks5:// or socks5h://"},
    {SHOP "ca_file = /nowhere/ca.pem\n", "dray.ini:4: [account shop] ca_file: '/nowhere/ca.pem' can't be "
                                         "read: No such file or directory"},
    {"[account shop]\ntoken = t\n", "dray.ini:1: [account shop] provider: is required"},
    {"[account shop]\nprovider = kakaclo-v3\ntoken = t\n",
     "dray.ini:2: [account shop] provider: there is no provider 'kakaclo-v3'; there are "
     "kakaclo-v2, "
     "kakaclo-v1, kakaclo-custom, s2, vu, http-json (did you mean 'kakaclo-v2'?)"},
    {"[account s]\nprovider = s2\ntoken = t\norganization = o\n",
     "dray.ini:1: [account s] base_url: is required: provider s2 has no default"},
    {HTTP_JSON "create_path = orders\ntoken = t\n",
     "dray.ini:4: [account h] create_path: must start with '/'"},
    {HTTP_JSON "create_path = /o\ntoken = t\nid_pointer = data/id\n",
     "dray.ini:6: [account h] id_pointer: 'data/id' is not a JSON Pointer (such as /data/id; empty "
     "is the "
     "whole)"},
    {HTTP_JSON "create_path = /o\ntoken = t\nid_pointer = /id\nauth = header\nauth_header = a b\n",
     "dray.ini:8: [account h] auth_header: 'a b' is not a header's name"},
    {HTTP_JSON "create_path = /o\ntoken = t\nid_pointer = /id\nauth = header\nauth_header = Host\n",
     "dray.ini:8: [account h] auth_header: 'Host' is a header that dray sets itself"},
    {SHOP "[queue shpo]\n", "dray.ini:4: [queue shpo]: no account names this queue (did you mean 'shop'?)"},
    {SHOP "[queue shop]\ndefault_account = shopp\n",
     "dray.ini:5: [queue shop] default_account: 'shopp' is no account of this queue (did you mean "
     "'shop'?)"},
    {SHOP "[queue shop]\nmax_job_bytes = 17M\n",
     "dray.ini:5: [queue shop] max_job_bytes: '17M' is out of bounds: from 1K to 16384K"},
    {SHOP "[worker]\nlease = 999ms\n",
     "dray.ini:5: [worker] lease: '999ms' is out of bounds: from 1s to 10m"},
    {SHOP "[worker]\nname = a b\n", "dray.ini:5: [worker] name: 'a b' is no name (1 to 64 letters, digits, "
                                    "'_', '.' or '-', starting with a letter or digit)"},
    {SHOP "[redis]\ncommand_timeout = 10s\n",
     "dray.ini:5: [redis] command_timeout: must be at most 5s, a third of the lease of 15s: "
     "after one hanging command a living worker's jobs would be recovered"},
    {SHOP "[redis]\nmin_replicas = 1\nmin_replicas_timeout = 6s\n",
     "dray.ini:6: [redis] min_replicas_timeout: must be at most 2500ms, a sixth of the lease of 15s: "
     "waiting must not hold up the beat"},
    {SHOP "[redis]\nprefix = {x}\n", "dray.ini:5: [redis] prefix: '{x}' is no prefix (1 to 64 letters, "
                                     "digits, '_', '.', ':' or '-')"},
    {SHOP "[redis]\nurl = redis://:pw@h\npassword = x\n",
     "dray.ini:5: [redis] url: holds a password, and `password` or `password_file` is set too"},
    {SHOP "[redis]\nurl = redis://u@h\nusername = x\n",
     "dray.ini:6: [redis] username: `url` names a user too"},
    {SHOP "[redis]\nsentinels = a:1\n",
     "dray.ini:5: [redis] sentinels: `sentinels` and `sentinel_master` go together"},
    {SHOP "[redis]\nsentinels = a\nsentinel_master = m\n",
     "dray.ini:5: [redis] sentinels: 'a' is not host:port"},
    {SHOP "[redis]\ntls_cert = dray.ini\n",
     "dray.ini:5: [redis] tls_cert: `tls_cert` and `tls_key` go together"},
    {SHOP "[redis]\nsentinel_password = x\n",
     "dray.ini:5: [redis] sentinel_password: is not used: no `sentinels` are given"},
    {SHOP "[redis]\nsentinels = a:1\nsentinel_master = m\nsentinel_username = u\n",
     "dray.ini:7: [redis] sentinel_username: needs `sentinel_password` too"},
    {SHOP "[admin]\nlisten = 0.0.0.0:9780\n", "dray.ini:5: [admin] listen: 0.0.0.0:9780 is reached "
                                              "from other hosts: that needs a `token` (or "
                                              "`token_file`, or `operators_file`)"},
    {SHOP "[admin]\nlisten = 9780\n", "dray.ini:5: [admin] listen: '9780' is not an address (such as "
                                      "127.0.0.1:9780, [::1]:9780; or off)"},
};

static void test_each_fault_names_line_key_and_rule(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char line[600];
        snprintf(line, sizeof(line), "%s\n", refusals[i].fault);
        struct config *c = load(refusals[i].text, NULL);
        if (c != NULL)
            fail_msg("taken, but expected: %s", refusals[i].fault);
        assert_string_equal(buf_cstr(&faults.text), line);
        assert_int_equal(faults.count, 1);
    }
}

/* At the start, and not only once the worker runs. */
static void test_tls_that_this_build_has_not(void **state) {
    (void)state;
    struct config *c = load(SHOP "[redis]\nurl = rediss://h\n", NULL);
    assert_int_equal(c != NULL, redis_tls_available());
    if (c == NULL)
        expect_text(&faults, "dray.ini:5: [redis] url: rediss:// needs hiredis 1.0 or newer with SSL");
    config_unref(c);
}

static void test_all_faults_are_listed(void **state) {
    (void)state;
    assert_null(load("[worker]\nlease = x\nnmae = y\n[account a]\nrate = z\njunk\n", NULL));
    assert_int_equal(faults.count, 5);
    expect_text(&faults, "dray.ini:2: [worker] lease: 'x' is not a duration");
    expect_text(&faults, "dray.ini:3: [worker] there is no key 'nmae' (did you mean 'name'?)");
    expect_text(&faults, "dray.ini:5: [account a] rate: 'z' is not a rate");
    expect_text(&faults, "dray.ini:6: expected [section] or key = value");
    expect_text(&faults, "dray.ini:4: [account a] provider: is required");
}

static void test_a_hash_after_a_value_is_not_guessed_at(void **state) {
    (void)state;
    assert_null(load("[account shop]\nprovider = kakaclo-v2\ntoken = abc # mine\n", NULL));
    expect_text(&faults, "dray.ini:3: ' #' in a value");
    assert_null(strstr(buf_cstr(&faults.text), "abc"));
}

static void test_bytes_that_are_no_text(void **state) {
    (void)state;
    write_bytes("dray.ini", SHOP "x\0y = 1\n", sizeof(SHOP) + 7);
    assert_null(load_env("dray.ini", NULL, false));
    expect_text(&faults, "dray.ini:4: holds a NUL byte");
    assert_null(load(SHOP "organization = a\x01z\n", NULL));
    expect_text(&faults, "dray.ini:4: [account shop] organization: holds a control character");
    char *text = malloc(10000);
    memset(text, 'a', 9999);
    text[9999] = '\0';
    assert_null(load(text, NULL));
    expect_text(&faults, "dray.ini:1: is longer than 8192 bytes");
    free(text);
}

static void test_a_huge_file_is_refused(void **state) {
    (void)state;
    write_file("dray.ini", SHOP);
    assert_int_equal(truncate("dray.ini", (16 << 20) + 1), 0);
    assert_null(load_env("dray.ini", NULL, false));
    expect_text(&faults, "dray.ini: is larger than 16384 KiB");
    assert_null(load_env("/dev/zero", NULL, false));
    expect_text(&faults, "/dev/zero: is larger than 16384 KiB");
}

/* ---- secrets ---- */

#define SHOP_FILE "[account shop]\nprovider = kakaclo-v2\ntoken_file = tok\n"

static void expect_bad_secret(const char *text, size_t len, const char *rule) {
    char line[256];
    write_bytes("tok", text, len);
    assert_null(load(SHOP_FILE, NULL));
    snprintf(line, sizeof(line), "dray.ini:3: [account shop] token_file: 'tok': %s\n", rule);
    assert_string_equal(buf_cstr(&faults.text), line);
}

static void test_a_token_has_no_scheme_before_it(void **state) {
    (void)state;
    write_file("tok", "bearer abc\n");
    assert_null(load(SHOP_FILE, NULL));
    expect_text(&faults, "[account shop]: the token begins with `Bearer `, which dray puts before it");
    write_file("tok", "Bearerabc\n");
    config_unref(load_fine(SHOP_FILE, NULL));
    write_file("tok", "Bearer abc\n"); /* a header of one's own has it as it is */
    config_unref(
        load_fine("[account shop]\nprovider = http-json\nbase_url = https://h.example\ncreate_path = /o\n"
                  "id_pointer = /id\nauth = header\nauth_header = Authorization\ntoken_file = tok\n",
                  NULL));
}

static void test_secrets_from_files(void **state) {
    (void)state;
    static char large[65537];
    write_file("tok", "abc def\n");
    struct config *c = load_fine(SHOP_FILE, NULL);
    assert_string_equal(config_account(c, "shop")->token, "abc def");
    assert_string_equal(config_account(c, "shop")->token_file, "tok");
    config_unref(c);
    expect_bad_secret("", 0, "is empty");
    expect_bad_secret("\n", 1, "is empty");
    expect_bad_secret("a\nb\n", 4, "holds a control character (one line is expected)");
    expect_bad_secret("a\0b", 3, "holds a control character (one line is expected)");
    expect_bad_secret("\xef\xbb\xbf"
                      "abc\n",
                      7, "starts with a byte order mark, which would be sent: save it as UTF-8 without one");
    memset(large, 'x', sizeof(large));
    expect_bad_secret(large, 65537, "is larger than 64 KiB");
    write_bytes("tok", large, 65536);
    config_unref(load_fine(SHOP_FILE, NULL));
    unlink("tok");
    assert_null(load(SHOP_FILE, NULL));
    expect_text(&faults, "token_file: 'tok': No such file or directory");
}

static void test_a_secret_and_its_file_are_one_too_many(void **state) {
    (void)state;
    const char *const env[] = {"DRAY_ACCOUNT_SHOP_TOKEN=fromenv", NULL};
    write_file("tok", "abc\n");
    assert_null(load(SHOP_FILE "token = hidden1\n", NULL));
    assert_string_equal(buf_cstr(&faults.text),
                        "dray.ini:3: [account shop] token_file: `token` is set too (dray.ini): only one of "
                        "them may be\n");
    assert_null(load(SHOP_FILE, env));
    expect_text(&faults, "`token` is set too (DRAY_ACCOUNT_SHOP_TOKEN)");
}

static void test_reread_gives_a_new_account_and_leaves_the_old(void **state) {
    (void)state;
    struct err err = {""};
    write_file("tok", "one\n");
    struct config *c = load_fine(SHOP_FILE, NULL);
    struct account *old = account_ref(c->accounts[0]);
    write_file("tok", "two\n");
    struct account *new = account_reread(old, &err);
    assert_non_null(new);
    config_unref(c);
    assert_string_equal(old->token, "one");
    account_unref(old);
    assert_string_equal(new->token, "two"); /* its other strings live though all others let go */
    assert_string_equal(new->base_url, provider_find("kakaclo-v2")->default_base_url);
    assert_string_equal(new->token_file, "tok");
    write_file("tok", "");
    assert_null(account_reread(new, &err));
    assert_string_equal(err.text, "tok: is empty");
    account_unref(new);
}

/* ---- warnings, partial loads, show, help ---- */

static void test_plain_http_warns_beyond_loopback_only(void **state) {
    (void)state;
    static const char *const quiet[] = {"http://localhost:1", "http://127.9.0.1", "http://[::1]:8/x",
                                        "https://h.example"};
    static const char *const loud[] = {"http://127.evil.example", "http://10.0.0.1", "HTTP://h.example"};
    char text[256];
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), SHOP "base_url = %s\n", quiet[i]);
        config_unref(load_fine(text, NULL));
        assert_int_equal(warnings.count, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), SHOP "base_url = %s\n", loud[i]);
        config_unref(load_fine(text, NULL));
        assert_int_equal(warnings.count, 1);
        expect_text(&warnings, "dray.ini:4: [account shop] base_url: http:// beyond this host");
    }
}

static void test_admin_beyond_loopback_with_a_token_is_fine(void **state) {
    (void)state;
    config_unref(load_fine(SHOP "[admin]\nlisten = [::]:9780\ntoken = t\n", NULL));
    config_unref(load_fine(SHOP "[admin]\nlisten = [::1]:9780\n", NULL));
    config_unref(load_fine(SHOP "[admin]\nlisten = localhost:0\n", NULL));
}

static void test_a_partial_load_only_warns_of_accounts(void **state) {
    (void)state;
    write_file("dray.ini", "[account a]\nprovider = kakaclo-v2\ntoken_file = /nowhere\nrate = fast\n"
                           "backoff_base = x\n[account b]\nprovider = nobody\n[account c]\nprovider = vu\n"
                           "[admin]\ntoken_file = /nowhere\nlisten = 0.0.0.0:1\n");
    struct config *c = load_env("dray.ini", NULL, true);
    if (c == NULL)
        fail_msg("%s", buf_cstr(&faults.text));
    assert_int_equal(c->account_count, 2); /* b has no provider */
    assert_int_equal(config_account(c, "a")->backoff_base_ms, 1000);
    assert_null(config_account(c, "a")->token);
    assert_int_equal(c->queue_count, 2);
    expect_text(&warnings, "dray.ini:4: [account a] rate: 'fast' is not a rate");
    config_unref(c);
    unlink("dray.ini");
    c = load_env(NULL, NULL, true);
    assert_non_null(c);
    assert_int_equal(c->queue_count, 0);
    config_unref(c);
    write_file("dray.ini", "[redis]\npassword_file = /nowhere\n");
    assert_null(load_env("dray.ini", NULL, true));
    expect_text(&faults, "dray.ini:2: [redis] password_file: '/nowhere': No such file or directory");
}

static void test_show_hides_secrets_and_says_where_from(void **state) {
    (void)state;
    static const char *const hidden[] = {"hunter2", "topsecret", "proxypw", "admintok"};
    const char *const env[] = {"DRAY_WORKER_LEASE=30s", "DRAY_ADMIN_TOKEN=admintok", NULL};
    struct buf out;
    write_file("tok", "topsecret\n");
    struct config *c =
        load_fine("[redis]\nurl = redis://u:hunter2@h/1\n" SHOP_FILE "proxy = http://u:proxypw@p:1\n", env);
    for (int json = 0; json < 2; json++) {
        buf_init(&out, 1 << 20);
        (json ? config_show_json : config_show)(c, &out);
        const char *text = buf_cstr(&out);
        for (size_t i = 0; i < 4; i++)
            assert_null(strstr(text, hidden[i]));
        assert_non_null(strstr(text, "redis://(hidden)@h/1"));
        assert_non_null(strstr(text, "http://(hidden)@p:1"));
        assert_non_null(strstr(text, "DRAY_WORKER_LEASE"));
        assert_non_null(strstr(text, "provider kakaclo-v2"));
        assert_non_null(strstr(text, "dray.ini:5"));
        buf_deinit(&out);
    }
    config_unref(c);
}

static void test_shown_settings_load_again_as_they_were(void **state) {
    (void)state;
    struct buf one, two;
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    struct config *c = load_fine("[worker]\nname = w\n" SHOP "rate = 7/h\nretry_codes = 1, 2\n", NULL);
    config_show(c, &one);
    config_unref(c);
    c = load_fine(buf_cstr(&one), NULL);
    assert_int_equal(config_account(c, "shop")->burst, 120);
    assert_true(config_account(c, "shop")->rate * 3600 > 6.999);
    assert_string_equal(config_account(c, "shop")->retry_codes[1], "2");
    config_show(c, &two);
    assert_int_equal(strncmp(buf_cstr(&two), "; file: dray.ini\n[redis]\n", 24), 0);
    config_unref(c);
    buf_deinit(&one);
    buf_deinit(&two);
}

static void test_the_page_of_keys_is_current(void **state) {
    (void)state;
    struct buf out;
    FILE *f = fopen(CONFIGURATION_PAGE, "r");
    assert_non_null(f);
    char *page = calloc(1, 1 << 18);
    size_t n = fread(page, 1, (1 << 18) - 1, f);
    assert_int_equal(fclose(f), 0);
    buf_init(&out, 1 << 20);
    config_help(&out, true);
    if (n != out.len || memcmp(page, out.data, n) != 0)
        fail_msg("run: build/dray config keys --markdown > docs/configuration.md");
    free(page);
    buf_deinit(&out);
}

/* ---- much, and too little memory ---- */

static void test_thousands_of_accounts(void **state) {
    (void)state;
    enum { ACCOUNTS = 5000 };
    struct buf text;
    char name[32];
    buf_init(&text, 8 << 20);
    for (int i = ACCOUNTS; i > 0; i--)
        buf_addf(&text, "[account shop-%04d]\nprovider = kakaclo-v2\ntoken = t%d\nqueue = q%d\n", i, i,
                 i % 7);
    char **env = calloc(ACCOUNTS + 1, sizeof(char *));
    for (int i = 0; i < ACCOUNTS; i++)
        assert_true(asprintf(&env[i], "DRAY_ACCOUNT_SHOP_%04d_MAX_ATTEMPTS=%d", i + 1, i % 100 + 1) > 0);
    struct config *c = load_fine(buf_cstr(&text), (const char *const *)env);
    assert_int_equal(c->account_count, ACCOUNTS);
    assert_int_equal(c->queue_count, 7);
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(name, sizeof(name), "shop-%04d", i + 1);
        assert_int_equal(config_account(c, name)->max_attempts, i % 100 + 1);
        free(env[i]);
    }
    assert_string_equal(config_queue(c, "q1")->default_account->name, "shop-4999");
    config_unref(c);
    free(env);
    buf_deinit(&text);
}

static void test_running_out_of_memory_is_a_fault(void **state) {
    (void)state;
    const char *const env[] = {"DRAY_ACCOUNT_SHOP_RATE=1/s", "DRAY_REDIS_URL=redis://u:p@h", NULL};
    long n = 0;
    struct config *c = NULL;
    write_file("tok", "abc\n");
    write_file("dray.ini", SHOP_FILE "retry_codes = 1, 2\n[queue shop]\nweight = 2\n");
    config_faults_deinit(&faults);
    config_faults_deinit(&warnings);
    for (; c == NULL; n++) {
        struct config_faults f;
        config_faults_init(&f);
        allocations_left = n;
        c = config_load("dray.ini", as_environ(env), &f, NULL);
        allocations_left = -1;
        assert_true((c == NULL) == (f.count > 0));
        config_faults_deinit(&f);
        assert_true(n < 1000);
    }
    assert_true(n > 10);
    assert_string_equal(config_account(c, "shop")->token, "abc");
    config_unref(c);
}

static void test_references_are_counted(void **state) {
    (void)state;
    struct config *c = load_fine(SHOP, NULL);
    assert_ptr_equal(config_ref(c), c);
    struct account *a = account_ref(c->accounts[0]);
    config_unref(c);
    assert_string_equal(c->accounts[0]->name, "shop");
    config_unref(c);
    assert_string_equal(a->token, "abc");
    account_unref(a);
    account_unref(NULL);
    config_unref(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_file_is_one_account),
        cmocka_unit_test(test_values_reach_their_fields),
        cmocka_unit_test(test_http_json_has_its_own_keys),
        cmocka_unit_test(test_the_first_account_of_a_queue_is_its_default),
        cmocka_unit_test(test_accounts_d_is_read_in_the_order_of_names),
        cmocka_unit_test(test_the_environment_wins_over_the_file),
        cmocka_unit_test(test_the_environment_alone_is_enough),
        cmocka_unit_test(test_a_variable_finds_its_account_whatever_the_underscores),
        cmocka_unit_test(test_a_variable_that_fits_two_is_refused),
        cmocka_unit_test(test_unknown_variables_are_refused_but_not_kubernetes_own),
        cmocka_unit_test(test_which_file_is_read),
        cmocka_unit_test(test_each_fault_names_line_key_and_rule),
        cmocka_unit_test(test_tls_that_this_build_has_not),
        cmocka_unit_test(test_all_faults_are_listed),
        cmocka_unit_test(test_a_hash_after_a_value_is_not_guessed_at),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_a_huge_file_is_refused),
        cmocka_unit_test(test_secrets_from_files),
        cmocka_unit_test(test_a_token_has_no_scheme_before_it),
        cmocka_unit_test(test_a_secret_and_its_file_are_one_too_many),
        cmocka_unit_test(test_reread_gives_a_new_account_and_leaves_the_old),
        cmocka_unit_test(test_plain_http_warns_beyond_loopback_only),
        cmocka_unit_test(test_admin_beyond_loopback_with_a_token_is_fine),
        cmocka_unit_test(test_a_partial_load_only_warns_of_accounts),
        cmocka_unit_test(test_show_hides_secrets_and_says_where_from),
        cmocka_unit_test(test_shown_settings_load_again_as_they_were),
        cmocka_unit_test(test_the_page_of_keys_is_current),
        cmocka_unit_test(test_thousands_of_accounts),
        cmocka_unit_test(test_running_out_of_memory_is_a_fault),
        cmocka_unit_test(test_references_are_counted),
    };
    config_faults_init(&faults);
    config_faults_init(&warnings);
    int failed = cmocka_run_group_tests(tests, make_dir, remove_dir);
    config_faults_deinit(&faults);
    config_faults_deinit(&warnings);
    return failed;
}
