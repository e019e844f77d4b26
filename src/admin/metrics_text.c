/* The lines of /metrics. */
#include "admin/metrics.h"

#include <stdio.h>
#include <string.h>

/* OpenMetrics names a counter without the suffix that its samples have. */
void metrics_head(struct exposition *x, const char *name, const char *type, const char *help) {
    bool counter = x->open && strcmp(type, "counter") == 0;
    int n = (int)(strlen(name) - (counter ? strlen("_total") : 0));
    buf_addf(x->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", n, name, help, n, name, type);
}

void metrics_value(struct exposition *x, const char *name, const char *labels, uint64_t v) {
    buf_add_str(x->out, name);
    buf_add_str(x->out, labels);
    buf_add_char(x->out, ' ');
    buf_add_u64(x->out, v);
    buf_add_char(x->out, '\n');
}

void metrics_one(struct exposition *x, const char *name, const char *type, const char *help, uint64_t v) {
    metrics_head(x, name, type, help);
    metrics_value(x, name, "", v);
}

/* ---- histograms ---- */

/* The trace of an order of the bucket, so that a slow one can be looked at. */
static void add_exemplar(struct exposition *x, const struct exemplar *e) {
    if (!x->open || e->unix_ms == 0)
        return;
    buf_add_str(x->out, " # {trace_id=\"");
    for (size_t i = 0; i < sizeof(e->trace); i++)
        buf_addf(x->out, "%02x", e->trace[i]);
    buf_addf(x->out, "\"} %.6f %.3f", (double)e->us / 1e6, (double)e->unix_ms / 1e3);
}

static void add_bucket(struct exposition *x, const char *name, const char *queue, const char *bound,
                       uint64_t below, const struct exemplar *e) {
    buf_addf(x->out, "%s_bucket{queue=\"%s\",le=\"%s\"} %llu", name, queue, bound, (unsigned long long)below);
    add_exemplar(x, e);
    buf_add_char(x->out, '\n');
}

void metrics_histogram(struct exposition *x, const char *name, const char *queue, const struct histogram *h,
                       const uint64_t *bounds_us) {
    uint64_t below = 0;
    for (size_t i = 0; i < HISTOGRAM_MAX; i++) {
        char bound[32];
        bool whole = bounds_us[i] % 1000000 == 0; /* OpenMetrics writes 1.0, where the other format has 1 */
        snprintf(bound, sizeof(bound), "%g%s", (double)bounds_us[i] / 1e6, x->open && whole ? ".0" : "");
        below += h->count[i];
        add_bucket(x, name, queue, bound, below, &h->exemplars[i]);
    }
    below += h->count[HISTOGRAM_MAX];
    add_bucket(x, name, queue, "+Inf", below, &h->exemplars[HISTOGRAM_MAX]);
    buf_addf(x->out, "%s_sum{queue=\"%s\"} %.6f\n%s_count{queue=\"%s\"} %llu\n", name, queue,
             (double)h->sum_us / 1e6, name, queue, (unsigned long long)below);
}
