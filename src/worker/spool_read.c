/* Reading the spool, in a thread: each file that is nobody else's (flock) becomes groups of settle
 * batches. A line that can't be read is counted, and the rest goes on. */
#include "worker/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 1024 /* at one start; the rest waits for the next */

/* --- a line to a settlement --- */

/* The member's text, decoded into `store`, which has room for all of the line: it does not move.
 * Absent where it is. A NUL follows. */
static struct span text_at(const struct json_doc *doc, const char *name, struct buf *store) {
    uint32_t node = json_get(doc, 0, name);
    size_t at = store->len;
    if (node == JSON_NONE || json_decode(doc, node, store) < 0)
        return (struct span){NULL, 0};
    size_t len = store->len - at;
    buf_add_char(store, '\0');
    return (struct span){store->data + at, len};
}

static uint64_t number_at(const struct json_doc *doc, const char *name) {
    uint32_t node = json_get(doc, 0, name);
    int64_t value = 0;
    return node != JSON_NONE && json_i64(doc, node, &value) && value > 0 ? (uint64_t)value : 0;
}

static struct spool_group *group_of(struct spool_file *f, struct span prefix, struct span queue,
                                    struct span worker) {
    struct spool_group **end = &f->groups;
    for (; *end != NULL; end = &(*end)->next)
        if (span_is(queue, (*end)->keys.queue) && span_is(worker, (*end)->keys.worker))
            return *end;
    struct spool_group *g = calloc(1, sizeof(*g));
    if (g == NULL || queue_keys_init(&g->keys, prefix.ptr, queue.ptr, worker.ptr) < 0) {
        if (g != NULL)
            queue_keys_deinit(&g->keys);
        free(g);
        return NULL;
    }
    g->file = f;
    *end = g;
    return g;
}

static int group_add(struct spool_group *g, const struct settlement *s) {
    if (g->last == NULL || part_full(g->last)) {
        struct part *b = part_new(PART_SETTLE);
        if (b == NULL)
            return -1;
        b->sent = true; /* perhaps it was: then what is gone is no news */
        if (g->last != NULL)
            g->last->next = b;
        else
            g->first = b;
        g->last = b;
    }
    return part_add_settlement(g->last, NULL, &g->keys, s) ? 0 : -1;
}

static int read_settlement(const struct json_doc *doc, struct buf *store, struct settlement *s) {
    int op = settle_op_parse(text_at(doc, "op", store));
    struct span gate = text_at(doc, "gate", store);
    if (op < 0 || gate.len != 1)
        return -1;
    *s = (struct settlement){.op = (enum settle_op)op, .gate = gate.ptr[0]};
    s->counter = text_at(doc, "counter", store).ptr;
    s->account = text_at(doc, "account", store).ptr;
    s->gate_ms = number_at(doc, "gate_ms");
    s->gate_code = text_at(doc, "gate_code", store).ptr;
    s->due_ms = number_at(doc, "due_ms");
    s->dead_id = text_at(doc, "dead_id", store).ptr;
    s->ledger_key = text_at(doc, "ledger_key", store);
    s->ledger = text_at(doc, "ledger", store);
    s->results_key = text_at(doc, "results_key", store);
    s->result = text_at(doc, "result", store);
    s->body = text_at(doc, "body", store);
    return s->op == SETTLE_DEAD && s->dead_id == NULL ? -1 : 0;
}

/* The claim of a line. Those of version 1 were named otherwise, and their worker holds nothing under these names: what its
 * orders made is learned, and their settlement is lost. */
static int read_claim(const struct json_doc *doc, struct span token, struct claim *claim) {
    if (number_at(doc, "v") == 2)
        return claim_parse(token, claim);
    *claim = (struct claim){0};
    return number_at(doc, "v") == 1 && token.len > 0 ? 0 : -1;
}

