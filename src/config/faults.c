/* The list of faults and warnings: each line names where, section, key and rule. */
#include "config/table.h"

#include <stdio.h>
#include <string.h>

#define FAULT_LINE_MAX 1024

void config_faults_init(struct config_faults *f) {
    buf_init(&f->text, 4u << 20);
    f->count = 0;
}

void config_faults_deinit(struct config_faults *f) {
    buf_deinit(&f->text);
    f->count = 0;
}

void faults_vline(struct config_faults *f, const char *prefix, const char *format, va_list ap) {
    char line[FAULT_LINE_MAX];
    size_t n = 0;
    f->count++;
    int done = snprintf(line, sizeof(line), "%s", prefix);
    if (done > 0)
        n = (size_t)done < sizeof(line) ? (size_t)done : sizeof(line) - 1;
    done = vsnprintf(line + n, sizeof(line) - n, format, ap);
    if (done > 0)
        n = (size_t)done < sizeof(line) - n ? n + (size_t)done : sizeof(line) - 1;
    if (f->text.max - f->text.len <= n + 1)
        return;
    buf_add(&f->text, line, n);
    buf_add_char(&f->text, '\n');
}

void faults_line(struct config_faults *f, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    faults_vline(f, "", format, ap);
    va_end(ap);
}

/* "dray.ini:12: " or "DRAY_ACCOUNT_SHOP_RATE: ". */
static size_t write_where(char *out, size_t size, const char *where, uint32_t line) {
    int n = line > 0 ? snprintf(out, size, "%s:%u: ", where, line) : snprintf(out, size, "%s: ", where);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static void write_prefix(const struct draft *s, const struct section *section, const struct key *key,
                         char *out, size_t size) {
    const struct section_info *info = section_infos[section->kind];
    const struct setting *set = key != NULL ? &section->settings[key - info->keys] : NULL;
    size_t n;
    if (set != NULL && set->where != NULL)
        n = write_where(out, size, set->where, set->line);
    else if (section->where != NULL)
        n = write_where(out, size, section->where, section->line);
    else
        n = write_where(out, size, s->path != NULL ? s->path : "environment", 0);
    snprintf(out + n, size - n, "[%s%s%s]%s%s: ", info->name, info->named ? " " : "", section->name,
             key != NULL ? " " : "", key != NULL ? key->name : "");
}

static bool only_warns(const struct draft *s, const struct section *section) {
    return s->partial && section_infos[section->kind]->named;
}

void draft_fault(struct draft *s, const struct section *section, const struct key *key, const char *format,
                 ...) {
    char prefix[512];
    write_prefix(s, section, key, prefix, sizeof(prefix));
    va_list ap;
    va_start(ap, format);
    faults_vline(only_warns(s, section) ? s->warnings : s->faults, prefix, format, ap);
    va_end(ap);
}

void draft_warn(struct draft *s, const struct section *section, const struct key *key, const char *format,
                ...) {
    char prefix[512];
    write_prefix(s, section, key, prefix, sizeof(prefix));
    va_list ap;
    va_start(ap, format);
    faults_vline(s->warnings, prefix, format, ap);
    va_end(ap);
}
