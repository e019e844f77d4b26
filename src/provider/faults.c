/* The list of a job's faults, as JSON members ready for a dead letter. It names places and rules
 * and never a value. Past FAULTS_MAX, or when memory runs out, faults are only counted. */
#include "dray/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LIST_MAX  (128u << 10) /* bytes; FAULTS_MAX faults of usual length take a tenth */
#define FIRST_MAX 1024

void faults_init(struct faults *f) {
    buf_init(&f->list, LIST_MAX);
    buf_init(&f->first, FIRST_MAX);
    f->count = 0;
}

void faults_deinit(struct faults *f) {
    buf_deinit(&f->list);
    buf_deinit(&f->first);
    f->count = 0;
}

void faults_reset(struct faults *f) {
    buf_reset(&f->list);
    buf_reset(&f->first);
    f->count = 0;
}

/* A fault goes in whole or not at all, so that the list stays JSON. */
static void list_add(struct buf *list, const char *path, const char *rule) {
    size_t before = list->len;
    if (before > 0)
        buf_add_char(list, ',');
    buf_add_str(list, "{\"path\":");
    buf_add_json_str(list, span_str(path));
    buf_add_str(list, ",\"rule\":");
    buf_add_json_str(list, span_str(rule));
    buf_add_char(list, '}');
    if (!buf_ok(list)) {
        list->len = before;
        list->failed = false;
    }
}

void faults_add(struct faults *f, const char *path, const char *rule_format, ...) {
    char rule[512];
    va_list ap;
    if (f->count++ >= FAULTS_MAX)
        return;
    va_start(ap, rule_format);
    vsnprintf(rule, sizeof(rule), rule_format, ap);
    va_end(ap);
    list_add(&f->list, path, rule);
    if (f->count == 1) {
        buf_add_str(&f->first, path);
        buf_add_str(&f->first, path[0] != '\0' ? ": " : "");
        buf_add_str(&f->first, rule);
    }
}
