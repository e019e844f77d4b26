/* What one request costs this process: dray's HTTP client beside the least that libcurl allows.
 *
 *   http_floor dray|bare URL REQUESTS INFLIGHT
 *
 * Keeps INFLIGHT POSTs of 650 bytes going until REQUESTS are done, and prints ns of CPU per request
 * (user and system), requests per second, and bytes of memory per request in flight. `bare` does
 * what a program without any feature would: POSTFIELDS, no checks, no timeouts, sockets watched by
 * uv_poll, one CURLM per 64 handles. Compare figures only from runs that alternate on one machine.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dray/http.h"

#define BODY_BYTES 650

static uv_loop_t loop;
static char body[BODY_BYTES + 1];
static unsigned long want, started, done, failed;
static unsigned inflight;

static uint64_t cpu_ns(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static long rss_bytes(void) {
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f != NULL)
        fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

/* --- dray --- */

static struct http_pool *pool;
static struct http_target *target;

static void dray_send(void);

static void on_done(void *arg, const struct http_exchange *x) {
    (void)arg;
    done++;
    failed += !x->answered || x->status != 200;
    if (started < want)
        dray_send();
}

static bool yes(void *arg) {
    (void)arg;
    return true;
}

static void dray_send(void) {
    struct http_request r = {.body = {body, BODY_BYTES}, .may_send = yes};
    started++;
    if (http_send(pool, target, &r, on_done, NULL) == NULL)
        exit(1);
}

static void dray_start(const char *url) {
    struct err err = {""};
    pool = http_pool_new(&loop, inflight, &err);
    if (pool != NULL)
        target = http_target_new(pool, &(struct http_target_options){.method = HTTP_POST, .url = url}, &err);
    if (target == NULL) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    for (unsigned i = 0; i < inflight && started < want; i++)
        dray_send();
}

/* --- bare --- */

struct bare_multi {
    CURLM *curl;
    uv_timer_t timer;
    bool kick, dirty;
};

struct bare_socket {
    uv_poll_t poll;
    struct bare_multi *multi;
    int fd, mask;
    bool active;
};

struct bare_slot {
    CURL *easy;
    struct bare_multi *multi;
    char answer[2048];
    size_t n;
};

static struct bare_multi *multis;
static unsigned multi_count;
static struct bare_socket *sockets[65536];
static CURLU *bare_url;
static struct curl_slist *bare_headers;

static void bare_poll(uv_poll_t *poll, int status, int events) {
    struct bare_socket *s = poll->data;
    int running;
    if (!s->active) {
        uv_poll_stop(poll);
        s->mask = 0;
        return;
    }
    s->multi->dirty = true;
    int what = status < 0 ? CURL_CSELECT_ERR
                          : ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) |
                                ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(s->multi->curl, s->fd, what, &running);
}

static void bare_watch(struct bare_socket *s, int mask) {
    if (s->mask != mask)
        uv_poll_start(&s->poll, mask, bare_poll);
    s->mask = mask;
}

static int bare_event(CURL *easy, curl_socket_t fd, int what, void *multi, void *unused) {
    (void)easy, (void)unused;
    struct bare_socket *s = sockets[fd];
    if (what == CURL_POLL_REMOVE) {
        s->active = false;
        bare_watch(s, UV_READABLE);
        return 0;
    }
    if (s == NULL) {
        s = sockets[fd] = calloc(1, sizeof(*s));
        s->fd = fd;
        s->multi = multi;
        uv_poll_init(&loop, &s->poll, fd);
        s->poll.data = s;
    }
    s->active = true;
    bare_watch(s, ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0));
    return 0;
}

static void bare_on_timer(uv_timer_t *timer) {
    struct bare_multi *m = timer->data;
    int running;
    m->dirty = true;
    curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
}

static int bare_timer(CURLM *curl, long ms, void *arg) {
    (void)curl;
    struct bare_multi *m = arg;
    if (ms == 0)
        m->kick = true;
    else if (ms < 0)
        uv_timer_stop(&m->timer);
    else
        uv_timer_start(&m->timer, bare_on_timer, (uint64_t)ms, 0);
    return 0;
}

