#include "queue/account_state.h"

enum account_state account_state(char mode, uint64_t until_ms, bool paused_by_operator, uint64_t waiting,
                                 uint64_t now_ms) {
    if (paused_by_operator)
        return ACCOUNT_PAUSED_BY_OPERATOR;
    if (mode == 'h')
        return ACCOUNT_HELD;
    if (mode == 'b')
        return ACCOUNT_BREAKER_OPEN;
    if (mode == 'p' && until_ms > now_ms)
        return ACCOUNT_PAUSED_BY_PROVIDER;
    return waiting > 0 ? ACCOUNT_LIMITED : ACCOUNT_OK;
}

const char *account_state_name(enum account_state state) {
    static const char *const names[] = {
        [ACCOUNT_HELD] = "held",
        [ACCOUNT_BREAKER_OPEN] = "breaker_open",
        [ACCOUNT_PAUSED_BY_PROVIDER] = "paused_by_provider",
        [ACCOUNT_PAUSED_BY_OPERATOR] = "paused_by_operator",
        [ACCOUNT_LIMITED] = "limited",
        [ACCOUNT_OK] = "ok",
    };
    return names[state];
}
