/* Since when a queue's jobs cannot be claimed although Redis answers.
 *
 * Looked at with each beat. Redis out of reach, loading its data or full is none of it: nothing here mends that.
 * But a server that goes on refusing (a replica behind an address, a password that is no longer right, a right
 * that is missing, a lease that is never confirmed) may be gone for a process that starts anew: where that lasts for
 * `liveness_after`, /healthz says so. */
#include "worker/spool.h"

#include <string.h>

static const char *refusal(const struct consumer *consumer, uint64_t now_ns) {
    const struct worker *w = consumer->worker;
    if (!consumer->up) {
        const char *why = redis_router_error(w->redis.router, consumer->keys.slot);
        return redis_reason_is_refusal(why) ? why : NULL;
    }
    if (consumer->format.refused)
        return "its data in Redis are of another format";
    if (consumer->trouble.redis_full)
        return NULL;
    if (consumer->trouble.failures > 0)
        return w->redis.words;
    return consumer->lease.held && now_ns < consumer->lease.until_ns ? NULL : "the lease is not confirmed";
}

void consumer_note_barred(struct consumer *consumer, uint64_t now_ns) {
    const struct worker *w = consumer->worker;
    bool wants = (w->mode == WORKER_RUNNING || w->mode == WORKER_STARTING) && !consumer->retiring &&
                 !spool_holds(consumer);
    if (!wants || refusal(consumer, now_ns) == NULL)
        consumer->trouble.barred_since_ns = 0;
    else if (consumer->trouble.barred_since_ns == 0)
        consumer->trouble.barred_since_ns = now_ns;
}

/* Of an error reply only its code: what follows may name keys, and anybody may ask for /healthz. */
void consumer_barred_by(const struct consumer *consumer, char *out, size_t size) {
    const char *why = consumer->trouble.barred_since_ns != 0 ? refusal(consumer, clock_boot_ns()) : NULL;
    size_t code = why != NULL ? strspn(why, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
    size_t n = why == NULL ? 0 : code > 1 ? code : strlen(why);
    n = n < size ? n : size - 1;
    memcpy(out, why != NULL ? why : "", n);
    out[n] = '\0';
}
