/* Secret files: looked at (stat, in a thread) every WATCH_MS; when one changed, the configuration is
 * read again. A change shows in size, time or inode; Kubernetes swaps a symbolic link, which stat
 * follows. */
#include "worker/flow.h"

#include <stdlib.h>
#include <sys/stat.h>

#define WATCH_MS 1000

struct check {
    uv_work_t work;
    struct worker *worker;
    struct config *config;
    uint64_t fingerprint;
};

static void mix(uint64_t *h, uint64_t v) {
    *h = (*h ^ v) * 1099511628211ull; /* FNV-1a's prime, by words */
}

static void mix_file(void *arg, const char *path) {
    uint64_t *h = arg;
    struct stat st = {0};
    if (stat(path, &st) < 0) {
        mix(h, 1);
        return;
    }
    mix(h, (uint64_t)st.st_ino);
    mix(h, (uint64_t)st.st_size);
    mix(h, (uint64_t)st.st_mtim.tv_sec);
    mix(h, (uint64_t)st.st_mtim.tv_nsec);
}

static void count_file(void *arg, const char *path) {
    (void)path;
    ++*(size_t *)arg;
}

static bool has_redis_files(const struct config *c) {
    return c->redis_password_file != NULL || c->redis_sentinel_password_file != NULL ||
           c->redis.tls_ca != NULL || c->redis.tls_cert != NULL;
}

static void mix_redis_files(uint64_t *h, const struct config *c) {
    const char *const paths[] = {c->redis_password_file, c->redis_sentinel_password_file, c->redis.tls_ca,
                                 c->redis.tls_cert, c->redis.tls_key};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (paths[i] != NULL)
            mix_file(h, paths[i]);
}

static bool has_files(const struct config *c) {
    if (has_redis_files(c))
        return true;
    size_t files = 0;
    for (uint32_t i = 0; i < c->account_count && files == 0; i++)
        account_each_secret_file(c->accounts[i], count_file, &files);
    return files > 0;
}

static void look(uv_work_t *work) {
    struct check *c = work->data;
    c->fingerprint = 14695981039346656037ull;
    mix_redis_files(&c->fingerprint, c->config);
    for (uint32_t i = 0; i < c->config->account_count; i++)
        account_each_secret_file(c->config->accounts[i], mix_file, &c->fingerprint);
}

static void on_looked(uv_work_t *work, int status) {
    struct check *c = work->data;
    struct worker *w = c->worker;
    bool same_config = c->config == w->config;
    w->reload.secrets_checking = false;
    if (status == 0 && same_config && w->mode != WORKER_STOPPED) {
        if (w->reload.secrets_seen != 0 && w->reload.secrets_seen != c->fingerprint)
            worker_reload(w, "a secret file changed");
        w->reload.secrets_seen = c->fingerprint;
    }
    config_unref(c->config);
    free(c);
    if (w->mode == WORKER_STOPPED)
        worker_closed_one(w);
    else
        w->timers.open_handles--;
}

void worker_check_secrets(struct worker *w) {
    if (w->mode == WORKER_STOPPED || w->trial != NULL || w->reload.secrets_checking || !has_files(w->config))
        return;
    struct check *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return;
    c->worker = w;
    c->config = config_ref(w->config);
    c->work.data = c;
    w->reload.secrets_checking = true;
    w->timers.open_handles++;
    uv_queue_work(w->loop, &c->work, look, on_looked);
}

static void on_watch(uv_timer_t *handle) {
    worker_check_secrets(handle->data);
}

void worker_watch_secrets(struct worker *w) {
    uv_timer_start(&w->timers.watch, on_watch, 0, WATCH_MS);
}
