/* One verb, one file. A verb is found in the table of cli.c; it reads its own options with
 * getopt_long and returns the process's exit code. */
#ifndef DRAY_CLI_H
#define DRAY_CLI_H

#include <signal.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "dray/config.h"
#include "dray/job.h"

enum exit_code { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_REDIS = 3 };

struct verb {
    const char *name;
    const char *arguments; /* "QUEUE [FILE]" */
    const char *summary;   /* one line of `dray --help` */
    const char *help;      /* what `dray VERB --help` says below the usage line */
    int (*run)(const struct verb *self, int argc, char **argv); /* argv[0] is the verb's name */
};

extern const struct verb verb_audit;
extern const struct verb verb_config;
extern const struct verb verb_dead;
extern const struct verb verb_demo;
extern const struct verb verb_find;
extern const struct verb verb_health;
extern const struct verb verb_pause;
extern const struct verb verb_providers;
extern const struct verb verb_push;
extern const struct verb verb_results;
extern const struct verb verb_resume;
extern const struct verb verb_run;
extern const struct verb verb_sandbox;
extern const struct verb verb_status;
extern const struct verb verb_try;
extern const struct verb verb_validate;

extern const struct verb *const verbs[]; /* NULL-terminated */

int cli_main(int argc, char **argv);

/* Prints "dray VERB: message" and a hint to --help on stderr; returns EXIT_USAGE. */
int cli_usage(const struct verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "dray VERB: message" on stderr; returns EXIT_FAILED. */
int cli_fail(const struct verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Usage line and help on stdout; returns EXIT_FINE. */
int cli_help(const struct verb *verb);

/* Loads the configuration (all of it, or what a command that only needs Redis needs) and prints faults
 * and warnings. NULL: the caller returns EXIT_USAGE. */
struct config *cli_config(const struct verb *verb, const char *path, bool partial);
/* Connects or prints why not. NULL: the caller returns EXIT_NO_REDIS. */
redisContext *cli_redis(const struct verb *verb, const struct config *config);
/* The same to the node of the queue's keys, should Redis be a cluster. Prints nothing: NULL and `err`. */
redisContext *cli_redis_of(const struct config *config, const char *queue, struct err *err);

/* Prints one line a fault: prefix, "order.orderItemsList[2].quantity: must be at least 1". */
void cli_print_faults(FILE *out, const char *prefix, const struct faults *faults);

/* Prints what somebody else wrote (a provider, a producer, another operator) on `out`: escaped as util/terminal.h says,
 * at most `max` characters of it (0: all), padded with blanks to `width` columns. */
void cli_foreign(FILE *out, struct span text, size_t max, size_t width);

/* Prints the tree in one line on stdout and deletes it. EXIT_FINE, or EXIT_FAILED after a message: out of memory. */
int cli_print_json(const struct verb *verb, cJSON *tree);

/* Reads all of `path` ("-": stdin) into `text`. 0, or -1 and the reason in errno. */
int cli_read_file(const char *path, struct buf *text);

/* From then on INT and TERM only set cli_interrupted; a second one ends the process as usual. */
void cli_catch_interrupt(void);
extern volatile sig_atomic_t cli_interrupted;

#endif
