/* What KaKaClo's three endpoints share: the answer to a create request. */
#ifndef DRAY_PROVIDER_KAKACLO_H
#define DRAY_PROVIDER_KAKACLO_H

#include "provider/module.h"

#define KAKACLO_URL   "https://developer.kakaclo.com"
#define KAKACLO_RATE  2.0 /* "leaky bucket", 2 a second … */
#define KAKACLO_BURST 120 /* … of 120 requests per app and store */

#define QUANTITY AT_LEAST(1), .max = 32767 /* "int[16]", read as 16 bits with a sign */

/* The answer's `code` is 10000: KaKaClo's only sign of success. */
bool kakaclo_succeeded(const struct json_doc *answer);
void kakaclo_read_success(const struct account *account, const struct envelope *envelope,
                          const struct json_doc *answer, struct outcome *out);

#endif
