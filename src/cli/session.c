/* A queue's keys and the scripts on a synchronous connection, for the operator's verbs. Any error
 * is printed once, here; the caller returns `code`. */
#include "cli/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/table.h"
#include "queue/call.h"

#define CMD_MAX (512u << 20)

int session_open(struct session *s, const struct verb *verb, const char *config_path) {
    *s = (struct session){.verb = verb, .force = s->force};
    buf_init(&s->cmd, CMD_MAX);
    s->config = cli_config(verb, config_path, true);
    if (s->config == NULL) {
        s->code = EXIT_USAGE;
        return -1;
    }
    s->redis = cli_redis(verb, s->config);
    if (s->redis == NULL) {
        s->code = EXIT_NO_REDIS;
        return -1;
    }
    return 0;
}

void session_close(struct session *s) {
    if (s->redis != NULL)
        redisFree(s->redis);
    if (s->has_keys)
        queue_keys_deinit(&s->keys);
    buf_deinit(&s->cmd);
    config_unref(s->config);
}

static bool name_ok(const char *name) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t n = strlen(name);
    return n > 0 && n <= NAME_MAX_LEN && strspn(name, allowed) == n;
}

/* In a cluster, the next queue may live on another node. */
static int follow(struct session *s) {
    struct err err = {""};
    char key[256];
    snprintf(key, sizeof(key), "%.*s", (int)s->keys.key[KEY_JOBS].len, s->keys.key[KEY_JOBS].ptr);
    s->redis = s->redis != NULL ? redis_sync_follow(s->redis, &s->config->redis, key, &err)
                                : redis_connect_sync_key(&s->config->redis, key, &err);
    if (s->redis != NULL)
        return 0;
    fprintf(stderr, "dray %s: %s\n", s->verb->name, err.text);
    s->code = EXIT_NO_REDIS;
    return -1;
}

/* Whether Redis has anything of the queue: a worker served it, or a producer pushed. */
static int known_to_redis(struct session *s) {
    static const enum queue_key keys[] = {KEY_STATS, KEY_LIMITS, KEY_JOBS, KEY_DEAD, KEY_RESULTS, KEY_PAUSES};
    const size_t count = sizeof(keys) / sizeof(keys[0]);
    buf_reset(&s->cmd);
    redis_resp_begin(&s->cmd, 1 + count);
    redis_resp_str(&s->cmd, "EXISTS");
    session_keys(s, keys, count);
    redisReply *r = session_send(s) == 0 ? session_reply(s) : NULL;
    int known = r != NULL ? reply_u64(r) > 0 : -1;
    freeReplyObject(r);
    return known;
}

static int known_queue(struct session *s, const char *queue) {
    struct nearest nearest;
    char hint[128];
    if (s->force || config_queue(s->config, queue) != NULL)
        return 0;
    int known = known_to_redis(s);
    if (known != 0)
        return known > 0 ? 0 : -1;
    nearest_init(&nearest, queue);
    for (uint32_t i = 0; i < s->config->queue_count; i++)
        nearest_try(&nearest, s->config->queues[i].name);
    s->code = cli_usage(
        s->verb, "no queue '%s' is configured, and Redis has nothing of one%s; --force takes it as it is",
        queue, nearest_hint(&nearest, hint));
    return -1;
}

int session_account(struct session *s, const char *queue, const char *account) {
    struct nearest nearest;
    char hint[128];
    const struct account *a = config_account(s->config, account);
    if (s->force || (a != NULL && strcmp(a->queue, queue) == 0))
        return 0;
    struct span key = s->keys.key[KEY_LIMITS];
    redisReply *r = session_command(s, "HEXISTS %b %s", key.ptr, key.len, account);
    int known = r != NULL ? (int)reply_u64(r) : -1;
    freeReplyObject(r);
    if (known != 0)
        return known > 0 ? 0 : -1;
    nearest_init(&nearest, account);
    for (uint32_t i = 0; i < s->config->account_count; i++)
        if (strcmp(s->config->accounts[i]->queue, queue) == 0)
            nearest_try(&nearest, s->config->accounts[i]->name);
    s->code =
        cli_usage(s->verb, "queue %s has no account '%s'%s", queue, account, nearest_hint(&nearest, hint));
    return -1;
}

int session_queue(struct session *s, const char *queue) {
    if (s->has_keys)
        queue_keys_deinit(&s->keys);
    s->has_keys = false;
    if (!name_ok(queue)) {
        s->code = cli_usage(s->verb, "'%s' is no queue's name", queue);
        return -1;
    }
    s->has_keys = true;
    if (queue_keys_init(&s->keys, s->config->redis_prefix, queue, NULL) == 0)
        return follow(s) < 0 || known_queue(s, queue) < 0 ? -1 : session_look_at_format(s);
    s->code = cli_fail(s->verb, "out of memory");
    return -1;
}

static bool script_writes(enum script_id script) {
    return script == SCRIPT_DEAD_RETRY || script == SCRIPT_DEAD_RESOLVE || script == SCRIPT_DEAD_DROP ||
           script == SCRIPT_DEAD_IMPORT || script == SCRIPT_PAUSE;
}

/* The command that was begun waits meanwhile. */
static bool may_call(struct session *s, enum script_id script) {
    if (!script_writes(script) || (s->format_written && !s->other_format))
        return true;
    struct buf begun = s->cmd;
    buf_init(&s->cmd, CMD_MAX);
    bool may = session_may_write(s);
    buf_deinit(&s->cmd);
    s->cmd = begun;
    return may;
}

redisReply *session_call(struct session *s, enum script_id script) {
    return may_call(s, script) ? session_script(s, script) : NULL;
}

bool ask(const char *question_format, ...) {
    char answer[16];
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    va_list ap;
    va_start(ap, question_format);
    vfprintf(stderr, question_format, ap);
    va_end(ap);
    fputs(" [y/N] ", stderr);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}
