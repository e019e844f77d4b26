/* Finds what an order's writer may have meant: its own key under either spelling, members whose names are
 * nearly known, a text that was pasted without its outer brace. None of it breaks a rule. */
#include "provider/rules.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

uint32_t provider_order_key(const struct provider *p, const struct account *account,
                            const struct json_doc *doc, uint32_t order, const char **pointer) {
    const char *at[] = {p->order_key_pointer, p->order_key_alias};
    if (at[0] == NULL && account != NULL)
        at[0] = account->http_json.key_pointer;
    if (pointer != NULL)
        *pointer = at[0];
    for (size_t i = 0; i < 2 && at[i] != NULL; i++) {
        uint32_t node = json_pointer(doc, order, at[i]);
        bool none = node == JSON_NONE || json_type(doc, node) == JSON_NULL ||
                    (json_type(doc, node) == JSON_STRING && doc->nodes[node].count == 0);
        if (none)
            continue;
        if (pointer != NULL)
            *pointer = at[i];
        return node;
    }
    return JSON_NONE;
}

/* The name without '_', '-' and a plural's end, in lower case. */
static size_t skeleton(const char *name, size_t len, char out[static NAME_SIZE]) {
    size_t n = 0;
    for (size_t i = 0; i < len && n < NAME_SIZE - 1; i++)
        if (name[i] != '_' && name[i] != '-' && name[i] != ' ')
            out[n++] = (char)tolower((unsigned char)name[i]);
    if (n > 2 && out[n - 1] == 's')
        n--;
    if (n > 4 && out[n - 1] == 'e' && memchr("sxh", out[n - 2], 3) != NULL)
        n--; /* addresses, boxes, batches */
    out[n] = '\0';
    return n;
}

/* "addres" is what is left of "address", as of "addresses". */
static bool same_word(const char *a, size_t na, const char *b, size_t nb) {
    char one[NAME_SIZE], other[NAME_SIZE];
    size_t n = skeleton(a, na, one), m = skeleton(b, nb, other);
    while (n > 1 && one[n - 1] == 's')
        n--;
    while (m > 1 && other[m - 1] == 's')
        m--;
    return n > 0 && n == m && memcmp(one, other, n) == 0;
}

static bool is_name(const struct field *row, struct span name) {
    return (row->name_len == name.len && memcmp(row->name, name.ptr, name.len) == 0) ||
           (row->alias_len == name.len && name.len > 0 && memcmp(row->alias, name.ptr, name.len) == 0);
}

/* The row of the member, or else (`*near`) the row that its name looks like. NULL: neither. */
static const struct field *find(const struct field *rows, uint32_t count, struct span name, bool *near) {
    const struct field *alike = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (is_name(&rows[i], name))
            return &rows[i];
        if (same_word(rows[i].name, rows[i].name_len, name.ptr, name.len) ||
            (rows[i].alias != NULL && same_word(rows[i].alias, rows[i].alias_len, name.ptr, name.len)))
            alike = &rows[i];
    }
    *near = alike != NULL;
    return alike;
}

static void look(const struct walk *w, const struct place *here, const struct field *rows, uint32_t count,
                 uint32_t node);

static void look_inside(const struct walk *w, const struct place *here, const struct field *row,
                        uint32_t node) {
    const struct json_doc *doc = w->doc;
    if (row->members == NULL)
        return;
    if (json_type(doc, node) == JSON_OBJECT && row->type != FIELD_ARRAY)
        look(w, here, row->members, row->member_count, node);
    if (json_type(doc, node) != JSON_ARRAY)
        return;
    struct place element = {.up = here};
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k), element.index++)
        if (json_type(doc, k) == JSON_OBJECT)
            look(w, &element, row->members, row->member_count, k);
}

static void look(const struct walk *w, const struct place *here, const struct field *rows, uint32_t count,
                 uint32_t node) {
    const struct json_doc *doc = w->doc;
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k)) {
        bool near = false;
        struct span name = json_inner(doc, k);
        const struct field *row = find(rows, count, name, &near);
        struct place member = {.up = here, .name = name, .row = row};
        if (row != NULL && near)
            rule_fault(w, &member, "is no field of the document: %s is meant, perhaps", row->name);
        else if (row != NULL)
            look_inside(w, &member, row, k + 1);
    }
}

void provider_look_alikes(const struct provider *p, const struct account *account, const struct json_doc *doc,
                          uint32_t order, struct faults *warnings) {
    const struct walk w = {.doc = doc, .faults = warnings};
    const struct place root = {.name = SPAN_LIT("order")};
    const char *pointer;
    if (json_type(doc, order) != JSON_OBJECT)
        return;
    uint32_t count;
    const struct field *rows = provider_rows(p, account, &count);
    if (rows != NULL)
        look(&w, &root, rows, count, order);
    bool none = provider_order_key(p, account, doc, order, &pointer) == JSON_NONE;
    if (none && pointer != NULL)
        faults_add(warnings, "order",
                   "has no key of its own (%s): it cannot be looked up, and only the job's id or "
                   "order_key tells whether it was ordered before",
                   pointer + 1);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A name and a colon, with no brace before them. */
static bool begins_with_a_member(struct span text) {
    const char *p = text.ptr, *end = text.ptr + text.len;
    while (p < end && is_blank(*p))
        p++;
    if (p == end || *p != '"')
        return false;
    p = memchr(p + 1, '"', (size_t)(end - p - 1));
    if (p == NULL)
        return false;
    for (p++; p < end && is_blank(*p); p++)
        ;
    return p < end && *p == ':';
}

void faults_add_not_json(struct faults *faults, const char *path, struct span text, const struct err *err) {
    faults_add(faults, path, "is not JSON: %s%s", err->text,
               begins_with_a_member(text) ? " (it begins with a member: the { before it is "
                                            "missing, as in the example of VU's document)"
                                          : "");
}
