/* `dray status`: queues, accounts and workers from one script a queue, which costs Redis the same
 * however many jobs there are. Rates come from two looks, half a second apart; --watch keeps
 * looking. */
#include "cli/status.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "queue/age.h"
#include "util/json_tree.h"

#define OUT_MAX  (64u << 20)
#define FIRST_NS 500000000 /* between the two looks of a single status */
#define WATCH_NS 1000000000

struct status {
    struct session s;
    struct sample *samples; /* of the last look, one a queue */
    char **queues;
    size_t count;
    bool json, watch;
    struct json_doc doc;
    struct buf out;
    struct buf format_words; /* of the queue looked at */
    cJSON *all;              /* --json: the queues looked at so far */
};

static struct span text_of(const redisReply *r) {
    return (struct span){r->str, r->len};
}

/* How long the job has waited that has waited longest: in the queue, for its account, or past its time. -1:
 * nothing waits, or nobody says since when. */
static int64_t oldest_age(struct json_doc *doc, const redisReply *r, int64_t now_ms) {
    uint64_t since[] = {job_enqueued_ms(doc, text_of(r->element[4])),
                        record_since_ms(doc, text_of(r->element[8])), strtoull(r->element[9]->str, NULL, 10)};
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof(since) / sizeof(since[0]); i++)
        if (since[i] > 0 && (first == 0 || since[i] < first))
            first = since[i];
    return first == 0 ? -1 : (int64_t)first < now_ms ? now_ms - (int64_t)first : 0;
}

static void add_claims_keys(struct session *s, const redisReply *workers) {
    struct buf name;
    buf_init(&name, 4096);
    for (size_t i = 0; i < workers->elements; i++) {
        buf_reset(&name);
        queue_keys_claims(&s->keys, (struct span){workers->element[i]->str, workers->element[i]->len}, &name);
        redis_resp_arg(&s->cmd, buf_span(&name));
    }
    buf_deinit(&name);
}

static redisReply *look(struct session *s, const char *queue) {
    static const enum queue_key fixed[] = {
        KEY_JOBS,  KEY_TAKEN,   KEY_DELAYED,      KEY_WAITING,  KEY_PARKED, KEY_DEAD,   KEY_RESULTS,
        KEY_STATS, KEY_WORKERS, KEY_WORKERS_INFO, KEY_ACCOUNTS, KEY_LIMITS, KEY_PAUSES, KEY_GATES};
    buf_reset(s->format_words);
    if (session_queue(s, queue) < 0)
        return NULL;
    struct span key = s->keys.key[KEY_WORKERS];
    redisReply *workers = session_command(s, "ZRANGE %b 0 -1", key.ptr, key.len);
    if (workers == NULL)
        return NULL;
    session_begin(s, SCRIPT_STATUS, 14 + workers->elements, workers->elements);
    session_keys(s, fixed, 14);
    add_claims_keys(s, workers);
    for (size_t i = 0; i < workers->elements; i++)
        redis_resp_arg(&s->cmd, (struct span){workers->element[i]->str, workers->element[i]->len});
    freeReplyObject(workers);
    return session_call(s, SCRIPT_STATUS);
}

static double per_second(int64_t now, int64_t before, int64_t ms) {
    return ms > 0 && now > before ? (double)(now - before) * 1000 / (double)ms : 0;
}

static void fill(struct status *st, size_t i, const redisReply *r, struct snapshot *n) {
    struct sample *last = &st->samples[i];
    *n = (struct snapshot){.queue = st->queues[i], .reply = r, .in_per_s = -1, .out_per_s = -1};
    n->now_ms = strtoll(r->element[0]->str, NULL, 10);
    n->oldest_ms = oldest_age(&st->doc, r, n->now_ms);
    n->sample = (struct sample){
        .at_ms = n->now_ms,
        .jobs = snapshot_number(n, "jobs") + snapshot_number(n, "picked_up"),
        .taken = snapshot_number(n, "taken"),
        .ended = snapshot_number(n, "settled") + snapshot_number(n, "died"),
    };
    if (last->at_ms > 0) {
        int64_t ms = n->now_ms - last->at_ms;
        n->in_per_s = per_second(n->sample.jobs + n->sample.taken, last->jobs + last->taken, ms);
        n->out_per_s = per_second(n->sample.ended, last->ended, ms);
    }
    *last = n->sample;
    const struct queue_config *q = config_queue(st->s.config, st->queues[i]);
    if (q != NULL && q->results_high_water > 0 &&
        (uint64_t)snapshot_number(n, "results") >= q->results_high_water)
        n->high_water = q->results_high_water;
    n->redis_full = trouble_redis_full(&st->s);
    n->format = st->s.format;
    n->format_words = buf_cstr(&st->format_words);
}

