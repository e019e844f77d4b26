/* What the API's handlers share: writing members of JSON objects, each with a comma behind it that
 * api_end takes back. */
#ifndef DRAY_ADMIN_API_H
#define DRAY_ADMIN_API_H

#include "admin/admin.h"

void api_str(struct buf *b, const char *name, const char *value); /* NULL: null */
void api_u64(struct buf *b, const char *name, uint64_t value);
void api_bool(struct buf *b, const char *name, bool value);
void api_pause(struct buf *b, const char *name, const struct pause_view *p, uint64_t now_ms);
void api_end(struct buf *b, char bracket);

/* A number from the query, or `otherwise`; false: answered with 400 already. */
bool query_number(struct request *r, const char *name, uint64_t otherwise, uint64_t most,
                  uint64_t *value);

/* "accounts":{…}, those in trouble first. */
void api_accounts_top(struct buf *b, const struct admin *a);
void answer_accounts(struct request *r);

#endif
