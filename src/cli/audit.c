/* `dray audit`: proves from Redis itself that no job is lost or in two places (queue/lua/audit.lua says how).
 * One atomic script looks at a queue at one instant. Before it, a scan in bounded steps finds ledger entries
 * that say "sending", claims whose worker nobody knows, and batches' lists that no claim names. Each finding is
 * looked at again at the end, since a worker may have settled it meanwhile. */
#include "cli/session.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/json_tree.h"

#define SCAN_COUNT 1000
#define TRIES      10    /* workers may come while we look */
#define ONE_BY_ONE 20000 /* parked jobs that one script may look at; --deep: all */
#define LIST_MAX   (1u << 30)

struct audit {
    struct session *s;
    bool deep;
    struct buf workers; /* names, each with a NUL behind it */
    size_t worker_count;
    struct buf
        lists; /* of batches: what stands behind their keys' common beginning, each with a NUL behind it */
    struct buf sending; /* key NUL entry NUL */
    uint64_t ledger_entries;
    redisReply *reply;   /* of the script */
    struct buf breaches; /* those found outside the script, one a line */
    uint64_t breach_count;
};

static bool has_worker(const struct audit *a, struct span name) {
    for (size_t at = 0; at < a->workers.len; at += strlen(a->workers.data + at) + 1)
        if (span_is(name, a->workers.data + at))
            return true;
    return false;
}

static void add_worker(struct audit *a, struct span name) {
    if (name.len == 0 || has_worker(a, name))
        return;
    buf_add_span(&a->workers, name);
    buf_add_char(&a->workers, '\0');
    a->worker_count++;
}

static bool after_prefix(struct span key, struct span prefix, struct span *rest) {
    if (key.len < prefix.len || memcmp(key.ptr, prefix.ptr, prefix.len) != 0)
        return false;
    *rest = (struct span){key.ptr + prefix.len, key.len - prefix.len};
    return true;
}

/* Reads the ledger entries among the keys of one step of the scan. */
static int read_ledger(struct audit *a, const redisReply *keys) {
    struct session *s = a->s;
    struct span rest;
    size_t n = 0;
    for (size_t i = 0; i < keys->elements; i++)
        n += after_prefix((struct span){keys->element[i]->str, keys->element[i]->len}, s->keys.order_prefix,
                          &rest);
    if (n == 0)
        return 0;
    buf_reset(&s->cmd);
    redis_resp_begin(&s->cmd, 1 + n);
    redis_resp_str(&s->cmd, "MGET");
    for (size_t i = 0; i < keys->elements; i++)
        if (after_prefix((struct span){keys->element[i]->str, keys->element[i]->len}, s->keys.order_prefix,
                         &rest))
            redis_resp_arg(&s->cmd, (struct span){keys->element[i]->str, keys->element[i]->len});
    redisReply *values = session_send(s) == 0 ? session_reply(s) : NULL;
    if (values == NULL)
        return -1;
    a->ledger_entries += n;
    for (size_t i = 0, k = 0; i < keys->elements && k < values->elements; i++) {
        const redisReply *key = keys->element[i];
        if (!after_prefix((struct span){key->str, key->len}, s->keys.order_prefix, &rest))
            continue;
        const redisReply *value = values->element[k++];
        if (value->type != REDIS_REPLY_STRING || value->len < 2 || value->str[0] != 'S')
            continue;
        buf_add(&a->sending, key->str, key->len + 1);
        buf_add(&a->sending, value->str, value->len + 1);
    }
    freeReplyObject(values);
    return 0;
}

static void read_key(struct audit *a, struct span key) {
    struct span rest;
    if (after_prefix(key, a->s->keys.key[KEY_CLAIMS], &rest))
        add_worker(a, rest);
    else if (after_prefix(key, a->s->keys.batch_prefix, &rest))
        buf_add(&a->lists, rest.ptr, rest.len + 1);
}

