/* The real redis-server of the simulation. The scripts it runs are the shipped ones but for their
 * clock, which is the world's, and for a mutation that is to be proven fatal. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGC_MAX 512

static redisContext *redis;
static char loaded_sha[SCRIPT_COUNT][41]; /* of the patched script; "": not in the server's cache */
static char patched_sha[SCRIPT_COUNT][41];
static char audit_sha[41];
static uint64_t clock_set_us;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "sim: %s: %s\n", what, redis != NULL ? redis->errstr : "");
    exit(99);
}

static redisReply *must(void *reply) {
    if (reply == NULL)
        die("redis-server");
    return reply;
}

redisReply *server_command(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    redisReply *r = must(redisvCommand(redis, format, ap));
    va_end(ap);
    if (r->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "sim: %s: %s\n", format, r->str);
        exit(99);
    }
    return r;
}

static void load(const char *text, size_t len, char sha[41]) {
    redisReply *r = server_command("SCRIPT LOAD %b", text, len);
    snprintf(sha, 41, "%s", r->str);
    freeReplyObject(r);
}

/* Replaces each place where `from` stands; returns how many there were. */
static unsigned replace_all(struct buf *text, const char *from, const char *to) {
    const char *rest = text->data, *end = text->data + text->len;
    unsigned places = 0;
    struct buf out;
    buf_init(&out, 1u << 20);
    for (char *at; (at = memmem(rest, (size_t)(end - rest), from, strlen(from))) != NULL; places++) {
        buf_add(&out, rest, (size_t)(at - rest));
        buf_add_str(&out, to);
        rest = at + strlen(from);
    }
    buf_add(&out, rest, (size_t)(end - rest));
    buf_deinit(text);
    *text = out;
    return places;
}

/* Replaces the one place where `from` stands. */
static void replace(struct buf *text, const char *from, const char *to) {
    if (replace_all(text, from, to) == 1)
        return;
    fprintf(stderr, "sim: this stands not exactly once in the script:\n%s\n", from);
    exit(99);
}

static void load_patched(int id) {
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_add(&text, scripts[id].text, scripts[id].len);
    if (memmem(text.data, text.len, "'TIME'", 6) != NULL)
        replace(&text, "redis.call('TIME')", "redis.call('MGET', 'sim:s', 'sim:us')");
    if (sim_mutation != NULL && sim_mutation->script != NULL &&
        strcmp(sim_mutation->script, scripts[id].name) == 0)
        replace(&text, sim_mutation->from, sim_mutation->to);
    load(text.data, text.len, patched_sha[id]);
    memcpy(loaded_sha[id], patched_sha[id], sizeof(loaded_sha[id]));
    buf_deinit(&text);
}

void server_disconnect(void) {
    if (redis != NULL)
        redisFree(redis);
    redis = NULL;
}

void server_connect(const char *socket) {
    server_disconnect();
    redis = redisConnectUnix(socket);
    if (redis == NULL || redis->err != 0)
        die("no redis-server");
    load(audit_script, strlen(audit_script), audit_sha);
    for (int i = 0; i < SCRIPT_COUNT; i++)
        load_patched(i);
}

/* As the world before it found it, or a seed would not replay. */
void server_reset(void) {
    freeReplyObject(server_command("FLUSHALL"));
    for (int i = 0; i < SCRIPT_COUNT; i++)
        if (loaded_sha[i][0] == '\0')
            load_patched(i);
    clock_set_us = UINT64_MAX;
}

void server_flush_scripts(void) {
    freeReplyObject(server_command("SCRIPT FLUSH"));
    memset(loaded_sha, 0, sizeof(loaded_sha));
    load(audit_script, strlen(audit_script), audit_sha);
}

/* The copy lies in database 1. */
void server_remember(void) {
    static const char script[] =
        "redis.call('SELECT', 1) redis.call('FLUSHDB') redis.call('SELECT', 0) "
        "for _, key in ipairs(redis.call('KEYS', 'dray:*')) do redis.call('COPY', key, key, 'DB', 1) end";
    freeReplyObject(server_command("EVAL %s 0", script));
    world.remembers = true;
}

static void go_back(void) {
    static const char script[] =
        "for _, key in ipairs(redis.call('KEYS', 'dray:*')) do redis.call('DEL', key) end "
        "redis.call('SELECT', 1) "
        "for _, key in ipairs(redis.call('KEYS', 'dray:*')) do redis.call('COPY', key, key, 'DB', 0) end";
    freeReplyObject(server_command("EVAL %s 0", script));
}

static int script_of_sha(const char *sha) {
    for (int i = 0; i < SCRIPT_COUNT; i++)
        if (memcmp(scripts[i].sha, sha, 40) == 0)
            return i;
    die("an unknown script");
}

static int script_of_text(const char *text, size_t len) {
    for (int i = 0; i < SCRIPT_COUNT; i++)
        if (scripts[i].len == len && memcmp(scripts[i].text, text, len) == 0)
            return i;
    die("an unknown script is loaded");
}

/* Splits the command at `*where` as a client wrote it, and moves on; the pieces point into it. */
static int split_at(char **where, const char *end, char **argv, size_t *len) {
    char *at = *where;
    long argc = strtol(at + 1, &at, 10);
    if (argc <= 0 || argc > ARGC_MAX)
        die("a command with too many arguments");
    at += 2;
    for (long i = 0; i < argc; i++) {
        if (at >= end || *at != '$')
            die("a command that is no RESP");
        len[i] = strtoul(at + 1, &at, 10);
        argv[i] = at + 2;
        at += 2 + len[i] + 2;
    }
    *where = at;
    return (int)argc;
}

