/* Another format of a queue's data: what changes them is refused, what reads them warns. */
#include "cli/session.h"

#include "queue/format.h"

#include <stdio.h>
#include <stdlib.h>

static redisReply *ask_format(struct session *s, const char *how) {
    static const enum queue_key keys[] = {KEY_FORMAT, KEY_WORKERS, KEY_WORKERS_INFO, KEY_STATS,
                                          KEY_PAUSES, KEY_DEAD,    KEY_DELAYED,      KEY_GATES};
    session_begin(s, SCRIPT_FORMAT, 8, 3);
    session_keys(s, keys, 8);
    queue_format_args(&s->cmd);
    redis_resp_str(&s->cmd, how);
    return session_script(s, SCRIPT_FORMAT);
}

static void put_words(struct session *s, const redisReply *r, struct buf *out) {
    buf_reset(out);
    queue_format_words(s->keys.queue, r, out);
}

static long number_of(const redisReply *r) {
    bool is = r->type == REDIS_REPLY_ARRAY && r->elements >= 2 && r->element[1]->type == REDIS_REPLY_STRING;
    return is ? strtol(r->element[1]->str, NULL, 10) : 0;
}

int session_look_at_format(struct session *s) {
    redisReply *r = ask_format(s, "look");
    if (r == NULL)
        return -1;
    struct buf words;
    buf_init(&words, FORMAT_WORDS_MAX);
    s->format = number_of(r);
    s->format_written = s->format == QUEUE_FORMAT;
    s->other_format = queue_format_refused(r);
    if (s->other_format) {
        put_words(s, r, &words);
        if (s->format_words != NULL)
            buf_add_span(s->format_words, buf_span(&words));
        else
            fprintf(stderr, "dray %s: warning: %s\n", s->verb->name, buf_cstr(&words));
    }
    buf_deinit(&words);
    freeReplyObject(r);
    return 0;
}

bool session_may_write(struct session *s) {
    if (s->other_format) {
        s->code = cli_fail(s->verb, "nothing was done: the queue's data are of another format (above)");
        return false;
    }
    if (s->format_written)
        return true;
    redisReply *r = ask_format(s, "write");
    s->other_format = queue_format_refused(r);
    s->format_written = r != NULL && !s->other_format;
    if (s->other_format) {
        struct buf words;
        buf_init(&words, FORMAT_WORDS_MAX);
        put_words(s, r, &words);
        s->code = cli_fail(s->verb, "nothing was done: %s", buf_cstr(&words));
        buf_deinit(&words);
    }
    freeReplyObject(r);
    return s->format_written;
}
