/* config_load: files and environment into the draft, the draft into structs, all faults in one
 * list. */
#include "dray/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/table.h"

static const char *env_value(char *const *env, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=' && env[i][n + 1] != '\0')
            return env[i] + n + 1;
    return NULL;
}

/* The file to read, or NULL: none is there. */
static const char *find_path(const char *path, char *const *env) {
    static const char *const usual[] = {"dray.ini", "/etc/dray/dray.ini"};
    if (path != NULL)
        return path;
    path = env_value(env, "DRAY_CONFIG");
    for (size_t i = 0; path == NULL && i < sizeof(usual) / sizeof(usual[0]); i++)
        if (access(usual[i], F_OK) == 0)
            path = usual[i];
    return path;
}

static void require_accounts(struct draft *s) {
    for (size_t i = 0; i < s->count; i++)
        if (s->sections[i]->kind == SECTION_ACCOUNT)
            return;
    if (s->path != NULL)
        faults_line(s->faults, "%s: no account: the least is [account NAME] with `provider`", s->path);
    else
        faults_line(s->faults, "no configuration: there is neither ./dray.ini nor /etc/dray/dray.ini, and "
                               "the environment has no DRAY_ACCOUNTS; -c FILE names another file");
}

static void fill(struct config_full *full, const char *path, char *const *env) {
    struct draft *s = &full->draft;
    if (path != NULL) {
        full->c.path = s->path = arena_copy(&full->mem, path, strlen(path));
        if (s->path == NULL) {
            draft_out_of_memory(s);
            return;
        }
        load_files(s, path);
    }
    if (!s->failed)
        draft_index(s);
    if (!s->failed)
        load_environment(s, env);
    if (!s->failed)
        build_config(full);
    if (!s->failed && !s->partial)
        require_accounts(s);
}

static struct config *load(const char *path, char *const *env, struct config_faults *faults,
                           struct config_faults *warnings, bool partial, bool before_start) {
    struct config_full *full = calloc(1, sizeof(*full));
    struct config_faults ignored;
    config_faults_init(&ignored);
    if (full == NULL) {
        faults_line(faults, "out of memory while the configuration was read");
        return NULL;
    }
    uint32_t before = faults->count;
    full->c.refs = 1;
    arena_init(&full->mem, DRAFT_MAX);
    buf_init(&full->redis_storage, 16384);
    draft_init(&full->draft, faults, warnings != NULL ? warnings : &ignored);
    full->draft.partial = partial;
    full->draft.before_start = before_start;
    fill(full, find_path(path, env), env);
    full->draft.faults = full->draft.warnings = NULL;
    config_faults_deinit(&ignored);
    if (faults->count == before)
        return &full->c;
    config_unref(&full->c);
    return NULL;
}

struct config *config_load(const char *path, char *const *env, struct config_faults *faults,
                           struct config_faults *warnings) {
    return load(path, env, faults, warnings, false, false);
}

struct config *config_load_partial(const char *path, char *const *env, struct config_faults *faults,
                                   struct config_faults *warnings) {
    return load(path, env, faults, warnings, true, false);
}

struct config *config_load_check(const char *path, char *const *env, struct config_faults *faults,
                                 struct config_faults *warnings) {
    return load(path, env, faults, warnings, false, true);
}

struct config *config_ref(struct config *c) {
    c->refs++;
    return c;
}

void config_unref(struct config *c) {
    if (c == NULL || --c->refs > 0)
        return;
    struct config_full *full = (struct config_full *)c;
    for (uint32_t i = 0; i < c->account_count; i++)
        account_unref(c->accounts[i]);
    if (full->redis_storage.data != NULL)
        explicit_bzero(full->redis_storage.data, full->redis_storage.cap);
    buf_deinit(&full->redis_storage);
    draft_deinit(&full->draft);
    arena_deinit(&full->mem);
    free(full);
}

static int compare_queue(const void *name, const void *queue) {
    return strcmp(name, ((const struct queue_config *)queue)->name);
}

static int compare_account(const void *name, const void *account) {
    return strcmp(name, (*(struct account *const *)account)->name);
}

const struct queue_config *config_queue(const struct config *c, const char *name) {
    return c->queue_count == 0
               ? NULL
               : bsearch(name, c->queues, c->queue_count, sizeof(struct queue_config), compare_queue);
}

const struct account *config_account(const struct config *c, const char *name) {
    struct account **found = c->account_count == 0 ? NULL
                                                   : bsearch(name, c->accounts, c->account_count,
                                                             sizeof(struct account *), compare_account);
    return found != NULL ? *found : NULL;
}
