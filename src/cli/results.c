/* `dray results QUEUE`: prints results, each exactly once but after a crash, and never loses one.
 *
 * Happy path: one result is moved (BLMOVE, LMOVE) from the list to `…:results:printing`, printed,
 * flushed, and only then removed from there.
 * stdout fails: the result goes back to where it was; exit 1.
 * Killed in between: it stays in `printing`, and the next `dray results` moves it back and prints
 * it (again, if it had been printed). That may also print twice a result which another reader,
 * started earlier, is printing at that moment; nothing is lost by it. Connection lost: it is made
 * again for up to 60 s; what was printed is then removed first. */
#include "cli/cli.h"
#include "util/terminal.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dray/clock.h"

#define BLOCK_S  1 /* how long an interrupt may take to be noticed */
#define RETRY_NS (60 * (uint64_t)1000000000)

static const struct timespec retry_gap = {.tv_nsec = 250000000};

/* Removes a result from `printing` and puts it back where it was taken from. 0: another reader did so. */
static const char give_back[] = "if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then return 0 end "
                                "return redis.call('RPUSH', KEYS[2], ARGV[1])";

struct reader {
    const struct verb *verb;
    const struct config *config;
    redisContext *redis;
    char from[512], printing[528]; /* keys */
    bool wait;
    uint64_t left;         /* results still to print */
    bool printed;          /* `last` was printed and is not yet removed */
    struct buf last, line; /* as it stands in Redis; as it is printed */
    struct buf shown;      /* on a terminal: the line, escaped */
    struct err err;
};

enum step { STEP_DONE, STEP_EMPTY, STEP_BROKEN, STEP_FAILED };

