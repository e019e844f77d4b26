/* Commands and scripts of a session, on its synchronous connection. Any error is printed once, here; the caller returns
 * `code`. */
#include "cli/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/call.h"

void session_begin(struct session *s, enum script_id script, size_t keys, size_t args) {
    buf_reset(&s->cmd);
    queue_cmd_begin(&s->cmd, script, keys, args);
}

void session_key(struct session *s, enum queue_key key) {
    queue_cmd_key(&s->cmd, &s->keys, key);
}

void session_keys(struct session *s, const enum queue_key *keys, size_t count) {
    for (size_t i = 0; i < count; i++)
        session_key(s, keys[i]);
}

int session_send(struct session *s) {
    if (!buf_ok(&s->cmd)) {
        s->code = cli_fail(s->verb, "out of memory");
        return -1;
    }
    redisAppendFormattedCommand(s->redis, s->cmd.data, s->cmd.len);
    return 0;
}

static redisReply *broken(struct session *s) {
    s->code = cli_fail(s->verb, "Redis: %s; what was done stays done, the command may be given again",
                       s->redis->errstr);
    return NULL;
}

static redisReply *read_reply(struct session *s) {
    void *reply = NULL;
    return redisGetReply(s->redis, &reply) == REDIS_OK ? reply : broken(s);
}

static redisReply *checked(struct session *s, redisReply *reply) {
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    char words[512];
    redis_error_words(reply->str, words, sizeof(words));
    if (s->refusal != NULL)
        err_set(s->refusal, "%s", words);
    else
        s->code = cli_fail(s->verb, "Redis: %s", words);
    freeReplyObject(reply);
    return NULL;
}

redisReply *session_reply(struct session *s) {
    return checked(s, read_reply(s));
}

redisReply *session_script(struct session *s, enum script_id script) {
    if (session_send(s) < 0)
        return NULL;
    redisReply *reply = read_reply(s);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOSCRIPT", 8) != 0)
        return checked(s, reply);
    freeReplyObject(reply);
    reply = session_command(s, "SCRIPT LOAD %b", scripts[script].text, scripts[script].len);
    if (reply == NULL)
        return NULL;
    freeReplyObject(reply);
    return session_send(s) == 0 ? session_reply(s) : NULL;
}

redisReply *session_command(struct session *s, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    redisReply *reply = redisvCommand(s->redis, format, ap);
    va_end(ap);
    return reply != NULL ? checked(s, reply) : broken(s);
}

struct span reply_span(const redisReply *r, char scratch[static 24]) {
    if (r->type == REDIS_REPLY_INTEGER)
        return (struct span){scratch, (size_t)snprintf(scratch, 24, "%lld", r->integer)};
    if (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS)
        return SPAN_LIT("");
    return (struct span){r->str, r->len};
}

uint64_t reply_u64(const redisReply *r) {
    if (r->type == REDIS_REPLY_INTEGER)
        return r->integer > 0 ? (uint64_t)r->integer : 0;
    return r->type == REDIS_REPLY_STRING ? strtoull(r->str, NULL, 10) : 0;
}
