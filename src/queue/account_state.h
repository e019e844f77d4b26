/* What keeps an account, in one word: the same in `dray status`, the admin API, the dashboard and the metrics. */
#ifndef DRAY_QUEUE_ACCOUNT_STATE_H
#define DRAY_QUEUE_ACCOUNT_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* The lower, the sooner it is shown. Below ACCOUNT_LIMITED it is in trouble. */
enum account_state {
    ACCOUNT_HELD,
    ACCOUNT_BREAKER_OPEN,
    ACCOUNT_PAUSED_BY_PROVIDER,
    ACCOUNT_PAUSED_BY_OPERATOR,
    ACCOUNT_LIMITED, /* at its rate or concurrency, and jobs wait */
    ACCOUNT_OK,
};

/* `mode` and `until_ms` as its gate has them (queue/gate.h); `now_ms` by Redis's clock. */
enum account_state account_state(char mode, uint64_t until_ms, bool paused_by_operator, uint64_t waiting,
                                 uint64_t now_ms);
/* "held", "breaker_open", "paused_by_provider", "paused_by_operator", "limited", "ok". */
const char *account_state_name(enum account_state state);

#endif
