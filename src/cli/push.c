/* `dray push QUEUE [FILE]`: checks every line as a worker would, then pushes.
 *
 * Two passes over the lines: the first prints every fault and pushes nothing; the second pushes
 * batches. Where it ends early, the last message says how many jobs surely are in the list and with
 * which line to go on. */
#include "cli/push.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"
#include "dray/clock.h"

struct options {
    const char *path, *queue, *file, *account;
    bool json, skip_invalid, orders, dry_run;
    uint64_t from;
};

struct push {
    const struct verb *verb;
    struct options o;
    const struct config *config;
    const struct queue_config *queue;
    struct source source;
    struct progress progress;
    struct checker checker;
    /* counts of the first pass */
    uint64_t jobs, invalid;
    bool json_faults; /* one was written: the next needs a comma */
    bool no_memory;   /* for a part of the output */
    struct warned warned;
};

static void print_faults(struct push *p) {
    progress_end(&p->progress);
    if (p->o.json) {
        p->no_memory |= !push_json_line(!p->json_faults, p->source.number, &p->checker.faults);
        p->json_faults = true;
        return;
    }
    char prefix[4200];
    snprintf(prefix, sizeof(prefix), "%s:%" PRIu64 ": ", p->source.name, p->source.number);
    cli_print_faults(stderr, prefix, &p->checker.faults);
}

/* ---- the passes ---- */

/* First pass. 0, or -1 after a message. */
static int check_all(struct push *p) {
    struct span text = {NULL, 0}, job;
    enum line_kind kind;
    progress_begin(&p->progress, "checking", (uint64_t)p->source.size);
    while ((kind = source_next(&p->source, &text)) == LINE_TEXT || kind == LINE_TOO_LONG) {
        if (p->source.number < p->o.from)
            continue;
        if (checker_line(&p->checker, kind, text, clock_unix_ms(), &job)) {
            p->jobs++;
        } else {
            p->invalid++;
            print_faults(p);
        }
        if (p->checker.warnings.count > 0) {
            progress_end(&p->progress);
            warned_add(&p->warned, &p->source, &p->checker.warnings, p->o.json);
        }
        progress_set(&p->progress, p->source.bytes);
    }
    progress_end(&p->progress);
    warned_end(&p->warned, &p->source, p->o.json);
    return kind == LINE_END ? 0 : -1;
}

struct outcome_of_push {
    struct sender sender;
    uint64_t changed_line; /* the input was changed meanwhile; 0: it was not */
    bool read_failed, interrupted, ended;
};

/* Second pass: checks again, since the file may have been changed meanwhile. */
static void push_all(struct push *p, struct outcome_of_push *out) {
    struct sender *s = &out->sender;
    struct span text = {NULL, 0}, job;
    enum line_kind kind = LINE_FAILED;
    if (source_rewind(&p->source) == 0)
        kind = source_next(&p->source, &text);
    progress_begin(&p->progress, "pushing", p->jobs);
    for (; kind == LINE_TEXT || kind == LINE_TOO_LONG; kind = source_next(&p->source, &text)) {
        if (p->source.number < p->o.from)
            continue;
        if (cli_interrupted) {
            out->interrupted = true;
            break;
        }
        if (!checker_line(&p->checker, kind, text, clock_unix_ms(), &job)) {
            if (p->o.skip_invalid)
                continue;
            out->changed_line = p->source.number;
            break;
        }
        if (sender_add(s, job, p->source.number) != SEND_FINE)
            break;
        progress_set(&p->progress, s->pushed);
    }
    out->read_failed = kind == LINE_FAILED;
    if (s->state == SEND_FINE)
        sender_flush(s);
    out->ended = kind == LINE_END && s->state == SEND_FINE;
    progress_end(&p->progress);
}

/* ---- what is said at the end ---- */

static void print_json(struct push *p, const struct outcome_of_push *out, const char *error,
                       uint64_t resume) {
    const struct sender *s = out != NULL ? &out->sender : NULL;
    struct push_end end = {
        .warned_lines = p->warned.list,
        .jobs = p->jobs,
        .invalid = p->invalid,
        .pushed = s != NULL ? s->pushed : 0,
        .unsure = s != NULL && s->state == SEND_UNSURE ? s->count : 0,
        .resume_line = resume,
        .error = error,
    };
    p->no_memory |= !push_json_end(&end);
}

/* Ends without having pushed anything. */
static int nothing_pushed(struct push *p, int code, const char *why) {
    if (p->o.json)
        print_json(p, NULL, why, p->o.from > 0 ? p->o.from : 1);
    else
        fprintf(stderr, "dray push: %s; nothing was pushed\n", why);
    return code;
}

