#include "admin/view.h"

#include <string.h>

#include "admin/view_read.h"
#include "worker/spool.h"

const char *const queue_counter_names[QUEUE_COUNTERS] = {
    "taken",   "settled", "died",      "results",           "created",        "duplicate",
    "retried", "fenced",  "recovered", "recovered_unknown", "breaker_opened",
};

const struct account_view *view_account(const struct view *view, const char *account) {
    size_t from = 0, to = view->account_count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int order = strcmp(account, view->accounts[mid].name);
        if (order == 0)
            return &view->accounts[mid];
        if (order < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

bool pause_holds(const struct pause_view *p, uint64_t now_ms) {
    return p->on && (p->until_ms == 0 || p->until_ms > now_ms);
}

uint64_t view_oldest_ms(const struct view *view) {
    uint64_t since[] = {view->head_since_ms, view->waiting_since_ms, view->overdue_since_ms}, first = 0;
    for (size_t i = 0; i < sizeof(since) / sizeof(since[0]); i++)
        if (since[i] > 0 && (first == 0 || since[i] < first))
            first = since[i];
    return first;
}

struct consumer *view_consumer(const struct view *view) {
    const struct worker *w = view->views->worker;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (strcmp(w->consumers[i]->keys.queue, view->queue) == 0)
            return w->consumers[i];
    return NULL;
}

static bool redis_refuses(const struct worker *w, uint64_t now_ns) {
    return w->logs.error_ns != 0 && now_ns - w->logs.error_ns < 3 * w->boot->lease_ms * 1000000;
}

/* Whether jobs wait that this consumer could take. */
static bool could_claim(const struct view *view, const struct consumer *consumer, uint64_t now_ns) {
    const struct worker *w = consumer->worker;
    return view->jobs > 0 && w->mode == WORKER_RUNNING && consumer_is_up(consumer) &&
           consumer->claims.closed == CONSUMER_OPEN && !consumer->retiring && !spool_holds(consumer) &&
           !pause_holds(&view->pause, clock_unix_ms()) && !redis_refuses(w, now_ns) &&
           consumer_held(consumer) < consumer->config->concurrency && w->active < w->boot->max_inflight;
}

void view_progress(struct view *view, uint64_t now_ns) {
    const struct consumer *consumer = view_consumer(view);
    uint64_t claimed = consumer != NULL ? consumer->stats.claimed : 0;
    if (consumer == NULL || !could_claim(view, consumer, now_ns) || claimed != view->claimed)
        view->stuck_since_ns = 0;
    else if (view->stuck_since_ns == 0)
        view->stuck_since_ns = now_ns;
    view->claimed = claimed;
}

uint64_t view_stuck_ns(const struct view *view, uint64_t now_ns) {
    const struct consumer *consumer = view_consumer(view);
    if (view->stuck_since_ns == 0 || consumer == NULL || consumer->stats.claimed != view->claimed ||
        !could_claim(view, consumer, now_ns))
        return 0;
    return now_ns - view->stuck_since_ns;
}
