/* The draft: what files and environment say, before it is parsed. Each section has a text per key, and who set
 * it. Sections are looked up in a sorted index, so that thousands of accounts load in n log n. */
#include "config/table.h"

#include <stdlib.h>
#include <string.h>

void draft_init(struct draft *s, struct config_faults *faults, struct config_faults *warnings) {
    *s = (struct draft){.faults = faults, .warnings = warnings};
    arena_init(&s->mem, DRAFT_MAX);
}

void draft_deinit(struct draft *s) {
    arena_deinit(&s->mem);
    free(s->sections);
    free(s->index);
    s->sections = s->index = NULL;
    s->count = s->cap = s->indexed = 0;
}

void draft_out_of_memory(struct draft *s) {
    if (!s->failed)
        faults_line(s->faults, "out of memory while the configuration was read");
    s->failed = true;
}

static bool make_room(struct draft *s) {
    if (s->count < s->cap)
        return true;
    size_t cap = s->cap > 0 ? 2 * s->cap : 16;
    struct section **sections = realloc(s->sections, cap * sizeof(struct section *));
    if (sections == NULL)
        return false;
    s->sections = sections;
    s->cap = cap;
    return true;
}

struct section *draft_add(struct draft *s, enum section_kind kind, const char *name, const char *where,
                          uint32_t line) {
    if (s->count >= SECTIONS_MAX) {
        if (!s->failed)
            faults_line(s->faults, "more than %u sections", SECTIONS_MAX);
        s->failed = true;
        return NULL;
    }
    struct section *section = arena_alloc(&s->mem, sizeof(*section));
    char *copy = arena_copy(&s->mem, name, strlen(name));
    struct setting *settings = arena_alloc(&s->mem, section_infos[kind]->key_count * sizeof(struct setting));
    if (section == NULL || copy == NULL || settings == NULL || !make_room(s)) {
        draft_out_of_memory(s);
        return NULL;
    }
    *section = (struct section){.kind = kind,
                                .name = copy,
                                .where = where,
                                .line = line,
                                .order = s->next_order++,
                                .settings = settings};
    s->sections[s->count++] = section;
    return section;
}

static int compare_name(const struct section *a, enum section_kind kind, const char *name) {
    if (a->kind != kind)
        return a->kind < kind ? -1 : 1;
    return strcmp(a->name, name);
}

static int compare_sections(const void *pa, const void *pb) {
    const struct section *a = *(struct section *const *)pa, *b = *(struct section *const *)pb;
    int names = compare_name(a, b->kind, b->name);
    if (names != 0)
        return names;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* Takes the sections that stand a second time out of the index, and then out of the list. */
static void drop_twins(struct draft *s) {
    for (size_t i = 0; i < s->count; i++) {
        struct section *first = s->indexed > 0 ? s->index[s->indexed - 1] : NULL;
        struct section *section = s->index[i];
        if (first == NULL || compare_name(first, section->kind, section->name) != 0) {
            s->index[s->indexed++] = section;
            continue;
        }
        draft_fault(s, section, NULL, "this section stands already at %s:%u", first->where, first->line);
        section->twin = true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (!s->sections[i]->twin)
            s->sections[kept++] = s->sections[i];
    s->count = kept;
}

void draft_index(struct draft *s) {
    struct section **index = realloc(s->index, (s->count + 1) * sizeof(struct section *));
    if (index == NULL) {
        draft_out_of_memory(s);
        return;
    }
    s->index = index;
    s->indexed = 0;
    if (s->count > 0)
        memcpy(index, s->sections, s->count * sizeof(struct section *));
    qsort(index, s->count, sizeof(struct section *), compare_sections);
    drop_twins(s);
}

const char *section_queue(struct section *account) {
    const struct key *key = table_key(SECTION_ACCOUNT, "queue");
    const char *name = draft_setting(account, key)->text;
    return name != NULL ? name : account->name;
}

struct section *draft_find(const struct draft *s, enum section_kind kind, const char *name) {
    size_t low = 0, high = s->indexed;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = compare_name(s->index[middle], kind, name);
        if (c == 0)
            return s->index[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct section *draft_need(struct draft *s, enum section_kind kind, const char *name) {
    struct section *section = draft_find(s, kind, name);
    return section != NULL ? section : draft_add(s, kind, name, NULL, 0);
}

struct setting *draft_setting(struct section *section, const struct key *key) {
    return &section->settings[key - section_infos[section->kind]->keys];
}

const char *draft_path(struct draft *s, const char *text, const char *where, uint32_t line) {
    const char *slash = line > 0 && text[0] != '/' ? strrchr(where, '/') : NULL;
    size_t dir = slash != NULL ? (size_t)(slash - where) + 1 : 0, len = strlen(text);
    char *path = arena_alloc(&s->mem, dir + len + 1);
    if (path == NULL)
        return NULL;
    memcpy(path, where, dir);
    memcpy(path + dir, text, len + 1);
    return path;
}

bool draft_set(struct draft *s, struct section *section, const struct key *key, const char *text,
               const char *where, uint32_t line) {
    struct setting *setting = draft_setting(section, key);
    *setting = (struct setting){.where = where, .line = line};
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            draft_fault(s, section, key, "holds a control character");
            return false;
        }
    }
    if (*text == '\0' && !(key->flags & KEY_MAY_BE_EMPTY)) {
        draft_fault(s, section, key, "is empty: give a value or leave the key out");
        return false;
    }
    setting->text =
        key->type == &type_file ? draft_path(s, text, where, line) : arena_copy(&s->mem, text, strlen(text));
    if (setting->text == NULL)
        draft_out_of_memory(s);
    return setting->text != NULL;
}
