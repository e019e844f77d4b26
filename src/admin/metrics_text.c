/* The lines of /metrics. */
#include "admin/metrics.h"

void metrics_head(struct buf *b, const char *name, const char *type, const char *help) {
    buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_value(struct buf *b, const char *name, const char *labels, uint64_t v) {
    buf_add_str(b, name);
    buf_add_str(b, labels);
    buf_add_char(b, ' ');
    buf_add_u64(b, v);
    buf_add_char(b, '\n');
}

void metrics_one(struct buf *b, const char *name, const char *type, const char *help, uint64_t v) {
    metrics_head(b, name, type, help);
    metrics_value(b, name, "", v);
}
