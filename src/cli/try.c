/* `dray try QUEUE|ACCOUNT FILE`: sends one order now, outside the queue, and shows everything.
 *
 * The order goes through the ledger by a worker of its own (worker/trial.h), so that its key is taken while it is sent, and
 * known when it was created. What was surely not created leaves no dead letter behind; an unknown outcome does. */
#include "cli/try.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <uv.h>

#include "cli/session.h"
#include "dray/clock.h"
#include "queue/order_hash.h"
#include "worker/internal.h"

#define ORDER_MAX (64u << 20) /* bytes */
#define START_MS  20000       /* for Redis to let the worker in */

struct options {
    const char *config, *key;
    bool json, dry_run;
};

static const struct account *find_account(void *arg, const char *name) {
    (void)name; /* the envelope names it */
    return ((struct attempt *)arg)->account;
}

/* The order of FILE as a job: its id is made of its bytes, so that an order without a key of its own is not sent twice. */
static void wrap(struct attempt *a, const char *key) {
    char hash[33];
    struct span order = buf_span(&a->order);
    while (order.len > 0 && strchr(" \t\r\n", order.ptr[order.len - 1]) != NULL)
        order.len--;
    order_hash(order, hash);
    buf_addf(&a->job,
             "{\"id\":\"try-%s\",\"account\":\"%s\",\"reply_to\":\"%s:{%s}:try:%016" PRIx64
             "\",\"enqueued_at\":%" PRIu64,
             hash, a->account->name, a->config->redis_prefix, a->account->queue, clock_boot_ns(),
             clock_unix_ms());
    if (key != NULL) {
        buf_add_str(&a->job, ",\"order_key\":");
        buf_add_json_str(&a->job, span_str(key));
    }
    buf_add_str(&a->job, ",\"order\":");
    buf_add_span(&a->job, order);
    buf_add_char(&a->job, '}');
}