/* Notes why Redis refused to tell of this queue. The others are shown all the same. */
static void add_broken(struct status *st, size_t i, const struct err *refusal) {
    struct buf why;
    buf_init(&why, 16384);
    trouble_wrong_keys(&st->s, &why);
    if (why.len == 0)
        buf_add_str(&why, refusal->text);
    if (st->json) {
        cJSON *o = cJSON_CreateObject();
        tree_add_text(o, "queue", span_str(st->queues[i]));
        tree_add_text(o, "error", buf_span(&why));
        cJSON_AddItemToArray(st->all, o);
    } else {
        buf_addf(&st->out, "queue %s   BROKEN: %s\n", st->queues[i], buf_cstr(&why));
    }
    buf_deinit(&why);
    st->s.code = EXIT_FAILED;
}

static void add_queue(struct status *st, const struct snapshot *n) {
    if (st->json)
        cJSON_AddItemToArray(st->all, status_json(n));
    else
        status_text(n, &st->out);
}

/* Looks at every queue into st->out, or st->all. 0, or -1. */
static int look_at_queues(struct status *st) {
    for (size_t i = 0; i < st->count; i++) {
        struct snapshot n;
        struct err refusal = {""};
        st->s.refusal = &refusal;
        st->s.format_words = &st->format_words;
        redisReply *r = look(&st->s, st->queues[i]);
        st->s.refusal = NULL;
        if (r == NULL && refusal.text[0] == '\0')
            return -1;
        buf_add_str(&st->out, i == 0 || st->json ? "" : "\n");
        if (r == NULL) {
            add_broken(st, i, &refusal);
            continue;
        }
        fill(st, i, r, &n);
        st->out.failed |= !snapshot_init(&n);
        if (buf_ok(&st->out))
            add_queue(st, &n);
        snapshot_deinit(&n);
        freeReplyObject(r);
    }
    return 0;
}

static int look_at_all(struct status *st) {
    cJSON *root = cJSON_CreateObject();
    st->s.code = EXIT_FINE;
    st->all = cJSON_AddArrayToObject(root, "queues");
    buf_reset(&st->out);
    int rc = look_at_queues(st);
    if (!st->json || rc < 0)
        cJSON_Delete(root);
    else if (tree_print(root, &st->out))
        buf_add_char(&st->out, '\n');
    if (rc == 0 && !buf_ok(&st->out))
        rc = -1, st->s.code = cli_fail(st->s.verb, "out of memory");
    return rc;
}

/* Rows and columns of the terminal; unlimited where there is none. */
static struct winsize terminal_size(void) {
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 2 || size.ws_col == 0)
        size.ws_row = size.ws_col = UINT16_MAX;
    return size;
}

/* Bytes of the first `columns` characters of a line that has `n` bytes. */
static int columns_fit(const char *line, int n, int columns) {
    int at = 0;
    for (; at < n; at++)
        if (((unsigned char)line[at] & 0xc0) != 0x80 && columns-- == 0)
            break;
    return at;
}

/* Draws over what was there, so that nothing flickers. Lines for which the terminal has no room are counted,
 * not scrolled away: the first ones tell of trouble, and would be the ones that go. */