static int scan(struct audit *a) {
    struct session *s = a->s;
    char cursor[32] = "0";
    do {
        redisReply *r = session_command(s, "SCAN %s MATCH %s:{%s}:* COUNT %d", cursor,
                                        s->config->redis_prefix, s->keys.queue, SCAN_COUNT);
        if (r == NULL)
            return -1;
        snprintf(cursor, sizeof(cursor), "%s", r->element[0]->str);
        const redisReply *keys = r->element[1];
        for (size_t i = 0; i < keys->elements; i++)
            read_key(a, (struct span){keys->element[i]->str, keys->element[i]->len});
        int rc = read_ledger(a, keys);
        freeReplyObject(r);
        if (rc < 0)
            return -1;
    } while (strcmp(cursor, "0") != 0);
    return 0;
}

static int add_workers(struct audit *a) {
    struct span key = a->s->keys.key[KEY_WORKERS];
    redisReply *r = session_command(a->s, "ZRANGE %b 0 -1", key.ptr, key.len);
    if (r == NULL)
        return -1;
    for (size_t i = 0; i < r->elements; i++)
        add_worker(a, (struct span){r->element[i]->str, r->element[i]->len});
    freeReplyObject(r);
    return 0;
}

static void add_claims_key(struct session *s, struct span worker) {
    struct buf name;
    buf_init(&name, 4096);
    queue_keys_claims(&s->keys, worker, &name);
    redis_resp_arg(&s->cmd, buf_span(&name));
    buf_deinit(&name);
}

static int run_script(struct audit *a) {
    static const enum queue_key fixed[] = {KEY_STATS,   KEY_JOBS,    KEY_TAKEN,        KEY_DELAYED,
                                           KEY_PARKED,  KEY_WAITING, KEY_GATES,        KEY_ACCOUNTS,
                                           KEY_WORKERS, KEY_DEAD,    KEY_DEAD_ENTRIES, KEY_RESULTS};
    struct session *s = a->s;
    for (int i = 0; i < TRIES; i++) {
        if (add_workers(a) < 0)
            return -1;
        session_begin(s, SCRIPT_AUDIT, 12 + a->worker_count, 1 + a->worker_count);
        session_keys(s, fixed, 12);
        for (size_t at = 0; at < a->workers.len; at += strlen(a->workers.data + at) + 1)
            add_claims_key(s, span_str(a->workers.data + at));
        redis_resp_u64(&s->cmd, a->deep ? UINT32_MAX : ONE_BY_ONE);
        for (size_t at = 0; at < a->workers.len; at += strlen(a->workers.data + at) + 1)
            redis_resp_str(&s->cmd, a->workers.data + at);
        a->reply = session_call(s, SCRIPT_AUDIT);
        if (a->reply == NULL)
            return -1;
        if (a->reply->elements == 4)
            return 0;
        freeReplyObject(a->reply);
        a->reply = NULL;
    }
    s->code = cli_fail(s->verb, "workers come and go too fast to be looked at together; try again");
    return -1;
}

/* "S hash worker token": is its claim held? */
static int check_holder(struct audit *a, const char *key, const char *entry) {
    struct session *s = a->s;
    char worker[160] = "", token[64] = "";
    sscanf(entry, "S %*s %159s %63s", worker, token);
    session_begin(s, SCRIPT_AUDIT_HOLDER, 2, 2);
    redis_resp_str(&s->cmd, key);
    add_claims_key(s, span_str(worker));
    redis_resp_str(&s->cmd, entry);
    redis_resp_str(&s->cmd, token);
    redisReply *r = session_call(s, SCRIPT_AUDIT_HOLDER);
    if (r == NULL)
        return -1;
    if (reply_u64(r) == 1) {
        a->breach_count++;
        buf_addf(&a->breaches, "ledger: %s says that %s is sending its order, and no such claim is held\n",
                 key + s->keys.order_prefix.len, worker[0] != '\0' ? worker : "nobody");
    }
    freeReplyObject(r);
    return 0;
}

static int check_sending(struct audit *a) {
    for (size_t at = 0; at < a->sending.len;) {
        const char *key = a->sending.data + at, *entry = key + strlen(key) + 1;
        if (check_holder(a, key, entry) < 0)
            return -1;
        at += strlen(key) + strlen(entry) + 2;
    }
    return 0;
}

