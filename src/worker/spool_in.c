/* Settling what earlier workers had to leave in files.
 *
 * Happy path: at the start a thread takes (flock) and reads every file of the directory → groups, one
 * for each queue and worker, of settle batches → once the queue's node is there, batch after batch is
 * sent as that worker → all of a file's are answered → a thread removes the file.
 * A claim that was recovered meanwhile answers LOST; the id of a created order goes into the ledger all
 * the same, so that the recovered job ends as created or duplicate.
 * Failure modes: Redis goes away or refuses: the batch is sent again, with backoff; each settlement
 * happens once however often it is sent. A file that another worker holds is that worker's. A line that
 * can't be read: the file is kept, as FILE.bad, once its other lines are settled. This worker ends
 * first: the file stays for the next. */
#include "worker/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/backoff.h"

#define MS_NS     1000000ull
#define FILES_MAX 1024 /* at one start; the rest waits for the next */

struct spool_group {
    struct spool_group *next;
    struct spool_file *file;
    struct queue_keys keys; /* of the worker that wrote them */
    struct batch *first, *last;
    bool out;              /* `first` is unanswered */
    uint32_t failures;
    uint64_t not_before_ns;
};

struct spool_file {
    struct spool_file *next;
    struct worker *worker;
    uv_work_t work;
    char *dir, *path;
    int fd; /* holds the lock; -1: none */
    struct spool_group *groups;
    uint64_t lines, bad, settled, lost;
    bool ending; /* all is settled: being removed */
    int error;
};

struct spool {
    uv_work_t work;
    struct worker *worker;
    char *dir;
    bool reading;
    int error;
    struct spool_file *files;
};

/* --- a line to a settlement --- */

/* The member's text, decoded into `store`, which has room for all of the line: it does not move. Absent
 * where it is. A NUL follows. */
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

