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
    const struct section_info *info = &section_infos[section->kind];
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
    return s->partial && section_infos[section->kind].named;
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

const char *quoted(const char *text, char out[static QUOTED_SIZE]) {
    size_t n = strlen(text), shown = n > 48 ? 48 : n, at = 0;
    while (shown < n && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--; /* no half of a UTF-8 sequence */
    out[at++] = '\'';
    for (size_t i = 0; i < shown; i++)
        out[at++] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    snprintf(out + at, QUOTED_SIZE - at, "%s'", shown < n ? "..." : "");
    return out;
}

void nearest_init(struct nearest *n, const char *word) {
    size_t len = strlen(word);
    *n = (struct nearest){.word = word, .distance = len < 4 ? 2 : 3 + len / 8};
}

#define NEAREST_MAX 128

/* Edits (insert, delete, replace, swap of neighbours) between two words, without regard to case. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    uint8_t rows[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= na; i++) {
        uint8_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = (uint8_t)i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = (a[i - 1] | 0x20) == (b[j - 1] | 0x20);
            int best = before[j - 1] + !same;
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && older[j - 2] + 1 < best)
                best = older[j - 2] + 1;
            now[j] = (uint8_t)best;
        }
    }
    return rows[na % 3][nb];
}

void nearest_try(struct nearest *n, const char *candidate) {
    size_t na = strlen(n->word), nb = strlen(candidate);
    size_t gap = na > nb ? na - nb : nb - na;
    if (na > NEAREST_MAX || nb > NEAREST_MAX || gap >= n->distance)
        return;
    size_t d = edit_distance(n->word, na, candidate, nb);
    if (d < n->distance) {
        n->distance = d;
        n->best = candidate;
    }
}

const char *nearest_hint(const struct nearest *n, char out[static 128]) {
    out[0] = '\0';
    if (n->best != NULL)
        snprintf(out, 128, " (did you mean '%s'?)", n->best);
    return out;
}
