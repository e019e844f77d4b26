/* `dray find QUEUE ID|KEY`: where an order is now, in whatever state: its jobs, its results that nobody has taken yet, its dead
 * letters, and what the ledger knows of its key. Looks only. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/find.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "dray/timefmt.h"
#include "util/json_tree.h"
#include "worker/find.h"

#define LEDGER_BATCH 500 /* entries asked for by one MGET */

struct finder {
    struct session s;
    const char *queue, *wanted;
    struct find_reader reader;
    struct differ differ;
    cJSON *found, *ledger;
};

static redisReply *workers_of(struct finder *f) {
    struct span key = f->s.keys.key[KEY_WORKERS];
    return session_command(&f->s, "ZRANGE %b 0 -1", key.ptr, key.len);
}

static int add_found(struct finder *f, const redisReply *r) {
    for (size_t i = 0; i < find_count(r); i++) {
        cJSON *o = find_item(&f->reader, r, i, f->wanted, true);
        if (cJSON_AddItemToArray(f->found, o))
            differ_keep(&f->differ, o, f->reader.order);
    }
    return 0;
}

/* How many jobs there are to look through, for the bar; at most, for they move meanwhile. */
static uint64_t size_of_all(struct finder *f) {
    static const struct {
        const char *command;
        enum queue_key key;
    } sizes[] = {{"LLEN", KEY_JOBS}, {"HLEN", KEY_PARKED}, {"ZCARD", KEY_DEAD}, {"LLEN", KEY_RESULTS}};
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct span key = f->s.keys.key[sizes[i].key];
        redisReply *r = session_command(&f->s, "%s %b", sizes[i].command, key.ptr, key.len);
        n += r != NULL ? reply_u64(r) : 0;
        freeReplyObject(r);
    }
    return n;
}

static int look_everywhere(struct finder *f) {
    struct progress p;
    char cursor[64] = "";
    uint64_t looked = 0, done = 0;
    struct find_query q = {
        .needle = find_needle(f->wanted), .places = FIND_ALL, .cursor = cursor, .most = 100};
    int rc = 0;
    progress_begin(&p, "looking", size_of_all(f));
    do {
        redisReply *workers = workers_of(f), *r = NULL;
        if (workers != NULL) {
            find_write(&f->s.cmd, &f->s.keys, workers, &q);
            r = session_call(&f->s, SCRIPT_FIND);
        }
        rc = r == NULL ? -1 : find_read(r, cursor, &looked) ? add_found(f, r) : -2;
        freeReplyObject(r);
        freeReplyObject(workers);
        done += looked;
        progress_set(&p, done);
    } while (rc == 0 && cursor[0] != '\0' && !cli_interrupted);
    progress_end(&p);
    if (rc == -2)
        f->s.code = cli_fail(f->s.verb, "Redis gave a reply that is none of find.lua's");
    return rc;
}

/* Whether the key was asked for already. */
static bool is_new(cJSON *keys, const char *key) {
    const cJSON *k;
    cJSON_ArrayForEach(k, keys) if (strcmp(k->valuestring, key) == 0) return false;
    cJSON_AddItemToArray(keys, cJSON_CreateString(key));
    return true;
}

static int ledger_batch(struct finder *f, const char *key, struct account *const *accounts,
                        const uint32_t *which, uint32_t n) {
    struct buf name;
    buf_init(&name, 4096);
    buf_reset(&f->s.cmd);
    redis_resp_begin(&f->s.cmd, 1 + n);
    redis_resp_str(&f->s.cmd, "MGET");
    for (uint32_t i = 0; i < n; i++) {
        buf_reset(&name);
        queue_keys_order(&f->s.keys, span_str(accounts[which[i]]->name), span_str(key), &name);
        redis_resp_arg(&f->s.cmd, buf_span(&name));
    }
    buf_deinit(&name);
    redisReply *r = session_send(&f->s) == 0 ? session_reply(&f->s) : NULL;
    for (size_t i = 0; r != NULL && i < r->elements && i < n; i++) {
        const redisReply *e = r->element[i];
        if (e->type == REDIS_REPLY_STRING)
            cJSON_AddItemToArray(
                f->ledger, find_ledger_entry(accounts[which[i]]->name, key, (struct span){e->str, e->len}));
    }
    freeReplyObject(r);
    return r != NULL ? 0 : -1;
}

