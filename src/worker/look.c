/* When there may be work: Redis says with each reply when to claim again. */
#include "worker/flow.h"

#include <stdlib.h>

#define CLOSED_LOOK_NS 1000000000ull
#define CLOCK_BACK_MS  1000 /* as beat.lua says: what is a step of Redis's clock */
#define MS_NS          1000000ull

/* A closed queue (paused, or its results are not consumed) opens without telling anyone: it is looked at
 * again soon, whatever else is known to come. */
static void set_look(struct consumer *consumer, int64_t redis_now_ms, int64_t next_ms) {
    uint64_t now = clock_boot_ns(), at = 0;
    if (next_ms == 0)
        consumer->claims.look_now = true;
    else if (next_ms > 0)
        at = now + (next_ms > redis_now_ms ? (uint64_t)(next_ms - redis_now_ms) : 1) * MS_NS;
    uint64_t soon = consumer->claims.look_at_ns != 0 && consumer->claims.look_at_ns < now + CLOSED_LOOK_NS
                        ? consumer->claims.look_at_ns
                        : now + CLOSED_LOOK_NS;
    if (consumer->claims.closed != CONSUMER_OPEN && (at == 0 || at > soon))
        at = soon;
    consumer->claims.look_at_ns = at;
}

static int64_t reply_int(const redisReply *r) {
    return r->type == REDIS_REPLY_INTEGER ? r->integer : strtoll(r->str, NULL, 10);
}

void consumer_look(struct consumer *consumer, const redisReply *r, size_t at) {
    uint64_t before = consumer->claims.look_at_ns;
    int64_t now_ms = reply_int(r->element[at]), next_ms = reply_int(r->element[at + 1]);
    if (now_ms + CLOCK_BACK_MS < consumer->lease.redis_ms)
        consumer->worker->up->beat(consumer); /* which puts right what is due by the old clock */
    consumer->lease.redis_ms = now_ms;
    set_look(consumer, now_ms, next_ms);
    if (consumer->claims.closed != CONSUMER_OPEN && before != 0 &&
        (consumer->claims.look_at_ns == 0 || before < consumer->claims.look_at_ns))
        consumer->claims.look_at_ns = before; /* when the claim that was refused told to ask again */
}

void consumer_wake(struct consumer *consumer, uint64_t now_ns) {
    if (consumer->pickup.poll_at_ns != 0 && now_ns >= consumer->pickup.poll_at_ns) {
        consumer->pickup.poll_at_ns = 0;
        consumer->claims.look_now = true;
    }
    if (consumer->claims.look_at_ns == 0 || now_ns < consumer->claims.look_at_ns)
        return;
    consumer->claims.look_at_ns = 0;
    consumer->claims.look_now = true;
}
