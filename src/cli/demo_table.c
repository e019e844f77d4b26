/* The demo's table: a line for each job, and below it what there is to say about it. */
#include <string.h>

#include "cli/demo.h"

enum column { JOB, PROVIDER, VERDICT, ORDER_ID, ATTEMPTS, MS, COLUMNS };

static const char *const titles[COLUMNS] = {"job", "provider", "verdict", "order id", "attempts", "ms"};

static void cell(const struct demo_row *row, enum column column, char out[static 80]) {
    const char *texts[COLUMNS] = {
        row->name, row->provider, row->got_status, row->order_id[0] == '\0' ? "-" : row->order_id,
        NULL,      NULL};
    if (column == ATTEMPTS || column == MS)
        snprintf(out, 80, "%lld", (long long)(column == ATTEMPTS ? row->got_attempts : row->ms));
    else
        snprintf(out, 80, "%s", texts[column]);
}

static int width(enum column column) {
    char text[80];
    size_t most = strlen(titles[column]);
    for (size_t i = 0; i < demo_row_count; i++) {
        cell(&demo_rows[i], column, text);
        most = strlen(text) > most ? strlen(text) : most;
    }
    return (int)most;
}

static void print_line(const struct demo_row *row, const int widths[static COLUMNS]) {
    char text[80];
    for (int c = 0; c < COLUMNS; c++) {
        if (row == NULL)
            snprintf(text, sizeof text, "%s", titles[c]);
        else
            cell(row, (enum column)c, text);
        printf(c >= ATTEMPTS ? "  %*s" : c == 0 ? "%-*s" : "  %-*s", widths[c], text);
    }
    putchar('\n');
}

static void print_remarks(const struct demo_row *row) {
    if (row->got_reason[0] != '\0')
        printf("    %s: %s\n", row->got_reason, row->fault);
    if (row->note != NULL)
        printf("    (%s)\n", row->note);
    if (!demo_row_is_right(row))
        printf("    NOT AS EXPECTED: %s%s%s\n", row->status, row->reason != NULL ? ", " : "",
               row->reason != NULL ? row->reason : "");
}

void demo_print_table(void) {
    int widths[COLUMNS];
    for (int c = 0; c < COLUMNS; c++)
        widths[c] = width((enum column)c);
    print_line(NULL, widths);
    for (size_t i = 0; i < demo_row_count; i++) {
        print_line(&demo_rows[i], widths);
        print_remarks(&demo_rows[i]);
    }
}
