/* `fields_file`: a table of an order's fields, so that http-json checks orders as the other modules do. A line a field:
 *
 *     path              type      required, optional, empty, max=N, min=N
 *     reference         string    required max=50
 *     items             array     required
 *     items[].sku       string    required
 *     items[].quantity  integer   required min=1
 *     tags[]            string    max=20
 *
 * Lines become a tree, and the tree becomes the rows that provider/validate.c reads: those of one object side by side. */
#include "config/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/provider.h"

#define FILE_MAX_BYTES (256u << 10)
#define ROWS_MAX       1000
#define DEPTH_MAX      16
#define NAME_MAX_BYTES 63
#define LINE_WORDS     8

struct node {
    struct node *next, *first, *last; /* siblings; children */
    struct field field;
    uint32_t count; /* children */
    bool said;      /* it has a line of its own; else it only stands in others' paths */
};

struct reader {
    struct arena *mem;
    struct node root;
    uint32_t rows, line;
    struct err *err;
};

static const struct {
    const char *name;
    enum field_type type;
} types[] = {{"string", FIELD_STRING},   {"integer", FIELD_INTEGER}, {"number", FIELD_NUMBER},
             {"boolean", FIELD_BOOLEAN}, {"object", FIELD_OBJECT},   {"array", FIELD_ARRAY},
             {"any", FIELD_ANY}};

static int bad(struct reader *r, const char *rule, const char *what) {
    char q[QUOTED_SIZE];
    return err_set(r->err, "line %u: %s%s%s", r->line, what != NULL ? quoted(what, q) : "",
                   what != NULL ? " " : "", rule);
}

/* The child of that name, added if it is new. NULL: no memory, or too many. */
static struct node *child(struct reader *r, struct node *parent, const char *name, size_t len) {
    for (struct node *n = parent->first; n != NULL; n = n->next)
        if (n->field.name_len == len && memcmp(n->field.name, name, len) == 0)
            return n;
    if (parent->count == FIELDS_MAX || r->rows == ROWS_MAX)
        return NULL;
    struct node *n = arena_alloc(r->mem, sizeof(*n));
    char *copy = arena_copy(r->mem, name, len);
    if (n == NULL || copy == NULL)
        return NULL;
    n->field = (struct field){
        .name = copy, .name_len = (uint16_t)len, .type = FIELD_OBJECT, .flags = FIELD_NULLABLE, .note = ""};
    *(parent->last != NULL ? &parent->last->next : &parent->first) = n;
    parent->last = n;
    parent->count++;
    r->rows++;
    return n;
}

/* Walks "items[].sku" to its node; `*list`: the path ends in []. NULL: reported. */
static struct node *walk(struct reader *r, const char *whole, bool *list) {
    struct node *at = &r->root;
    const char *path = whole;
    for (unsigned depth = 0;; depth++) {
        size_t len = strcspn(path, ".["), marks = strncmp(path + len, "[]", 2) == 0 ? 2 : 0;
        const char *rest = path + len + marks;
        if (len == 0 || len > NAME_MAX_BYTES || (*rest != '\0' && *rest != '.') || depth == DEPTH_MAX) {
            bad(r, "is no path (such as items[].sku, of at most 16 names of 63 bytes)", whole);
            return NULL;
        }
        if (at != &r->root && at->field.type != FIELD_OBJECT && at->field.type != FIELD_ARRAY) {
            bad(r, "stands below a field that is no object", whole);
            return NULL;
        }
        at = child(r, at, path, len);
        if (at == NULL) {
            err_set(r->err, "line %u: more than %d fields of one object, or %d in all", r->line, FIELDS_MAX,
                    ROWS_MAX);
            return NULL;
        }
        if (*rest == '\0') {
            *list = marks > 0;
            return at;
        }
        if (marks == 0 && at->field.type == FIELD_ARRAY) {
            bad(r, "leads through a list: its elements are written with []", whole);
            return NULL;
        }
        if (marks > 0 && !at->said)
            at->field.type = FIELD_ARRAY;
        if (marks > 0 && at->field.type != FIELD_ARRAY) {
            bad(r, "leads through a field that another line calls no list", whole);
            return NULL;
        }
        path = rest + 1;
    }
}

static bool take_number(const char *word, const char *name, uint64_t max, uint64_t *value) {
    size_t n = strlen(name);
    if (strncmp(word, name, n) != 0 || word[n] == '\0' ||
        strspn(word + n, "0123456789") != strlen(word + n) || strlen(word + n) > 18)
        return false;
    *value = strtoull(word + n, NULL, 10);
    return *value <= max;
}

