/* Finds the verb and runs it. */
#include "cli/cli.h"

#include "queue/format.h"

#include <stdio.h>
#include <string.h>

static int run_version(const struct verb *self, int argc, char **argv) {
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return cli_help(self);
    if (argc > 1 && !json)
        return cli_usage(self, "'%s' is no option of it", argv[1]);
    if (json)
        printf("{\"version\":\"" DRAY_VERSION "\",\"format\":%d}\n", QUEUE_FORMAT);
    else
        printf("dray " DRAY_VERSION "\n");
    return EXIT_FINE;
}

static const struct verb verb_version = {
    .name = "version",
    .arguments = "[--json]",
    .summary = "print the version",
    .help = "  --json   with the number of the format of the data in Redis: "
            "{\"version\":\"0.2.0\",\"format\":2}\n",
    .run = run_version,
};

const struct verb *const verbs[] = {
    &verb_audit,   &verb_config,    &verb_dead, &verb_demo,     &verb_find,    &verb_health,
    &verb_pause,   &verb_providers, &verb_push, &verb_results,  &verb_resume,  &verb_run,
    &verb_sandbox, &verb_status,    &verb_try,  &verb_validate, &verb_version, NULL,
};

static int print_verbs(FILE *out) {
    fputs("dray hauls orders from Redis to fulfillment providers.\n\nusage: dray VERB [options]\n\n", out);
    for (size_t i = 0; verbs[i] != NULL; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n`dray VERB --help` says more of one.\n", out);
    return out == stdout ? EXIT_FINE : EXIT_USAGE;
}

int cli_main(int argc, char **argv) {
    if (argc < 2)
        return print_verbs(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return print_verbs(stdout);
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; verbs[i] != NULL; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i]->run(verbs[i], argc - 1, argv + 1);
    fprintf(stderr, "dray: there is no verb '%s'\n", name);
    return print_verbs(stderr);
}
