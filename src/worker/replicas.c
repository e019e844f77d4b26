/* min_replicas: an order is POSTed only when so many replicas know that it is about to be, so that
 * a failover to one of them cannot make us send it twice.
 *
 * Happy path: WAIT follows the begin script on its connection; begin's reply comes first, and
 * orders that may go are held (BEGINNING) in their part; enough replicas answer WAIT: they leave.
 * Failure modes: too few within min_replicas_timeout, or no answer: nothing was sent; the orders
 * are handed back as they came, their ledger entries dropped, and claiming pauses, with backoff.
 * WAIT holds up all commands of its connection, beats too, hence one at a time per worker. */
#include "worker/flow.h"

#include "policy/backoff.h"

#define MS_NS        1000000ull
#define LOG_EVERY_NS 5000000000ull

bool replicas_wanted(const struct consumer *consumer, const struct part *b) {
    if (consumer->worker->boot->min_replicas == 0 || b->kind != PART_BEGIN)
        return false;
    for (uint32_t i = 0; i < b->count; i++)
        if (!((const struct order *)b->items[i])->looking_up)
            return true;
    return false;
}

static void log_missing(struct consumer *consumer, long long replicas) {
    struct worker *w = consumer->worker;
    uint64_t now = clock_boot_ns();
    struct log_line l;
    if (w->logs.replicas_ns != 0 && now - w->logs.replicas_ns < LOG_EVERY_NS)
        return;
    w->logs.replicas_ns = now;
    if (!log_begin(&l, LOG_WARN, "replicas_missing"))
        return;
    log_str(&l, "queue", consumer->config->name);
    if (replicas >= 0)
        log_i64(&l, "replicas", replicas);
    log_u64(&l, "min_replicas", w->boot->min_replicas);
    log_str(&l, "message",
            replicas >= 0 ? "too few replicas had the orders in time; nothing is sent until they do"
                          : "Redis did not say how many replicas had the orders; nothing was sent");
    log_end(&l);
}

static void missing(struct consumer *consumer, long long replicas) {
    struct worker *w = consumer->worker;
    consumer->trouble.replica_failures++;
    consumer->claims.not_before_ns =
        clock_boot_ns() + (100 + backoff_ms(100, 5000, consumer->trouble.replica_failures, &w->rng)) * MS_NS;
    consumer->claims.look_now = true;
    log_missing(consumer, replicas);
}

static void enough(struct consumer *consumer) {
    if (consumer->trouble.replica_failures > 0 && consumer->worker->logs.replicas_ns != 0)
        log_msg(LOG_INFO, "replicas_back", "queue %s: enough replicas answer again", consumer->config->name);
    consumer->trouble.replica_failures = 0;
    consumer->worker->logs.replicas_ns = 0;
}

void replicas_answered(struct consumer *consumer, struct part *b, long long replicas) {
    bool answered = b->answered;
    consumer->worker->replicas_waiting = false;
    b->waits = b->answered = false;
    if (!answered)
        return; /* it is to be sent again */
    bool may_go = replicas >= (long long)consumer->worker->boot->min_replicas;
    if (may_go)
        enough(consumer);
    else
        missing(consumer, replicas);
    for (uint32_t i = 0; i < b->count; i++)
        if (b->items[i] != NULL)
            dispatch_held(b->items[i], may_go);
    part_done(consumer, b);
    consumer->worker->up->flush(consumer);
}

struct redis_wait replicas_wait(struct consumer *consumer, struct part *b) {
    struct worker *w = consumer->worker;
    b->waits = true;
    w->replicas_waiting = true;
    return (struct redis_wait){.replicas = w->boot->min_replicas,
                               .wait_ms = w->boot->min_replicas_timeout_ms};
}