static int set_word(struct reader *r, struct field *f, const char *word) {
    uint64_t value = 0;
    if (strcmp(word, "required") == 0)
        f->flags = (f->flags & ~(unsigned)FIELD_NULLABLE) | FIELD_REQUIRED | FIELD_NONEMPTY;
    else if (strcmp(word, "empty") == 0)
        f->flags &= ~(unsigned)FIELD_NONEMPTY;
    else if (take_number(word, "max=", UINT32_MAX, &value) && value > 0)
        f->max = (uint32_t)value;
    else if (take_number(word, "min=", INT64_MAX, &value)) {
        f->has_min = true;
        f->min = (int64_t)value;
    } else if (strcmp(word, "optional") != 0)
        return bad(r, "is none of required, optional, empty, max=N and min=N", word);
    return 0;
}

static int set_type(struct reader *r, struct node *n, const char *word, bool list) {
    enum field_type type = FIELD_ANY;
    size_t i = 0;
    for (; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, word) == 0)
            break;
    if (i == sizeof(types) / sizeof(types[0]))
        return bad(r, "is none of string, integer, number, boolean, object, array and any", word);
    type = types[i].type;
    if (list && type != FIELD_STRING && type != FIELD_OBJECT)
        return bad(r, "can't be said of the elements of a list: string and object can", word);
    if (list)
        type = type == FIELD_STRING ? FIELD_STRING_ARRAY : FIELD_ARRAY;
    bool parent = n->first != NULL,
         fits = !parent || type == FIELD_ARRAY || (type == FIELD_OBJECT && n->field.type == FIELD_OBJECT);
    if (!fits)
        return bad(r, "is not what the paths of other lines say of this field", word);
    n->field.type = type;
    return 0;
}

static int read_line(struct reader *r, char *line) {
    char *words[LINE_WORDS], *rest = line;
    size_t count = 0;
    bool list = false;
    line[strcspn(line, "#")] = '\0';
    for (char *word; (word = strsep(&rest, " \t\r,|")) != NULL;)
        if (*word != '\0') {
            if (count == LINE_WORDS)
                return bad(r, "has too many words", NULL);
            words[count++] = word;
        }
    if (count == 0)
        return 0;
    if (count < 2)
        return bad(r, "needs a type", words[0]);
    struct node *n = walk(r, words[0], &list);
    if (n == NULL)
        return -1;
    if (n->said)
        return bad(r, "stands already", words[0]);
    n->said = true;
    if (set_type(r, n, words[1], list) != 0)
        return -1;
    for (size_t i = 2; i < count; i++)
        if (set_word(r, &n->field, words[i]) != 0)
            return -1;
    bool text = n->field.type == FIELD_STRING || n->field.type == FIELD_STRING_ARRAY;
    if (n->field.flags & FIELD_NONEMPTY && !text && n->field.type != FIELD_ARRAY)
        n->field.flags &= ~(unsigned)FIELD_NONEMPTY;
    if ((n->field.max > 0 && !text && n->field.type != FIELD_INTEGER) ||
        (n->field.has_min && n->field.type != FIELD_INTEGER && n->field.type != FIELD_NUMBER))
        return bad(r,
                   "has a bound that its type does not know: max is of strings and integers, min of numbers",
                   words[0]);
    return 0;
}

/* The children as rows side by side. NULL: no memory. */
static const struct field *rows_of(struct arena *mem, const struct node *parent) {
    struct field *rows = arena_alloc(mem, (parent->count + 1) * sizeof(*rows)), *row = rows;
    for (const struct node *n = parent->first; rows != NULL && n != NULL; n = n->next, row++) {
        *row = n->field;
        if (n->first == NULL)
            continue;
        row->members = rows_of(mem, n);
        row->member_count = n->count;
        if (row->members == NULL)
            return NULL;
    }
    return rows;
}

int fields_read(const char *path, struct arena *mem, const struct field **fields, uint32_t *count,
                struct err *err) {
    struct buf text = {0};
    struct reader r = {.mem = mem, .err = err};
    int rc = config_read_file(path, FILE_MAX_BYTES, &text, err);
    char *rest = rc == 0 && buf_reserve(&text, 1) ? text.data : NULL;
    if (rest != NULL)
        text.data[text.len] = '\0';
    for (char *line; rc == 0 && (line = strsep(&rest, "\n")) != NULL;) {
        r.line++;
        rc = read_line(&r, line);
    }
    buf_deinit(&text);
    if (rc == 0 && r.root.count == 0)
        return err_set(err, "holds no field: each line is a path and a type");
    if (rc == 0 && (*fields = rows_of(mem, &r.root)) == NULL)
        return err_set(err, "out of memory");
    *count = r.root.count;
    return rc;
}
