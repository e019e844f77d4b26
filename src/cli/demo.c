/* `dray demo`: everything that dray does, on this machine, in a few seconds.
 *
 * Starts a private Redis, the sandbox and a worker; pushes an order of each provider and three that
 * take another way; shows what became of each; leaves nothing behind. Anything that does not come
 * to pass within DEMO_DEADLINE_S ends it with the reason and exit code 1. */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo.h"

static void print_kept(const struct demo_world *w) {
    printf("\nIt is running. From another terminal:\n"
           "  push       %s push " DEMO_QUEUE " %s -c %s\n"
           "  results    %s results " DEMO_QUEUE " -c %s\n"
           "  providers  curl http://127.0.0.1:%u/_sandbox/orders\n"
           "  Redis      redis-cli -s %s\n"
           "  log        %s\n"
           "  stop       Ctrl-C here, or: kill %d\n",
           program_invocation_name, w->job, w->config, program_invocation_name, w->config,
           sandbox_port(w->sandbox), w->socket, w->worker.log, (int)getpid());
    fflush(stdout);
}

/* Until a signal, or until a child ends. */
static int keep(struct demo_world *w, struct err *err) {
    print_kept(w);
    w->deadline_ns = UINT64_MAX;
    while (demo_pause(w, 60000, err) == 0)
        ;
    return w->interrupted != 0 ? 0 : -1;
}

static bool all_right(void) {
    for (size_t i = 0; i < demo_row_count; i++)
        if (!demo_row_is_right(&demo_rows[i]))
            return false;
    return true;
}

static int play(struct demo_world *w, bool kept, struct err *err) {
    puts("Starting a private Redis, the sandbox and a worker; pushing orders.\n");
    fflush(stdout);
    if (demo_world_start(w, err) != 0 || demo_push(w, err) != 0 || demo_collect(w, err) != 0)
        return -1;
    demo_print_table();
    if (kept && keep(w, err) != 0)
        return -1;
    return all_right() ? 0 : err_set(err, "not every order came out as expected: see the table");
}

/* Whether the sandbox saw what the results say: each attempt, and each order once. */
static int judge(const struct sandbox_totals *t, bool kept, struct err *err) {
    unsigned long long posts = 0, created = 0;
    for (size_t i = 0; i < demo_row_count; i++) {
        bool is_created = strcmp(demo_rows[i].got_status, "created") == 0;
        created += is_created;
        posts += is_created ? (unsigned long long)demo_rows[i].got_attempts : 0;
    }
    if (t->doubled != 0 || (!kept && (t->posts != posts || t->created != created)))
        return err_set(err,
                       "the providers saw %llu POSTs and created %llu orders, %llu of them twice; the "
                       "results say %llu, %llu and 0",
                       (unsigned long long)t->posts, (unsigned long long)t->created,
                       (unsigned long long)t->doubled, posts, created);
    printf("\nThe providers saw %llu POSTs and created %llu orders, none twice.\n",
           (unsigned long long)t->posts, (unsigned long long)t->created);
    return 0;
}

static void print_next(void) {
    puts("Try next:  dray demo --keep       leave it running, and push orders of your own\n"
         "           dray sandbox --help    the magic order keys that rehearse every other verdict");
}

static int run_demo(const struct verb *self, int argc, char **argv) {
    static const struct option options[] = {
        {"keep", no_argument, NULL, 'k'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool kept = false;
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h')
            return cli_help(self);
        if (c != 'k')
            return cli_usage(self, "unknown option");
        kept = true;
    }
    if (optind < argc)
        return cli_usage(self, "unexpected argument '%s'", argv[optind]);
    struct demo_world world;
    struct sandbox_totals totals = {0};
    struct err err = {""};
    demo_watch_signals();
    int rc = play(&world, kept, &err);
    bool well = demo_world_stop(&world, &totals);
    if (rc == 0)
        rc = judge(&totals, kept, &err);
    if (rc == 0 && !well)
        rc = err_set(&err, "the worker or Redis did not end well");
    if (rc != 0)
        return cli_fail(self, "%s", err.text);
    print_next();
    return EXIT_FINE;
}

const struct verb verb_demo = {
    .name = "demo",
    .arguments = "[--keep]",
    .summary = "see it all work: Redis, providers and worker, on this machine",
    .help = "  --keep    leave it running, and say how to push to it and how to stop it\n"
            "\n"
            "Starts a private redis-server on a Unix socket in a temporary directory, the sandbox and "
            "a\n"
            "worker; pushes the example order of each provider's document, one that fails twice, a\n"
            "duplicate and an invalid one; prints what became of each; leaves nothing behind.\n",
    .run = run_demo,
};