static const char *reason(const struct push *p, const struct outcome_of_push *out, char text[static 1024]) {
    const struct sender *s = &out->sender;
    if (s->state != SEND_FINE)
        snprintf(text, 1024, "%s", s->err.text);
    else if (out->changed_line > 0)
        snprintf(text, 1024, "%s was changed while it was pushed: line %" PRIu64 " has faults now",
                 p->source.name, out->changed_line);
    else if (out->interrupted)
        snprintf(text, 1024, "interrupted");
    else
        snprintf(text, 1024, "%s could not be read any further: %s", p->source.name, strerror(errno));
    return text;
}

static int report_broken(struct push *p, const struct outcome_of_push *out) {
    const struct sender *s = &out->sender;
    char why[1024];
    uint64_t start = p->o.from > 0 ? p->o.from : 1;
    uint64_t resume = s->through > 0 ? s->through + 1 : start;
    reason(p, out, why);
    if (p->o.json) {
        print_json(p, out, why, resume);
        return EXIT_FAILED;
    }
    fprintf(stderr, "dray push: %s\n", why);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " jobs were pushed", s->pushed, p->jobs);
    if (s->through > 0)
        fprintf(stderr, ", those up to line %" PRIu64, s->through);
    if (s->state == SEND_UNSURE)
        fprintf(stderr, "; whether the %u of lines %" PRIu64 " to %" PRIu64 " were is not known", s->count,
                s->first, s->last);
    fprintf(stderr, ".\nThe rest: --from %" PRIu64 "%s\n", resume,
            s->state == SEND_UNSURE
                ? " (a job that is pushed twice does not order twice: its order key is the same)"
                : "");
    return EXIT_FAILED;
}

static int report_done(struct push *p, const struct outcome_of_push *out) {
    const struct sender *s = &out->sender;
    if (p->o.json) {
        print_json(p, out, NULL, 0);
        return EXIT_FINE;
    }
    struct span key = s->keys.key[KEY_JOBS];
    printf("pushed %" PRIu64 " job%s to %.*s", s->pushed, s->pushed == 1 ? "" : "s", (int)key.len, key.ptr);
    if (p->invalid > 0)
        printf(", skipped %" PRIu64 " with faults", p->invalid);
    putchar('\n');
    return EXIT_FINE;
}

/* ---- the verb ---- */

static int push_checked(struct push *p) {
    struct outcome_of_push out = {.changed_line = 0};
    struct err err = {""};
    redisContext *redis = cli_redis_of(p->config, p->queue->name, &err);
    if (redis == NULL)
        return nothing_pushed(p, EXIT_NO_REDIS, err.text);
    int code;
    if (sender_init(&out.sender, p->config, p->queue->name, redis) != 0) {
        code = nothing_pushed(p, EXIT_FAILED, "out of memory");
    } else {
        cli_catch_interrupt();
        push_all(p, &out);
        code = out.ended ? report_done(p, &out) : report_broken(p, &out);
    }
    sender_deinit(&out.sender);
    return code;
}

static int check_and_push(struct push *p) {
    char why[256];
    if (p->o.json)
        push_json_begin(p->queue->name);
    if (check_all(p) != 0) {
        snprintf(why, sizeof(why), "line %" PRIu64 " can't be read: %s", p->source.number + 1,
                 strerror(errno));
        return nothing_pushed(p, EXIT_FAILED, why);
    }
    if (p->invalid > 0 && !p->o.skip_invalid) {
        snprintf(why, sizeof(why), "%" PRIu64 " of %" PRIu64 " lines have faults%s", p->invalid,
                 p->jobs + p->invalid, p->o.dry_run ? "" : " (--skip-invalid pushes the others)");
        return nothing_pushed(p, EXIT_FAILED, why);
    }
    if (!p->o.dry_run)
        return push_checked(p);
    if (p->o.json)
        print_json(p, NULL, NULL, 0);
    else
        printf("fine: %" PRIu64 " job%s\n", p->jobs, p->jobs == 1 ? "" : "s");
    return EXIT_FINE;
}

/* NULL: said on stderr. */
static const struct queue_config *find_queue(const struct push *p, const struct config *config) {
    const struct queue_config *q = config_queue(config, p->o.queue);
    if (q != NULL)
        return q;
    fprintf(stderr, "dray push: no account of %s names a queue '%s'",
            config->path != NULL ? config->path : "the environment", p->o.queue);
    for (uint32_t i = 0; i < config->queue_count && i < 20; i++)
        fprintf(stderr, "%s%s", i == 0 ? "; there are: " : ", ", config->queues[i].name);
    fputc('\n', stderr);
    return NULL;
}