static void redraw(struct status *st) {
    struct winsize size = terminal_size();
    uint32_t rows = 0, hidden = 0;
    fputs("\033[H", stdout);
    for (const char *line = buf_cstr(&st->out); *line != '\0';) {
        int n = (int)strcspn(line, "\n");
        bool last = line[n] == '\0' || line[n + 1] == '\0';
        if (rows + 2 < size.ws_row || (last && hidden == 0)) {
            printf("%.*s\033[K\n", columns_fit(line, n, size.ws_col), line);
            rows++;
        } else {
            hidden++;
        }
        line += n + (line[n] == '\n');
    }
    if (hidden > 0)
        printf("%u more line%s\033[K\n", hidden, hidden == 1 ? "" : "s");
    fputs("\033[J", stdout);
}

static int show(struct status *st) {
    const struct timespec first = {.tv_nsec = FIRST_NS}, gap = {.tv_sec = WATCH_NS / 1000000000};
    if (look_at_all(st) < 0)
        return st->s.code;
    nanosleep(&first, NULL);
    cli_catch_interrupt();
    if (st->watch && !st->json)
        fputs("\033[2J", stdout);
    do {
        if (look_at_all(st) < 0)
            return st->s.code;
        if (st->watch && !st->json)
            redraw(st);
        else
            fputs(buf_cstr(&st->out), stdout);
        if (fflush(stdout) != 0)
            return EXIT_FAILED;
        if (st->watch)
            nanosleep(&gap, NULL);
    } while (st->watch && !cli_interrupted);
    return st->s.code;
}

/* The queues that were named, else all that are configured. */
static int choose_queues(struct status *st, char **named, int count) {
    const struct config *c = st->s.config;
    st->count = count > 0 ? (size_t)count : c->queue_count;
    if (st->count == 0)
        return cli_usage(st->s.verb, "name a queue: the configuration has none");
    st->queues = calloc(st->count, sizeof(*st->queues));
    st->samples = calloc(st->count, sizeof(*st->samples));
    if (st->queues == NULL || st->samples == NULL)
        return cli_fail(st->s.verb, "out of memory");
    for (size_t i = 0; i < st->count; i++)
        st->queues[i] = count > 0 ? named[i] : c->queues[i].name;
    return -1;
}

static int run_status(const struct verb *self, struct status *st, const char *path, char **named, int count) {
    json_init(&st->doc, UINT32_MAX);
    buf_init(&st->out, OUT_MAX);
    buf_init(&st->format_words, FORMAT_WORDS_MAX);
    int code = session_open(&st->s, self, path) < 0 ? st->s.code : choose_queues(st, named, count);
    if (code < 0)
        code = show(st);
    session_close(&st->s);
    json_deinit(&st->doc);
    buf_deinit(&st->out);
    buf_deinit(&st->format_words);
    free(st->queues);
    free(st->samples);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
        {"watch", no_argument, NULL, 'w'},        {"force", no_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct status st = {.json = false};
    const char *path = NULL;
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "c:wh", longs, NULL)) != -1;) {
        if (c == 'h' || c == '?')
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
        path = c == 'c' ? optarg : path;
        st.json |= c == 'j';
        st.watch |= c == 'w';
        st.s.force |= c == 'F';
    }
    return run_status(self, &st, path, argv + optind, argc - optind);
}

const struct verb verb_status = {
    .name = "status",
    .arguments = "[QUEUE …] [--watch] [--force] [--json]",
    .summary = "show queues, accounts and workers",
    .help =
        "Accounts say what keeps them, those in trouble first: held (refused credentials), breaker_open,\n"
        "paused_by_provider, paused_by_operator, limited (their rate or concurrency). `oldest` is the age of "
        "what "
        "has\n"
        "waited longest, queued, for its account or past its time; of a queued job where its producer gave "
        "enqueued_at.\n"
        "\n"
        "  --watch   redraw every second until interrupted, as much as the terminal has rows for (with\n"
        "            --json: a line a second)\n"
        "  --force   also a queue that nobody configured\n"
        "  --json    for machines: "
        "{\"queues\":[{\"queue\":…,\"accounts\":[…],\"workers\":[…],…}]}\n"
        "\n"
        "A queue that Redis does not tell of is shown with its error, and the exit code is 1.\n",
    .run = run,
};
