/* The writer: callers append lines to one buffer, a thread swaps it for an empty one and writes it.
 *
 * Happy path: log_writer_add() → `queued` → (within BATCH_MS, or at once if urgent) the thread
 * swaps `queued` and `batch` → poll, write in pieces of whole lines → again.
 *
 * Failure modes:
 *  - The reader is slow: the thread waits in poll; `queued` fills up to QUEUE_MAX, then lines are
 *    dropped and counted; the count is written right after the batch that was before the gap.
 *  - The reader is gone (EPIPE) or the disk is full: the batch's lines count as dropped. SIGPIPE is
 *    blocked in the thread, and around a write of the caller's.
 *  - log_writer_stop() with a stuck reader: after STOP_MS the thread gives up. If it hangs in
 *    write(2) itself, it is left behind, and cannot be started again. */
#include "util/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX (1u << 20) /* bytes that wait; the batch being written has as many */
#define BATCH_MS  20
#define STOP_MS   1000
#define GRACE_MS  200 /* for the thread to end after STOP_MS */

enum state { STOPPED, RUNNING, STOPPING, LOST };

/* Process-wide like the descriptor it writes to. `lock` guards all but `batch` (the thread's) and
 * `dropped`; it is never held across a system call that may wait. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;  /* of the thread */
    pthread_cond_t ended; /* of log_writer_stop */
    pthread_t thread;
    enum state state;
    bool urgent;
    struct buf queued, batch;
    uint64_t unreported; /* dropped, and not yet told */
    struct timespec give_up;
    log_dropped_fn format_dropped;
    atomic_uint_fast64_t dropped;
} w = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct timespec in_ms(long ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool is_past(const struct timespec *t) {
    struct timespec now = in_ms(0);
    return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static uint64_t lines_in(struct span text) {
    uint64_t n = 0;
    for (const char *p = text.ptr, *end = p + text.len; p < end; n++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        p = newline != NULL ? newline + 1 : end;
    }
    return n;
}

/* Whole lines from the start of `text`, LOG_LINE_MAX bytes at most. */
static size_t piece_of(struct span text) {
    if (text.len <= LOG_LINE_MAX)
        return text.len;
    const char *newline = memrchr(text.ptr, '\n', LOG_LINE_MAX);
    return newline != NULL ? (size_t)(newline + 1 - text.ptr) : LOG_LINE_MAX;
}

/* Writes `text`. `patient` says before every piece whether to go on, and to wait for a slow reader;
 * NULL: no waiting at all. Lines that could not be written count as dropped. SIGPIPE must be
 * blocked. */
static void write_lines(struct span text, bool (*patient)(void)) {
    while (text.len > 0 && (patient == NULL || patient())) {
        struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
        int ready = poll(&fd, 1, patient != NULL ? 100 : 0);
        ssize_t n = -1;
        if (ready > 0)
            n = write(STDERR_FILENO, text.ptr, piece_of(text));
        if (n >= 0)
            text = (struct span){text.ptr + n, text.len - (size_t)n};
        else if (patient == NULL || (ready > 0 && errno != EINTR && errno != EAGAIN))
            break;
    }
    atomic_fetch_add(&w.dropped, lines_in(text));
}

static bool thread_is_patient(void) {
    pthread_mutex_lock(&w.lock);
    bool go_on = w.state == RUNNING || (w.state == STOPPING && !is_past(&w.give_up));
    pthread_mutex_unlock(&w.lock);
    return go_on;
}

/* Waits until there is something to write, and then a little for more. False: nothing, and the end.
 */
static bool take_batch(uint64_t *dropped) {
    pthread_mutex_lock(&w.lock);
    while (w.queued.len == 0 && w.state == RUNNING)
        pthread_cond_wait(&w.wake, &w.lock);
    struct timespec until = in_ms(BATCH_MS);
    int rc = 0;
    while (rc != ETIMEDOUT && !w.urgent && w.state == RUNNING)
        rc = pthread_cond_timedwait(&w.wake, &w.lock, &until);
    struct buf empty = w.batch;
    w.batch = w.queued;
    w.queued = empty;
    w.urgent = false;
    *dropped = w.unreported;
    w.unreported = 0;
    pthread_mutex_unlock(&w.lock);
    return w.batch.len > 0;
}

static void *run(void *arg) {
    (void)arg;
    uint64_t dropped;
    while (take_batch(&dropped)) {
        write_lines(buf_span(&w.batch), thread_is_patient);
        buf_reset(&w.batch);
        if (dropped > 0)
            write_lines(w.format_dropped(dropped), thread_is_patient);
    }
    pthread_mutex_lock(&w.lock);
    w.state = STOPPED;
    pthread_cond_signal(&w.ended);
    pthread_mutex_unlock(&w.lock);
    return NULL;
}

/* The thread takes no signal: they belong to the loop's thread, and SIGPIPE to nobody. */
static int start_thread(void) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0 ? 0 : -1;
}

int log_writer_start(log_dropped_fn format_dropped) {
    pthread_mutex_lock(&w.lock);
    int rc = -1;
    if (w.state == STOPPED) {
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&w.wake, &monotonic);
        pthread_cond_init(&w.ended, &monotonic);
        pthread_condattr_destroy(&monotonic);
        buf_init(&w.queued, QUEUE_MAX);
        buf_init(&w.batch, QUEUE_MAX);
        w.format_dropped = format_dropped;
        w.state = RUNNING;
        rc = start_thread();
        if (rc != 0)
            w.state = STOPPED;
    }
    pthread_mutex_unlock(&w.lock);
    return rc;
}