static size_t bare_write(char *data, size_t size, size_t n, void *arg) {
    struct bare_slot *s = arg;
    if (s->n + n * size > sizeof(s->answer))
        return 0;
    memcpy(s->answer + s->n, data, n * size);
    s->n += n * size;
    return n * size;
}

static void bare_send(struct bare_slot *s) {
    started++;
    s->n = 0;
    s->multi->dirty = true;
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)BODY_BYTES);
    curl_multi_add_handle(s->multi->curl, s->easy);
}

static void bare_drain(struct bare_multi *m) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(m->curl, &left)) != NULL) {
        struct bare_slot *s = NULL;
        long status = 0;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(m->curl, s->easy);
        failed += code != CURLE_OK || status != 200;
        done++;
        if (started < want)
            bare_send(s);
    }
}

static void bare_turn(void) {
    int running;
    for (unsigned i = 0; i < multi_count; i++) {
        struct bare_multi *m = &multis[i];
        while (m->dirty || m->kick) {
            m->dirty = false;
            bare_drain(m);
            if (!m->kick)
                continue;
            m->kick = false;
            m->dirty = true;
            curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
        }
    }
}

static void bare_check(uv_check_t *check) {
    (void)check;
    bare_turn();
}

static void bare_slot_start(struct bare_multi *m) {
    struct bare_slot *s = calloc(1, sizeof(*s));
    s->multi = m;
    s->easy = curl_easy_init();
    curl_easy_setopt(s->easy, CURLOPT_CURLU, bare_url);
    curl_easy_setopt(s->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, bare_headers);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, bare_write);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, 4096L);
    curl_easy_setopt(s->easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    bare_send(s);
}

static void bare_start(const char *url) {
    static uv_check_t check;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bare_url = curl_url();
    curl_url_set(bare_url, CURLUPART_URL, url, 0);
    bare_headers = curl_slist_append(NULL, "Content-Type: application/json");
    multi_count = (inflight + 63) / 64;
    multis = calloc(multi_count, sizeof(*multis));
    for (unsigned i = 0; i < multi_count; i++) {
        struct bare_multi *m = &multis[i];
        m->curl = curl_multi_init();
        uv_timer_init(&loop, &m->timer);
        m->timer.data = m;
        curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, bare_event);
        curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
        curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, bare_timer);
        curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
        curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, 80L);
    }
    uv_check_init(&loop, &check);
    uv_check_start(&check, bare_check);
    for (unsigned i = 0; i < inflight && started < want; i++)
        bare_slot_start(&multis[i % multi_count]);
    bare_turn();
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: %s dray|bare URL REQUESTS INFLIGHT\n", argv[0]);
        return 2;
    }
    want = strtoul(argv[3], NULL, 10);
    inflight = (unsigned)strtoul(argv[4], NULL, 10);
    memset(body, '1', BODY_BYTES);
    uv_loop_init(&loop);
    long rss = rss_bytes();
    (strcmp(argv[1], "bare") == 0 ? bare_start : dray_start)(argv[2]);
    while (done < want / 10) /* connections stand, buffers have grown */
        uv_run(&loop, UV_RUN_ONCE);
    uint64_t cpu = cpu_ns(), wall = uv_hrtime();
    unsigned long first = done;
    while (done < want - inflight)
        uv_run(&loop, UV_RUN_ONCE);
    cpu = cpu_ns() - cpu;
    wall = uv_hrtime() - wall;
    unsigned long n = done - first;
    printf("%s\t%lu ns CPU/request\t%.0f requests/s\t%ld bytes/in flight\t%lu failed\n", argv[1],
           (unsigned long)(cpu / n), (double)n * 1e9 / (double)wall, (rss_bytes() - rss) / (long)inflight,
           failed);
    return failed > 0;
}