/* Looks the key up under every account of the queue. */
static int ledger_of(struct finder *f, const char *key) {
    const struct config *c = f->s.config;
    uint32_t which[LEDGER_BATCH], n = 0;
    for (uint32_t i = 0; i < c->account_count; i++) {
        if (strcmp(c->accounts[i]->queue, f->queue) == 0)
            which[n++] = i;
        if ((n == LEDGER_BATCH || (i + 1 == c->account_count && n > 0))) {
            if (ledger_batch(f, key, c->accounts, which, n) < 0)
                return -1;
            n = 0;
        }
    }
    return 0;
}

static int look_into_the_ledger(struct finder *f) {
    cJSON *keys = cJSON_CreateArray();
    const cJSON *found;
    int rc = is_new(keys, f->wanted) ? ledger_of(f, f->wanted) : 0;
    cJSON_ArrayForEach(found, f->found) {
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItem(found, "order_key"));
        if (rc == 0 && key != NULL && is_new(keys, key))
            rc = ledger_of(f, key);
    }
    cJSON_Delete(keys);
    return rc;
}

/* ---- for people ---- */

static void print_time(const char *name, const cJSON *o, const char *member) {
    char at[TIMEFMT_SIZE];
    const cJSON *ms = cJSON_GetObjectItem(o, member);
    if (!cJSON_IsNumber(ms))
        return;
    rfc3339_format((uint64_t)ms->valuedouble, at);
    printf("  %-14s %s\n", name, at);
}

static void print_member(const char *name, const cJSON *o, const char *member) {
    const cJSON *value = cJSON_GetObjectItem(o, member);
    char *raw = cJSON_IsRaw(value) || cJSON_IsNumber(value) ? cJSON_PrintUnformatted(value) : NULL;
    const char *text = raw != NULL ? raw : cJSON_GetStringValue(value);
    if (text != NULL && strcmp(text, "null") != 0) {
        printf("  %-14s ", name);
        cli_foreign(stdout, span_str(text), 0, 0);
        putchar('\n');
    }
    cJSON_free(raw);
}

static void print_found(const cJSON *o) {
    static const char *const members[][2] = {{"id", "id"},
                                             {"order key", "order_key"},
                                             {"account", "account"},
                                             {"worker", "worker"},
                                             {"doing", "doing"},
                                             {"next", "next"},
                                             {"attempts", "attempts"},
                                             {"look-ups", "lookups"},
                                             {"dead letter", "dead_id"},
                                             {"reason", "reason"},
                                             {"code", "code"},
                                             {"message", "message"},
                                             {"status", "status"},
                                             {"order id", "order_id"},
                                             {"history", "history"}};
    static const char *const times[][2] = {
        {"pushed", "enqueued_at"}, {"not before", "not_before"}, {"first attempt", "first_attempt_at"},
        {"due", "due_at"},         {"died", "died_at"},          {"finished", "finished_at"}};
    printf("%s\n", cJSON_GetStringValue(cJSON_GetObjectItem(o, "place")));
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        print_member(members[i][0], o, members[i][1]);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        print_time(times[i][0], o, times[i][1]);
}

static void print_entry(const cJSON *o) {
    printf("ledger\n");
    print_member("state", o, "state");
    print_member("account", o, "account");
    print_member("order key", o, "key");
    print_member("order ids", o, "order_ids");
    print_member("dead letter", o, "dead_id");
    print_member("worker", o, "worker");
    print_time("since", o, "at");
}

