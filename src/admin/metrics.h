/* The parts of /metrics. */
#ifndef DRAY_ADMIN_METRICS_H
#define DRAY_ADMIN_METRICS_H

#include "admin/admin.h"

void metrics_head(struct buf *b, const char *name, const char *type, const char *help);
void metrics_accounts(struct buf *b, const struct admin *a);

#endif
