/* The account's lists of codes. Private to src/policy. */
#ifndef DRAY_POLICY_CODES_H
#define DRAY_POLICY_CODES_H

#include "dray/account.h"
#include "dray/verdict.h"

/* The account's word on one code ("20013", "http:503") goes before the default table. True if it has one;
 * `out` has then another verdict. A pause stays one where the code is in retry_codes: it is a retry. */
bool codes_apply(const struct account *account, const char *code, struct outcome *out);

#endif
