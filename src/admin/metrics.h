/* The parts of /metrics, and the lines of its text. */
#ifndef DRAY_ADMIN_METRICS_H
#define DRAY_ADMIN_METRICS_H

#include "admin/admin.h"

/* A metric's HELP and TYPE. */
void metrics_head(struct buf *b, const char *name, const char *type, const char *help);
/* One value. `labels` is "" or has its braces. */
void metrics_value(struct buf *b, const char *name, const char *labels, uint64_t v);
/* A metric that has one value, with its head. */
void metrics_one(struct buf *b, const char *name, const char *type, const char *help, uint64_t v);

void metrics_accounts(struct buf *b, const struct admin *a);

#endif