static int print_all(struct finder *f, bool json) {
    bool any = cJSON_GetArraySize(f->found) + cJSON_GetArraySize(f->ledger) > 0;
    const cJSON *o;
    if (json) {
        cJSON *all = cJSON_CreateObject();
        tree_add_text(all, "queue", span_str(f->queue));
        tree_add_text(all, "wanted", span_str(f->wanted));
        cJSON_AddItemReferenceToObject(all, "found", f->found);
        cJSON_AddItemReferenceToObject(all, "ledger", f->ledger);
        char *text = cJSON_PrintUnformatted(all);
        cJSON_Delete(all);
        if (text == NULL)
            return cli_fail(f->s.verb, "out of memory");
        puts(text);
        cJSON_free(text);
    } else {
        cJSON_ArrayForEach(o, f->found) {
            print_found(o);
            differ_print(&f->differ, f->found, o);
        }
        cJSON_ArrayForEach(o, f->ledger) {
            print_entry(o);
            differ_print(&f->differ, f->found, o);
        }
    }
    if (any)
        return EXIT_FINE;
    fprintf(stderr, "dray find: queue %s has nothing of '", f->queue);
    cli_foreign(stderr, span_str(f->wanted), 200, 0);
    fputs("': it was never pushed, or its result was taken and ledger_ttl is over\n", stderr);
    return EXIT_FAILED;
}

static int find(struct finder *f, bool json) {
    find_init(&f->reader, f->s.config, f->queue);
    f->found = cJSON_CreateArray();
    f->ledger = cJSON_CreateArray();
    int code = f->found == NULL || f->ledger == NULL ? cli_fail(f->s.verb, "out of memory")
               : session_queue(&f->s, f->queue) < 0 || look_everywhere(f) < 0 || look_into_the_ledger(f) < 0
                   ? f->s.code
                   : (differ_tell(&f->differ, f->found, f->ledger), print_all(f, json));
    cJSON_Delete(f->found);
    cJSON_Delete(f->ledger);
    find_deinit(&f->reader);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},  {"json", no_argument, NULL, 'j'},
        {"against", required_argument, NULL, 'a'}, {"force", no_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    struct finder f = {.queue = NULL};
    const char *path = NULL, *against = NULL;
    struct err why = {""};
    bool json = false;
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'h' || c == '?')
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
        path = c == 'c' ? optarg : path;
        against = c == 'a' ? optarg : against;
        json |= c == 'j';
        f.s.force |= c == 'F';
    }
    if (argc - optind != 2 || argv[optind + 1][0] == '\0')
        return cli_usage(self, "QUEUE and an id or an order key are expected");
    f.queue = argv[optind];
    f.wanted = argv[optind + 1];
    cli_catch_interrupt();
    differ_init(&f.differ);
    int code = against != NULL && differ_read_file(&f.differ, against, &why) < 0
                   ? cli_usage(self, "%s", why.text)
               : session_open(&f.s, self, path) < 0 ? f.s.code
                                                    : find(&f, json);
    session_close(&f.s);
    differ_deinit(&f.differ);
    return code;
}

const struct verb verb_find = {
    .name = "find",
    .arguments = "QUEUE ID|KEY [--against FILE] [--force] [--json]",
    .summary = "say where an order is now",
    .help =
        "Looks for a job by its id or its order key: queued, in flight, delayed, waiting for its account, "
        "dead, or\n"
        "a result that no consumer has taken; and what the ledger knows of the key. Exit 1 if there is "
        "nothing.\n"
        "A queue with many jobs is looked through in small steps that do not hold up Redis; a job that "
        "moves\n"
        "meanwhile is found where it goes.\n"
        "\n"
        "Where the bytes of an order are not those of an earlier one with its key, it says where they differ "
        "first. Of\n"
        "an order whose job is gone only a hash is left: --against compares with a text of yours.\n"
        "\n"
        "  --against FILE  an order, or a job with one (-: standard input), that all that is found is "
        "compared "
        "with\n"
        "  --force         also in a queue that nobody configured\n"
        "  --json          "
        "{\"queue\":…,\"wanted\":…,\"found\":[{\"place\":…,…}],\"ledger\":[{\"state\":…,…}]}; "
        "`differs` of what is\n"
        "                  found is null, or {\"from\":\"found\",\"found\":its "
        "place,\"byte\":…,\"white_space_only\":…,\"path\":…}; `from`\n"
        "                  is \"file\" with --against, and \"ledger\" where there is but a hash to compare "
        "with\n",
    .run = run,
};
