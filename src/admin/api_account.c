/* What the API says of accounts: their state, why, and until when. */
#include <math.h>
#include <string.h>

#include "admin/api.h"
#include "queue/account_state.h"
#include "queue/gate.h"

#define ACCOUNTS_TOP  50 /* in /status: those in trouble first */
#define ACCOUNTS_PAGE 200

static enum account_state state_of(const struct account_view *v, uint64_t now_ms) {
    return account_state(v->mode, v->until_ms, pause_holds(&v->pause, now_ms), v->waiting, now_ms);
}

/* `held`: room for the reason of a hold. */
static const char *why(enum account_state state, const struct account_view *v,
                       char held[static GATE_REASON_MAX]) {
    switch (state) {
    case ACCOUNT_HELD:
        gate_hold_reason(v->refused, v->code, held);
        return held;
    case ACCOUNT_BREAKER_OPEN:
        return "the provider keeps failing; one order at a time tries";
    case ACCOUNT_PAUSED_BY_PROVIDER:
        return "the provider asked to wait (429, Retry-After)";
    case ACCOUNT_PAUSED_BY_OPERATOR:
        return v->pause.reason;
    case ACCOUNT_LIMITED:
        return "at its rate or concurrency limit";
    case ACCOUNT_OK:
        break;
    }
    return NULL;
}

/* What is in the account's bucket by now. */
static double tokens_now(const struct account *account, const struct account_view *v) {
    uint64_t now = v->view->redis_ms, at = v->tokens_at_ms;
    double tokens = at == 0 ? account->burst : v->tokens;
    if (now > at && at > 0)
        tokens += (double)(now - at) * account->rate / 1000;
    return account->rate > 0 ? (tokens < account->burst ? tokens : account->burst) : 0;
}

static void add_here(cJSON *o, const struct account_runtime *runtime) {
    cJSON *here = cJSON_AddObjectToObject(o, "here");
    tree_add_u64(here, "inflight", runtime->active);
    tree_add_u64(here, "created", runtime->stats.results[RESULT_CREATED]);
    tree_add_u64(here, "duplicate", runtime->stats.results[RESULT_DUPLICATE]);
    tree_add_u64(here, "failed", runtime->stats.results[RESULT_FAILED]);
    tree_add_u64(here, "last_created_at", runtime->stats.created_ms);
    tree_add_u64(here, "stray_answers", runtime->stats.strays);
    tree_add_u64(here, "repeated_ids", runtime->stats.repeated_ids);
    cJSON *attempts = cJSON_AddObjectToObject(here, "attempts");
    for (int i = 0; i < VERDICTS; i++)
        if (runtime->stats.attempts[i] > 0)
            tree_add_u64(attempts, verdict_name((enum verdict)i), runtime->stats.attempts[i]);
}

static void add_account(cJSON *o, const char *queue, const struct account_runtime *runtime,
                        const struct account_view *v, uint64_t now_ms) {
    const struct account *account = runtime->account;
    enum account_state state = state_of(v, now_ms);
    char held[GATE_REASON_MAX];
    uint64_t until = state == ACCOUNT_PAUSED_BY_OPERATOR ? v->pause.until_ms : v->until_ms;
    api_str(o, "queue", queue);
    api_str(o, "account", account->name);
    api_str(o, "provider", account->provider->name);
    api_str(o, "state", account_state_name(state));
    api_str(o, "reason", why(state, v, held));
    api_ms(o, "until", state < ACCOUNT_LIMITED ? until : 0);
    tree_add_u64(o, "waiting", v->waiting);
    if (account->concurrency > 0)
        tree_add_u64(o, "concurrency", v->concurrency);
    else
        cJSON_AddNullToObject(o, "concurrency");
    tree_add_u64(o, "concurrency_limit", account->concurrency);
    tree_add_u64(o, "failures", v->failures);
    api_ms(o, "token_expires_at", account_token_expires_ms(account));
    cJSON_AddNumberToObject(o, "tokens", round(tokens_now(account, v) * 100) / 100);
    cJSON_AddNumberToObject(o, "rate", account->rate);
    tree_add_u64(o, "burst", account->burst);
    add_here(o, runtime);
}

struct choice {
    const char *queue, *text, *state; /* NULL: any */
    uint64_t offset, limit;
};

static bool chosen(const struct choice *c, const char *queue, const char *account, enum account_state state) {
    return (c->queue == NULL || strcmp(c->queue, queue) == 0) &&
           (c->text == NULL || strcasestr(account, c->text) != NULL) &&
           (c->state == NULL || strcmp(c->state, account_state_name(state)) == 0 ||
            (strcmp(c->state, "troubled") == 0 && state < ACCOUNT_OK));
}

/* Accounts in trouble come first. There is one pass per rank, so that nothing is sorted or allocated. */
static void add_chosen(cJSON *answer, const struct admin *a, const struct choice *c) {
    uint64_t now = clock_unix_ms(), total = 0, troubled = 0, at = 0;
    cJSON *accounts = cJSON_AddObjectToObject(answer, "accounts");
    cJSON *list = cJSON_AddArrayToObject(accounts, "list");
    for (int pass = ACCOUNT_HELD; pass <= ACCOUNT_OK; pass++)
        for (uint32_t i = 0; i < a->views.count; i++) {
            const struct view *view = a->views.list[i];
            const struct consumer *consumer = view_consumer(view);
            for (uint32_t k = 0; consumer != NULL && k < view->account_count; k++) {
                const struct account_view *v = &view->accounts[k];
                const struct account_runtime *runtime = consumer_account(consumer, v->name);
                enum account_state state = state_of(v, now);
                if (runtime == NULL || (int)state != pass || !chosen(c, view->queue, v->name, state))
                    continue;
                total++;
                troubled += pass < ACCOUNT_OK;
                if (at++ >= c->offset && at <= c->offset + c->limit)
                    add_account(api_element(list), view->queue, runtime, v, now);
            }
        }
    tree_add_u64(accounts, "total", total);
    tree_add_u64(accounts, "troubled", troubled);
}

void api_accounts_top(cJSON *answer, const struct admin *a) {
    add_chosen(answer, a, &(struct choice){.limit = ACCOUNTS_TOP});
}

void answer_accounts(struct request *r) {
    struct choice c = {.queue = request_query(r, "queue"),
                       .text = request_query(r, "text"),
                       .state = request_query(r, "state")};
    if (!query_number(r, "offset", 0, 1000000, &c.offset) ||
        !query_number(r, "limit", ACCOUNTS_TOP, ACCOUNTS_PAGE, &c.limit))
        return;
    cJSON *answer = cJSON_CreateObject();
    add_chosen(answer, r->admin, &c);
    answer_tree(r, 200, answer);
}
