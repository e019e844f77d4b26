/* The configuration's files: the main one, then every *.ini of accounts.d beside it, in the order
 * of their names. What they say goes into the draft; each faulty line is reported and skipped. */
#include "config/table.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/ini.h"

#define CONFIG_FILE_MAX  (16u << 20) /* bytes */
#define CONFIG_FILES_MAX 20000

/* One file on its way into the draft. */
struct reader {
    struct draft *draft;
    const char *path;
    bool accounts_only;      /* a file of accounts.d */
    struct section *section; /* NULL: none yet, or one that was refused */
    bool refused;            /* its keys are skipped without a word */
};

static int find_kind(const char *word) {
    for (int i = 0; i < SECTION_KINDS; i++)
        if (strcmp(section_infos[i]->name, word) == 0)
            return i;
    return -1;
}

static void unknown_section(struct reader *r, const struct ini_item *item, const char *word) {
    struct nearest near;
    char hint[128], q[QUOTED_SIZE];
    nearest_init(&near, word);
    for (int i = 0; i < SECTION_KINDS; i++)
        nearest_try(&near, section_infos[i]->name);
    faults_line(
        r->draft->faults,
        "%s:%u: there is no section %s%s; there are [redis], [worker], [admin], [trace], [queue NAME] "
        "and [account NAME]",
        r->path, item->line, quoted(word, q), nearest_hint(&near, hint));
}

/* Splits "account shop"; NULL: reported. */
static const char *heading_name(struct reader *r, const struct ini_item *item, int *kind) {
    char word[32] = "";
    size_t n = strcspn(item->name, " \t");
    const char *name = item->name + n + strspn(item->name + n, " \t");
    if (n < sizeof(word))
        memcpy(word, item->name, n);
    *kind = find_kind(word);
    if (*kind < 0) {
        unknown_section(r, item, n < sizeof(word) ? word : item->name);
        return NULL;
    }
    const struct section_info *info = section_infos[*kind];
    char q[QUOTED_SIZE];
    struct config_faults *faults = r->draft->partial && info->named ? r->draft->warnings : r->draft->faults;
    if (!info->named && *name != '\0')
        faults_line(faults, "%s:%u: [%s]: this section has no name", r->path, item->line, info->name);
    else if (info->named && *name == '\0')
        faults_line(faults, "%s:%u: [%s]: the name is missing: [%s NAME]", r->path, item->line, info->name,
                    info->name);
    else if (info->named && !name_valid(name))
        faults_line(faults, "%s:%u: [%s]: %s is no name (" NAME_RULE ")", r->path, item->line, info->name,
                    quoted(name, q));
    else if (r->accounts_only && !info->named)
        faults_line(faults,
                    "%s:%u: [%s]: belongs into the main file; accounts.d holds [account NAME] "
                    "and [queue NAME] only",
                    r->path, item->line, info->name);
    else
        return name;
    return NULL;
}

static void on_heading(struct reader *r, const struct ini_item *item) {
    int kind = -1;
    const char *name = heading_name(r, item, &kind);
    r->section = NULL;
    r->refused = name == NULL;
    if (name != NULL)
        r->section = draft_add(r->draft, (enum section_kind)kind, name, r->path, item->line);
}

static void unknown_key(struct reader *r, const struct ini_item *item) {
    const struct section_info *info = section_infos[r->section->kind];
    struct nearest near;
    char hint[128], q[QUOTED_SIZE];
    nearest_init(&near, item->name);
    for (size_t i = 0; i < info->key_count; i++)
        nearest_try(&near, info->keys[i].name);
    for (int kind = 0; near.best == NULL && kind < SECTION_KINDS; kind++) {
        if (table_key((enum section_kind)kind, item->name) == NULL)
            continue;
        snprintf(hint, sizeof(hint), " (it belongs to [%s%s])", section_infos[kind]->name,
                 section_infos[kind]->named ? " NAME" : "");
        near.best = hint;
    }
    struct config_faults *faults = r->draft->partial && info->named ? r->draft->warnings : r->draft->faults;
    faults_line(faults, "%s:%u: [%s%s%s] there is no key %s%s", r->path, item->line, info->name,
                info->named ? " " : "", r->section->name, quoted(item->name, q),
                near.best == hint ? hint : nearest_hint(&near, hint));
}

static void on_pair(struct reader *r, const struct ini_item *item) {
    if (r->section == NULL) {
        if (!r->refused)
            faults_line(r->draft->faults, "%s:%u: a key before the first [section]", r->path, item->line);
        return;
    }
    const char *own;
    const struct key *key = table_named_key(r->section->kind, item->name, &own);
    if (key != NULL) {
        draft_set_named(r->draft, r->section, key, own, item->value, r->path, item->line);
        return;
    }
    key = table_key(r->section->kind, item->name);
    if (key == NULL) {
        unknown_key(r, item);
        return;
    }
    const struct setting *before = draft_setting(r->section, key);
    if (before->where != NULL) {
        const struct section_info *info = section_infos[r->section->kind];
        faults_line(r->draft->partial && info->named ? r->draft->warnings : r->draft->faults,
                    "%s:%u: [%s%s%s] %s: stands already in line %u", r->path, item->line, info->name,
                    info->named ? " " : "", r->section->name, key->name, before->line);
        return;
    }
    draft_set(r->draft, r->section, key, item->value, r->path, item->line);
}

static void on_item(void *arg, const struct ini_item *item) {
    struct reader *r = arg;
    if (r->draft->failed)
        return;
    if (item->kind == INI_SECTION)
        on_heading(r, item);
    else if (item->kind == INI_PAIR)
        on_pair(r, item);
    else
        faults_line(r->draft->faults, "%s:%u: %s", r->path, item->line, item->problem);
}

static void load_file(struct draft *s, const char *path, bool accounts_only) {
    struct buf text = {0};
    struct err err = {""};
    struct reader r = {.draft = s, .accounts_only = accounts_only};
    r.path = arena_copy(&s->mem, path, strlen(path));
    if (r.path == NULL)
        draft_out_of_memory(s);
    else if (config_read_file(path, CONFIG_FILE_MAX, &text, &err) != 0)
        faults_line(s->faults, "%s: %s", path, err.text);
    else if (!buf_reserve(&text, 1))
        draft_out_of_memory(s);
    else
        ini_scan(text.data, text.len, on_item, &r);
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
}

static int is_ini(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n > 4 && strcmp(entry->d_name + n - 4, ".ini") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_directory(struct draft *s, const char *path) {
    struct dirent **entries = NULL;
    const char *slash = strrchr(path, '/');
    char dir[4096], file[4096 + 256 + 1];
    int n = snprintf(dir, sizeof(dir), "%.*saccounts.d", slash != NULL ? (int)(slash - path) + 1 : 0, path);
    if (n < 0 || (size_t)n >= sizeof(dir))
        return;
    int count = scandir(dir, &entries, is_ini, by_bytes);
    if (count < 0 && errno != ENOENT && errno != ENOTDIR)
        faults_line(s->faults, "%s: %s", dir, strerror(errno));
    if (count > CONFIG_FILES_MAX)
        faults_line(s->faults, "%s: more than %d files", dir, CONFIG_FILES_MAX);
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof(file), "%s/%s", dir, entries[i]->d_name);
        if (count <= CONFIG_FILES_MAX && !s->failed)
            load_file(s, file, true);
        free(entries[i]);
    }
    free(entries);
}

void load_files(struct draft *s, const char *path) {
    load_file(s, path, false);
    load_directory(s, path);
}
