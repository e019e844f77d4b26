/* Metrics of accounts. At most ACCOUNTS_MAX accounts have series of their own; the counters of a
 * queue's others are summed up as account="_others". */
#include "admin/metrics.h"

#define ACCOUNTS_MAX 1000

/* Calls `each` for every account, at most ACCOUNTS_MAX by name; then, where there are more, once a
 * queue with the sum of the rest. */
typedef void (*account_fn)(struct exposition *x, const char *queue, const char *account,
                           const struct account_runtime *runtime, const struct account_view *view);

static void sum_stats(struct account_runtime *sum, const struct account_runtime *p) {
    for (size_t v = 0; v < VERDICTS; v++) {
        sum->stats.attempts[v] += p->stats.attempts[v];
        sum->stats.lookups[v] += p->stats.lookups[v];
    }
    for (size_t s = 0; s <= RESULT_FAILED; s++)
        sum->stats.results[s] += p->stats.results[s];
    sum->stats.strays += p->stats.strays;
    sum->stats.repeated_ids += p->stats.repeated_ids;
    sum->active += p->active;
}

static void each_account(struct exposition *x, const struct admin *a, bool states, account_fn each) {
    uint32_t shown = 0;
    for (uint32_t i = 0; i < a->worker->consumer_count; i++) {
        const struct consumer *consumer = a->worker->consumers[i];
        const struct view *view = views_find(&a->views, consumer->keys.queue);
        struct account_runtime rest = {.active = 0};
        bool more = false;
        for (uint32_t k = 0; k < consumer->accounts.count; k++) {
            const struct account_runtime *runtime = consumer->accounts.list[k];
            const struct account_view *av = view != NULL ? view_account(view, runtime->account->name) : NULL;
            if (shown < ACCOUNTS_MAX) {
                each(x, consumer->keys.queue, runtime->account->name, runtime, av);
                shown++;
            } else {
                more = true;
                sum_stats(&rest, runtime);
            }
        }
        if (more && !states)
            each(x, consumer->keys.queue, "_others", &rest, NULL);
    }
}

static void add_by_verdict(struct exposition *x, const char *name, const char *queue, const char *account,
                           const uint64_t *counts) {
    for (int v = 0; v < VERDICTS; v++)
        if (counts[v] > 0 || v == VERDICT_CREATED)
            buf_addf(x->out, "%s{queue=\"%s\",account=\"%s\",verdict=\"%s\"} %llu\n", name, queue, account,
                     verdict_name((enum verdict)v), (unsigned long long)counts[v]);
}

static void account_attempts(struct exposition *x, const char *queue, const char *account,
                             const struct account_runtime *p, const struct account_view *av) {
    (void)av;
    add_by_verdict(x, "dray_attempts_total", queue, account, p->stats.attempts);
}

static void account_lookups(struct exposition *x, const char *queue, const char *account,
                            const struct account_runtime *p, const struct account_view *av) {
    (void)av;
    for (int v = 0; v < VERDICTS; v++)
        if (p->stats.lookups[v] > 0)
            buf_addf(x->out, "dray_lookups_total{queue=\"%s\",account=\"%s\",verdict=\"%s\"} %llu\n", queue,
                     account, verdict_name((enum verdict)v), (unsigned long long)p->stats.lookups[v]);
}

static void account_results(struct exposition *x, const char *queue, const char *account,
                            const struct account_runtime *p, const struct account_view *av) {
    static const char *const names[] = {
        [RESULT_CREATED] = "created", [RESULT_DUPLICATE] = "duplicate", [RESULT_FAILED] = "failed"};
    (void)av;
    for (int s = RESULT_CREATED; s <= RESULT_FAILED; s++)
        if (p->stats.results[s] > 0 || s == RESULT_CREATED)
            buf_addf(x->out, "dray_results_total{queue=\"%s\",account=\"%s\",status=\"%s\"} %llu\n", queue,
                     account, names[s], (unsigned long long)p->stats.results[s]);
}

