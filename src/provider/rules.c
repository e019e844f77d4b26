/* The rules of single values: type, length, emptiness, allowed values, dates, bounds. A path is
 * built only for a fault, or where the account has rules of its own for paths. */
#include "provider/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dray/timefmt.h"

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

/* The place as the table writes it: "orderItemsList[].sku". */
static size_t table_path(const struct place *here, char out[static PATH_SIZE]) {
    if (here->up == NULL)
        return 0;
    size_t used = table_path(here->up, out), room = PATH_SIZE - used;
    int n = here->row == NULL ? snprintf(out + used, room, "[]")
                              : snprintf(out + used, room, "%s%s", used > 0 ? "." : "", here->row->name);
    return n < 0 || (size_t)n >= room ? PATH_SIZE - 1 : used + (size_t)n;
}

static void add(struct faults *to, const struct place *here, const char *format, va_list ap) {
    char path[PATH_SIZE], rule[512];
    path_write(here, path);
    vsnprintf(rule, sizeof(rule), format, ap);
    faults_add(to, path, "%s", rule);
}

void rule_fault(const struct walk *w, const struct place *here, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    add(w->faults, here, format, ap);
    va_end(ap);
}

void rule_soft(const struct walk *w, const struct place *here, const char *format, ...) {
    bool lenient = w->account != NULL && w->account->validation == VALIDATION_LENIENT;
    struct faults *to = lenient ? w->warnings : w->faults;
    va_list ap;
    if (to == NULL)
        return;
    va_start(ap, format);
    add(to, here, format, ap);
    va_end(ap);
}

bool rule_may_be_empty(const struct walk *w, const struct place *here) {
    code_list paths = w->account != NULL ? w->account->allow_empty : NULL;
    char path[PATH_SIZE];
    if (paths == NULL)
        return false;
    path[table_path(here, path)] = '\0';
    for (; *paths != NULL; paths++)
        if (strcmp(*paths, path) == 0)
            return true;
    return false;
}

/* The row's maximum, or the one that the account sets for its path. */
static uint32_t length_limit(const struct walk *w, const struct place *here, const struct field *row) {
    code_list limits = w->account != NULL ? w->account->max_length : NULL;
    char path[PATH_SIZE];
    if (limits == NULL)
        return row->max;
    size_t len = table_path(here, path);
    for (; *limits != NULL; limits++)
        if (strncmp(*limits, path, len) == 0 && (*limits)[len] == ':')
            return (uint32_t)strtoul(*limits + len + 1, NULL, 10);
    return row->max;
}

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

bool rule_type_fits(const struct json_node *node, enum field_type type) {
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

void rule_fault_type(const struct walk *w, const struct place *here, const struct field *row,
                     const struct json_node *node) {
    static const char *const seen[] = {
        [JSON_NULL] = "null",       [JSON_FALSE] = "a boolean", [JSON_TRUE] = "a boolean",
        [JSON_NUMBER] = "a number", [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object"};
    if (node->type == JSON_NUMBER && (row->type == FIELD_INTEGER || row->type == FIELD_STRING_OR_INTEGER))
        rule_fault(w, here, "must be %s, without fraction or exponent", type_words(row->type));
    else
        rule_fault(w, here, "must be %s, not %s", type_words(row->type), seen[node->type]);
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
        if (row->allowed_nocase ? strcasecmp(text, row->allowed[i]) == 0 : strcmp(text, row->allowed[i]) == 0)
            return;
    }
    allowed_words(row, words);
    rule_fault(w, here, "must be one of: %s", words);
}

static void check_datetime(const struct walk *w, const struct place *here, const struct field *row,
                           uint32_t node) {
    char text[NAME_SIZE];
    uint64_t unix_ms;
    int offset = 0, n = json_copy(w->doc, node, text, sizeof(text));
    struct span date = {text, n > 0 ? (size_t)n : 0};
    bool fits = (row->flags & FIELD_ISO8601) != 0 ? iso8601_valid(date)
                : (row->flags & FIELD_UTC) != 0   ? offset_datetime_valid(date, &offset)
                                                  : rfc3339_parse(date, &unix_ms) == 0;
    if (!fits)
        rule_fault(w, here, "must be a date and time such as 2024-04-24T06:00:33.889Z");
    else if (offset != 0)
        rule_fault(w, here, "must be in UTC (end in Z or +00:00)");
}

/* White space at the text's start (1) or end (-1), ASCII's and Unicode's. Control characters count too, for who
 * strips white space strips them as well. */
static bool is_space(const unsigned char *s, size_t n, int end) {
    static const char *const wide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
                                       "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
                                       "\xe2\x81\x9f", "\xe3\x80\x80", "\xef\xbb\xbf"};
    if (n == 0)
        return false;
    if (s[end > 0 ? 0 : n - 1] <= ' ' || s[end > 0 ? 0 : n - 1] == 0x7f)
        return true;
    const unsigned char *three = n >= 3 ? (end > 0 ? s : s + n - 3) : NULL;
    if (three != NULL && three[0] == 0xe2 && three[1] == 0x80 && three[2] >= 0x80 && three[2] <= 0x8b)
        return true; /* U+2000 to U+200B */
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        size_t len = strlen(wide[i]);
        if (n >= len && memcmp(end > 0 ? s : s + n - len, wide[i], len) == 0)
            return true;
    }
    return false;
}

