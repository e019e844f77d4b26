/* The walk over an order (validate.c) and the rules of single values (rules.c) share this. */
#ifndef DRAY_PROVIDER_RULES_H
#define DRAY_PROVIDER_RULES_H

#include "dray/provider.h"

#define PATH_SIZE 512
#define NAME_SIZE 64 /* the longest name of any table, decoded */

/* Where the walk is, as a chain up to the order itself. */
struct place {
    const struct place *up;
    struct span name;        /* absent: an element of an array */
    const struct field *row; /* of a member; NULL: the order itself, or an element */
    size_t index;
};

struct walk {
    const struct json_doc *doc;
    const struct account *account; /* NULL: strict, as the document says */
    struct faults *faults;
    struct faults *warnings; /* NULL: not wanted */
};

void rule_fault(const struct walk *w, const struct place *here, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the fault of a length or an emptiness; where validation is lenient, a warning. */
void rule_soft(const struct walk *w, const struct place *here, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "the row's type has this JSON type" */
bool rule_type_fits(const struct json_node *node, enum field_type type);
void rule_fault_type(const struct walk *w, const struct place *here, const struct field *row,
                     const struct json_node *node);
/* Checks what else a row asks for, once the value's type fits. */
void rule_string(const struct walk *w, const struct place *here, const struct field *row, uint32_t node);
void rule_number(const struct walk *w, const struct place *here, const struct field *row, uint32_t node);
/* Whether the array or string may be empty here although its row says no. */
bool rule_may_be_empty(const struct walk *w, const struct place *here);

/* The table of an order's fields: the document's, or the account's own; NULL (and 0): none. */
const struct field *provider_rows(const struct provider *p, const struct account *account, uint32_t *count);

#endif
