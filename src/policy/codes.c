#include "policy/codes.h"

#include <stddef.h>
#include <string.h>

static bool listed(code_list codes, const char *code) {
    for (size_t i = 0; codes != NULL && codes[i] != NULL; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}

static void retry(struct outcome *out) {
    out->look_first = out->exists = false;
    if (out->verdict == VERDICT_PAUSE)
        return;
    out->free = out->free && out->verdict == VERDICT_RETRY; /* what was never sent still was not */
    out->verdict = VERDICT_RETRY;
}

/* The configuration refuses a code that stands in two lists. */
bool codes_apply(const struct account *account, const char *code, struct outcome *out) {
    const struct {
        code_list codes;
        enum verdict verdict;
    } lists[] = {
        {account->unknown_codes, VERDICT_UNKNOWN}, {account->duplicate_codes, VERDICT_LOOKUP},
        {account->hold_codes, VERDICT_HOLD},       {account->pause_codes, VERDICT_PAUSE},
        {account->reject_codes, VERDICT_REJECTED},
    };
    if (code[0] == '\0')
        return false;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (!listed(lists[i].codes, code))
            continue;
        out->verdict = lists[i].verdict;
        out->free = out->verdict == VERDICT_PAUSE;
        out->exists = out->verdict == VERDICT_LOOKUP;
        out->look_first = false;
        return true;
    }
    if (!listed(account->retry_codes, code))
        return false;
    retry(out);
    return true;
}