void log_writer_stop(void) {
    pthread_mutex_lock(&w.lock);
    if (w.state != RUNNING) {
        pthread_mutex_unlock(&w.lock);
        return;
    }
    w.state = STOPPING;
    w.give_up = in_ms(STOP_MS);
    struct timespec until = in_ms(STOP_MS + GRACE_MS);
    pthread_cond_signal(&w.wake);
    int rc = 0;
    while (w.state == STOPPING && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w.ended, &w.lock, &until);
    bool ended = w.state == STOPPED;
    if (!ended)
        w.state = LOST;
    pthread_mutex_unlock(&w.lock);
    if (!ended) {
        pthread_detach(w.thread);
        return;
    }
    pthread_join(w.thread, NULL);
    buf_deinit(&w.queued);
    buf_deinit(&w.batch);
    pthread_cond_destroy(&w.wake);
    pthread_cond_destroy(&w.ended);
}

/* For a caller's own thread, where SIGPIPE may be deadly: it is blocked, and taken if it came. */
static void write_now(struct span line) {
    sigset_t pipe_signal, old, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
    write_lines(line, NULL);
    if (!sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_signal, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void enqueue(struct span line, bool urgent) {
    bool was_empty = w.queued.len == 0, was_urgent = w.urgent;
    if (line.len <= w.queued.max - w.queued.len)
        buf_add_span(&w.queued, line);
    else
        w.queued.failed = true;
    if (w.queued.failed) {
        w.queued.failed = false; /* the content stands as it was */
        w.unreported++;
        atomic_fetch_add(&w.dropped, 1);
    }
    w.urgent = w.urgent || urgent || w.queued.len > QUEUE_MAX / 2;
    if (was_empty || w.urgent != was_urgent)
        pthread_cond_signal(&w.wake);
}

void log_writer_add(struct span line, bool urgent) {
    pthread_mutex_lock(&w.lock);
    bool running = w.state == RUNNING;
    if (running)
        enqueue(line, urgent);
    pthread_mutex_unlock(&w.lock);
    if (!running)
        write_now(line);
}

uint64_t log_writer_dropped(void) {
    return atomic_load(&w.dropped);
}