/* 0, or -1 after a message. */
static int read_order(struct attempt *a, const char *path, const char *key) {
    char tag[NAME_MAX_LEN + 3];
    const struct account *account = NULL;
    struct err err = {""};
    if (cli_read_file(path, &a->order) != 0) {
        cli_fail(a->verb, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (json_parse(&a->doc, a->order.data != NULL ? a->order.data : "", a->order.len, &err) != 0) {
        cli_fail(a->verb, "%s: is not JSON: %s", path, err.text);
        return -1;
    }
    wrap(a, key);
    snprintf(tag, sizeof(tag), "{%s}", a->account->queue);
    envelope_parse(&a->envelope, &a->doc, buf_span(&a->job), find_account, a, tag, &a->decoded, &a->faults,
                   &a->warnings, &account);
    if (a->envelope.order.ptr != NULL)
        provider_look_alikes(a->account->provider, a->account, &a->doc, json_get(&a->doc, 0, "order"),
                             &a->warnings);
    uint64_t most = config_queue(a->config, a->account->queue)->max_job_bytes;
    if (a->job.len > most)
        faults_add(&a->faults, "", "must be at most %" PRIu64 " bytes (max_job_bytes)", most);
    if (a->warnings.count > 0)
        cli_print_faults(stderr, "warning: ", &a->warnings);
    if (a->faults.count == 0)
        return 0;
    cli_fail(a->verb, "%s: a worker would refuse it:", path);
    cli_print_faults(stderr, "  ", &a->faults);
    return -1;
}

/* ---- sending ---- */

struct program {
    uv_loop_t loop;
    uv_signal_t signals[2];
    uv_timer_t start;
    struct worker *worker;
    struct attempt *attempt;
    int exit_code;
};

static void on_answered(void *arg, const struct http_exchange *x, const struct outcome *o) {
    struct attempt *a = arg;
    a->asked = true;
    a->answered = x->answered;
    a->sent = x->sent;
    a->status = x->status;
    a->ms = x->duration_us / 1000;
    a->verdict = o->verdict;
    snprintf(a->code, sizeof(a->code), "%s", o->code);
    snprintf(a->message, sizeof(a->message), "%s", o->message);
    snprintf(a->error, sizeof(a->error), "%s", x->error != NULL ? x->error : "");
    buf_add_span(&a->answer, x->body);
    buf_add_span(&a->type, x->content_type);
    for (uint32_t i = 0; i < o->id_count; i++)
        buf_addf(&a->ids, "%s\"%.*s\"", i > 0 ? "," : "", (int)o->ids[i].len, o->ids[i].ptr);
}

static void on_stopped(void *arg, int exit_code) {
    struct program *p = arg;
    p->exit_code = exit_code;
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&p->signals[i], NULL);
    uv_close((uv_handle_t *)&p->start, NULL);
}

/* A second one ends the program as usual: what was being sent becomes unknown when the lease runs out. */
static void on_signal(uv_signal_t *handle, int number) {
    struct program *p = handle->data;
    (void)number;
    uv_signal_stop(handle);
    worker_drain(p->worker);
}

static void on_start_over(uv_timer_t *handle) {
    struct program *p = handle->data;
    if (!p->worker->trial_begun)
        worker_drain(p->worker);
}

static int send_order(struct attempt *a) {
    static struct program p;
    static const int numbers[] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN);
    p.attempt = a;
    uv_loop_init(&p.loop);
    log_start(LOG_ERROR, LOG_TEXT); /* what happens to the order is shown in full instead */
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&p.loop, &p.signals[i]);
        p.signals[i].data = &p;
        uv_signal_start(&p.signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&p.loop, &p.start);
    p.start.data = &p;
    uv_timer_start(&p.start, on_start_over, START_MS, 0);
    a->trial = (struct trial){.queue = a->account->queue,
                              .account = a->account->name,
                              .job = buf_span(&a->job),
                              .answered = on_answered,
                              .arg = a};
    p.worker = worker_try(&p.loop, a->config, &a->trial, on_stopped, &p, &a->err);
    if (p.worker == NULL)
        return EXIT_FAILED;
    uv_run(&p.loop, UV_RUN_DEFAULT);
    worker_free(p.worker);
    uv_loop_close(&p.loop);
    log_stop();
    return p.exit_code;
}

/* Removes what the trial left: the result, which went to a list of its own, and the dead letter, which says
 * nothing more than was shown, unless somebody must decide. */
static void clean_up(struct attempt *a, const char *config_path) {
    static const enum queue_key keys[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS, KEY_LIMITS};
    struct session s = {.force = false};
    struct buf key;
    bool drop = a->trial.dead_id[0] != '\0' && strcmp(a->trial.reason, "unknown_outcome") != 0;
    if (!a->trial.settled)
        return;
    buf_init(&key, 4096);
    if (session_open(&s, a->verb, config_path) == 0 && session_queue(&s, a->account->queue) == 0) {
        struct span reply_to = a->envelope.reply_to;
        freeReplyObject(session_command(&s, "DEL %b", reply_to.ptr, reply_to.len));
        queue_keys_order(&s.keys, span_str(a->account->name), a->envelope.order_key, &key);
        if (drop) {
            session_begin(&s, SCRIPT_DEAD_DROP, 5, 2);
            session_keys(&s, keys, 4);
            redis_resp_arg(&s.cmd, buf_span(&key));
            redis_resp_str(&s.cmd, a->trial.dead_id);
            redis_resp_str(&s.cmd, a->account->name);
            freeReplyObject(session_call(&s, SCRIPT_DEAD_DROP));
        }
    }
    session_close(&s);
    buf_deinit(&key);
}

static int print(const struct attempt *a, struct buf *out) {
    bool ok = buf_ok(out) && fwrite(out->data != NULL ? out->data : "", 1, out->len, stdout) == out->len &&
              fflush(stdout) == 0;
    buf_reset(out);
    return ok ? 0 : cli_fail(a->verb, "the output could not be written");
}

