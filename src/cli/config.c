/* `dray config check|show|keys`: checks the configuration, shows what it comes to, lists the keys there are. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/json_tree.h"

#define SHOW_MAX (256u << 20) /* bytes of output */

struct options {
    const char *path;
    bool json, markdown;
};

static int print_buf(const struct verb *verb, struct buf *out) {
    int code = EXIT_FINE;
    if (!buf_ok(out))
        code = cli_fail(verb, "out of memory");
    else if (fwrite(out->data != NULL ? out->data : "", 1, out->len, stdout) != out->len ||
             fflush(stdout) != 0)
        code = cli_fail(verb, "stdout: %s", strerror(errno));
    buf_deinit(out);
    return code;
}

static void add_lines(cJSON *o, const char *name, struct config_faults *list) {
    cJSON *lines = cJSON_AddArrayToObject(o, name);
    for (const char *line = buf_cstr(&list->text); *line != '\0';) {
        size_t n = strcspn(line, "\n");
        cJSON_AddItemToArray(lines, tree_text((struct span){line, n}));
        line += n + (line[n] == '\n');
    }
}

static void report_json(const struct config *c, struct config_faults *faults, struct config_faults *warnings,
                        struct buf *out) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddBoolToObject(o, "ok", c != NULL);
    add_lines(o, "faults", faults);
    add_lines(o, "warnings", warnings);
    if (c != NULL) {
        cJSON_AddNumberToObject(o, "queues", c->queue_count);
        cJSON_AddNumberToObject(o, "accounts", c->account_count);
    }
    if (tree_print(o, out))
        buf_add_char(out, '\n');
}

static void report_text(const struct config *c, struct config_faults *faults, struct config_faults *warnings,
                        struct buf *out) {
    buf_add_str(out, buf_cstr(&faults->text));
    for (const char *line = buf_cstr(&warnings->text); *line != '\0';) {
        size_t n = strcspn(line, "\n");
        buf_add_str(out, "warning: ");
        buf_add(out, line, n);
        buf_add_char(out, '\n');
        line += n + (line[n] == '\n');
    }
    if (c == NULL)
        buf_addf(out, "%u fault%s\n", faults->count, faults->count == 1 ? "" : "s");
    else
        buf_addf(out, "fine: %u queue%s, %u account%s\n", c->queue_count, c->queue_count == 1 ? "" : "s",
                 c->account_count, c->account_count == 1 ? "" : "s");
}

static int run_check(const struct verb *self, const struct options *o) {
    struct config_faults faults, warnings;
    struct buf out;
    buf_init(&out, SHOW_MAX);
    config_faults_init(&faults);
    config_faults_init(&warnings);
    struct config *c = config_load_check(o->path, environ, &faults, &warnings);
    (o->json ? report_json : report_text)(c, &faults, &warnings, &out);
    int code = print_buf(self, &out);
    if (code == EXIT_FINE && c == NULL)
        code = EXIT_USAGE;
    config_unref(c);
    config_faults_deinit(&faults);
    config_faults_deinit(&warnings);
    return code;
}

static int run_show(const struct verb *self, const struct options *o) {
    struct config *c = cli_config(self, o->path, false);
    struct buf out;
    if (c == NULL)
        return EXIT_USAGE;
    buf_init(&out, SHOW_MAX);
    if (o->json) {
        config_show_json(c, &out);
        buf_add_char(&out, '\n');
    } else {
        config_show(c, &out);
    }
    config_unref(c);
    return print_buf(self, &out);
}

static int run_keys(const struct verb *self, const struct options *o) {
    struct buf out;
    buf_init(&out, SHOW_MAX);
    config_help(&out, o->markdown);
    return print_buf(self, &out);
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"markdown", no_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options o = {0};
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'c')
            o.path = optarg;
        else if (c == 'j')
            o.json = true;
        else if (c == 'm')
            o.markdown = true;
        else
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
    }
    const char *what = optind < argc ? argv[optind] : "";
    if (argc - optind != 1)
        return cli_usage(self, "one of check, show, keys is expected");
    if (strcmp(what, "check") == 0)
        return run_check(self, &o);
    if (strcmp(what, "show") == 0)
        return run_show(self, &o);
    if (strcmp(what, "keys") == 0)
        return run_keys(self, &o);
    return cli_usage(self, "'%s' is none of check, show, keys", what);
}

const struct verb verb_config = {
    .name = "config",
    .arguments = "check|show|keys [-c FILE] [--json] [--markdown]",
    .summary = "check the configuration, show what is in effect, explain its keys",
    .help = "  check   lists every fault and warning; exit 2 if there is a fault\n"
            "  show    prints every effective setting and where it came from; secrets are hidden\n"
            "  keys    explains every key there is (--markdown: as docs/configuration.md)\n"
            "\n"
            "  -c, --config FILE   instead of $DRAY_CONFIG, ./dray.ini, /etc/dray/dray.ini\n"
            "  --json              of check and show\n",
    .run = run,
};