static int split(const struct command *cmd, char **argv, size_t *len) {
    char *at = cmd->bytes.data, *end = at + cmd->bytes.len;
    int argc = split_at(&at, end, argv, len);
    if (at != end)
        die("a command whose length is wrong");
    return argc;
}

static unsigned append_clock(void) {
    uint64_t us = START_UNIX_MS * 1000 + world.now_ns / 1000;
    if (us == clock_set_us)
        return 0;
    clock_set_us = us;
    redisAppendCommand(redis, "MSET sim:s %llu sim:us %llu", (unsigned long long)(us / 1000000),
                       (unsigned long long)(us % 1000000));
    return 1;
}

static redisReply *next_reply(void) {
    void *reply = NULL;
    if (redisGetReply(redis, &reply) != REDIS_OK)
        die("redis-server");
    return reply;
}

static void append_audit(void) {
    redisAppendCommand(redis, "EVALSHA %s 0 %u", audit_sha, world.job_count);
}

static void read_audit(void) {
    redisReply *audit = next_reply();
    audit_read(audit);
    freeReplyObject(audit);
}

void server_forget(void) {
    note("redis has lost its last writes");
    world.forgot = true;
    go_back();
    memset(world.ledger, 0, sizeof(world.ledger));
    append_audit();
    read_audit();
    jobs_push_lost();
}

/* The command and, where it changes places, the audit behind it, in one round trip. */
static redisReply *run(int argc, char **argv, const size_t *len, bool changes) {
    unsigned before = append_clock();
    world.commands++;
    redisAppendCommandArgv(redis, argc, (const char **)(uintptr_t)argv, len);
    if (changes)
        append_audit();
    while (before-- > 0)
        freeReplyObject(next_reply());
    redisReply *reply = next_reply();
    if (changes)
        read_audit();
    return reply;
}

/* A turn that found nothing to claim, and had nothing else to do, and a beat move no job: what the last audit
 * saw still stands, but for the lease (audit_after). */
static bool moved_jobs(int script, const redisReply *reply) {
    return script == SCRIPT_TURN && reply->type == REDIS_REPLY_ARRAY && reply->elements >= TURN_PARTS &&
           claimed_any(reply->element[TURN_CLAIMED]);
}

static bool only_claims(int script, char **argv) {
    const char *numbers = argv[3 + atoi(argv[2]) + 1]; /* NUMBERS of turn_call.lua */
    return script == SCRIPT_TURN && numbers[0] == 0 && numbers[1] == 0 && numbers[4] == 0 && numbers[5] == 0;
}

static redisReply *run_script(struct sim_worker *from, int id, int argc, char **argv, size_t *len) {
    char sha[41];
    memcpy(sha, loaded_sha[id][0] != '\0' ? loaded_sha[id] : scripts[id].sha, sizeof(sha));
    argv[1] = sha;
    len[1] = 40;
    note("w%u runs %s%s", from->number, scripts[id].name, loaded_sha[id][0] != '\0' ? "" : " (NOSCRIPT)");
    if (loaded_sha[id][0] == '\0')
        return run(argc, argv, len, false);
    audit_before(from, id, argv, len, argc);
    redisReply *reply = run(argc, argv, len, !only_claims(id, argv) && id != SCRIPT_BEAT);
    if (moved_jobs(id, reply)) {
        append_audit();
        read_audit();
    }
    if (reply->type == REDIS_REPLY_ERROR)
        sim_fail("%s: %s", scripts[id].name, reply->str);
    else
        audit_after(from, id, argv, len, argc, reply);
    for (unsigned q = 0; q < QUEUES; q++)
        world.jobs_waiting[q] = true;
    return reply;
}

static redisReply *reply_of(int type, long long integer) {
    redisReply *r = calloc(1, sizeof(*r));
    r->type = type;
    r->integer = integer;
    return r;
}

redisReply *server_execute(struct sim_worker *from, unsigned conn, const struct command *cmd) {
    char *argv[ARGC_MAX];
    size_t len[ARGC_MAX];
    int argc = split(cmd, argv, len);
    if (len[0] == 7 && memcmp(argv[0], "EVALSHA", 7) == 0)
        return run_script(from, script_of_sha(argv[1]), argc, argv, len);
    if (len[0] == 4 && memcmp(argv[0], "EVAL", 4) == 0) {
        char evalsha[] = "EVALSHA";
        int id = script_of_text(argv[1], len[1]);
        if (loaded_sha[id][0] == '\0')
            load_patched(id);
        argv[0] = evalsha;
        len[0] = 7;
        return run_script(from, id, argc, argv, len);
    }
    if (len[0] == 6 && memcmp(argv[0], "CLIENT", 6) == 0 && argc == 2)
        return reply_of(REDIS_REPLY_INTEGER, conn + 1);
    if (len[0] == 6 && memcmp(argv[0], "CLIENT", 6) == 0)
        return reply_of(REDIS_REPLY_INTEGER, conn_unblock((unsigned)atoi(argv[2]) - 1));
    note("w%u runs %.*s", from->number, (int)len[0], argv[0]);
    return run(argc, argv, len, false);
}

/* True: the pick-up ends with what is in *reply. */
bool server_take_blocked(struct command *cmd, redisReply **reply) {
    char *argv[ARGC_MAX], move[] = "LMOVE";
    size_t len[ARGC_MAX];
    split(cmd, argv, len);
    if (!world.jobs_waiting[cmd->queue])
        return false;
    argv[0] = move;
    len[0] = 5;
    *reply = run(5, argv, len, true);
    if ((*reply)->type == REDIS_REPLY_STRING)
        return true;
    if ((*reply)->type == REDIS_REPLY_ERROR)
        sim_fail("LMOVE: %s", (*reply)->str);
    world.jobs_waiting[cmd->queue] = false;
    freeReplyObject(*reply);
    *reply = NULL;
    return false;
}
