/* Writes a provider's facts and every row of its field table, three ways from one walk. */
#include "cli/provider_table.h"

#include "dray/config.h"
#include "util/json_tree.h"

#include <stdio.h>
#include <string.h>

#define PATH_SIZE 256

typedef void (*row_fn)(const struct field *row, const char *path, void *out);

/* Calls `write` for each row, parents first; paths as in "orderItemsList[].quantity". */
static void walk(const struct field *rows, uint32_t count, const char *prefix, row_fn write, void *out) {
    for (uint32_t i = 0; i < count; i++) {
        char path[PATH_SIZE], inside[PATH_SIZE + 4];
        snprintf(path, sizeof(path), "%s%s", prefix, rows[i].name);
        write(&rows[i], path, out);
        snprintf(inside, sizeof(inside), "%s%s", path, rows[i].type == FIELD_ARRAY ? "[]." : ".");
        if (rows[i].members != NULL)
            walk(rows[i].members, rows[i].member_count, inside, write, out);
    }
}

static const char *type_name(const struct field *row) {
    static const char *const names[] = {
        [FIELD_STRING] = "string",
        [FIELD_INTEGER] = "integer",
        [FIELD_NUMBER] = "number",
        [FIELD_BOOLEAN] = "boolean",
        [FIELD_OBJECT] = "object",
        [FIELD_ARRAY] = "array",
        [FIELD_STRING_ARRAY] = "array of strings",
        [FIELD_STRING_OR_INTEGER] = "string or integer",
        [FIELD_OBJECT_OR_ARRAY] = "object or array",
        [FIELD_ANY] = "any",
    };
    if (row->type == FIELD_ARRAY && row->members != NULL)
        return "array of objects";
    return names[row->type];
}

const char *provider_auth_words(const struct provider *p) {
    static const char *const words[] = {
        [AUTH_NONE] = "none",
        [AUTH_BEARER] = "bearer token (`token`)",
        [AUTH_BEARER_ORGANIZATION] = "bearer token (`token`) and header X-S2-Organization (`organization`)",
        [AUTH_BASIC] = "HTTP Basic (`key`, `secret`)",
        [AUTH_CONFIGURED] = "by configuration (`auth`)",
    };
    return words[p->auth];
}

const char *provider_lookup_words(const struct provider *p) {
    if (p->auth == AUTH_CONFIGURED)
        return "by configuration (`lookup_path`)";
    if (p->lookup == LOOKUP_NONE)
        return "none";
    if (p->lookup_withdrawn)
        return "with `lookup = yes`, by searching: not found proves nothing";
    return p->lookup == LOOKUP_EXACT ? "exact: not found proves absence"
                                     : "by searching: not found proves nothing";
}

/* Appends "; " between rules. */
static void add_rule(struct buf *rules, const char *text) {
    if (rules->len > 0)
        buf_add_str(rules, "; ");
    buf_add_str(rules, text);
}

static void add_allowed(struct buf *rules, const struct field *row) {
    add_rule(rules, "one of ");
    for (size_t i = 0; row->allowed[i] != NULL; i++)
        buf_addf(rules, "%s%s", i > 0 ? ", " : "", row->allowed[i]);
    if (row->allowed_nocase)
        buf_add_str(rules, " in any case");
    if ((row->flags & FIELD_EMPTY_OK) != 0)
        buf_add_str(rules, ", or empty");
}

/* What is asked of a value besides its type, in words. */
static void write_rules(const struct field *row, struct buf *rules) {
    char text[64];
    if ((row->flags & FIELD_NONEMPTY) != 0)
        add_rule(rules, "not empty");
    bool integer = row->type == FIELD_INTEGER;
    if (row->max > 0 && !integer) {
        snprintf(text, sizeof(text), "at most %u characters", row->max);
        add_rule(rules, text);
    }
    if (row->has_min) {
        snprintf(text, sizeof(text), "at least %lld", (long long)row->min);
        add_rule(rules, text);
    }
    if (row->max > 0 && integer) {
        snprintf(text, sizeof(text), "at most %u", row->max);
        add_rule(rules, text);
    }
    if (row->allowed != NULL)
        add_allowed(rules, row);
    if ((row->flags & FIELD_DATETIME) != 0)
        add_rule(rules, (row->flags & FIELD_UTC) != 0       ? "date and time with offset, in UTC"
                        : (row->flags & FIELD_ISO8601) != 0 ? "ISO 8601, offset optional"
                                                            : "RFC 3339");
    if ((row->flags & FIELD_TRIMMED) != 0)
        add_rule(rules, "no white space at its ends");
    if ((row->flags & FIELD_ORDER_KEY) != 0)
        add_rule(rules, "the order key");
    if (row->alias != NULL) {
        snprintf(text, sizeof(text), "or named %s", row->alias);
        add_rule(rules, text);
    }
}

static void text_row(const struct field *row, const char *path, void *out) {
    struct buf rules;
    buf_init(&rules, 4096);
    write_rules(row, &rules);
    buf_addf(out, "  %-44s %-18s %-9s %s%s%s\n", path, type_name(row),
             (row->flags & FIELD_REQUIRED) != 0 ? "required" : "optional", buf_cstr(&rules),
             rules.len > 0 && row->note[0] != '\0' ? " -- " : "", row->note);
    buf_deinit(&rules);
}

