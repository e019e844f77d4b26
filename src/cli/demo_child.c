/* The demo's children: started so that they cannot outlive it, watched, and ended.
 *
 * Each is in a process group of its own, so that Ctrl-C reaches the demo alone, which then ends
 * them in order; should the demo be killed, the kernel kills them (PR_SET_PDEATHSIG). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/demo.h"
#include "dray/clock.h"

#define STOP_MS  5000
#define TAIL_MAX 2000

static void watched(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGCHLD);
}

void demo_watch_signals(void) {
    sigset_t set;
    watched(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The signal that came within `ms`, or 0. */
static int wait_signal(unsigned ms) {
    sigset_t set;
    watched(&set);
    const struct timespec timeout = {ms / 1000, (long)(ms % 1000) * 1000000};
    int got = sigtimedwait(&set, NULL, &timeout);
    return got > 0 ? got : 0;
}

static bool reaped(struct demo_child *c) {
    if (c->pid != 0 && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
        c->pid = 0;
    return c->pid == 0;
}

static int say_ended(const struct demo_child *c, struct err *err) {
    demo_child_tail(c);
    if (WIFSIGNALED(c->status))
        return err_set(err, "%s was ended by signal %d (%s)", c->name, WTERMSIG(c->status),
                       strsignal(WTERMSIG(c->status)));
    return err_set(err, "%s ended with exit code %d", c->name, WEXITSTATUS(c->status));
}

int demo_pause(struct demo_world *w, unsigned ms, struct err *err) {
    int got = wait_signal(ms);
    if (got != 0 && got != SIGCHLD) {
        w->interrupted = got;
        return err_set(err, "interrupted");
    }
    struct demo_child *children[] = {&w->redis, &w->worker};
    for (size_t i = 0; i < 2; i++)
        if (children[i]->pid != 0 && reaped(children[i]))
            return say_ended(children[i], err);
    if (clock_boot_ns() > w->deadline_ns) {
        demo_child_tail(&w->worker);
        return err_set(err, "it is not done after %d seconds", DEMO_DEADLINE_S);
    }
    return 0;
}

/* The environment without what would configure the worker behind the demo's back. NULL: no memory.
 */
static char **child_environment(void) {
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        n++;
    char **list = calloc(n + 1, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++)
        if (strncmp(environ[i], "DRAY_", 5) != 0)
            list[kept++] = environ[i];
    return list;
}

/* In the child: only calls that are safe after fork(2) in a program with threads. */
static void become(const struct demo_child *c, char *const argv[], char **environment, pid_t parent,
                   int report) {
    sigset_t none;
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && in >= 0 && out >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
        dup2(out, 2) == 2) {
        signal(SIGPIPE, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvpe(argv[0], argv, environment);
    }
    int why = errno;
    ssize_t n = write(report, &why, sizeof why);
    (void)n; /* the parent sees the exit code then */
    _exit(127);
}

int demo_child_start(struct demo_world *w, struct demo_child *c, char *const argv[], struct err *err) {
    int report[2], why = 0;
    char **environment = child_environment();
    snprintf(c->log, sizeof c->log, "%s/%s.log", w->dir, c->name);
    if (environment == NULL || pipe2(report, O_CLOEXEC) != 0) {
        free(environment);
        return err_set(err, "cannot start %s: %s", c->name, strerror(errno));
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(c, argv, environment, parent, report[1]);
    close(report[1]);
    ssize_t n = pid < 0 ? 0 : read(report[0], &why, sizeof why);
    close(report[0]);
    free(environment);
    if (pid < 0)
        return err_set(err, "cannot start %s: %s", c->name, strerror(errno));
    c->pid = pid;
    if (n == 0)
        return 0; /* the pipe closed when the program began */
    waitpid(pid, &c->status, 0);
    c->pid = 0;
    errno = why;
    return err_set(err, "cannot run %s: %s", argv[0], strerror(why));
}

bool demo_child_stop(struct demo_child *c) {
    if (c->pid == 0)
        return true;
    kill(c->pid, SIGCONT);
    kill(c->pid, SIGTERM);
    uint64_t until = clock_boot_ns() + STOP_MS * 1000000ull;
    while (!reaped(c) && clock_boot_ns() < until)
        wait_signal(20);
    if (c->pid != 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, &c->status, 0);
        c->pid = 0;
    }
    return WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0;
}

void demo_child_tail(const struct demo_child *c) {
    char text[TAIL_MAX + 1];
    int fd = c->log[0] == '\0' ? -1 : open(c->log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    lseek(fd, end > TAIL_MAX ? end - TAIL_MAX : 0, SEEK_SET);
    ssize_t n = read(fd, text, TAIL_MAX);
    close(fd);
    if (n <= 0)
        return;
    text[n] = '\0';
    const char *from = end > TAIL_MAX && strchr(text, '\n') != NULL ? strchr(text, '\n') + 1 : text;
    fprintf(stderr, "the last lines of %s:\n%s", c->name, from);
}