static int with_config(struct push *p) {
    struct err err = {""};
    p->queue = find_queue(p, p->config);
    if (p->queue == NULL)
        return EXIT_USAGE;
    warned_init(&p->warned);
    checker_init(&p->checker, p->config, p->queue, p->o.orders, p->o.account);
    if (p->o.account != NULL && !checker_knows_account(&p->checker)) {
        checker_deinit(&p->checker);
        warned_deinit(&p->warned);
        return cli_usage(p->verb, "queue %s has no account '%s'", p->queue->name, p->o.account);
    }
    int code = source_init(&p->source, p->o.file, p->queue->max_job_bytes, &err) == 0
                   ? check_and_push(p)
                   : cli_fail(p->verb, "%s", err.text);
    source_deinit(&p->source);
    checker_deinit(&p->checker);
    warned_deinit(&p->warned);
    if (p->no_memory)
        code = cli_fail(p->verb, "out of memory: the output is not whole");
    if (fflush(stdout) != 0 && code == EXIT_FINE)
        code = cli_fail(p->verb, "stdout: %s", strerror(errno));
    return code;
}

enum { OPTION_FROM = 256, OPTION_ACCOUNT };

/* 0; or the exit code + 1. */
static int read_options(struct push *p, int argc, char **argv) {
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"skip-invalid", no_argument, NULL, 's'},
                                          {"orders", no_argument, NULL, 'o'},
                                          {"dry-run", no_argument, NULL, 'n'},
                                          {"from", required_argument, NULL, OPTION_FROM},
                                          {"account", required_argument, NULL, OPTION_ACCOUNT},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options *o = &p->o;
    char *end = NULL;
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        switch (c) {
        case 'c':
            o->path = optarg;
            break;
        case 'j':
            o->json = true;
            break;
        case 's':
            o->skip_invalid = true;
            break;
        case 'o':
            o->orders = true;
            break;
        case 'n':
            o->dry_run = true;
            break;
        case OPTION_ACCOUNT:
            o->account = optarg;
            break;
        case OPTION_FROM:
            o->from = strtoull(optarg, &end, 10);
            if (o->from == 0 || *end != '\0' || *optarg == '-')
                return 1 + cli_usage(p->verb, "--from takes a line's number, from 1 on");
            break;
        default:
            return 1 + (c == 'h' ? cli_help(p->verb) : EXIT_USAGE);
        }
    }
    if (argc - optind < 1 || argc - optind > 2)
        return 1 + cli_usage(p->verb, "QUEUE and at most one FILE are expected");
    if (o->account != NULL && !o->orders)
        return 1 + cli_usage(p->verb, "--account goes with --orders; a job names its own");
    o->queue = argv[optind];
    o->file = argc - optind == 2 ? argv[optind + 1] : NULL;
    return 0;
}

static int run(const struct verb *self, int argc, char **argv) {
    struct push p = {.verb = self};
    int code = read_options(&p, argc, argv);
    if (code != 0)
        return code - 1;
    struct config *config = cli_config(self, p.o.path, true);
    if (config == NULL)
        return EXIT_USAGE;
    p.config = config;
    code = with_config(&p);
    config_unref(config);
    return code;
}

const struct verb verb_push = {
    .name = "push",
    .arguments = "QUEUE [FILE] [--orders] [--skip-invalid] [--dry-run] [--from LINE] [-c FILE] [--json]",
    .summary = "check jobs and push them on a queue",
    .help = "FILE (or stdin) holds one job a line: {\"id\":…,\"order\":{…}}. Every line is checked as "
            "a\n"
            "worker would, by the accounts of the configuration, before anything is pushed. With a "
            "fault\n"
            "nothing is pushed: all faults are printed with their lines, exit 1. Warnings name what breaks\n"
            "no rule and looks like a mistake (a member nearly known, an order without a key of its own).\n"
            "\n"
            "  --orders         a line is the order itself; its own key becomes the job's id\n"
            "  --account NAME   with --orders: the account; else the queue's default\n"
            "  --skip-invalid   push the lines that have no fault\n"
            "  --dry-run        only check\n"
            "  --from LINE      begin at that line: to go on after a push that broke\n"
            "  -c, --config FILE\n"
            "  --json           "
            "{\"queue\",\"invalid_lines\":[{\"line\",\"fault_count\",\"faults\"}],\n"
            "                   \"warned_lines\":[{\"line\",\"warnings\"}],\"jobs\",\"invalid\",\n"
            "                   \"pushed\",\"unsure\",\"resume_line\",\"error\",\"ok\"}\n"
            "\n"
            "When the connection breaks, it is made again for up to 20 s, and each batch goes in "
            "exactly\n"
            "once. Where that fails, the last line says how many jobs surely were pushed and where to "
            "go\n"
            "on. Exit 3 when Redis is out of reach from the start.\n",
    .run = run,
};