static void write_facts(const struct provider *p, const char *bullet, struct buf *out) {
    buf_addf(out, "%sendpoint: POST %s%s\n", bullet,
             p->default_base_url != NULL ? p->default_base_url : "<base_url>",
             p->path != NULL ? p->path : "<create_path>");
    buf_addf(out, "%sauthentication: %s\n", bullet, provider_auth_words(p));
    buf_addf(out, "%sorder key: %s\n", bullet,
             p->order_key_pointer != NULL ? p->order_key_pointer : "by configuration (`key_pointer`)");
    buf_addf(out, "%slook-up: %s\n", bullet, provider_lookup_words(p));
    if (p->default_rate > 0)
        buf_addf(out, "%srate by default: %g/s, burst %u\n", bullet, p->default_rate, p->default_burst);
    buf_addf(out, "%sdocument: %s\n", bullet, p->seed);
}

void provider_write_text(const struct provider *p, struct buf *out) {
    buf_addf(out, "%s: %s\n\n", p->name, p->title);
    write_facts(p, "  ", out);
    if (p->fields == NULL) {
        buf_add_str(
            out,
            "\n  Any JSON object is an order, unless fields_file says more. The keys of its accounts:\n\n");
        config_help_http_json(out);
        buf_add_str(out, "\n  docs/providers.md shows six well-known APIs; `dray try ACCOUNT FILE --dry-run` "
                         "the request that comes of it.\n");
        return;
    }
    buf_add_char(out, '\n');
    walk(p->fields, p->field_count, "", text_row, out);
}

/* A table's cell: a bar would end it. */
static void add_cell(struct buf *out, const char *text) {
    buf_add_char(out, ' ');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, *c);
    }
    buf_add_str(out, " |");
}

static void markdown_row(const struct field *row, const char *path, void *out) {
    struct buf rules;
    buf_init(&rules, 4096);
    write_rules(row, &rules);
    buf_addf(out, "| `%s` |", path);
    add_cell(out, type_name(row));
    add_cell(out, (row->flags & FIELD_REQUIRED) != 0 ? "yes" : "no");
    add_cell(out, buf_cstr(&rules));
    add_cell(out, row->note);
    buf_add_char(out, '\n');
    buf_deinit(&rules);
}

void provider_write_markdown(const struct provider *p, struct buf *out) {
    write_facts(p, "- ", out);
    if (p->fields == NULL)
        return;
    buf_add_str(out, "\n| field | type | required | rule | the document's words, or why |\n"
                     "|---|---|---|---|---|\n");
    walk(p->fields, p->field_count, "", markdown_row, out);
}

static const char *time_words(const struct field *row) {
    return (row->flags & FIELD_UTC) != 0 ? "utc" : (row->flags & FIELD_ISO8601) != 0 ? "iso8601" : "rfc3339";
}

static void add_choices(cJSON *o, const struct field *row) {
    cJSON *allowed = cJSON_AddArrayToObject(o, "allowed");
    for (size_t i = 0; row->allowed[i] != NULL; i++)
        cJSON_AddItemToArray(allowed, cJSON_CreateString(row->allowed[i]));
    if ((row->flags & FIELD_EMPTY_OK) != 0)
        cJSON_AddItemToArray(allowed, cJSON_CreateString(""));
    cJSON_AddBoolToObject(o, "any_case", row->allowed_nocase);
}

static void json_row(const struct field *row, const char *path, void *fields) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "path", path);
    tree_add_text(o, "alias", span_str(row->alias));
    cJSON_AddStringToObject(o, "type", type_name(row));
    cJSON_AddBoolToObject(o, "required", (row->flags & FIELD_REQUIRED) != 0);
    cJSON_AddBoolToObject(o, "nullable", (row->flags & FIELD_NULLABLE) != 0);
    cJSON_AddBoolToObject(o, "empty_allowed", (row->flags & FIELD_NONEMPTY) == 0);
    if (row->max > 0)
        cJSON_AddNumberToObject(o, row->type == FIELD_INTEGER ? "max" : "max_characters", row->max);
    if (row->has_min)
        tree_add_i64(o, "min", row->min);
    if (row->allowed != NULL)
        add_choices(o, row);
    if ((row->flags & FIELD_DATETIME) != 0)
        cJSON_AddStringToObject(o, "datetime", time_words(row));
    if ((row->flags & FIELD_TRIMMED) != 0)
        cJSON_AddTrueToObject(o, "trimmed");
    tree_add_text(o, "note", span_str(row->note));
    cJSON_AddItemToArray(fields, o);
}

cJSON *provider_json(const struct provider *p) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", p->name);
    tree_add_text(o, "title", span_str(p->title));
    tree_add_text(o, "document", span_str(p->seed));
    tree_add_text(o, "path", span_str(p->path));
    tree_add_text(o, "default_base_url", span_str(p->default_base_url));
    tree_add_text(o, "authentication", span_str(provider_auth_words(p)));
    tree_add_text(o, "order_key", span_str(p->order_key_pointer));
    tree_add_text(o, "lookup", span_str(provider_lookup_words(p)));
    cJSON_AddNumberToObject(o, "default_rate", p->default_rate);
    cJSON_AddNumberToObject(o, "default_burst", p->default_burst);
    walk(p->fields, p->field_count, "", json_row, cJSON_AddArrayToObject(o, "fields"));
    return o;
}
