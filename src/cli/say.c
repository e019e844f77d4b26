/* The words that all verbs use: what went wrong, and how one is used. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

int cli_usage(const struct verb *verb, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "dray %s: ", verb->name);
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\nusage: dray %s %s\n`dray %s --help` says more.\n", verb->name, verb->arguments,
            verb->name);
    va_end(ap);
    return EXIT_USAGE;
}

int cli_fail(const struct verb *verb, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "dray %s: ", verb->name);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    return EXIT_FAILED;
}

int cli_help(const struct verb *verb) {
    printf("usage: dray %s %s\n\n%s.\n%s%s", verb->name, verb->arguments, verb->summary,
           verb->help[0] != '\0' ? "\n" : "", verb->help);
    return EXIT_FINE;
}
