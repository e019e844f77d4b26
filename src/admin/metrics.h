/* The parts of /metrics, and the lines of its text. */
#ifndef DRAY_ADMIN_METRICS_H
#define DRAY_ADMIN_METRICS_H

#include "admin/admin.h"

/* What is written: OpenMetrics 1.0 for who asks for it, else Prometheus's text format 0.0.4. */
struct exposition {
    struct buf *out;
    bool open;
};
/* True where an Accept header prefers OpenMetrics 1.0 to text/plain; NULL: it does not. */
bool metrics_wants_open(const char *accept);

/* A metric's HELP and TYPE. */
void metrics_head(struct exposition *x, const char *name, const char *type, const char *help);
/* One value. `labels` is "" or has its braces. */
void metrics_value(struct exposition *x, const char *name, const char *labels, uint64_t v);
/* A metric that has one value, with its head. */
void metrics_one(struct exposition *x, const char *name, const char *type, const char *help, uint64_t v);

/* The series of a queue's histogram, with exemplars in OpenMetrics. */
void metrics_histogram(struct exposition *x, const char *name, const char *queue, const struct histogram *h,
                       const uint64_t *bounds_us);

void metrics_accounts(struct exposition *x, const struct admin *a);

#endif
