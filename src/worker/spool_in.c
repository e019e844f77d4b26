/* Settling what earlier workers had to leave in files.
 *
 * Happy path: at the start a thread takes (flock) and reads every file of the directory → groups,
 * one for each queue and worker, of settle batches → once the queue's node is there, batch after
 * batch is sent as that worker → all of a file's are answered → a thread removes the file. A claim
 * that was recovered meanwhile answers LOST; the id of a created order goes into the ledger all the
 * same, so that the recovered job ends as created or duplicate. Failure modes: Redis goes away or
 * refuses: the batch is sent again, with backoff; each settlement happens once however often it is
 * sent. A file that another worker holds is that worker's. A line that can't be read: the file is
 * kept, as FILE.bad, once its other lines are settled. This worker ends first: the file stays for
 * the next. */
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/backoff.h"

#define MS_NS 1000000ull

void spool_one_less(struct worker *w) {
    if (w->mode == WORKER_STOPPED)
        worker_closed_one(w);
    else
        w->timers.open_handles--;
}

static void report_read(const struct spool_file *f) {
    if (f->error != 0)
        log_msg(LOG_ERROR, "spool_unread", "%s: %s; its settlements wait for a start that can read it",
                f->path, strerror(f->error));
    else
        log_msg(LOG_INFO, "spool_found",
                "%s: %llu settlements that an earlier worker could not make are made first", f->path,
                (unsigned long long)f->lines);
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
    spool_one_less(w);
}

static void read_dir(uv_work_t *work) {
    spool_read_dir(work->data);
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
    w->timers.open_handles++;
    uv_queue_work(w->loop, &s->work, read_dir, on_read);
}

void spool_free(struct worker *w) {
    struct spool *s = w->spool;
    if (s == NULL)
        return;
    while (s->files != NULL) {
        struct spool_file *f = s->files;
        s->files = f->next;
        spool_file_free(f);
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
        log_msg(LOG_ERROR, "spool_bad",
                "%llu lines of %s can't be read; it is kept as %s" SPOOL_BAD ", for a person to look at",
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
    spool_file_free(f);
    for (uint32_t i = 0; i < w->consumer_count; i++)
        w->consumers[i]->claims.look_now = true;
    spool_one_less(w);
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
    w->timers.open_handles++;
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
    struct part *b = g->first;
    uint64_t lost = 0, wrong = 0;
    g->out = false;
    if (!turn_reply_ok(&(struct turn){.settle = b}, r)) {
        again_later(g, error[0] != '\0' ? error : "an answer of an unexpected kind");
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        char letter = r->element[TURN_SETTLED]->element[0]->str[i];
        lost += letter == 'L';
        wrong += letter == 'W';
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
    part_free(b);
}

/* Nothing is written where a consumer's beat has not said yet that the data are of our format. */
static bool may_write(const struct worker *w, const char *queue) {
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (strcmp(w->consumers[i]->keys.queue, queue) == 0)
            return w->consumers[i]->format.ours;
    return true;
}

void spool_turn(struct worker *w, uint64_t now_ns) {
    if (w->spool == NULL || w->spool->reading || w->mode == WORKER_DRAINING)
        return;
    for (struct spool_file *f = w->spool->files; f != NULL; f = f->next) {
        for (struct spool_group *g = f->groups; g != NULL; g = g->next) {
            if (g->out || g->first == NULL || now_ns < g->not_before_ns ||
                redis_router_state(w->redis.router, g->keys.slot) != REDIS_UP || !may_write(w, g->keys.queue))
                continue;
            g->out = true;
            const struct turn turn = {.settle = g->first};
            turn_send(&turn, &w->scratch.cmd, w->caller, &g->keys, NULL, on_settled, g);
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
            if (!g->out && g->first != NULL && g->not_before_ns > now_ns &&
                (at == 0 || g->not_before_ns < at))
                at = g->not_before_ns;
    return at;
}

bool spool_holds(const struct consumer *consumer) {
    const struct spool *s = consumer->worker->spool;
    if (s == NULL)
        return false;
    if (s->reading)
        return true;
    for (const struct spool_file *f = s->files; f != NULL; f = f->next)
        for (const struct spool_group *g = f->groups; g != NULL; g = g->next)
            if (g->first != NULL && strcmp(g->keys.queue, consumer->keys.queue) == 0)
                return true;
    return false;
}
