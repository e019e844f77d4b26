/* Since when a queue's jobs cannot be claimed although Redis answers.
 *
 * Looked at with each beat. Redis out of reach, loading its data or full is none of it: nothing here mends that.
 * But a server that goes on refusing (a replica behind an address, a password that is no longer right, a right
 * that is missing, a lease that is never confirmed) may be gone for a process that starts anew: where that lasts for
 * `liveness_after`, /healthz says so. */
#include "worker/spool.h"

#include <string.h>

static const char *refusal(const struct lane *lane, uint64_t now_ns) {
    const struct worker *w = lane->worker;
    if (!lane->up) {
        const char *why = redis_router_error(w->redis, lane->keys.slot);
        return redis_reason_is_refusal(why) ? why : NULL;
    }
    if (lane->format.refused)
        return "its data in Redis are of another format";
    if (lane->redis_full)
        return NULL;
    if (lane->failures > 0)
        return w->redis_words;
    return lane->leased && now_ns < lane->lease_until_ns ? NULL : "the lease is not confirmed";
}

void lane_note_barred(struct lane *lane, uint64_t now_ns) {
    const struct worker *w = lane->worker;
    bool wants =
        (w->mode == WORKER_RUNNING || w->mode == WORKER_STARTING) && !lane->retiring && !spool_holds(lane);
    if (!wants || refusal(lane, now_ns) == NULL)
        lane->barred_since_ns = 0;
    else if (lane->barred_since_ns == 0)
        lane->barred_since_ns = now_ns;
}

/* Of an error reply only its code: what follows may name keys, and anybody may ask for /healthz. */
void lane_barred_by(const struct lane *lane, char *out, size_t size) {
    const char *why = lane->barred_since_ns != 0 ? refusal(lane, clock_boot_ns()) : NULL;
    size_t code = why != NULL ? strspn(why, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
    size_t n = why == NULL ? 0 : code > 1 ? code : strlen(why);
    n = n < size ? n : size - 1;
    memcpy(out, why != NULL ? why : "", n);
    out[n] = '\0';
}