/* -1 where there is no reply: a message was printed. */
static int64_t take_number(redisReply *r) {
    int64_t n = r != NULL ? (int64_t)reply_u64(r) : -1;
    freeReplyObject(r);
    return n;
}

/* "<worker>:<n>": does the worker's claims name the batch? Its number never comes again, so a list that stands after it is
 * gone is nobody's. */
static int check_list(struct audit *a, const char *name) {
    struct session *s = a->s;
    const char *colon = strrchr(name, ':');
    size_t worker_len = colon != NULL ? (size_t)(colon - name) : strlen(name);
    struct span claims = s->keys.key[KEY_CLAIMS], lists = s->keys.batch_prefix;
    int64_t n = take_number(session_command(s, "HEXISTS %b%b %s", claims.ptr, claims.len, name, worker_len,
                                            colon != NULL ? colon + 1 : ""));
    if (n != 0)
        return n < 0 ? -1 : 0;
    n = take_number(session_command(s, "EXISTS %b%s", lists.ptr, lists.len, name));
    if (n == 1) {
        a->breach_count++;
        buf_addf(&a->breaches,
                 "batch:%s holds jobs, and claims:%.*s does not name it: nobody recovers them\n", name,
                 (int)worker_len, name);
    }
    return n < 0 ? -1 : 0;
}

static int check_lists(struct audit *a) {
    for (size_t at = 0; at < a->lists.len; at += strlen(a->lists.data + at) + 1)
        if (check_list(a, a->lists.data + at) < 0)
            return -1;
    return 0;
}

static uint64_t number(const struct audit *a, const char *name) {
    const redisReply *list = a->reply->element[1];
    for (size_t i = 0; i + 1 < list->elements; i += 2)
        if (strcmp(list->element[i]->str, name) == 0)
            return reply_u64(list->element[i + 1]);
    return 0;
}

static uint64_t breaches(const struct audit *a) {
    return a->breach_count + reply_u64(a->reply->element[3]);
}

static const char *const shown[] = {"taken",   "dead_retried", "settled", "died", "delayed",
                                    "waiting", "in_flight",    "jobs",    "dead", "results"};
#define SHOWN (sizeof(shown) / sizeof(shown[0]))

static void print_head(void) {
    printf("%-20s", "queue");
    for (size_t i = 0; i < SHOWN; i++)
        printf(" %9s", strcmp(shown[i], "dead_retried") == 0 ? "retried"
                       : strcmp(shown[i], "in_flight") == 0  ? "in flight"
                                                             : shown[i]);
    puts("  books");
}

static void print_text(const struct audit *a) {
    printf("%-20s", a->s->keys.queue);
    for (size_t i = 0; i < SHOWN; i++)
        printf(" %9" PRIu64, number(a, shown[i]));
    if (breaches(a) == 0)
        puts("  balance");
    else
        printf("  %" PRIu64 " breach%s\n", breaches(a), breaches(a) == 1 ? "" : "es");
    const redisReply *list = a->reply->element[2];
    for (size_t i = 0; i < list->elements; i++)
        printf("  %s\n", list->element[i]->str);
    for (const char *line = a->breaches.len > 0 ? a->breaches.data : ""; *line != '\0';) {
        int n = (int)strcspn(line, "\n");
        printf("  %.*s\n", n, line);
        line += n + 1;
    }
    if (number(a, "looked_at") == 0 && number(a, "delayed") + number(a, "waiting") > 0)
        printf("  more than %d jobs are parked: only counted; --deep looks at each in one step\n",
               ONE_BY_ONE);
}

static cJSON *json_of(const struct audit *a) {
    const redisReply *list = a->reply->element[1], *found = a->reply->element[2];
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "queue", span_str(a->s->keys.queue));
    cJSON_AddBoolToObject(o, "ok", breaches(a) == 0);
    for (size_t i = 0; i + 1 < list->elements; i += 2)
        cJSON_AddRawToObject(o, list->element[i]->str, list->element[i + 1]->str);
    tree_add_u64(o, "ledger_entries", a->ledger_entries);
    tree_add_u64(o, "breach_count", breaches(a));
    cJSON *all = cJSON_AddArrayToObject(o, "breaches");
    for (size_t i = 0; i < found->elements; i++)
        cJSON_AddItemToArray(all, tree_text((struct span){found->element[i]->str, found->element[i]->len}));
    for (const char *line = a->breaches.len > 0 ? a->breaches.data : ""; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        cJSON_AddItemToArray(all, tree_text((struct span){line, n}));
        line += n + 1;
    }
    return o;
}

