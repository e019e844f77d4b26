/* What the API's handlers share: members of cJSON objects, and numbers of the query. A parent that found no memory is
 * NULL; adding to it does nothing. */
#ifndef DRAY_ADMIN_API_H
#define DRAY_ADMIN_API_H

#include "admin/admin.h"

void api_str(cJSON *object, const char *name, const char *value); /* NULL: null */
void api_ms(cJSON *object, const char *name, uint64_t value);     /* 0: null */
void api_pause(cJSON *object, const char *name, const struct pause_view *p, uint64_t now_ms);
cJSON *api_element(cJSON *array); /* a new object at its end */

/* A number from the query, or `otherwise`; false: answered with 400 already. */
bool query_number(struct request *r, const char *name, uint64_t otherwise, uint64_t most, uint64_t *value);

/* "accounts":{…}, those in trouble first. */
void api_accounts_top(cJSON *answer, const struct admin *a);
void answer_accounts(struct request *r);

#endif