static int try_order(struct attempt *a, const struct options *o, struct buf *out) {
    if (o->json)
        a->shown = cJSON_CreateObject();
    if (try_show_request(a, out, &a->err) != 0)
        return cli_fail(a->verb, "%s", a->err.text);
    if (o->dry_run) {
        if (o->json)
            try_show_json(a, out);
        else
            buf_add_str(out, "\nnothing was sent (--dry-run)\n");
        return print(a, out);
    }
    if (print(a, out) != 0)
        return EXIT_FAILED;
    int code = send_order(a);
    if (a->err.text[0] != '\0')
        cli_fail(a->verb, "%s", a->err.text);
    clean_up(a, o->config);
    int verdict = try_show_end(a, out);
    if (print(a, out) != 0)
        return EXIT_FAILED;
    return code == EXIT_NO_REDIS ? EXIT_NO_REDIS : verdict;
}

static const struct account *choose(const struct config *config, const char *name) {
    const struct account *a = config_account(config, name);
    const struct queue_config *q = a == NULL ? config_queue(config, name) : NULL;
    return q != NULL ? q->default_account : a;
}

static int run_with(const struct verb *self, const struct options *o, const char *name, const char *file) {
    static struct attempt a;
    struct buf out;
    a = (struct attempt){.verb = self, .json = o->json, .dry_run = o->dry_run};
    a.config = cli_config(self, o->config, false);
    if (a.config == NULL)
        return EXIT_USAGE;
    a.account = choose(a.config, name);
    if (a.account == NULL) {
        config_unref(a.config);
        return cli_usage(self, "there is no account and no queue '%s' in the configuration", name);
    }
    struct buf *bufs[] = {&a.order, &a.job, &a.decoded, &a.answer, &a.type, &a.ids, &out};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        buf_init(bufs[i], 2 * ORDER_MAX);
    json_init(&a.doc, UINT32_MAX);
    faults_init(&a.faults);
    faults_init(&a.warnings);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = read_order(&a, file, o->key) != 0 ? EXIT_FAILED : try_order(&a, o, &out);
    curl_global_cleanup();
    cJSON_Delete(a.shown);
    faults_deinit(&a.faults);
    faults_deinit(&a.warnings);
    json_deinit(&a.doc);
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        buf_deinit(bufs[i]);
    config_unref(a.config);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"dry-run", no_argument, NULL, 'd'},
        {"json", no_argument, NULL, 'j'},         {"key", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct options o = {0};
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'c')
            o.config = optarg;
        else if (c == 'd')
            o.dry_run = true;
        else if (c == 'j')
            o.json = true;
        else if (c == 'k')
            o.key = optarg;
        else
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
    }
    if (argc - optind != 2)
        return cli_usage(self, "QUEUE or ACCOUNT, and FILE are expected");
    return run_with(self, &o, argv[optind], argv[optind + 1]);
}

const struct verb verb_try = {
    .name = "try",
    .arguments = "QUEUE|ACCOUNT FILE [--dry-run] [--key KEY] [--json] [-c FILE]",
    .summary = "send one order now, outside the queue, and show everything",
    .help =
        "FILE holds one order, as for `validate`; `-` reads it from stdin. A queue stands for its default\n"
        "account. Shown are the request with its secrets hidden, the answer, and what it means.\n"
        "The order goes through the ledger as any other: a key that was created before is not\n"
        "sent again, and an unknown outcome becomes a dead letter. Nothing is tried twice.\n"
        "Exit 0: the order exists (created, or a duplicate); 1: it does not, or nobody knows.\n"
        "\n"
        "  --dry-run    show the request and send nothing; needs no Redis\n"
        "  --key KEY    the order key, in place of the order's own\n"
        "  --json       one object: request, answer, verdict, code, message, order_ids, dead_id\n",
    .run = run,
};
