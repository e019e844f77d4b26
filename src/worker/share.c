/* Who may take a slot: the accounts of a queue share its `concurrency`.
 *
 * No slot is idle while a job that may go waits: an account uses all of them as long as no other has work. But an account
 * that hangs may not take the last ones from others that have: as many are kept for these, up to half of all, as were seen
 * in the last RECENT and have nothing under way now. Only from an account that hangs: slots of one that is answered come free
 * soon enough. Where such requests hold all slots, the queue is looked through all the same, now and then: what may
 * not go is moved aside to its account's waiting list, so that the jobs behind it are seen, and the next slot is theirs. */
#include "worker/share.h"

#define RESERVE_SHARE 2 /* at most concurrency / this many slots are kept for others */
#define RECENT_NS     10000000000ull
#define SLOW_NS       1000000000ull /* an account whose last request took that long hangs */
#define QUICK_NS      100000000ull  /* none hangs before that */
#define LOOK_NS       250000000ull  /* between two looks through a queue whose slots are all taken */
#define LOOK_MORE_NS  25000000ull   /* the same, where there was more to see */
#define LOOK_MOST     64            /* jobs of one look */
#define NO_SLOT_MS    50  /* a job that found no slot is looked at again after this: a slot may come free */
#define KEPT_MS       250 /* the same where the free ones are kept for others */

static void unlist(struct account_runtime *runtime) {
    struct consumer *consumer = runtime->consumer;
    if (!runtime->listed)
        return;
    *(runtime->older != NULL ? &runtime->older->newer : &consumer->accounts.idle_first) = runtime->newer;
    *(runtime->newer != NULL ? &runtime->newer->older : &consumer->accounts.idle_last) = runtime->older;
    runtime->older = runtime->newer = NULL;
    runtime->listed = false;
    consumer->accounts.idle_recent--;
}

/* It had work just now, and has nothing under way. */
static void list(struct account_runtime *runtime, uint64_t now_ns) {
    struct consumer *consumer = runtime->consumer;
    unlist(runtime);
    runtime->idle_ns = now_ns;
    runtime->older = consumer->accounts.idle_last;
    *(consumer->accounts.idle_last != NULL ? &consumer->accounts.idle_last->newer
                                           : &consumer->accounts.idle_first) = runtime;
    consumer->accounts.idle_last = runtime;
    runtime->listed = true;
    consumer->accounts.idle_recent++;
}

void share_forget(struct account_runtime *runtime) {
    unlist(runtime);
}

void share_began(struct account_runtime *runtime) {
    if (runtime->active++ > 0)
        return;
    unlist(runtime);
    runtime->stir_ns = clock_boot_ns();
}

void share_ended(struct account_runtime *runtime, uint64_t began_ns) {
    uint64_t now = clock_boot_ns();
    runtime->stir_ns = now;
    if (began_ns != 0)
        runtime->took_ns = now - began_ns;
    if (--runtime->active == 0 && runtime->current)
        list(runtime, now);
}

/* Nothing came for twice as long as its last request took, and for `least`; or that was long. */
static bool hangs(const struct account_runtime *runtime, uint64_t now_ns, uint64_t least) {
    uint64_t quiet = 2 * runtime->took_ns > least ? 2 * runtime->took_ns : least;
    return runtime->active > 0 && (runtime->took_ns >= SLOW_NS || now_ns - runtime->stir_ns >= quiet);
}

static uint32_t under_way(const struct consumer *consumer) {
    return consumer->orders.in[ORDER_BEGINNING].count + consumer->orders.in[ORDER_SENDING].count;
}

static uint32_t kept_for_others(struct consumer *consumer, uint64_t now_ns) {
    while (consumer->accounts.idle_first != NULL &&
           now_ns - consumer->accounts.idle_first->idle_ns > RECENT_NS)
        unlist(consumer->accounts.idle_first);
    uint32_t most = consumer->config->concurrency / RESERVE_SHARE;
    return consumer->accounts.idle_recent < most ? consumer->accounts.idle_recent : most;
}

uint64_t share_wait_ms(struct account_runtime *runtime) {
    struct consumer *consumer = runtime->consumer;
    const struct worker *w = consumer->worker;
    uint64_t now = clock_boot_ns();
    uint32_t used = under_way(consumer), all = consumer->config->concurrency;
    if (used >= all || w->active >= w->boot->max_inflight) {
        if (runtime->active == 0 && runtime->current)
            list(runtime, now); /* the next slot may be its */
        return NO_SLOT_MS;
    }
    bool keeps = runtime->active > 0 && consumer->accounts.idle_recent > 0 && hangs(runtime, now, QUICK_NS) &&
                 used + kept_for_others(consumer, now) >= all;
    return keeps ? KEPT_MS : 0;
}

static bool one_hangs(const struct consumer *consumer, uint64_t now_ns) {
    for (uint32_t i = 0; i < consumer->accounts.count; i++)
        if (hangs(consumer->accounts.list[i], now_ns, SLOW_NS))
            return true;
    return false;
}

uint32_t share_look_due(struct consumer *consumer, uint64_t now_ns) {
    if (consumer->accounts.count < 2 || under_way(consumer) < consumer->config->concurrency) {
        consumer->accounts.full_look_ns = 0;
        return 0;
    }
    if (consumer->accounts.full_look_ns == 0)
        consumer->accounts.full_look_ns = now_ns + LOOK_NS;
    if (now_ns < consumer->accounts.full_look_ns)
        return 0;
    bool look = one_hangs(consumer, now_ns);
    consumer->accounts.full_look_ns = now_ns + (look && consumer->claims.more ? LOOK_MORE_NS : LOOK_NS);
    return look ? LOOK_MOST : 0;
}
