/* `dray dead retry ID --order FILE | --edit`: the job with another order, or as edited. What a
 * worker would refuse is refused here, before anything is moved, if the configuration knows the
 * account. */
#include "cli/dead.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dray/provider.h"

#define FILE_MAX (64u << 20)

/* Without the line feed that an editor puts at the end. */
static int read_file(const char *path, struct buf *text) {
    int rc = cli_read_file(path, text);
    while (text->len > 0 && strchr("\r\n \t", text->data[text->len - 1]) != NULL)
        text->len--;
    return rc;
}

/* The job's bytes with only the order's replaced. */
static int put_order(struct dead *d, struct letter *l, struct buf *job) {
    struct buf order;
    int rc = -1;
    buf_init(&order, FILE_MAX);
    if (read_file(d->o.order_file, &order) < 0)
        d->s.code = cli_fail(d->s.verb, "%s: %s", d->o.order_file, strerror(errno));
    else if (letter_put_order(l, buf_span(&order), job) < 0)
        d->s.code = cli_fail(d->s.verb, "the job has no `order` to replace; use --edit");
    else
        rc = 0;
    buf_deinit(&order);
    return rc;
}

static int run_editor(const char *path) {
    const char *editor = getenv("VISUAL") != NULL ? getenv("VISUAL") : getenv("EDITOR");
    pid_t child = fork();
    if (child == 0) {
        char line[4096];
        snprintf(line, sizeof(line), "%s \"$1\"", editor != NULL && editor[0] != '\0' ? editor : "vi");
        execl("/bin/sh", "sh", "-c", line, "sh", path, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int edit_file(struct dead *d, const char *path, int fd, struct letter *l, struct buf *job) {
    const char *why = NULL;
    if (write(fd, l->job.ptr, l->job.len) != (ssize_t)l->job.len || write(fd, "\n", 1) != 1)
        why = "the temporary file could not be written";
    else if (run_editor(path) < 0)
        why = "the editor failed; nothing was done";
    else if (read_file(path, job) < 0)
        why = "the edited file could not be read";
    else if (span_eq(buf_span(job), l->job))
        why = "nothing was changed, so nothing was done; without --edit the job is retried as it is";
    if (why != NULL)
        d->s.code = cli_fail(d->s.verb, "%s", why);
    return why == NULL ? 0 : -1;
}

/* The whole job, in a file that only its owner may read: it holds addresses. */
static int edit(struct dead *d, struct letter *l, struct buf *job) {
    char path[4096];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/dray-job-XXXXXX.json", folder != NULL ? folder : "/tmp");
    int fd = mkstemps(path, 5);
    if (fd < 0) {
        d->s.code = cli_fail(d->s.verb, "%s: %s", path, strerror(errno));
        return -1;
    }
    int rc = edit_file(d, path, fd, l, job);
    close(fd);
    unlink(path);
    return rc;
}

static const struct account *find_account(void *arg, const char *name) {
    struct dead *d = arg;
    const struct queue_config *q = config_queue(d->s.config, d->o.queue);
    if (name == NULL)
        return q != NULL ? q->default_account : NULL;
    const struct account *a = config_account(d->s.config, name);
    return a != NULL && strcmp(a->queue, d->o.queue) == 0 ? a : NULL;
}

static int check(struct dead *d, const struct buf *job) {
    struct envelope e;
    struct json_doc doc;
    struct faults faults;
    struct buf scratch;
    const struct account *account;
    uint32_t n = 0;
    if (config_queue(d->s.config, d->o.queue) == NULL) {
        fprintf(stderr, "the configuration does not know queue %s: the job is not checked here\n",
                d->o.queue);
        return 0;
    }
    json_init(&doc, UINT32_MAX);
    faults_init(&faults);
    buf_init(&scratch, 1u << 20);
    n = envelope_parse(&e, &doc, buf_span(job), find_account, d, d->s.keys.hash_tag, &scratch, &faults, NULL,
                       &account);
    if (n > 0) {
        d->s.code = cli_fail(d->s.verb, "the job would be refused; nothing was done:");
        cli_print_faults(stderr, "  ", &faults);
    }
    json_deinit(&doc);
    faults_deinit(&faults);
    buf_deinit(&scratch);
    return n > 0 ? -1 : 0;
}

int dead_new_job(struct dead *d, struct letter *l, struct buf *job) {
    if (!l->readable || l->job.ptr == NULL) {
        d->s.code = cli_fail(d->s.verb, "the letter holds no text of a job");
        return -1;
    }
    int rc = d->o.order_file != NULL ? put_order(d, l, job) : edit(d, l, job);
    return rc < 0 ? -1 : check(d, job);
}
