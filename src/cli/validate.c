/* `dray validate PROVIDER FILE`: checks an order against the provider's document, and prints every fault; with --account or
 * --queue, as a worker would by that account's own rules. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/table.h"
#include "dray/provider.h"
#include "util/json_tree.h"

#define ORDER_MAX (64u << 20) /* bytes; a worker's own limit is max_job_bytes */

struct options {
    const char *config, *account, *queue; /* NULL: not given */
    bool json;
};

/* What an order is judged by. */
struct judge {
    const struct provider *provider;
    struct config *config;         /* of the account */
    const struct account *account; /* NULL: by the document alone */
};

static const struct account *find_account(void *arg, const char *name) {
    (void)name; /* the envelope names none */
    return ((const struct judge *)arg)->account;
}

/* The order as a job of the account: so that what is wrong with its key, and its size, is told as well. */
static void check_job(struct judge *j, struct span order, struct faults *faults, struct faults *warnings) {
    struct json_doc doc;
    struct envelope envelope;
    struct buf job, decoded;
    const struct account *account = NULL;
    char tag[NAME_MAX_LEN + 3];
    uint64_t most = config_queue(j->config, j->account->queue)->max_job_bytes;
    json_init(&doc, UINT32_MAX);
    buf_init(&job, 2 * (size_t)ORDER_MAX);
    buf_init(&decoded, 2 * (size_t)ORDER_MAX);
    snprintf(tag, sizeof(tag), "{%s}", j->account->queue);
    buf_add_str(&job, "{\"id\":\"validate\",\"order\":");
    buf_add_span(&job, order);
    buf_add_char(&job, '}');
    envelope_parse(&envelope, &doc, buf_span(&job), find_account, j, tag, &decoded, faults, warnings,
                   &account);
    if (job.len > most)
        faults_add(faults, "", "must be at most %" PRIu64 " bytes (max_job_bytes)", most);
    if (envelope.order.ptr != NULL)
        provider_look_alikes(j->provider, j->account, &doc, json_get(&doc, 0, "order"), warnings);
    buf_deinit(&decoded);
    buf_deinit(&job);
    json_deinit(&doc);
}

static void check(struct judge *j, const struct buf *text, struct faults *faults, struct faults *warnings) {
    struct json_doc doc;
    struct err err = {""};
    struct span order = buf_span(text);
    json_init(&doc, UINT32_MAX);
    if (json_parse(&doc, order.ptr, order.len, &err) != 0)
        faults_add_not_json(faults, "order", order, &err);
    else if (j->account != NULL)
        check_job(j, order, faults, warnings);
    else if (provider_validate(j->provider, NULL, &doc, 0, faults, NULL), json_type(&doc, 0) == JSON_OBJECT)
        provider_look_alikes(j->provider, NULL, &doc, 0, warnings);
    json_deinit(&doc);
}

