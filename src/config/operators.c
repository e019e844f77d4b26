/* `[admin] operators_file`: gives each operator a token of their own, so that the log says who did what. A line
 * has a name, white space and the token; empty lines and lines that begin with # are skipped. It is read at the
 * start and at each reload. A message never quotes a token. */
#include "config/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX  65536 /* bytes */
#define TOKEN_MIN 16    /* characters: it opens what an order holds */

struct reading {
    struct draft *s;
    struct section *section;
    const struct key *key;
    const char *path;
    struct config *c;
    struct arena *mem;
};

static void refuse(const struct reading *r, uint32_t line, const char *rule) {
    char q[QUOTED_SIZE];
    draft_fault(r->s, r->section, r->key, "%s: line %u: %s", quoted(r->path, q), line, rule);
}

/* NULL: nothing stands against the line. */
static const char *rule_of(const struct config *c, const char *name, const char *token) {
    if (!name_valid(name))
        return "a name is " NAME_RULE;
    if (strlen(token) < TOKEN_MIN)
        return "a token of at least 16 characters is expected behind the name";
    if (strpbrk(token, " \t") != NULL)
        return "a name and a token are expected, and nothing behind them";
    if (c->admin_operator_count == ADMIN_OPERATORS_MAX)
        return "there are more than 200 operators";
    for (uint32_t i = 0; i < c->admin_operator_count; i++)
        if (strcmp(c->admin_operators[i].name, name) == 0)
            return "this name stands twice";
        else if (strcmp(c->admin_operators[i].token, token) == 0)
            return "this token is another operator's, too";
    return NULL;
}

static void read_line(const struct reading *r, char *text, uint32_t line) {
    struct config *c = r->c;
    char *name = text + strspn(text, " \t"), *end = name + strlen(name);
    while (end > name && strchr(" \t\r", end[-1]) != NULL)
        *--end = '\0';
    if (*name == '\0' || *name == '#')
        return;
    char *token = name + strcspn(name, " \t");
    if (*token != '\0')
        *token++ = '\0';
    token += strspn(token, " \t");
    const char *rule = rule_of(c, name, token);
    if (rule != NULL) {
        refuse(r, line, rule);
        return;
    }
    struct admin_operator *o = &c->admin_operators[c->admin_operator_count];
    snprintf(o->name, sizeof(o->name), "%s", name);
    o->token = arena_copy(r->mem, token, strlen(token));
    if (o->token != NULL)
        c->admin_operator_count++;
    else
        draft_out_of_memory(r->s);
}

void load_operators(struct config_full *full) {
    struct draft *s = &full->draft;
    struct section *section = draft_find(s, SECTION_ADMIN, "");
    struct reading r = {.s = s,
                        .section = section,
                        .key = table_key(SECTION_ADMIN, "operators_file"),
                        .c = &full->c,
                        .mem = &full->mem};
    struct buf text = {0};
    struct err err = {""};
    r.path = full->c.admin_operators_file;
    if (section == NULL || r.path == NULL || s->partial)
        return;
    full->c.admin_operators = arena_alloc(&full->mem, ADMIN_OPERATORS_MAX * sizeof(struct admin_operator));
    if (full->c.admin_operators == NULL) {
        draft_out_of_memory(s);
        return;
    }
    if (config_read_file(r.path, FILE_MAX, &text, &err) == 0) {
        uint32_t number = 1;
        char *rest = NULL;
        for (char *line = buf_cstr(&text) != NULL ? text.data : NULL; line != NULL; line = rest, number++) {
            rest = strchr(line, '\n');
            if (rest != NULL)
                *rest++ = '\0';
            read_line(&r, line, number);
        }
        if (full->c.admin_operator_count == 0 && s->faults->count == 0)
            refuse(&r, 1, "there is no operator: a name and a token are expected");
    } else {
        char q[QUOTED_SIZE];
        draft_fault(s, section, r.key, "%s: %s", quoted(r.path, q), err.text);
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
}