static struct spool_group *group_of(struct spool_file *f, struct span prefix, struct span queue, struct span worker) {
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

static int group_add(struct spool_group *g, const char *token, const struct settlement *s) {
    if (g->last == NULL || batch_full(g->last)) {
        struct batch *b = batch_new(SCRIPT_SETTLE);
        if (b == NULL)
            return -1;
        b->sent = true; /* perhaps it was: then what is gone is no news */
        if (g->last != NULL)
            g->last->next = b;
        else
            g->first = b;
        g->last = b;
    }
    return batch_add_settlement(g->last, NULL, &g->keys, token, s) ? 0 : -1;
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
    s->due_ms = number_at(doc, "due_ms");
    s->dead_id = text_at(doc, "dead_id", store).ptr;
    s->ledger_key = text_at(doc, "ledger_key", store);
    s->ledger = text_at(doc, "ledger", store);
    s->results_key = text_at(doc, "results_key", store);
    s->result = text_at(doc, "result", store);
    s->body = text_at(doc, "body", store);
    return s->op == SETTLE_DEAD && s->dead_id == NULL ? -1 : 0;
}

static int read_line(struct spool_file *f, struct span line, struct json_doc *doc, struct buf *store) {
    struct settlement s;
    if (json_parse(doc, line.ptr, line.len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT ||
        number_at(doc, "v") != 1)
        return -1;
    buf_reset(store);
    if (!buf_reserve(store, line.len + 64))
        return -1;
    struct span prefix = text_at(doc, "prefix", store), queue = text_at(doc, "queue", store);
    struct span worker = text_at(doc, "worker", store), token = text_at(doc, "token", store);
    if (prefix.len == 0 || queue.len == 0 || worker.len == 0 || token.len == 0 || token.len >= TOKEN_SIZE ||
        read_settlement(doc, store, &s) < 0 || !buf_ok(store))
        return -1;
    struct spool_group *g = group_of(f, prefix, queue, worker);
    return g != NULL ? group_add(g, token.ptr, &s) : -1;
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

static void file_free(struct spool_file *f) {
    while (f->groups != NULL) {
        struct spool_group *g = f->groups;
        f->groups = g->next;
        while (g->first != NULL) {
            struct batch *b = g->first;
            g->first = b->next;
            batch_free(b);
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
            file_free(f);
        return NULL;
    }
    errno = 0;
    f->fd = take(f->path);
    if (f->fd >= 0) {
        read_text(f);
    } else if (errno == EWOULDBLOCK || errno == ENOENT || errno == 0) {
        file_free(f);
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

static void read_dir(uv_work_t *work) {
    struct spool *s = work->data;
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

/* --- what is left to do, on the loop --- */

static void one_less(struct worker *w) {
    if (w->mode == WORKER_STOPPED)
        worker_closed_one(w);
    else
        w->open_handles--;
}

static void report_read(const struct spool_file *f) {
    if (f->error != 0)
        log_msg(LOG_ERROR, "spool_unread", "%s: %s; its settlements wait for a start that can read it", f->path,
                strerror(f->error));
    else
        log_msg(LOG_INFO, "spool_found", "%s: %llu settlements that an earlier worker could not make are made first",
                f->path, (unsigned long long)f->lines);
}

static void on_read(uv_work_t *work, int status) {
    struct spool *s = work->data;
    struct worker *w = s->worker;
    (void)status;
    s->reading = false;
    if (s->error != 0)
        log_msg(LOG_ERROR, "spool_unread", "%s: %s", s->dir, strerror(s->error));
    for (const struct spool_file *f = s->files; f != NULL; f = f->next)
        report_read(f);
    one_less(w);
}

void spool_start(struct worker *w) {
    struct spool *s = calloc(1, sizeof(*s));
    if (s == NULL || (s->dir = strdup(w->boot->spool_dir)) == NULL) {
        free(s);
        return;
    }
    s->worker = w;
    s->work.data = s;
    s->reading = true;
    w->spool = s;
    w->open_handles++;
    uv_queue_work(w->loop, &s->work, read_dir, on_read);
}

void spool_free(struct worker *w) {
    struct spool *s = w->spool;
    if (s == NULL)
        return;
    while (s->files != NULL) {
        struct spool_file *f = s->files;
        s->files = f->next;
        file_free(f);
    }
    free(s->dir);
    free(s);
    w->spool = NULL;
}

static void remove_file(uv_work_t *work) {
    struct spool_file *f = work->data;
    char *aside = NULL;
    if (f->bad > 0 && (aside = malloc(strlen(f->path) + sizeof(SPOOL_BAD))) != NULL) {
        strcpy(aside, f->path);
        strcat(aside, SPOOL_BAD);
    }
    int rc = f->bad == 0 ? unlink(f->path) : aside != NULL ? rename(f->path, aside) : -1;
    f->error = rc < 0 ? errno : 0;
    free(aside);
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static void report_settled(const struct spool_file *f) {
    struct log_line l;
    if (log_begin(&l, LOG_INFO, "spool_settled")) {
        log_str(&l, "file", f->path);
        log_u64(&l, "settled", f->settled);
        log_u64(&l, "lost", f->lost);
        log_end(&l);
    }
    if (f->bad > 0)
        log_msg(LOG_ERROR, "spool_bad", "%llu lines of %s can't be read; it is kept as %s" SPOOL_BAD ", for a person to look at",
                (unsigned long long)f->bad, f->path, f->path);
    if (f->error != 0)
        log_msg(LOG_ERROR, "spool_left", "%s: %s; it may be removed: all of it is settled", f->path,
                strerror(f->error));
}

static void on_removed(uv_work_t *work, int status) {
    struct spool_file *f = work->data;
    struct worker *w = f->worker;
    (void)status;
    report_settled(f);
    for (struct spool_file **at = &w->spool->files; *at != NULL; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            break;
        }
    }
    file_free(f);
    for (uint32_t i = 0; i < w->lane_count; i++)
        w->lanes[i]->look_now = true;
    one_less(w);
}

static bool is_settled(const struct spool_file *f) {
    for (const struct spool_group *g = f->groups; g != NULL; g = g->next)
        if (g->first != NULL)
            return false;
    return f->error == 0;
}

static void end_file(struct spool_file *f) {
    struct worker *w = f->worker;
    f->ending = true;
    f->work.data = f;
    w->open_handles++;
    uv_queue_work(w->loop, &f->work, remove_file, on_removed);
}

static void again_later(struct spool_group *g, const char *error) {
    struct worker *w = g->file->worker;
    g->failures++;
    g->not_before_ns = clock_boot_ns() + (100 + backoff_ms(100, 5000, g->failures, &w->rng)) * MS_NS;
    if (g->failures % 8 == 1)
        log_msg(LOG_WARN, "spool_waits", "queue %s: settling %s: %s", g->keys.queue, g->file->path, error);
}

static void on_settled(void *arg, const redisReply *r, const char *error) {
    struct spool_group *g = arg;
    struct batch *b = g->first;
    uint64_t lost = 0, wrong = 0;
    g->out = false;
    if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements < b->count) {
        again_later(g, error[0] != '\0' ? error : "an answer of an unexpected kind");
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        lost += strcmp(r->element[i]->str, "LOST") == 0;
        wrong += strcmp(r->element[i]->str, "WRONGTYPE") == 0;
    }
    if (wrong > 0) {
        again_later(g, "the results key is no list; rename it");
        return;
    }
    g->failures = 0;
    g->file->lost += lost;
    g->file->settled += b->count - lost;
    g->first = b->next;
    if (g->first == NULL)
        g->last = NULL;
    batch_free(b);
}

void spool_turn(struct worker *w, uint64_t now_ns) {
    if (w->spool == NULL || w->spool->reading || w->mode == WORKER_DRAINING)
        return;
    for (struct spool_file *f = w->spool->files; f != NULL; f = f->next) {
        for (struct spool_group *g = f->groups; g != NULL; g = g->next) {
            if (g->out || g->first == NULL || now_ns < g->not_before_ns ||
                redis_router_state(w->redis, g->keys.slot) != REDIS_UP)
                continue;
            g->out = true;
            batch_send(g->first, w->caller, &g->keys, NULL, on_settled, g);
        }
        if (!f->ending && is_settled(f))
            end_file(f);
    }
    if (w->spool->files == NULL)
        spool_free(w);
}

uint64_t spool_wake_ns(const struct worker *w, uint64_t now_ns) {
    uint64_t at = 0;
    if (w->spool == NULL || w->spool->reading)
        return 0;
    for (const struct spool_file *f = w->spool->files; f != NULL; f = f->next)
        for (const struct spool_group *g = f->groups; g != NULL; g = g->next)
            if (!g->out && g->first != NULL && g->not_before_ns > now_ns && (at == 0 || g->not_before_ns < at))
                at = g->not_before_ns;
    return at;
}

bool spool_holds(const struct lane *lane) {
    const struct spool *s = lane->worker->spool;
    if (s == NULL)
        return false;
    if (s->reading)
        return true;
    for (const struct spool_file *f = s->files; f != NULL; f = f->next)
        for (const struct spool_group *g = f->groups; g != NULL; g = g->next)
            if (g->first != NULL && strcmp(g->keys.queue, lane->keys.queue) == 0)
                return true;
    return false;
}