static int report(const struct verb *self, const struct options *o, const struct faults *faults,
                  const struct faults *warnings) {
    if (!o->json) {
        cli_print_faults(stdout, "", faults);
        cli_print_faults(stderr, "warning: ", warnings);
        return faults->count > 0 ? EXIT_FAILED : EXIT_FINE;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddBoolToObject(json, "ok", faults->count == 0);
    cJSON_AddNumberToObject(json, "fault_count", faults->count);
    tree_add_elements(json, "faults", buf_span(&faults->list));
    tree_add_elements(json, "warnings", buf_span(&warnings->list));
    if (cli_print_json(self, json) != EXIT_FINE)
        return EXIT_FAILED;
    return faults->count > 0 ? EXIT_FAILED : EXIT_FINE;
}

static int validate(const struct verb *self, const struct options *o, struct judge *j, const char *path) {
    struct faults faults, warnings;
    struct buf text;
    int code;
    buf_init(&text, ORDER_MAX);
    faults_init(&faults);
    faults_init(&warnings);
    if (cli_read_file(path, &text) != 0) {
        code = cli_fail(self, "%s: %s", path, strerror(errno));
    } else {
        check(j, &text, &faults, &warnings);
        code = report(self, o, &faults, &warnings);
    }
    faults_deinit(&faults);
    faults_deinit(&warnings);
    buf_deinit(&text);
    return code;
}

static int no_account(const struct verb *self, const struct options *o, const struct config *config) {
    struct nearest nearest;
    char hint[128];
    nearest_init(&nearest, o->account != NULL ? o->account : o->queue);
    for (uint32_t i = 0; o->account != NULL && i < config->account_count; i++)
        nearest_try(&nearest, config->accounts[i]->name);
    for (uint32_t i = 0; o->account == NULL && i < config->queue_count; i++)
        nearest_try(&nearest, config->queues[i].name);
    if (o->account == NULL)
        return cli_usage(self, "no account names a queue '%s'%s", o->queue, nearest_hint(&nearest, hint));
    return cli_usage(self, "%s%s has no account '%s'%s", o->queue != NULL ? "queue " : "the configuration",
                     o->queue != NULL ? o->queue : "", o->account, nearest_hint(&nearest, hint));
}

static int by_account(const struct verb *self, const struct options *o, const char *path) {
    struct judge j = {.config = cli_config(self, o->config, true)};
    if (j.config == NULL)
        return EXIT_USAGE;
    const struct queue_config *q = o->queue != NULL ? config_queue(j.config, o->queue) : NULL;
    if (o->account != NULL)
        j.account = config_account(j.config, o->account);
    else if (q != NULL)
        j.account = q->default_account;
    bool fits = j.account != NULL && (o->queue == NULL || strcmp(j.account->queue, o->queue) == 0);
    if (fits)
        j.provider = j.account->provider;
    int code = fits ? validate(self, o, &j, path) : no_account(self, o, j.config);
    config_unref(j.config);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"account", required_argument, NULL, 'a'},
        {"queue", required_argument, NULL, 'q'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct options o = {0};
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'j')
            o.json = true;
        else if (c == 'c')
            o.config = optarg;
        else if (c == 'a')
            o.account = optarg;
        else if (c == 'q')
            o.queue = optarg;
        else
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
    }
    bool account = o.account != NULL || o.queue != NULL;
    if (argc - optind != (account ? 1 : 2))
        return cli_usage(self, account ? "FILE alone is expected: the account has its provider"
                                       : "PROVIDER and FILE are expected, or --account or --queue and FILE");
    if (account)
        return by_account(self, &o, argv[optind]);
    struct judge j = {.provider = provider_find(argv[optind])};
    if (j.provider == NULL)
        return cli_usage(self, "there is no provider '%s'; `dray providers` lists them", argv[optind]);
    return validate(self, &o, &j, argv[optind + 1]);
}

const struct verb verb_validate = {
    .name = "validate",
    .arguments = "PROVIDER FILE [--account NAME] [--queue QUEUE] [-c FILE] [--json]",
    .summary = "check an order against its provider's document",
    .help = "FILE holds one order: the provider's own request body, which is a job's `order`.\n"
            "`-` reads it from stdin. Every fault is printed, one a line, with its place in the\n"
            "job and its rule; exit 1 if there is one. What breaks no rule and looks like a mistake\n"
            "is a warning on stderr: members that differ from a known one by case, '_' or a plural,\n"
            "and an order without a key of its own.\n"
            "In place of PROVIDER, an account says by which rules: its validation, allow_empty,\n"
            "max_length and fields_file, and where its orders have their key.\n"
            "\n"
            "  --account NAME   by this account, as a worker would\n"
            "  --queue QUEUE    by the queue's default account\n"
            "  -c, --config FILE\n"
            "  --json   {\"ok\":…,\"fault_count\":…,\"faults\":[{\"path\":…,\"rule\":…}],\"warnings\":[…]}\n",
    .run = run,
};
