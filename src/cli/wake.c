/* Idle workers wait in a blocking pick-up for what producers push, and learn of what an operator
 * has put elsewhere only with their next beat. This ends the wait of the queue's workers, by the
 * name that their connections bear; they look at once.
 *
 * It is done as far as Redis lets it be: a user who may not CLIENT LIST or CLIENT UNBLOCK waits for
 * the beat. */
#include "cli/session.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

/* A field's value in a line of CLIENT LIST, such as "id=3 addr=… name=shop-1 … cmd=blmove …". */
static struct span field(struct span line, const char *name) {
    const char *end = line.ptr + line.len, *p = line.ptr;
    size_t n = strlen(name);
    while (p < end) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        const char *stop = space != NULL ? space : end;
        if ((size_t)(stop - p) > n && memcmp(p, name, n) == 0 && p[n] == '=')
            return (struct span){p + n + 1, (size_t)(stop - p) - n - 1};
        p = stop + 1;
    }
    return (struct span){"", 0};
}

/* A worker's place is its name, a dot and a word of its own. */
static bool is_worker(const redisReply *workers, struct span name) {
    for (size_t i = 0; i < workers->elements; i++) {
        const redisReply *w = workers->element[i];
        if (w->type == REDIS_REPLY_STRING && name.len > 0 && w->len > name.len &&
            memcmp(w->str, name.ptr, name.len) == 0 && w->str[name.len] == '.')
            return true;
    }
    return false;
}

static void wake_all(struct session *s, const redisReply *workers, const char *list) {
    for (const char *line = list; *line != '\0'; line += strcspn(line, "\n") + 1) {
        struct span text = {line, strcspn(line, "\n")};
        struct span id = field(text, "id");
        if (span_is(field(text, "cmd"), "blmove") && is_worker(workers, field(text, "name")))
            freeReplyObject(redisCommand(s->redis, "CLIENT UNBLOCK %b", id.ptr, id.len));
        if (line[text.len] == '\0')
            break;
    }
}

void session_wake(struct session *s) {
    struct span key = s->keys.key[KEY_WORKERS];
    redisReply *workers = redisCommand(s->redis, "ZRANGE %b 0 -1", key.ptr, key.len);
    redisReply *list = redisCommand(s->redis, "CLIENT LIST TYPE normal");
    if (workers != NULL && workers->type == REDIS_REPLY_ARRAY && list != NULL &&
        list->type == REDIS_REPLY_STRING)
        wake_all(s, workers, list->str);
    freeReplyObject(workers);
    freeReplyObject(list);
}
