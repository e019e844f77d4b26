/* Checks an order against its provider's field table. It walks the order once and, object by
 * object, compares each member with the rows of that object only, the row after the last hit first:
 * orders come in the table's order more often than not. What single values must keep: rules.c. */
#include "provider/rules.h"

#include <string.h>

#include "provider/module.h"

static void check_object(const struct walk *w, const struct place *here, const struct field *rows,
                         uint32_t count, uint32_t node);

static void check_array(const struct walk *w, const struct place *here, const struct field *row,
                        uint32_t node) {
    const struct json_doc *doc = w->doc;
    struct place element = {.up = here};
    if (doc->nodes[node].count == 0 && (row->flags & FIELD_NONEMPTY) != 0 && !rule_may_be_empty(w, here))
        rule_fault(w, here, "must not be empty");
    if (row->type == FIELD_ARRAY && row->members == NULL)
        return;
    struct field each = {.type = row->type == FIELD_ARRAY ? FIELD_OBJECT : FIELD_STRING, .max = row->max};
    uint32_t end = doc->nodes[node].next;
    for (uint32_t k = node + 1; k < end; k = doc->nodes[k].next, element.index++) {
        if (!rule_type_fits(&doc->nodes[k], each.type))
            rule_fault_type(w, &element, &each, &doc->nodes[k]);
        else if (each.type == FIELD_OBJECT)
            check_object(w, &element, row->members, row->member_count, k);
        else
            rule_string(w, &element, &each, k);
    }
}

static void check_value(const struct walk *w, const struct place *here, const struct field *row,
                        uint32_t node) {
    const struct json_node *seen = &w->doc->nodes[node];
    if (seen->type == JSON_NULL && (row->flags & FIELD_NULLABLE) != 0)
        return;
    if (!rule_type_fits(seen, row->type)) {
        rule_fault_type(w, here, row, seen);
        return;
    }
    if (seen->type == JSON_STRING)
        rule_string(w, here, row, node);
    else if (seen->type == JSON_NUMBER)
        rule_number(w, here, row, node);
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

/* The row of member name `node`. The search begins at row `first` and wraps around; `count`: there is none. */
static uint32_t find_row(const struct json_doc *doc, const struct field *rows, uint32_t count, uint32_t first,
                         uint32_t node) {
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

/* True where both members have the same text, or one of them has none. */
static bool same_text(const struct json_doc *doc, uint32_t one, uint32_t other) {
    const uint32_t nodes[] = {one, other};
    struct buf texts[2];
    bool same = false, none = false;
    for (size_t i = 0; i < 2; i++) {
        buf_init(&texts[i], UINT32_MAX);
        none = none || json_type(doc, nodes[i]) == JSON_NULL;
        if (json_type(doc, nodes[i]) == JSON_STRING)
            none = json_decode(doc, nodes[i], &texts[i]) != 0 || texts[i].len == 0 || none;
        else
            buf_add_span(&texts[i], json_raw(doc, nodes[i]));
    }
    same = none || span_eq(buf_span(&texts[0]), buf_span(&texts[1]));
    buf_deinit(&texts[0]);
    buf_deinit(&texts[1]);
    return same;
}

/* Reports that member name `again` belongs to a row that an earlier member of object `node` has given already. */
static void check_twice(const struct walk *w, const struct place *here, const struct field *rows, uint32_t i,
                        uint32_t node, uint32_t again) {
    const struct json_doc *doc = w->doc;
    const struct field *row = &rows[i];
    bool renamed = (row->flags & FIELD_BOTH_OK) != 0, differs = false;
    for (uint32_t k = node + 1; k < again; k = doc->nodes[k + 1].next) {
        if (find_row(doc, rows, i + 1, i, k) != i)
            continue;
        renamed = renamed && !same_text(doc, k, again);
        differs = differs || !same_text(doc, k + 1, again + 1);
    }
    if (row->alias == NULL)
        rule_fault(w, here, "is given twice");
    else if (!renamed)
        rule_fault(w, here, "is given twice (%s and %s are one field)", row->name, row->alias);
    else if (differs)
        rule_fault(w, here, "differs: %s and %s are one field", row->name, row->alias);
}

static void fault_missing(const struct walk *w, const struct place *here, const struct field *row) {
    struct place member = {.up = here, .name = {row->name, row->name_len}, .row = row};
    if (row->alias != NULL)
        rule_fault(w, &member, "is required (%s will do too)", row->alias);
    else if (row->missing != NULL)
        rule_fault(w, &member, "is required: %s", row->missing);
    else
        rule_fault(w, &member, "is required");
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
        struct place member = {.up = here, .name = json_inner(doc, k), .row = &rows[i]};
        if ((seen >> i & 1) != 0)
            check_twice(w, &member, rows, i, node, k);
        seen |= UINT64_C(1) << i;
        first = i + 1;
        check_value(w, &member, &rows[i], k + 1);
    }
    for (uint32_t i = 0; i < count; i++)
        if ((rows[i].flags & FIELD_REQUIRED) != 0 && (seen >> i & 1) == 0)
            fault_missing(w, here, &rows[i]);
}

const struct field *provider_rows(const struct provider *p, const struct account *account, uint32_t *count) {
    bool own = p->fields == NULL && account != NULL;
    *count = own ? account->http_json.field_count : p->field_count;
    return own ? account->http_json.fields : p->fields;
}

uint32_t provider_validate(const struct provider *p, const struct account *account,
                           const struct json_doc *doc, uint32_t order, struct faults *faults,
                           struct faults *warnings) {
    uint32_t before = faults->count;
    struct walk w = {doc, account, faults, warnings};
    struct place root = {.name = SPAN_LIT("order")};
    bool off = account != NULL && account->validation == VALIDATION_OFF;
    if (json_type(doc, order) != JSON_OBJECT)
        rule_fault(&w, &root, "must be an object");
    else if (!off) {
        uint32_t count;
        const struct field *rows = provider_rows(p, account, &count);
        check_object(&w, &root, rows, count, order);
        if (p->validate != NULL)
            p->validate(doc, order, faults);
    }
    return faults->count - before;
}

const struct field *provider_field(const struct provider *p, const char *path) {
    const struct field *rows = p->fields, *found = NULL;
    uint32_t count = p->field_count;
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        size_t name = len > 2 && memcmp(path + len - 2, "[]", 2) == 0 ? len - 2 : len;
        found = NULL;
        for (uint32_t i = 0; i < count; i++)
            if (rows[i].name_len == name && memcmp(rows[i].name, path, name) == 0)
                found = &rows[i];
        if (found == NULL || (name < len) != (found->type == FIELD_ARRAY && path[len] == '.'))
            return NULL;
        rows = found->members;
        count = found->member_count;
        path += len + (path[len] == '.');
    }
    return found;
}
