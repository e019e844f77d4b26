/* The tables of a page below docs, cell by cell. */
#ifndef DRAY_TEST_DOC_TABLE_H
#define DRAY_TEST_DOC_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define DOC_ROWS  64
#define DOC_CELLS 3

struct doc_table {
    char *text; /* what the cells point into */
    size_t rows;
    const char *cell[DOC_ROWS][DOC_CELLS]; /* "" where there is none */
};

/* The table below the line `head` ("| seen | verdict |"). Ends the test where there is none, or a second. */
void doc_table_read(struct doc_table *t, const char *page, const char *head);
void doc_table_free(struct doc_table *t);

/* The number of the row whose first cell is `text`; ends the test where no row, or more than one, is. */
size_t doc_table_row(const struct doc_table *t, const char *text);

/* Whether `cell` has `word` between backticks. */
bool doc_cell_has(const char *cell, const char *word);

/* The row whose first cell claims `status`: by its number, else as "other 4xx", "2xx"; -1: none. A number that something is
 * said of ("503 with", "VU's 422") is no claim. Ends the test where two rows do. */
int doc_table_claims(const struct doc_table *t, long status);

#endif
