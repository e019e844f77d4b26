/* A worker's lease ran out: is what it left still to be settled from its file?
 *
 * Happy path: a thread finds no file of its → it is recovered at once. Another worker has the file (flock): that one settles
 * it first, else answered orders would be recovered as unknown. Nobody has it, as it came after this worker had read the
 * directory: the directory is read again. Failure mode: it is not settled (Redis refuses, its holder hangs): recovery waits
 * for one lease, and goes on. */
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum file { ABSENT, HELD, FREE };

struct asking {
    uv_work_t work;
    struct consumer *consumer;
    char *path;
    char dead[128];
    enum file file;
    spool_asked_fn done;
    void *arg;
};

static void look(uv_work_t *work) {
    struct asking *a = work->data;
    int fd = open(a->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    a->file = ABSENT;
    if (fd < 0)
        return;
    a->file = flock(fd, LOCK_EX | LOCK_NB) == 0 ? FREE : errno == EWOULDBLOCK ? HELD : ABSENT;
    close(fd);
}

/* One lease from when this was seen first. */
static bool waits(struct consumer *consumer, const char *dead) {
    uint64_t now = clock_boot_ns(), lease_ns = consumer->worker->boot->lease_ms * 1000000ull;
    if (strcmp(consumer->lease.spool_of, dead) != 0) {
        snprintf(consumer->lease.spool_of, sizeof(consumer->lease.spool_of), "%s", dead);
        consumer->lease.spool_until_ns = now + lease_ns;
        log_msg(LOG_INFO, "spool_awaited",
                "queue %s: worker %s left a file; its orders are recovered when that is settled, or after "
                "%llu ms",
                consumer->config->name, dead, (unsigned long long)consumer->worker->boot->lease_ms);
    }
    return now < consumer->lease.spool_until_ns;
}

static void on_looked(uv_work_t *work, int status) {
    struct asking *a = work->data;
    struct worker *w = a->consumer->worker;
    bool ends = status != 0 || w->mode >= WORKER_DRAINING; /* cancelled, or on its way: it recovers nobody */
    bool wait = ends || (a->file != ABSENT && waits(a->consumer, a->dead));
    if (!ends && wait && a->file == FREE && w->spool == NULL)
        spool_start(w);
    a->done(a->arg, wait);
    free(a->path);
    free(a);
    spool_one_less(w);
}

bool spool_ask(struct consumer *consumer, const char *dead, spool_asked_fn done, void *arg) {
    struct worker *w = consumer->worker;
    struct asking *a = calloc(1, sizeof(*a));
    struct buf path;
    buf_init(&path, 8192);
    buf_addf(&path, "%s/%s" SPOOL_SUFFIX, w->boot->spool_dir, dead);
    if (a != NULL && buf_ok(&path) && strchr(dead, '/') == NULL)
        a->path = strdup(buf_cstr(&path));
    buf_deinit(&path);
    if (a == NULL || a->path == NULL) {
        free(a);
        return false;
    }
    snprintf(a->dead, sizeof(a->dead), "%s", dead);
    a->work.data = a;
    a->consumer = consumer;
    a->done = done;
    a->arg = arg;
    w->timers.open_handles++;
    uv_queue_work(w->loop, &a->work, look, on_looked);
    return true;
}
