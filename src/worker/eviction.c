/* Whether a queue's Redis may throw keys away when it is full.
 *
 * Happy path: INFO memory, when the consumer got its lease and once in EVICTION_BEATS beats. With
 * another maxmemory-policy than noeviction, jobs and ledger entries may vanish: orders get lost, or
 * are created twice. So a warning is logged, when it is first seen and when it comes back. Failure
 * modes: no reply, or INFO is not allowed (ACL): what was known stays. */
#include "worker/flow.h"

#include <stdlib.h>
#include <string.h>

/* The value of an INFO line "name:value\r\n", or an absent span. */
static struct span info_value(const char *info, const char *name) {
    size_t n = strlen(name);
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            return (struct span){line + n + 1, strcspn(line + n + 1, "\r\n")};
    }
    return (struct span){NULL, 0};
}

static void on_info(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    (void)error;
    if (r == NULL || r->type != REDIS_REPLY_STRING)
        return;
    struct span policy = info_value(r->str, "maxmemory_policy");
    struct span limit = info_value(r->str, "maxmemory");
    if (policy.ptr == NULL || limit.ptr == NULL)
        return;
    bool evicts = strtoull(limit.ptr, NULL, 10) > 0 && !span_eq(policy, span_str("noeviction"));
    if (evicts && consumer->eviction != EVICTION_POSSIBLE)
        log_msg(LOG_WARN, "redis_may_evict",
                "queue %s: Redis has maxmemory-policy %.*s: when it is full, orders get lost or "
                "are created "
                "twice; set noeviction",
                consumer->config->name, (int)policy.len, policy.ptr);
    consumer->eviction = evicts ? EVICTION_POSSIBLE : EVICTION_NONE;
}

void consumer_check_eviction(struct consumer *consumer) {
    redis_router_command(consumer->worker->redis.router, consumer->keys.slot, on_info, consumer,
                         "INFO memory");
}
