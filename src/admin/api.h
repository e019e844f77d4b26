/* What the API's handlers share. */
#ifndef DRAY_ADMIN_API_H
#define DRAY_ADMIN_API_H

#include "admin/admin.h"

/* A number from the query, or `otherwise`; false: answered with 400 already. */
bool query_number(struct request *r, const char *name, uint64_t otherwise, uint64_t most,
                  uint64_t *value);

#endif
