/* What the API says of accounts: their state, why, and until when. */
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
static const char *why(enum account_state state, const struct account_view *v, char held[static GATE_REASON_MAX]) {
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

static void add_account(struct buf *b, const char *queue, const struct port *port,
                        const struct account_view *v, uint64_t now_ms) {
    const struct account *account = port->account;
    enum account_state state = state_of(v, now_ms);
    char held[GATE_REASON_MAX];
    buf_add_char(b, '{');
    api_str(b, "queue", queue);
    api_str(b, "account", account->name);
    api_str(b, "provider", account->provider->name);
    api_str(b, "state", account_state_name(state));
    api_str(b, "reason", why(state, v, held));
    uint64_t until = state == ACCOUNT_PAUSED_BY_OPERATOR ? v->pause.until_ms : v->until_ms;
    if (state < ACCOUNT_LIMITED && until > 0)
        api_u64(b, "until", until);
    else
        buf_add_str(b, "\"until\":null,");
    api_u64(b, "waiting", v->waiting);
    if (account->concurrency > 0)
        api_u64(b, "concurrency", v->concurrency);
    else
        buf_add_str(b, "\"concurrency\":null,");
    api_u64(b, "concurrency_limit", account->concurrency);
    api_u64(b, "failures", v->failures);
    uint64_t token_ms = account_token_expires_ms(account);
    if (token_ms > 0)
        api_u64(b, "token_expires_at", token_ms);
    else
        buf_add_str(b, "\"token_expires_at\":null,");
    buf_addf(b, "\"tokens\":%.2f,\"rate\":%g,\"burst\":%u,", tokens_now(account, v), account->rate,
             account->burst);
    buf_add_str(b, "\"here\":{");
    api_u64(b, "inflight", port->active);
    api_u64(b, "created", port->stats.results[RESULT_CREATED]);
    api_u64(b, "duplicate", port->stats.results[RESULT_DUPLICATE]);
    api_u64(b, "failed", port->stats.results[RESULT_FAILED]);
    api_u64(b, "last_created_at", port->stats.created_ms);
    api_u64(b, "stray_answers", port->stats.strays);
    api_u64(b, "repeated_ids", port->stats.repeated_ids);
    buf_add_str(b, "\"attempts\":{");
    for (int i = 0; i < VERDICTS; i++)
        if (port->stats.attempts[i] > 0)
            api_u64(b, verdict_name((enum verdict)i), port->stats.attempts[i]);
    api_end(b, '}');
    api_end(b, '}');
    api_end(b, '}');
    buf_add_char(b, ',');
}

struct choice {
    const char *queue, *text, *state; /* NULL: any */
    uint64_t offset, limit;
};

static bool chosen(const struct choice *c, const char *queue, const char *account,
                   enum account_state state) {
    return (c->queue == NULL || strcmp(c->queue, queue) == 0) &&
           (c->text == NULL || strcasestr(account, c->text) != NULL) &&
           (c->state == NULL || strcmp(c->state, account_state_name(state)) == 0 ||
            (strcmp(c->state, "troubled") == 0 && state < ACCOUNT_OK));
}

/* Those in trouble first: one pass per rank, so that nothing is sorted or allocated. */
static void add_chosen(struct buf *b, const struct admin *a, const struct choice *c) {
    uint64_t now = clock_unix_ms(), total = 0, troubled = 0, at = 0;
    buf_add_str(b, "\"accounts\":{\"list\":[");
    for (int pass = ACCOUNT_HELD; pass <= ACCOUNT_OK; pass++)
        for (uint32_t i = 0; i < a->views.count; i++) {
            const struct view *view = a->views.list[i];
            const struct lane *lane = view_lane(view);
            for (uint32_t k = 0; lane != NULL && k < view->account_count; k++) {
                const struct account_view *v = &view->accounts[k];
                const struct port *port = lane_port(lane, v->name);
                enum account_state state = state_of(v, now);
                if (port == NULL || (int)state != pass || !chosen(c, view->queue, v->name, state))
                    continue;
                total++;
                troubled += pass < ACCOUNT_OK;
                if (at++ >= c->offset && at <= c->offset + c->limit)
                    add_account(b, view->queue, port, v, now);
            }
        }
    api_end(b, ']');
    buf_addf(b, ",\"total\":%llu,\"troubled\":%llu}", (unsigned long long)total,
             (unsigned long long)troubled);
}

void api_accounts_top(struct buf *b, const struct admin *a) {
    add_chosen(b, a, &(struct choice){.limit = ACCOUNTS_TOP});
}

void answer_accounts(struct request *r) {
    struct choice c = {.queue = request_query(r, "queue"),
                       .text = request_query(r, "text"),
                       .state = request_query(r, "state")};
    if (!query_number(r, "offset", 0, 1000000, &c.offset) ||
        !query_number(r, "limit", ACCOUNTS_TOP, ACCOUNTS_PAGE, &c.limit))
        return;
    buf_add_char(&r->out, '{');
    add_chosen(&r->out, r->admin, &c);
    buf_add_char(&r->out, '}');
    answer_json(r, 200);
}
