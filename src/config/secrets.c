/* Reads secrets from files (`token_file = …`): once, bounded, checked. No message quotes one. */
#include "config/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_MAX 65536 /* bytes */

char *secret_read(const char *path, struct arena *mem, struct err *err) {
    struct buf text = {0};
    char *secret = NULL;
    if (config_read_file(path, SECRET_MAX, &text, err) == 0) {
        size_t n = text.len;
        bool control = false;
        if (n > 0 && text.data[n - 1] == '\n')
            n--;
        if (n > 0 && text.data[n - 1] == '\r')
            n--;
        bool marked = n >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;
        for (size_t i = 0; i < n; i++)
            control = control || (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f;
        if (n == 0)
            err_set(err, "is empty");
        else if (marked)
            err_set(err, "starts with a byte order mark, which would be sent: save it as UTF-8 without one");
        else if (control)
            err_set(err, "holds a control character (one line is expected)");
        else if ((secret = arena_copy(mem, text.data, n)) == NULL)
            err_set(err, "out of memory");
    }
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
    return secret;
}

/* Whether a service manager will hand the file over when its unit starts, and the unit does not run. */
static bool is_to_come(const char *path) {
    static const char folder[] = "/run/credentials/";
    size_t n = sizeof(folder) - 1;
    if (strncmp(path, folder, n) != 0)
        return false;
    char unit[256];
    size_t len = n + strcspn(path + n, "/");
    if (len >= sizeof(unit) || path[len] != '/')
        return false;
    memcpy(unit, path, len);
    unit[len] = '\0';
    return access(unit, F_OK) != 0 && errno == ENOENT;
}

const char *secret_resolve(struct draft *s, struct section *section, const struct key *key,
                           struct arena *mem) {
    const struct setting *plain = draft_setting(section, key);
    const struct setting *file = draft_setting(section, key + 1);
    struct err err = {""};
    if (plain->text != NULL && file->text != NULL) {
        draft_fault(s, section, key + 1, "`%s` is set too (%s): only one of them may be", key->name,
                    plain->where);
        return NULL;
    }
    if (file->text == NULL) {
        char *copy = plain->text != NULL ? arena_copy(mem, plain->text, strlen(plain->text)) : NULL;
        if (plain->text != NULL && copy == NULL)
            draft_out_of_memory(s);
        return copy;
    }
    const char *secret = secret_read(file->text, mem, &err);
    char q[QUOTED_SIZE];
    if (secret == NULL && s->before_start && is_to_come(file->text)) {
        draft_warn(s, section, key + 1, "%s is handed over when the unit starts; not read now",
                   quoted(file->text, q));
        return arena_copy(mem, "placeholder", strlen("placeholder"));
    }
    if (secret == NULL) {
        draft_fault(s, section, key + 1, "%s: %s", quoted(file->text, q), err.text);
    }
    return secret;
}

void account_each_secret_file(const struct account *a, void (*each)(void *arg, const char *path), void *arg) {
    const char *const paths[] = {a->token_file, a->key_file, a->secret_file, a->http_json.client_secret_file,
                                 a->http_json.refresh_token_file};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i] != NULL)
            each(arg, paths[i]);
    for (const struct account_header *h = a->http_json.headers; h != NULL && h->line != NULL; h++)
        if (h->path != NULL)
            each(arg, h->path);
}

static int reread(const char *path, const char **field, struct arena *mem, struct err *err) {
    if (path == NULL)
        return 0;
    const char *secret = secret_read(path, mem, err);
    if (secret == NULL)
        return err_prefix(err, "%s", path);
    *field = secret;
    return 0;
}

struct account *account_reread(struct account *a, struct err *err) {
    struct account_full *full = calloc(1, sizeof(*full));
    if (full == NULL) {
        err_set(err, "out of memory");
        return NULL;
    }
    full->a = *a;
    full->a.refs = 1;
    full->base = account_ref(a);
    arena_init(&full->mem, 4 * (SECRET_MAX + 4096));
    if (reread(a->token_file, &full->a.token, &full->mem, err) != 0 ||
        reread(a->key_file, &full->a.key, &full->mem, err) != 0 ||
        reread(a->secret_file, &full->a.secret, &full->mem, err) != 0) {
        account_unref(&full->a);
        return NULL;
    }
    return &full->a;
}

struct account *account_ref(struct account *a) {
    a->refs++;
    return a;
}

void account_unref(struct account *a) {
    while (a != NULL && --a->refs == 0) {
        struct account_full *full = (struct account_full *)a;
        a = full->base;
        arena_deinit(&full->mem);
        free(full);
    }
}
