/* Checks an order against its provider's field table. It walks the order once and, object by
 * object, compares each member with the rows of that object only, the row after the last hit first:
 * orders come in the table's order more often than not. A path is built only for a fault. */
#include "dray/provider.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dray/timefmt.h"

#define PATH_SIZE 512
#define NAME_SIZE 64 /* the longest name of any table, decoded */

/* Where the walk is, as a chain up to the order itself. */
struct place {
    const struct place *up;
    struct span name; /* absent: an element of an array */
    size_t index;
};

struct walk {
    const struct json_doc *doc;
    struct faults *faults;
};

static size_t path_write(const struct place *here, char out[static PATH_SIZE]) {
    size_t used = here->up != NULL ? path_write(here->up, out) : 0;
    size_t room = PATH_SIZE - used;
    int n;
    if (here->name.ptr == NULL)
        n = snprintf(out + used, room, "[%zu]", here->index);
    else
        n = snprintf(out + used, room, "%s%.*s", here->up != NULL ? "." : "", (int)here->name.len,
                     here->name.ptr);
    return n < 0 || (size_t)n >= room ? PATH_SIZE - 1 : used + (size_t)n;
}

#define FAULT(walk, here, ...)                                                                     \
    do {                                                                                           \
        char path_text[PATH_SIZE];                                                                 \
        path_write(here, path_text);                                                               \
        faults_add((walk)->faults, path_text, __VA_ARGS__);                                        \
    } while (0)

static const char *type_words(enum field_type type) {
    static const char *const words[] = {
        [FIELD_STRING] = "a string",
        [FIELD_INTEGER] = "an integer",
        [FIELD_NUMBER] = "a number",
        [FIELD_BOOLEAN] = "true or false",
        [FIELD_OBJECT] = "an object",
        [FIELD_ARRAY] = "an array",
        [FIELD_STRING_ARRAY] = "an array of strings",
        [FIELD_STRING_OR_INTEGER] = "a string or an integer",
        [FIELD_OBJECT_OR_ARRAY] = "an object or an array",
        [FIELD_ANY] = "a value",
    };
    return words[type];
}

static bool type_fits(const struct json_node *node, enum field_type type) {
    enum json_type seen = (enum json_type)node->type;
    switch (type) {
    case FIELD_STRING:
        return seen == JSON_STRING;
    case FIELD_INTEGER:
        return seen == JSON_NUMBER && node->integer;
    case FIELD_NUMBER:
        return seen == JSON_NUMBER;
    case FIELD_BOOLEAN:
        return seen == JSON_TRUE || seen == JSON_FALSE;
    case FIELD_OBJECT:
        return seen == JSON_OBJECT;
    case FIELD_ARRAY:
    case FIELD_STRING_ARRAY:
        return seen == JSON_ARRAY;
    case FIELD_STRING_OR_INTEGER:
        return seen == JSON_STRING || (seen == JSON_NUMBER && node->integer);
    case FIELD_OBJECT_OR_ARRAY:
        return seen == JSON_OBJECT || seen == JSON_ARRAY;
    case FIELD_ANY:
        return true;
    }
    return false;
}

