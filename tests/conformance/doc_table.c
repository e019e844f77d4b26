#include "doc_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *page_text(const char *page) {
    char path[512];
    snprintf(path, sizeof(path), DRAY_DOCS "/%s", page);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s cannot be read", path);
    char *text = calloc(1, 1 << 20);
    assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
    fclose(f);
    return text;
}

static void split(struct doc_table *t, char *line) {
    char *at = line + 1;
    for (size_t i = 0; i < DOC_CELLS; i++) {
        char *end = at != NULL ? strstr(at, "|") : NULL;
        t->cell[t->rows][i] = "";
        if (end == NULL)
            continue;
        *end = '\0';
        while (*at == ' ')
            at++;
        for (char *last = end; last > at && last[-1] == ' ';)
            *--last = '\0';
        t->cell[t->rows][i] = at;
        at = end + 1;
    }
    t->rows++;
}

void doc_table_read(struct doc_table *t, const char *page, const char *head) {
    *t = (struct doc_table){.text = page_text(page)};
    char *at = strstr(t->text, head);
    if (at == NULL || strstr(at + 1, head) != NULL)
        fail_msg("%s has not one table %s", page, head);
    strsep(&at, "\n"); /* the head */
    strsep(&at, "\n"); /* and the line below it */
    for (char *line; at[0] == '|' && (line = strsep(&at, "\n")) != NULL;) {
        assert_true(t->rows < DOC_ROWS);
        split(t, line);
    }
}

void doc_table_free(struct doc_table *t) {
    free(t->text);
}

size_t doc_table_row(const struct doc_table *t, const char *text) {
    size_t found = t->rows;
    for (size_t i = 0; i < t->rows; i++) {
        if (strcmp(t->cell[i][0], text) != 0)
            continue;
        if (found < t->rows)
            fail_msg("two rows are '%s'", text);
        found = i;
    }
    if (found == t->rows)
        fail_msg("there is no row '%s'", text);
    return found;
}

bool doc_cell_has(const char *cell, const char *word) {
    char quoted[128];
    snprintf(quoted, sizeof(quoted), "`%s`", word);
    return strstr(cell, quoted) != NULL;
}

static bool claims_number(const char *cell, long status) {
    char number[16];
    snprintf(number, sizeof(number), "%ld", status);
    for (const char *at = cell; (at = strstr(at, number)) != NULL; at += strlen(number)) {
        bool starts = at == cell || (at >= cell + 2 && strchr(",;", at[-2]) != NULL && at[-1] == ' ');
        if (starts && strncmp(at + strlen(number), " with", 5) != 0)
            return true;
    }
    return false;
}

int doc_table_claims(const struct doc_table *t, long status) {
    int by_number = -1, by_class = -1;
    char other[32], whole[32];
    snprintf(other, sizeof(other), "other %ldxx", status / 100);
    snprintf(whole, sizeof(whole), "%ldxx", status / 100);
    for (size_t i = 0; i < t->rows; i++) {
        const char *cell = t->cell[i][0];
        if (claims_number(cell, status)) {
            if (by_number >= 0)
                fail_msg("two rows claim %ld", status);
            by_number = (int)i;
        } else if (strstr(cell, other) != NULL || strncmp(cell, whole, 3) == 0) {
            by_class = (int)i;
        }
    }
    return by_number >= 0 ? by_number : by_class;
}