/* Whether the error passes by itself: Redis is loading, or the slot is moving or has moved. */
static bool is_passing(const char *error) {
    static const char *const codes[] = {"LOADING", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strncmp(error, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

static enum step check_reply(struct reader *r, const redisReply *reply) {
    if (reply == NULL) {
        err_set(&r->err, "Redis: %s", r->redis->errstr);
        return STEP_BROKEN;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        err_set(&r->err, "Redis: %s", reply->str);
        return is_passing(reply->str) ? STEP_BROKEN : STEP_FAILED;
    }
    return reply->type == REDIS_REPLY_NIL ? STEP_EMPTY : STEP_DONE;
}

/* Moves what an earlier reader left behind back to the end that is read first, in its order. */
static enum step recover(struct reader *r) {
    for (;;) {
        redisReply *reply = redisCommand(r->redis, "LMOVE %s %s LEFT RIGHT", r->printing, r->from);
        enum step step = check_reply(r, reply);
        freeReplyObject(reply);
        if (step != STEP_DONE)
            return step == STEP_EMPTY ? STEP_DONE : step;
    }
}

static enum step remove_printed(struct reader *r) {
    if (!r->printed)
        return STEP_DONE;
    redisReply *reply = redisCommand(r->redis, "LREM %s -1 %b", r->printing, r->last.data, r->last.len);
    enum step step = check_reply(r, reply);
    freeReplyObject(reply);
    if (step == STEP_DONE)
        r->printed = false;
    return step;
}

/* Moves the next result to `printing` and into r->last. */
static enum step take(struct reader *r) {
    redisReply *reply =
        r->wait ? redisCommand(r->redis, "BLMOVE %s %s RIGHT LEFT %d", r->from, r->printing, BLOCK_S)
                : redisCommand(r->redis, "LMOVE %s %s RIGHT LEFT", r->from, r->printing);
    enum step step = check_reply(r, reply);
    if (step == STEP_DONE) {
        buf_reset(&r->last);
        buf_add(&r->last, reply->str, reply->len);
        if (!buf_ok(&r->last)) {
            err_set(&r->err, "out of memory; the result stays in %s", r->printing);
            step = STEP_FAILED;
        }
    }
    freeReplyObject(reply);
    return step;
}

/* Puts the result back that could not be printed. Returns what to say of it. */
static const char *put_back(struct reader *r) {
    redisReply *reply = redisCommand(r->redis, "EVAL %s 2 %s %s %b", give_back, r->printing, r->from,
                                     r->last.data, r->last.len);
    bool back = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    return back ? "it was put back" : "the next `dray results` will print it";
}

/* Writes all of it. 0, or -1 and errno. Not by stdio, which would keep what it could not write. */
static int write_all(const char *data, size_t n) {
    while (n > 0) {
        ssize_t done = write(STDOUT_FILENO, data, n);
        if (done < 0 && errno != EINTR)
            return -1;
        data += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* Where a line break begins between two values, with the blanks around it: its length, else 0. */
static size_t break_at(const char *s, size_t n) {
    size_t blanks = 0;
    while (blanks < n && memchr(" \t\r\n", s[blanks], 4) != NULL)
        blanks++;
    bool breaks = memchr(s, '\n', blanks) != NULL || memchr(s, '\r', blanks) != NULL;
    return breaks ? blanks : 0;
}

/* Writes the result as one line. A provider's order object has its line breaks as they came, and who reads
 * lines wants one per result. What stands inside strings stays (a raw line break there, which no JSON has, is
 * escaped). */
static void write_line(struct span result, struct buf *line) {
    bool inside = false;
    size_t from = 0, i = 0;
    buf_reset(line);
    while (i < result.len) {
        char c = result.ptr[i];
        size_t skip = inside ? c == '\n' || c == '\r' : break_at(result.ptr + i, result.len - i);
        if (skip > 0) {
            buf_add(line, result.ptr + from, i - from);
            buf_add_str(line, !inside ? "" : c == '\n' ? "\\n" : "\\r");
            from = i += skip;
            continue;
        }
        if (inside && c == '\\' && i + 1 < result.len && result.ptr[i + 1] != '\n' &&
            result.ptr[i + 1] != '\r')
            i++;
        else if (c == '"')
            inside = !inside;
        i++;
    }
    buf_add(line, result.ptr + from, result.len - from);
    buf_add_char(line, '\n');
}

/* Writes the line for a terminal. It is still the same JSON, as JSON has escapes. */
static const struct buf *shown_line(struct reader *r) {
    if (foreign_for(STDOUT_FILENO) != FOREIGN_TERMINAL || !buf_ok(&r->line))
        return &r->line;
    buf_reset(&r->shown);
    foreign_add(&r->shown, (struct span){r->line.data, r->line.len - 1}, FOREIGN_TERMINAL, 0);
    buf_add_char(&r->shown, '\n');
    return &r->shown;
}

static enum step print_last(struct reader *r) {
    write_line(buf_span(&r->last), &r->line);
    const struct buf *line = shown_line(r);
    int why = !buf_ok(line) ? ENOMEM : write_all(line->data, line->len) != 0 ? errno : 0;
    r->printed = why == 0;
    if (why == 0)
        return STEP_DONE;
    err_set(&r->err, "a result could not be written (%s); %s", strerror(why), put_back(r));
    return STEP_FAILED;
}

static enum step one_result(struct reader *r) {
    enum step step = remove_printed(r);
    if (step == STEP_DONE && r->left == 0)
        return STEP_EMPTY;
    if (step == STEP_DONE)
        step = take(r);
    if (step == STEP_DONE) {
        step = print_last(r);
        r->left--;
    }
    return step;
}

static bool connect_once(struct reader *r) {
    const struct timeval limit = {.tv_sec = BLOCK_S + r->config->redis.command_timeout_ms / 1000 + 1};
    if (r->redis != NULL)
        redisFree(r->redis);
    r->redis = redis_connect_sync_key(&r->config->redis, r->from, &r->err);
    if (r->redis != NULL)
        redisSetTimeout(r->redis, limit);
    return r->redis != NULL;
}

/* After a lost connection. STEP_BROKEN: in vain. */
static enum step connect_again(struct reader *r) {
    uint64_t until = clock_boot_ns() + RETRY_NS;
    while (!cli_interrupted && clock_boot_ns() < until) {
        nanosleep(&retry_gap, NULL);
        enum step step = connect_once(r) ? remove_printed(r) : STEP_BROKEN;
        if (step == STEP_DONE)
            step = recover(r);
        if (step != STEP_BROKEN)
            return step;
    }
    return STEP_BROKEN;
}

static int read_results(struct reader *r) {
    enum step step = recover(r);
    while (step == STEP_DONE || step == STEP_BROKEN || (step == STEP_EMPTY && r->wait && r->left > 0)) {
        if (step == STEP_BROKEN && connect_again(r) != STEP_DONE)
            break;
        if (cli_interrupted && !r->printed)
            break;
        step = cli_interrupted ? remove_printed(r) : one_result(r);
    }
    bool fine = step == STEP_EMPTY || (step == STEP_DONE && cli_interrupted);
    return fine ? EXIT_FINE : cli_fail(r->verb, "%s", r->err.text);
}

static void warn_of_unknown_queue(const struct config *config, const char *queue) {
    if (config->queue_count > 0 && config_queue(config, queue) == NULL)
        fprintf(stderr, "dray results: no account of the configuration names a queue '%s'\n", queue);
}

static int run_reader(struct reader *r, const char *queue) {
    snprintf(r->from, sizeof(r->from), "%s:{%s}:results", r->config->redis_prefix, queue);
    snprintf(r->printing, sizeof(r->printing), "%s:printing", r->from);
    buf_init(&r->last, 512u << 20);
    buf_init(&r->shown, 1u << 30);
    buf_init(&r->line, 1u << 30);
    int code;
    if (connect_once(r)) {
        signal(SIGPIPE, SIG_IGN);
        cli_catch_interrupt();
        code = read_results(r);
    } else {
        fprintf(stderr, "dray results: %s\n", r->err.text);
        code = EXIT_NO_REDIS;
    }
    if (r->redis != NULL)
        redisFree(r->redis);
    buf_deinit(&r->last);
    buf_deinit(&r->shown);
    buf_deinit(&r->line);
    return code;
}

struct options {
    const char *path, *queue;
    bool no_wait;
    uint64_t count;
};

/* 0; or the exit code + 1. */
static int read_options(const struct verb *self, struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
        {"no-wait", no_argument, NULL, 'w'},      {"count", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    char *end = NULL;
    for (int c; (c = getopt_long(argc, argv, "c:n:h", longs, NULL)) != -1;) {
        if (c == 'c') {
            o->path = optarg;
        } else if (c == 'w') {
            o->no_wait = true;
        } else if (c == 'n') {
            o->count = strtoull(optarg, &end, 10);
            if (o->count == 0 || *end != '\0' || *optarg == '-')
                return 1 + cli_usage(self, "-n takes a number from 1 on");
        } else if (c != 'j') {
            return 1 + (c == 'h' ? cli_help(self) : EXIT_USAGE);
        }
    }
    if (argc - optind != 1)
        return 1 + cli_usage(self, "QUEUE is expected");
    o->queue = argv[optind];
    return 0;
}

static int run(const struct verb *self, int argc, char **argv) {
    struct options o = {.count = UINT64_MAX};
    int code = read_options(self, &o, argc, argv);
    if (code != 0)
        return code - 1;
    if (!name_valid(o.queue))
        return cli_usage(self, "'%s' is no queue's name", o.queue);
    struct config *config = cli_config(self, o.path, true);
    if (config == NULL)
        return EXIT_USAGE;
    warn_of_unknown_queue(config, o.queue);
    struct reader r = {.verb = self, .config = config, .wait = !o.no_wait, .left = o.count};
    code = run_reader(&r, o.queue);
    config_unref(config);
    return code;
}

const struct verb verb_results = {
    .name = "results",
    .arguments = "QUEUE [-n COUNT] [--no-wait] [-c FILE] [--json]",
    .summary = "take a queue's results and print them",
    .help = "One JSON result a line, until interrupted. A result is removed from Redis only after "
            "it was\n"
            "written to stdout; after a crash in between it is printed again by the next `dray "
            "results`.\n"
            "Where stdout is closed, the result is put back: exit 1.\n"
            "\n"
            "  -n, --count COUNT   end after so many\n"
            "  --no-wait           end when there is none\n"
            "  -c, --config FILE\n"
            "  --json              changes nothing: results are JSON\n",
    .run = run,
};