static int read_line(struct spool_file *f, struct span line, struct json_doc *doc, struct buf *store) {
    struct settlement s;
    if (json_parse(doc, line.ptr, line.len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return -1;
    buf_reset(store);
    if (!buf_reserve(store, line.len + 64))
        return -1;
    struct span prefix = text_at(doc, "prefix", store), queue = text_at(doc, "queue", store);
    struct span worker = text_at(doc, "worker", store), token = text_at(doc, "token", store);
    if (prefix.len == 0 || queue.len == 0 || worker.len == 0 || read_settlement(doc, store, &s) < 0 ||
        read_claim(doc, token, &s.claim) < 0 || !buf_ok(store))
        return -1;
    struct spool_group *g = group_of(f, prefix, queue, worker);
    return g != NULL ? group_add(g, &s) : -1;
}

/* --- reading, in a thread --- */

static void read_lines(struct spool_file *f, struct span text) {
    struct json_doc doc;
    struct buf store;
    json_init(&doc, 1024);
    buf_init(&store, SPOOL_MAX + 64);
    while (text.len > 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        if (end != NULL && read_line(f, (struct span){text.ptr, len}, &doc, &store) == 0)
            f->lines++;
        else
            f->bad++;
        len += end != NULL ? 1 : 0;
        text = (struct span){text.ptr + len, text.len - len};
    }
    json_deinit(&doc);
    buf_deinit(&store);
}

static void read_text(struct spool_file *f) {
    struct stat st;
    struct buf text;
    buf_init(&text, SPOOL_MAX);
    if (fstat(f->fd, &st) < 0 || st.st_size < 0 || !buf_reserve(&text, (size_t)st.st_size)) {
        f->error = errno != 0 ? errno : ENOMEM;
        buf_deinit(&text);
        return;
    }
    while (text.len < (size_t)st.st_size) {
        ssize_t n = read(f->fd, text.data + text.len, (size_t)st.st_size - text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            f->error = errno;
        if (n <= 0)
            break;
        text.len += (size_t)n;
    }
    if (f->error == 0)
        read_lines(f, buf_span(&text));
    buf_deinit(&text);
}

/* Open, locked, and still under its name: else it is another's, or gone. */
static int take(const char *path) {
    struct stat of_fd, of_path;
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &of_fd) == 0 && S_ISREG(of_fd.st_mode) &&
        stat(path, &of_path) == 0 && of_fd.st_ino == of_path.st_ino && of_fd.st_dev == of_path.st_dev)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

void spool_file_free(struct spool_file *f) {
    while (f->groups != NULL) {
        struct spool_group *g = f->groups;
        f->groups = g->next;
        while (g->first != NULL) {
            struct part *b = g->first;
            g->first = b->next;
            part_free(b);
        }
        queue_keys_deinit(&g->keys);
        free(g);
    }
    if (f->fd >= 0)
        close(f->fd); /* and with it the lock */
    free(f->dir);
    free(f->path);
    free(f);
}

static struct spool_file *read_file(const struct spool *s, const char *name) {
    struct spool_file *f = calloc(1, sizeof(*f));
    struct buf path;
    buf_init(&path, 8192);
    buf_addf(&path, "%s/%s", s->dir, name);
    if (f != NULL) {
        f->fd = -1;
        f->worker = s->worker;
        f->path = buf_ok(&path) ? strdup(buf_cstr(&path)) : NULL;
        f->dir = strdup(s->dir);
    }
    buf_deinit(&path);
    if (f == NULL || f->path == NULL || f->dir == NULL) {
        if (f != NULL)
            spool_file_free(f);
        return NULL;
    }
    errno = 0;
    f->fd = take(f->path);
    if (f->fd >= 0) {
        read_text(f);
    } else if (errno == EWOULDBLOCK || errno == ENOENT || errno == 0) {
        spool_file_free(f);
        return NULL;
    } else {
        f->error = errno;
    }
    return f;
}

static bool is_spool(const char *name) {
    size_t len = strlen(name), suffix = sizeof(SPOOL_SUFFIX) - 1;
    return len > suffix && strcmp(name + len - suffix, SPOOL_SUFFIX) == 0;
}

void spool_read_dir(struct spool *s) {
    DIR *dir = opendir(s->dir);
    if (dir == NULL) {
        s->error = errno == ENOENT ? 0 : errno;
        return;
    }
    const struct dirent *e;
    for (unsigned n = 0; n < FILES_MAX && (e = readdir(dir)) != NULL;) {
        struct spool_file *f = is_spool(e->d_name) ? read_file(s, e->d_name) : NULL;
        if (f == NULL)
            continue;
        f->next = s->files;
        s->files = f;
        n++;
    }
    closedir(dir);
}
