/* `dray validate PROVIDER FILE`: checks an order as a worker would, and prints every fault. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "dray/provider.h"
#include "util/json_tree.h"

#define ORDER_MAX (64u << 20) /* bytes; a worker's own limit is max_job_bytes */

struct options {
    bool json;
};

static void check(const struct provider *p, const struct buf *text, struct faults *faults,
                  struct faults *warnings) {
    struct json_doc doc;
    struct err err = {""};
    json_init(&doc, UINT32_MAX);
    if (json_parse(&doc, buf_span(text).ptr, text->len, &err) != 0)
        faults_add_not_json(faults, "order", buf_span(text), &err);
    else if (provider_validate(p, NULL, &doc, 0, faults, NULL), json_type(&doc, 0) == JSON_OBJECT)
        provider_look_alikes(p, NULL, &doc, 0, warnings);
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

static int validate(const struct verb *self, const struct options *o, const struct provider *p,
                    const char *path) {
    struct faults faults, warnings;
    struct buf text;
    int code;
    buf_init(&text, ORDER_MAX);
    faults_init(&faults);
    faults_init(&warnings);
    if (cli_read_file(path, &text) != 0) {
        code = cli_fail(self, "%s: %s", path, strerror(errno));
    } else {
        check(p, &text, &faults, &warnings);
        code = report(self, o, &faults, &warnings);
    }
    faults_deinit(&faults);
    faults_deinit(&warnings);
    buf_deinit(&text);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options o = {0};
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'j')
            o.json = true;
        else if (c != 'c')
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
    }
    if (argc - optind != 2)
        return cli_usage(self, "PROVIDER and FILE are expected");
    const struct provider *p = provider_find(argv[optind]);
    if (p == NULL)
        return cli_usage(self, "there is no provider '%s'; `dray providers` lists them", argv[optind]);
    return validate(self, &o, p, argv[optind + 1]);
}

const struct verb verb_validate = {
    .name = "validate",
    .arguments = "PROVIDER FILE [--json]",
    .summary = "check an order against its provider's document",
    .help = "FILE holds one order: the provider's own request body, which is a job's `order`.\n"
            "`-` reads it from stdin. Every fault is printed, one a line, with its place in the\n"
            "job and its rule; exit 1 if there is one. What breaks no rule and looks like a mistake\n"
            "is a warning on stderr: members that differ from a known one by case, '_' or a plural,\n"
            "and an order without a key of its own.\n"
            "\n"
            "  --json   {\"ok\":…,\"fault_count\":…,\"faults\":[{\"path\":…,\"rule\":…}],\"warnings\":[…]}\n",
    .run = run,
};
