/* The account's lists of codes. Private to src/policy. */
#ifndef DRAY_POLICY_CODES_H
#define DRAY_POLICY_CODES_H

#include "dray/account.h"
#include "dray/verdict.h"

/* Applies the account's lists to one code ("20013", "http:503"). They go before the table for all providers.
 * Returns whether a list has the code; `out` then has another verdict. A pause whose code is in retry_codes
 * stays a pause, for that is a retry too. */
bool codes_apply(const struct account *account, const char *code, struct outcome *out);

#endif
