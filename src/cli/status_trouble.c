/* What is wrong with a queue's Redis: a key of a wrong type, a full server. It is asked for beside the queue's
 * own figures, so that one queue's trouble does not hide the others. If the user may not ask, nothing is said. */
#include "cli/status.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    enum queue_key key;
    const char *type;
} kinds[] = {
    {KEY_JOBS, "list"},         {KEY_TAKEN, "list"},    {KEY_RESULTS, "list"},      {KEY_DEAD, "zset"},
    {KEY_DEAD_ENTRIES, "hash"}, {KEY_DELAYED, "zset"},  {KEY_WAITING, "zset"},      {KEY_GATES, "zset"},
    {KEY_PARKED, "hash"},       {KEY_ACCOUNTS, "hash"}, {KEY_LIMITS, "hash"},       {KEY_PAUSES, "hash"},
    {KEY_STATS, "hash"},        {KEY_WORKERS, "zset"},  {KEY_WORKERS_INFO, "hash"}, {KEY_FORMAT, "string"},
};

void trouble_wrong_keys(struct session *s, struct buf *out) {
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct span key = s->keys.key[kinds[i].key];
        redisReply *r = redisCommand(s->redis, "TYPE %b", key.ptr, key.len);
        if (r != NULL && r->type == REDIS_REPLY_STATUS && strcmp(r->str, "none") != 0 &&
            strcmp(r->str, kinds[i].type) != 0) {
            buf_add_str(out, out->len > 0 ? "; " : "");
            buf_add_span(out, key);
            buf_addf(out, " holds a %s where dray keeps a %s; rename it", r->str, kinds[i].type);
        }
        freeReplyObject(r);
    }
}

static double info_number(const char *info, const char *name) {
    const char *at = strstr(info, name);
    return at != NULL && (at == info || at[-1] == '\n') ? strtod(at + strlen(name), NULL) : 0;
}

bool trouble_redis_full(struct session *s) {
    redisReply *r = redisCommand(s->redis, "INFO memory");
    bool full = false;
    if (r != NULL && (r->type == REDIS_REPLY_STRING)) {
        double used = info_number(r->str, "used_memory:") - info_number(r->str, "mem_not_counted_for_evict:");
        double most = info_number(r->str, "maxmemory:");
        full = most > 0 && used >= most;
    }
    freeReplyObject(r);
    return full;
}
