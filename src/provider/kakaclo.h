/* What KaKaClo's three endpoints share: the answer to a create request, and their look-ups. */
#ifndef DRAY_PROVIDER_KAKACLO_H
#define DRAY_PROVIDER_KAKACLO_H

#include "provider/module.h"

#define KAKACLO_URL   "https://developer.kakaclo.com"
#define KAKACLO_RATE  2.0 /* "leaky bucket", 2 a second … */
#define KAKACLO_BURST 120 /* … of 120 requests per app and store */

#define QUANTITY AT_LEAST(1), .max = 32767 /* "int[16]", read as 16 bits with a sign */

/* The answer's `code` is 10000: KaKaClo's only sign of success. */
bool kakaclo_succeeded(const struct json_doc *answer);
/* Adds the id of one of the orders that an order was split into, and the answer's object of it. */
void kakaclo_add_part(const struct json_doc *answer, uint32_t order, uint32_t id, struct outcome *out);
void kakaclo_read_success(const struct account *account, const struct envelope *envelope,
                          const struct json_doc *answer, struct outcome *out);

/* kakaclo_lookup.c: v1's and v2's order list at `path`, and custom's search. */
int kakaclo_build_lookup(const char *path, const struct envelope *envelope,
                         const struct lookup_cursor *cursor, struct buf *url);
bool kakaclo_read_lookup(const struct account *account, const struct envelope *envelope, long http_status,
                         const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out);
int kakaclo_custom_build_lookup(const struct account *account, const struct envelope *envelope,
                                const struct lookup_cursor *cursor, struct buf *url);
int kakaclo_custom_build_lookup_body(const struct account *account, const struct envelope *envelope,
                                     const struct lookup_cursor *cursor, struct buf *body);
bool kakaclo_custom_read_lookup(const struct account *account, const struct envelope *envelope,
                                long http_status, const struct json_doc *answer, struct lookup_cursor *cursor,
                                struct outcome *out);

#define KAKACLO_LAG_MS (10 * 60 * 1000) /* "queries lag by up to ten minutes" */

#endif