/* 1 if the books balance, 0 if not, -1 where they could not be read. `all` NULL: as text. */
static int audit_queue(struct session *s, const char *queue, bool deep, bool first, cJSON *all) {
    struct audit a = {.s = s, .deep = deep};
    int rc = -1;
    buf_init(&a.workers, LIST_MAX);
    buf_init(&a.lists, LIST_MAX);
    buf_init(&a.sending, LIST_MAX);
    buf_init(&a.breaches, LIST_MAX);
    if (session_queue(s, queue) == 0 && scan(&a) == 0 && run_script(&a) == 0 && check_lists(&a) == 0 &&
        check_sending(&a) == 0) {
        buf_cstr(&a.breaches);
        rc = breaches(&a) == 0;
        if (all == NULL && first)
            print_head();
        if (all != NULL)
            cJSON_AddItemToArray(all, json_of(&a));
        else
            print_text(&a);
    }
    freeReplyObject(a.reply);
    buf_deinit(&a.workers);
    buf_deinit(&a.lists);
    buf_deinit(&a.sending);
    buf_deinit(&a.breaches);
    return rc;
}

static int audit_all(struct session *s, char **queues, int count, bool deep, bool json) {
    bool ok = true;
    int rc = 0;
    cJSON *list = json ? cJSON_CreateArray() : NULL;
    int all = count > 0 ? count : (int)s->config->queue_count;
    if (all == 0)
        rc = -1, s->code = cli_usage(s->verb, "name a queue: the configuration has none");
    for (int i = 0; i < all && rc >= 0; i++) {
        rc = audit_queue(s, count > 0 ? queues[i] : s->config->queues[i].name, deep, i == 0, list);
        ok = ok && rc == 1;
    }
    if (json && rc >= 0) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddBoolToObject(o, "ok", ok);
        cJSON_AddItemReferenceToObject(o, "queues", list);
        if (cli_print_json(s->verb, o) != EXIT_FINE)
            rc = -1, s->code = EXIT_FAILED;
    }
    cJSON_Delete(list);
    return rc < 0 ? s->code : ok ? EXIT_FINE : EXIT_FAILED;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
        {"deep", no_argument, NULL, 'd'},         {"force", no_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    const char *path = NULL;
    bool json = false, deep = false;
    struct session s = {.force = false};
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'h')
            return cli_help(self);
        if (c == '?')
            return EXIT_USAGE;
        path = c == 'c' ? optarg : path;
        json |= c == 'j';
        deep |= c == 'd';
        s.force |= c == 'F';
    }
    int code =
        session_open(&s, self, path) < 0 ? s.code : audit_all(&s, argv + optind, argc - optind, deep, json);
    session_close(&s);
    return code;
}

const struct verb verb_audit = {
    .name = "audit",
    .arguments = "[QUEUE …] [--deep] [--force] [--json]",
    .summary = "prove that no job is lost: the books of each queue",
    .help = "Every job that was taken is settled, dead, delayed, waiting or in flight, and in one "
            "place\n"
            "only. Each queue is looked at in one atomic step, also while workers work. Exit 1 and a\n"
            "list if the books do not balance.\n"
            "\n"
            "  --deep   look at each delayed and waiting job, however many (one step: with a million,\n"
            "           Redis answers nobody for some seconds); otherwise beyond 20,000 they are "
            "counted\n"
            "  --force  also a queue that nobody configured\n"
            "  --json   "
            "{\"ok\":…,\"queues\":[{\"queue\":…,\"ok\":…,\"taken\":…,…,\"breaches\":[…]}]}\n",
    .run = run,
};
