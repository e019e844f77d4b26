/* The demo's world: a directory that only its owner may enter, a Redis on a Unix socket in it, the
 * sandbox in this process, and a worker. Stopping leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/demo.h"
#include "dray/clock.h"

static int make_directory(struct demo_world *w, struct err *err) {
    const char *base = getenv("TMPDIR");
    if (base == NULL || base[0] != '/')
        base = "/tmp";
    if (strlen(base) + strlen("/dray-demo-XXXXXX") >= sizeof w->dir)
        base = "/tmp"; /* a socket's path has room for 107 bytes */
    snprintf(w->dir, sizeof w->dir, "%s/dray-demo-XXXXXX", base);
    if (mkdtemp(w->dir) == NULL) {
        w->dir[0] = '\0';
        return err_set(err, "cannot make a directory in %s: %s", base, strerror(errno));
    }
    snprintf(w->socket, sizeof w->socket, "%s/redis.sock", w->dir);
    snprintf(w->config, sizeof w->config, "%s/dray.ini", w->dir);
    snprintf(w->job, sizeof w->job, "%s/job.json", w->dir);
    return 0;
}

static int write_file(const char *path, struct buf *text, struct err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && buf_ok(text) && write(fd, text->data, text->len) == (ssize_t)text->len;
    if (fd >= 0 && close(fd) != 0)
        ok = false;
    return ok ? 0 : err_set(err, "cannot write %s: %s", path, strerror(errno));
}

static void add_account(struct buf *out, const char *name, uint16_t port) {
    buf_addf(out, "[account %s]\nprovider = %s\nqueue = " DEMO_QUEUE "\nbase_url = http://127.0.0.1:%u\n",
             name, name, port);
    if (strcmp(name, "vu") == 0)
        buf_add_str(out, "key = demo\nsecret = demo\n");
    else
        buf_add_str(out, "token = demo\n");
    if (strcmp(name, "s2") == 0)
        buf_add_str(out, "organization = 95d73baf-76ba-4bea-86ac-1534c5e5d4aa\n");
    buf_add_str(out, "backoff_base = 100ms\n\n");
}

static int write_files(struct demo_world *w, struct err *err) {
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_addf(&text,
             "# Made by `dray demo`.\n[redis]\nurl = unix://%s\n\n[worker]\nname = demo\nspool_dir "
             "= %s\n"
             "log_format = text\n\n[admin]\nlisten = off\n\n[queue " DEMO_QUEUE "]\ndefault_account = %s\n\n",
             w->socket, w->dir, demo_examples[0].provider);
    for (size_t i = 0; demo_examples[i].provider != NULL; i++)
        add_account(&text, demo_examples[i].provider, sandbox_port(w->sandbox));
    int rc = write_file(w->config, &text, err);
    buf_reset(&text);
    demo_write_job(&text);
    if (rc == 0)
        rc = write_file(w->job, &text, err);
    buf_deinit(&text);
    return rc;
}

/* A server that answers PING on the socket. */
static int connect_redis(struct demo_world *w, struct err *err) {
    const struct timeval timeout = {5, 0};
    for (;;) {
        w->context = redisConnectUnixWithTimeout(w->socket, timeout);
        if (w->context != NULL && w->context->err == 0 && redisSetTimeout(w->context, timeout) == REDIS_OK) {
            redisReply *reply = redisCommand(w->context, "PING");
            bool up = reply != NULL && reply->type == REDIS_REPLY_STATUS;
            freeReplyObject(reply);
            if (up)
                return 0;
        }
        if (w->context != NULL)
            redisFree(w->context);
        w->context = NULL;
        if (demo_pause(w, 20, err) != 0)
            return err_prefix(err, "waiting for redis-server");
    }
}

static int start_redis(struct demo_world *w, struct err *err) {
    static const char *const programs[] = {"redis-server", "valkey-server"};
    for (size_t i = 0; i < 2; i++) {
        char name[16], port[] = "--port", zero[] = "0", socket[] = "--unixsocket", save[] = "--save",
                       empty[] = "", append[] = "--appendonly", no[] = "no", dir[] = "--dir";
        snprintf(name, sizeof name, "%s", programs[i]);
        char *const argv[] = {name,  port,   zero, socket, w->socket, save,
                              empty, append, no,   dir,    w->dir,    NULL};
        if (demo_child_start(w, &w->redis, argv, err) == 0)
            return connect_redis(w, err);
        if (errno != ENOENT)
            return -1;
    }
    return err_set(err, "redis-server is not installed, and the demo starts one of its own: "
                        "apt-get install redis-server");
}

static int start_worker(struct demo_world *w, struct err *err) {
    char self[] = "/proc/self/exe", verb[] = "run", flag[] = "-c";
    char *const argv[] = {self, verb, flag, w->config, NULL};
    return demo_child_start(w, &w->worker, argv, err);
}

int demo_world_start(struct demo_world *w, struct err *err) {
    struct sandbox_options options;
    *w = (struct demo_world){.redis = {.name = "redis-server"}, .worker = {.name = "worker"}};
    w->deadline_ns = clock_boot_ns() + DEMO_DEADLINE_S * 1000000000ull;
    if (make_directory(w, err) != 0 || start_redis(w, err) != 0)
        return -1;
    sandbox_options_init(&options);
    w->sandbox = sandbox_start(&options, err);
    if (w->sandbox == NULL)
        return err_prefix(err, "the sandbox");
    if (write_files(w, err) != 0)
        return -1;
    return start_worker(w, err);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *where) {
    (void)s, (void)type, (void)where;
    return remove(path);
}

bool demo_world_stop(struct demo_world *w, struct sandbox_totals *totals) {
    bool worker_well = demo_child_stop(&w->worker);
    if (!worker_well)
        demo_child_tail(&w->worker);
    if (w->context != NULL)
        redisFree(w->context);
    bool redis_well = demo_child_stop(&w->redis);
    sandbox_stop(w->sandbox, totals);
    if (w->dir[0] != '\0' && nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "dray demo: cannot remove %s: %s\n", w->dir, strerror(errno));
    return worker_well && redis_well;
}