static void fault_type(const struct walk *w, const struct place *here, const struct field *row,
                       const struct json_node *node) {
    static const char *const seen[] = {
        [JSON_NULL] = "null",       [JSON_FALSE] = "a boolean", [JSON_TRUE] = "a boolean",
        [JSON_NUMBER] = "a number", [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object"};
    if (node->type == JSON_NUMBER &&
        (row->type == FIELD_INTEGER || row->type == FIELD_STRING_OR_INTEGER))
        FAULT(w, here, "must be %s, without fraction or exponent", type_words(row->type));
    else
        FAULT(w, here, "must be %s, not %s", type_words(row->type), seen[node->type]);
}

/* Writes the allowed values as "a, b, c". */
static void allowed_words(const struct field *row, char out[static 256]) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; row->allowed[i] != NULL && used < 255; i++) {
        int n = snprintf(out + used, 256 - used, "%s%s", i > 0 ? ", " : "", row->allowed[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

static void check_allowed(const struct walk *w, const struct place *here, const struct field *row,
                          uint32_t node) {
    char text[NAME_SIZE], words[256];
    int len = json_copy(w->doc, node, text, sizeof(text));
    for (size_t i = 0; len >= 0 && row->allowed[i] != NULL; i++) {
        if (row->allowed_nocase ? strcasecmp(text, row->allowed[i]) == 0
                                : strcmp(text, row->allowed[i]) == 0)
            return;
    }
    allowed_words(row, words);
    FAULT(w, here, "must be one of: %s", words);
}

/* A time of day has no '-' and no '+', so behind the 'T' either one is an offset's sign. */
static bool has_offset(const char *text, size_t len) {
    if (len == 0 || text[len - 1] == 'Z' || text[len - 1] == 'z')
        return len > 0;
    return len > 11 && strpbrk(text + 11, "+-") != NULL;
}

static bool is_utc(const char *text, size_t len) {
    if (len > 0 && (text[len - 1] == 'Z' || text[len - 1] == 'z'))
        return true;
    return len > 6 &&
           (strcmp(text + len - 6, "+00:00") == 0 || strcmp(text + len - 6, "-00:00") == 0);
}

static void check_datetime(const struct walk *w, const struct place *here, const struct field *row,
                           uint32_t node) {
    char text[NAME_SIZE];
    uint64_t unix_ms;
    int n = json_copy(w->doc, node, text, sizeof(text) - 1);
    size_t len = n > 0 ? (size_t)n : 0;
    bool local = (row->flags & FIELD_LOCAL_OK) != 0 && len > 0 && !has_offset(text, len);
    if (local) {
        text[len] = 'Z';
        text[len + 1] = '\0';
    }
    if (len == 0 || rfc3339_parse((struct span){text, local ? len + 1 : len}, &unix_ms) != 0)
        FAULT(w, here, "must be a date and time such as 2024-04-24T06:00:33.889Z");
    else if ((row->flags & FIELD_UTC) != 0 && !is_utc(text, len))
        FAULT(w, here, "must be in UTC (end in Z or +00:00)");
}

static void check_string(const struct walk *w, const struct place *here, const struct field *row,
                         uint32_t node) {
    uint32_t length = w->doc->nodes[node].count;
    if (length == 0 && (row->flags & FIELD_NONEMPTY) != 0)
        FAULT(w, here, "must not be empty");
    else if (row->max > 0 && length > row->max)
        FAULT(w, here, "must be at most %u characters", row->max);
    else if (row->allowed != NULL)
        check_allowed(w, here, row, node);
    else if ((row->flags & FIELD_DATETIME) != 0)
        check_datetime(w, here, row, node);
}

static void check_number(const struct walk *w, const struct place *here, const struct field *row,
                         uint32_t node) {
    struct span raw = json_raw(w->doc, node);
    int64_t whole;
    double value;
    bool small;
    if (json_i64(w->doc, node, &whole))
        small = whole < row->min;
    else if (json_double(w->doc, node, &value))
        small = value < (double)row->min;
    else
        small = raw.ptr[0] == '-'; /* an integer beyond double's range */
    if (row->has_min && small)
        FAULT(w, here, "must be at least %lld", (long long)row->min);
    else if (row->max > 0 && row->type == FIELD_STRING_OR_INTEGER && raw.len > row->max)
        FAULT(w, here, "must be at most %u characters", row->max);
}

static void check_object(const struct walk *w, const struct place *here, const struct field *rows,
                         uint32_t count, uint32_t node);

static void check_array(const struct walk *w, const struct place *here, const struct field *row,
                        uint32_t node) {
    const struct json_doc *doc = w->doc;
    struct place element = {.up = here};
    if (doc->nodes[node].count == 0 && (row->flags & FIELD_NONEMPTY) != 0)
        FAULT(w, here, "must not be empty");
    if (row->type == FIELD_ARRAY && row->members == NULL)
        return;
    struct field each = {.type = row->type == FIELD_ARRAY ? FIELD_OBJECT : FIELD_STRING,
                         .max = row->max};
    uint32_t end = doc->nodes[node].next;
    for (uint32_t k = node + 1; k < end; k = doc->nodes[k].next, element.index++) {
        if (!type_fits(&doc->nodes[k], each.type))
            fault_type(w, &element, &each, &doc->nodes[k]);
        else if (each.type == FIELD_OBJECT)
            check_object(w, &element, row->members, row->member_count, k);
        else
            check_string(w, &element, &each, k);
    }
}

static void check_value(const struct walk *w, const struct place *here, const struct field *row,
                        uint32_t node) {
    const struct json_node *seen = &w->doc->nodes[node];
    if (seen->type == JSON_NULL && (row->flags & FIELD_NULLABLE) != 0)
        return;
    if (!type_fits(seen, row->type)) {
        fault_type(w, here, row, seen);
        return;
    }
    if (seen->type == JSON_STRING)
        check_string(w, here, row, node);
    else if (seen->type == JSON_NUMBER)
        check_number(w, here, row, node);
    else if (seen->type == JSON_OBJECT && row->members != NULL)
        check_object(w, here, row->members, row->member_count, node);
    else if (seen->type == JSON_ARRAY)
        check_array(w, here, row, node);
}

static bool names(const struct field *row, const char *name, size_t len) {
    if (row->name_len == len && memcmp(row->name, name, len) == 0)
        return true;
    return row->alias_len == len && len > 0 && memcmp(row->alias, name, len) == 0;
}

/* The row of member name `node`, looked for from `first` on and around; `count`: there is none. */
static uint32_t find_row(const struct json_doc *doc, const struct field *rows, uint32_t count,
                         uint32_t first, uint32_t node) {
    char decoded[NAME_SIZE];
    struct span name = json_inner(doc, node);
    if (doc->nodes[node].escaped) {
        int n = json_copy(doc, node, decoded, sizeof(decoded));
        if (n < 0)
            return count;
        name = (struct span){decoded, (size_t)n};
    }
    for (uint32_t i = first; i < count; i++)
        if (names(&rows[i], name.ptr, name.len))
            return i;
    for (uint32_t i = 0; i < first; i++)
        if (names(&rows[i], name.ptr, name.len))
            return i;
    return count;
}

static void fault_twice(const struct walk *w, const struct place *here, const struct field *row) {
    if (row->alias != NULL)
        FAULT(w, here, "is given twice (%s and %s are one field)", row->name, row->alias);
    else
        FAULT(w, here, "is given twice");
}

static void fault_missing(const struct walk *w, const struct place *here, const struct field *row) {
    struct place member = {.up = here, .name = {row->name, row->name_len}};
    if (row->alias != NULL)
        FAULT(w, &member, "is required (%s will do too)", row->alias);
    else
        FAULT(w, &member, "is required");
}

static void check_object(const struct walk *w, const struct place *here, const struct field *rows,
                         uint32_t count, uint32_t node) {
    const struct json_doc *doc = w->doc;
    uint64_t seen = 0; /* bit i: row i */
    uint32_t first = 0;
    uint32_t end = doc->nodes[node].next;
    for (uint32_t k = node + 1; k < end; k = doc->nodes[k + 1].next) {
        uint32_t i = find_row(doc, rows, count, first, k);
        if (i == count)
            continue;
        struct place member = {.up = here, .name = json_inner(doc, k)};
        if ((seen >> i & 1) != 0)
            fault_twice(w, &member, &rows[i]);
        seen |= UINT64_C(1) << i;
        first = i + 1;
        check_value(w, &member, &rows[i], k + 1);
    }
    for (uint32_t i = 0; i < count; i++)
        if ((rows[i].flags & FIELD_REQUIRED) != 0 && (seen >> i & 1) == 0)
            fault_missing(w, here, &rows[i]);
}

uint32_t provider_validate(const struct provider *p, const struct json_doc *doc, uint32_t order,
                           struct faults *faults) {
    uint32_t before = faults->count;
    struct walk w = {doc, faults};
    struct place root = {.name = SPAN_LIT("order")};
    if (json_type(doc, order) != JSON_OBJECT)
        FAULT(&w, &root, "must be an object");
    else {
        check_object(&w, &root, p->fields, p->field_count, order);
        if (p->validate != NULL)
            p->validate(doc, order, faults);
    }
    return faults->count - before;
}