static void check_trimmed(const struct walk *w, const struct place *here, uint32_t node) {
    struct span inner = json_inner(w->doc, node), text = inner;
    struct buf decoded;
    buf_init(&decoded, inner.len);
    if (w->doc->nodes[node].escaped && json_decode(w->doc, node, &decoded) == 0)
        text = buf_span(&decoded);
    const unsigned char *s = (const unsigned char *)text.ptr;
    if (is_space(s, text.len, 1) || is_space(s, text.len, -1))
        rule_fault(w, here, "must not begin or end with white space: it is compared exactly");
    buf_deinit(&decoded);
}

/* Checks length and emptiness. False: nothing more is to be said of the value. */
static bool check_length(const struct walk *w, const struct place *here, const struct field *row,
                         uint32_t length) {
    uint32_t max = length_limit(w, here, row);
    if (length == 0 && (row->flags & FIELD_NONEMPTY) != 0 && !rule_may_be_empty(w, here)) {
        if ((row->flags & FIELD_ORDER_KEY) != 0)
            rule_fault(w, here, "must not be empty"); /* nobody could find the order again */
        else
            rule_soft(w, here, "must not be empty");
    } else if (max > 0 && length > max) {
        rule_soft(w, here, "must be at most %u characters", max);
        return false;
    }
    return length > 0 || ((row->flags & (FIELD_NONEMPTY | FIELD_EMPTY_OK)) == 0);
}

void rule_string(const struct walk *w, const struct place *here, const struct field *row, uint32_t node) {
    if (!check_length(w, here, row, w->doc->nodes[node].count))
        return;
    if (row->allowed != NULL)
        check_allowed(w, here, row, node);
    else if ((row->flags & FIELD_DATETIME) != 0)
        check_datetime(w, here, row, node);
    else if ((row->flags & FIELD_TRIMMED) != 0)
        check_trimmed(w, here, node);
}

/* Compares `node` with `limit`: -1 below, 1 above, else 0. An integer beyond double's range counts by its sign. */
static int compare(const struct walk *w, uint32_t node, int64_t limit) {
    int64_t whole;
    double value;
    if (json_i64(w->doc, node, &whole))
        return (whole > limit) - (whole < limit);
    if (json_double(w->doc, node, &value))
        return (value > (double)limit) - (value < (double)limit);
    return json_raw(w->doc, node).ptr[0] == '-' ? -1 : 1;
}

void rule_number(const struct walk *w, const struct place *here, const struct field *row, uint32_t node) {
    if (row->type == FIELD_STRING_OR_INTEGER) {
        uint32_t max = length_limit(w, here, row);
        if (max > 0 && json_raw(w->doc, node).len > max)
            rule_soft(w, here, "must be at most %u characters", max);
    } else if (row->has_min && compare(w, node, row->min) < 0) {
        rule_fault(w, here, "must be at least %lld", (long long)row->min);
    } else if (row->max > 0 && compare(w, node, row->max) > 0) {
        rule_fault(w, here, "must be at most %u", row->max);
    }
}
