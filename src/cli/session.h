/* What the operator's verbs share: a queue's keys and the scripts on a synchronous connection. */
#ifndef DRAY_CLI_SESSION_H
#define DRAY_CLI_SESSION_H

#include "cli/cli.h"
#include "queue/keys.h"
#include "queue/script.h"

struct session {
    const struct verb *verb;
    struct config *config;
    redisContext *redis;
    struct queue_keys keys; /* of the queue chosen last */
    bool has_keys;
    bool force;        /* --force: a queue that nobody configured and Redis does not know is taken as it is */
    long format;       /* of the queue chosen, as Redis has it; 0: it has none yet */
    bool other_format; /* it is another one than ours, or workers of another are there: nothing is written */
    bool format_written; /* Redis has our number */
    struct buf
        *format_words;   /* where set, what is to be said of another format goes there and is not printed */
    struct buf cmd;      /* the command being written */
    struct err *refusal; /* where set, an error reply is put there and not printed */
    int code;            /* why session_open or a call failed, for the caller to return */
};

/* Loads the configuration and connects; of `s` only `force` must be set. 0, or -1 with a message printed and `code`
 * set; session_close() in both cases. */
int session_open(struct session *s, const struct verb *verb, const char *config_path);
void session_close(struct session *s);
/* Chooses the queue whose keys are meant from now on. 0, or -1 with a message printed and `code` set: a typing error must
 * not look like success, so a queue that is not configured and of which Redis has nothing is EXIT_USAGE, unless
 * `force`. */
int session_queue(struct session *s, const char *queue);
/* 0 if the queue chosen has the account, in the configuration or told to Redis by a worker; else -1, as above. */
int session_account(struct session *s, const char *queue, const char *account);

#define FORMAT_WORDS_MAX 16384
/* format.c: what Redis says of the format of the queue chosen; a warning where it is another. session_queue() asks it. 0, or
 * -1 with a message printed. */
int session_look_at_format(struct session *s);
/* Before the first thing that is written into the queue chosen: a fresh one gets our format's number. False: a message was
 * printed. session_call() asks it for the scripts that write; s->cmd is another command then. */
bool session_may_write(struct session *s);

/* Begins a script call in s->cmd; the caller appends keys (session_key and redis_resp_arg), then
 * arguments, as many as it said. */
void session_begin(struct session *s, enum script_id script, size_t keys, size_t args);
void session_key(struct session *s, enum queue_key key);
void session_keys(struct session *s, const enum queue_key *keys, size_t count);
/* Runs it, loading it where Redis lacks it. NULL: a message was printed. freeReplyObject() the
 * reply. */
redisReply *session_call(struct session *s, enum script_id script);
/* The same, whatever the format of the queue's data. */
redisReply *session_script(struct session *s, enum script_id script);
/* One command, printf-style as in hiredis. NULL: a message was printed. */
redisReply *session_command(struct session *s, const char *format, ...);
/* Sends what is in s->cmd (whole commands), `count` replies are then read by session_reply(). */
int session_send(struct session *s);
redisReply *session_reply(struct session *s);

/* Lets the idle workers of the queue chosen look for work now (wake.c), after something was put where they do not wait for
 * it. Says nothing where that fails: they find it with their next beat. */
void session_wake(struct session *s);

/* A reply's text, or its number as text in `scratch`. */
struct span reply_span(const redisReply *r, char scratch[static 24]);
uint64_t reply_u64(const redisReply *r);

/* True if a person answers "y" to the question on the terminal. False where there is none. */
bool ask(const char *question_format, ...) __attribute__((format(printf, 1, 2)));

#endif
