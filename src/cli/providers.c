/* `dray providers [NAME]`: the providers, or everything dray knows of one. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/provider_table.h"
#include "util/json_tree.h"

#define OUT_MAX (1u << 20)

struct options {
    const char *name; /* NULL: all */
    bool json, markdown;
};

static void write_list(struct buf *out) {
    for (size_t i = 0; providers[i] != NULL; i++)
        buf_addf(out, "%-16s %s\n", providers[i]->name, providers[i]->title);
    buf_add_str(out, "\n`dray providers NAME` says more of one.\n");
}

static void write_all(const struct options *o, struct buf *out) {
    if (!o->markdown) {
        write_list(out);
        return;
    }
    for (size_t i = 0; providers[i] != NULL; i++) {
        buf_addf(out, "%s## %s\n\n", i > 0 ? "\n" : "", providers[i]->name);
        provider_write_markdown(providers[i], out);
    }
}

static cJSON *json_of(const struct provider *p) {
    if (p != NULL)
        return provider_json(p);
    cJSON *all = cJSON_CreateArray();
    for (size_t i = 0; providers[i] != NULL; i++)
        cJSON_AddItemToArray(all, provider_json(providers[i]));
    return all;
}

static int print(const struct verb *self, const struct options *o, const struct provider *p) {
    struct buf out;
    int code = EXIT_FINE;
    buf_init(&out, OUT_MAX);
    if (o->json) {
        if (tree_print(json_of(p), &out))
            buf_add_char(&out, '\n');
    } else if (p == NULL) {
        write_all(o, &out);
    } else {
        (o->markdown ? provider_write_markdown : provider_write_text)(p, &out);
    }
    if (!buf_ok(&out))
        code = cli_fail(self, "out of memory");
    else if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
        code = cli_fail(self, "stdout: %s", strerror(errno));
    buf_deinit(&out);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"markdown", no_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options o = {0};
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'j')
            o.json = true;
        else if (c == 'm')
            o.markdown = true;
        else if (c != 'c')
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
    }
    if (argc - optind > 1)
        return cli_usage(self, "takes one NAME");
    o.name = optind < argc ? argv[optind] : NULL;
    const struct provider *p = o.name != NULL ? provider_find(o.name) : NULL;
    if (o.name != NULL && p == NULL)
        return cli_usage(self, "there is no provider '%s'; `dray providers` lists them", o.name);
    return print(self, &o, p);
}

const struct verb verb_providers = {
    .name = "providers",
    .arguments = "[NAME] [--json] [--markdown]",
    .summary = "list the providers, or everything about one",
    .help = "With NAME: endpoint, authentication, order key, look-up, and every field of an order\n"
            "with its type, whether it is required, and its rules.\n"
            "\n"
            "  --json       for programs\n"
            "  --markdown   as in docs/providers.md\n",
    .run = run,
};
