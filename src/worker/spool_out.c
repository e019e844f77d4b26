/* Writing the spool, as the worker's last act.
 *
 * Happy path: grace over → everything closed → orders that had begun without an answer to it are
 * handed back → each settlement in the consumers' batches becomes a line → a thread writes, syncs and
 * renames the file and syncs the directory → the worker has stopped. Failure modes: the directory
 * can't be made or written, the disk is full, or a settlement does not fit: said so, exit 1; those
 * orders are left to recovery, which looks them up: unknown, never lost. */
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct spool_out {
    uv_work_t work;
    struct worker *worker;
    void (*written)(void *worker); /* is told at the end */
    struct buf text;
    uint64_t lines, left_out;
    char *dir, *path, *temporary;
    const char *failed; /* what failed, or NULL */
    int error;
};

static void add_field(struct buf *out, const char *name, struct span value) {
    if (value.ptr == NULL)
        return;
    buf_addf(out, ",\"%s\":", name);
    buf_add_json_str(out, value);
}

static void add_number(struct buf *out, const char *name, uint64_t value) {
    if (value > 0)
        buf_addf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void add_line(struct buf *out, const struct consumer *consumer, const struct settlement *s) {
    char token[TOKEN_SIZE];
    claim_token(&s->claim, token);
    buf_add_str(out, "{\"v\":2");
    add_field(out, "prefix", span_str(consumer->worker->boot->redis_prefix));
    add_field(out, "queue", span_str(consumer->keys.queue));
    add_field(out, "worker", span_str(consumer->keys.worker));
    add_field(out, "token", span_str(token));
    add_field(out, "op", span_str(settle_op_names[s->op]));
    add_field(out, "counter", span_str(s->counter));
    add_field(out, "account", span_str(s->account));
    add_field(out, "gate", (struct span){&s->gate, 1});
    add_number(out, "gate_ms", s->gate_ms);
    add_field(out, "gate_code", s->gate_code != NULL ? span_str(s->gate_code) : (struct span){NULL, 0});
    add_number(out, "due_ms", s->due_ms);
    add_field(out, "dead_id", span_str(s->dead_id));
    add_field(out, "ledger_key", s->ledger_key);
    add_field(out, "ledger", s->ledger);
    add_field(out, "results_key", s->results_key);
    add_field(out, "result", s->result);
    add_field(out, "body", s->body);
    buf_add_str(out, "}\n");
}

static void add_batch(struct spool_out *s, const struct consumer *consumer, const struct part *b) {
    struct part_reader r;
    struct settlement settlement;
    part_reader_init(&r, b);
    while (part_read(&r, &consumer->keys, &settlement)) {
        size_t before = s->text.len;
        add_line(&s->text, consumer, &settlement);
        if (buf_ok(&s->text)) {
            s->lines++;
            continue;
        }
        s->left_out++;
        s->text.failed = false;
        s->text.len = before;
    }
}

static void collect(struct spool_out *s) {
    struct worker *w = s->worker;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        struct consumer *consumer = w->consumers[i];
        settle_back_begun(consumer);
        for (const struct part *b = consumer->turns.resend; b != NULL; b = b->next)
            if (b->kind == PART_SETTLE)
                add_batch(s, consumer, b);
        if (consumer->turns.settle != NULL)
            add_batch(s, consumer, consumer->turns.settle);
    }
}

/* --- the file --- */

static int fail(struct spool_out *s, const char *what) {
    s->error = errno;
    s->failed = what;
    return -1;
}

static int write_all(struct spool_out *s, int fd) {
    for (size_t at = 0; at < s->text.len;) {
        ssize_t n = write(fd, s->text.data + at, s->text.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(s, "writing");
        at += (size_t)n;
    }
    return fsync(fd) < 0 ? fail(s, "syncing") : 0;
}

static int sync_dir(struct spool_out *s) {
    int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) < 0 ? fail(s, "syncing the directory") : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static void write_file(uv_work_t *work) {
    struct spool_out *s = work->data;
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST) {
        fail(s, "making the directory");
        return;
    }
    int fd = open(s->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(s, "opening");
        return;
    }
    int rc = write_all(s, fd);
    if (close(fd) < 0 && rc == 0)
        rc = fail(s, "closing");
    if (rc == 0 && rename(s->temporary, s->path) < 0)
        rc = fail(s, "renaming");
    if (rc == 0)
        sync_dir(s);
    else
        unlink(s->temporary);
}

static void out_free(struct spool_out *s) {
    if (s == NULL)
        return;
    buf_deinit(&s->text);
    free(s->dir);
    free(s->path);
    free(s->temporary);
    free(s);
}

static void on_written(uv_work_t *work, int status) {
    struct spool_out *s = work->data;
    struct worker *w = s->worker;
    if (status != 0 || s->failed != NULL || s->left_out > 0)
        w->end.exit_code = 1;
    if (s->failed != NULL)
        log_msg(LOG_ERROR, "spool_failed",
                "%s: %s: %s; the outcomes of %llu orders are left to recovery, which looks the "
                "orders up",
                s->path, s->failed, strerror(s->error), (unsigned long long)s->lines);
    else
        log_msg(LOG_WARN, "spooled",
                "Redis does not take %llu settlements; they are in %s, and the next worker with "
                "this spool_dir "
                "makes them first",
                (unsigned long long)s->lines, s->path);
    if (s->left_out > 0)
        log_msg(LOG_ERROR, "spool_full", "%llu settlements did not fit; their orders are left to recovery",
                (unsigned long long)s->left_out);
    void (*written)(void *) = s->written;
    out_free(s);
    written(w);
}

static char *join(const char *dir, const char *name, const char *suffix) {
    struct buf b;
    buf_init(&b, 8192);
    buf_addf(&b, "%s/%s%s", dir, name, suffix);
    char *text = buf_ok(&b) ? strdup(buf_cstr(&b)) : NULL;
    buf_deinit(&b);
    return text;
}

bool spool_write(struct worker *w, void (*written)(void *worker)) {
    struct spool_out *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return false;
    s->worker = w;
    s->written = written;
    s->work.data = s;
    buf_init(&s->text, SPOOL_MAX);
    s->dir = strdup(w->boot->spool_dir);
    s->path = join(w->boot->spool_dir, w->id, SPOOL_SUFFIX);
    s->temporary = join(w->boot->spool_dir, w->id, ".tmp");
    collect(s);
    bool ready = s->dir != NULL && s->path != NULL && s->temporary != NULL;
    if (s->lines + s->left_out == 0 || !ready) {
        out_free(s);
        return false;
    }
    w->timers.open_handles++;
    uv_queue_work(w->loop, &s->work, write_file, on_written);
    return true;
}