static void account_strays(struct exposition *x, const char *queue, const char *account,
                           const struct account_runtime *p, const struct account_view *av) {
    (void)av;
    buf_addf(x->out, "dray_http_stray_answers_total{queue=\"%s\",account=\"%s\"} %llu\n", queue, account,
             (unsigned long long)p->stats.strays);
}

static void account_repeated(struct exposition *x, const char *queue, const char *account,
                             const struct account_runtime *p, const struct account_view *av) {
    (void)av;
    buf_addf(x->out, "dray_repeated_order_ids_total{queue=\"%s\",account=\"%s\"} %llu\n", queue, account,
             (unsigned long long)p->stats.repeated_ids);
}

static void account_token(struct exposition *x, const char *queue, const char *account,
                          const struct account_runtime *p, const struct account_view *av) {
    (void)av;
    uint64_t ms = p->account != NULL ? account_token_expires_ms(p->account) : 0;
    if (ms > 0)
        buf_addf(x->out, "dray_account_token_expires_timestamp_seconds{queue=\"%s\",account=\"%s\"} %llu\n",
                 queue, account, (unsigned long long)ms / 1000);
}

static void account_inflight(struct exposition *x, const char *queue, const char *account,
                             const struct account_runtime *p, const struct account_view *av) {
    (void)av;
    buf_addf(x->out, "dray_account_inflight_orders{queue=\"%s\",account=\"%s\"} %u\n", queue, account,
             p->active);
}

static void account_waiting(struct exposition *x, const char *queue, const char *account,
                            const struct account_runtime *p, const struct account_view *av) {
    (void)p;
    if (av != NULL)
        buf_addf(x->out, "dray_account_waiting_jobs{queue=\"%s\",account=\"%s\"} %llu\n", queue, account,
                 (unsigned long long)av->waiting);
}

/* One state at a time; a pause whose time is over is none. */
static void account_state(struct exposition *x, const char *queue, const char *account,
                          const struct account_runtime *p, const struct account_view *av) {
    (void)p;
    if (av == NULL)
        return;
    uint64_t now = clock_unix_ms();
    bool paused = av->mode == 'p' && now < av->until_ms;
    bool operator_paused = pause_holds(&av->pause, now);
    buf_addf(x->out, "dray_account_state{queue=\"%s\",account=\"%s\",state=\"held\"} %d\n", queue, account,
             av->mode == 'h');
    buf_addf(x->out, "dray_account_state{queue=\"%s\",account=\"%s\",state=\"breaker_open\"} %d\n", queue,
             account, av->mode == 'b');
    buf_addf(x->out, "dray_account_state{queue=\"%s\",account=\"%s\",state=\"paused_by_provider\"} %d\n",
             queue, account, paused);
    buf_addf(x->out, "dray_account_state{queue=\"%s\",account=\"%s\",state=\"paused_by_operator\"} %d\n",
             queue, account, operator_paused);
}

void metrics_accounts(struct exposition *x, const struct admin *a) {
    static const struct {
        const char *name, *type, *help;
        bool states;
        account_fn each;
    } metrics[] = {
        {"dray_attempts_total", "counter", "Orders sent, by what the answer meant.", false, account_attempts},
        {"dray_lookups_total", "counter", "Look-ups, by what the answer meant.", false, account_lookups},
        {"dray_results_total", "counter", "Results, by status.", false, account_results},
        {"dray_http_stray_answers_total", "counter",
         "Connections closed because the provider sent what nobody had asked for.", false, account_strays},
        {"dray_repeated_order_ids_total", "counter",
         "Orders answered with an order id that another order had been told.", false, account_repeated},
        {"dray_account_token_expires_timestamp_seconds", "gauge",
         "When the account's token ends, Unix time, where that is known.", true, account_token},
        {"dray_account_inflight_orders", "gauge", "Requests of this worker under way.", false,
         account_inflight},
        {"dray_account_waiting_jobs", "gauge", "Jobs that wait for the account, over all workers.", true,
         account_waiting},
        {"dray_account_state", "gauge", "1 where the account is in that state.", true, account_state},
    };
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        metrics_head(x, metrics[i].name, metrics[i].type, metrics[i].help);
        each_account(x, a, metrics[i].states, metrics[i].each);
    }
}
