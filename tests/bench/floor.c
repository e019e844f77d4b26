/* The floor: the least that a worker on libuv, hiredis and libcurl can do for an order, and nothing else.
 *   LMOVE jobs → processing (pipelined), POST the "order" part, LPUSH results + LREM processing (batched).
 * No JSON is checked, nothing is retried, an error ends the program. What dray costs above this is
 * what its promises cost.
 * usage: floor REDIS_PORT URL CONCURRENCY JOBS PROCESSING RESULTS */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <uv.h>

#include "dray/buf.h"
#include "dray/redis.h"

#define PER_MULTI  64 /* libcurl walks all connections to a host: few per multi handle */
#define JOB_MAX    4096
#define ANSWER_MAX 2048
#define MAX_FDS    65536

static void die(const char *what, const char *why) {
    fprintf(stderr, "floor: %s: %s\n", what, why != NULL ? why : "");
    exit(1);
}

struct job {
    struct job *next;
    size_t len;
    struct span id, order;
    char text[JOB_MAX];
};

struct multi {
    CURLM *handle;
    uv_timer_t timer;
    int due, touched;
};

struct slot {
    struct slot *next;
    struct multi *multi;
    CURL *easy;
    struct job *job;
    size_t len;
    char answer[ANSWER_MAX];
};

struct link { /* one Redis connection */
    redisAsyncContext *redis;
    uv_poll_t poll;
    int wants_write, polls_write;
};

struct sock {
    uv_poll_t poll;
    struct multi *multi;
    int fd, events, active;
};

static uv_loop_t *loop;
static unsigned concurrency;
static struct multi *multis;
static unsigned multi_count;
static struct sock *socks[MAX_FDS];
static struct slot *idle_slots;
static struct job *free_jobs, *first_job, **last_job = &first_job;
static unsigned in_flight, queued, fetching;
static int blocked, list_empty;
static struct link fetch, ack;
static struct buf fetch_cmd, block_cmd, results, removals, push_cmd;
static unsigned result_count;
static const char *processing, *results_key;
static char *removal_start;

/* ---- Redis ---- */

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct link *l = poll->data;
    if (status < 0)
        die("redis", uv_strerror(status));
    if (events & UV_READABLE)
        redisAsyncHandleRead(l->redis);
    if (events & UV_WRITABLE)
        redisAsyncHandleWrite(l->redis);
}

static void add_read(void *arg) {
    struct link *l = arg;
    if (!uv_is_active((uv_handle_t *)&l->poll))
        uv_poll_start(&l->poll, UV_READABLE, on_poll);
}

static void ignore(void *arg) {
    (void)arg;
}

static void add_write(void *arg) {
    ((struct link *)arg)->wants_write = 1;
}

static void del_write(void *arg) {
    struct link *l = arg;
    l->wants_write = 0;
    if (l->polls_write)
        uv_poll_start(&l->poll, UV_READABLE, on_poll);
    l->polls_write = 0;
}

static void flush(struct link *l) {
    if (!l->wants_write || l->polls_write)
        return;
    redisAsyncHandleWrite(l->redis);
    if (!l->wants_write)
        return;
    l->polls_write = 1;
    uv_poll_start(&l->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

static void connect_link(struct link *l, int port) {
    l->redis = redisAsyncConnect("127.0.0.1", port);
    if (l->redis == NULL || l->redis->err)
        die("redis", "cannot connect");
    uv_poll_init(loop, &l->poll, l->redis->c.fd);
    l->poll.data = l->redis->ev.data = l;
    l->redis->ev.addRead = add_read;
    l->redis->ev.delRead = ignore;
    l->redis->ev.addWrite = add_write;
    l->redis->ev.delWrite = del_write;
    l->redis->ev.cleanup = ignore;
    add_read(l);
    l->wants_write = 1;
}

static struct span between(const char *from, const char *end, const char *start, char stop) {
    const char *at = memmem(from, (size_t)(end - from), start, strlen(start));
    if (at == NULL)
        die("job", "unexpected form");
    at += strlen(start);
    const char *to = stop != '\0' ? memchr(at, stop, (size_t)(end - at)) : end - 1;
    return (struct span){at, (size_t)(to - at)};
}

static void take_job(const char *text, size_t len) {
    struct job *job = free_jobs;
    if (job != NULL)
        free_jobs = job->next;
    else
        job = malloc(sizeof(*job));
    if (job == NULL || len >= JOB_MAX)
        die("job", "too large");
    memcpy(job->text, text, len);
    job->len = len;
    job->id = between(job->text, job->text + len, "\"id\":\"", '"');
    job->order = between(job->text, job->text + len, "\"order\":", '\0');
    job->next = NULL;
    *last_job = job;
    last_job = &job->next;
    queued++;
}

static void on_fetched(redisAsyncContext *redis, void *reply, void *arg) {
    const redisReply *r = reply;
    (void)redis, (void)arg;
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        die("fetch", r != NULL ? r->str : "connection lost");
    if (blocked)
        blocked = 0;
    else
        fetching--;
    if (r->type == REDIS_REPLY_STRING)
        take_job(r->str, (size_t)r->len);
    else
        list_empty = 1;
}

static void on_acked(redisAsyncContext *redis, void *reply, void *arg) {
    const redisReply *r = reply;
    (void)redis, (void)arg;
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        die("ack", r != NULL ? r->str : "connection lost");
}

static void send_link(struct link *l, redisCallbackFn *done, const struct buf *cmd) {
    redisAsyncFormattedCommand(l->redis, done, NULL, cmd->data, cmd->len);
}

/* ---- results ---- */

static void finish(struct job *job, const char *answer, size_t len) {
    char text[256];
    struct span id = between(answer, answer + len, "\"data\":", '}');
    int n = snprintf(text, sizeof(text), "{\"id\":\"%.*s\",\"order_id\":\"%.*s\",\"status\":\"created\"}",
                     (int)job->id.len, job->id.ptr, (int)id.len, id.ptr);
    redis_resp_arg(&results, (struct span){text, (size_t)n});
    redis_resp_begin(&removals, 4);
    redis_resp_str(&removals, "LREM");
    redis_resp_str(&removals, processing);
    redis_resp_str(&removals, "-1");
    redis_resp_arg(&removals, (struct span){job->text, job->len});
    result_count++;
    job->next = free_jobs;
    free_jobs = job;
}

static void flush_results(void) {
    if (result_count == 0)
        return;
    buf_reset(&push_cmd);
    redis_resp_begin(&push_cmd, 2 + result_count);
    redis_resp_str(&push_cmd, "LPUSH");
    redis_resp_str(&push_cmd, results_key);
    buf_add_span(&push_cmd, buf_span(&results));
    send_link(&ack, on_acked, &push_cmd);
    /* hiredis answers one callback per command: the removals go one by one, in one write */
    for (char *at = removals.data, *end = at + removals.len; at < end;) {
        char *next = memmem(at + 1, (size_t)(end - at - 1), removal_start, strlen(removal_start));
        next = next != NULL ? next : end;
        redisAsyncFormattedCommand(ack.redis, on_acked, NULL, at, (size_t)(next - at));
        at = next;
    }
    buf_reset(&results);
    buf_reset(&removals);
    result_count = 0;
}

/* ---- HTTP ---- */

static void act(struct multi *m, curl_socket_t fd, int events) {
    int running;
    m->touched = 1;
    curl_multi_socket_action(m->handle, fd, events, &running);
}

static void on_socket_poll(uv_poll_t *poll, int status, int events) {
    struct sock *s = poll->data;
    if (!s->active) {
        uv_poll_stop(poll);
        s->events = 0;
        return;
    }
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(s->multi, s->fd, flags);
}

static struct sock *sock_new(struct multi *m, curl_socket_t fd) {
    struct sock *s = fd < MAX_FDS ? calloc(1, sizeof(*s)) : NULL;
    if (s == NULL)
        die("socket", "too many");
    s->fd = fd;
    s->multi = m;
    s->poll.data = s;
    uv_poll_init(loop, &s->poll, fd);
    return socks[fd] = s;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp) {
    struct multi *m = arg;
    struct sock *s = sockp != NULL ? sockp : socks[fd];
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL)
            s->active = 0; /* stays armed for reading: the connection is kept */
        return 0;
    }
    if (s == NULL)
        s = sock_new(m, fd);
    if (sockp == NULL)
        curl_multi_assign(m->handle, fd, s);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    s->active = 1;
    if (events != s->events)
        uv_poll_start(&s->poll, events, on_socket_poll);
    s->events = events;
    return 0;
}

static void free_sock(uv_handle_t *handle) {
    free(handle->data);
}

static int on_close(void *arg, curl_socket_t fd) {
    (void)arg;
    if (socks[fd] != NULL) {
        uv_poll_stop(&socks[fd]->poll);
        uv_close((uv_handle_t *)&socks[fd]->poll, free_sock);
        socks[fd] = NULL;
    }
    return close(fd);
}

static void on_timer(uv_timer_t *timer) {
    ((struct multi *)timer->data)->due = 1;
}

static int on_timeout(CURLM *handle, long ms, void *arg) {
    struct multi *m = arg;
    (void)handle;
    if (ms == 0)
        m->due = 1;
    else if (ms < 0)
        uv_timer_stop(&m->timer);
    else
        uv_timer_start(&m->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg) {
    struct slot *s = arg;
    size_t n = size * count;
    if (s->len + n > sizeof(s->answer))
        return 0;
    memcpy(s->answer + s->len, data, n);
    s->len += n;
    return n;
}

static void make_multis(void) {
    multi_count = (concurrency + PER_MULTI - 1) / PER_MULTI;
    multis = calloc(multi_count, sizeof(*multis));
    for (unsigned i = 0; i < multi_count; i++) {
        struct multi *m = &multis[i];
        m->handle = curl_multi_init();
        m->timer.data = m;
        uv_timer_init(loop, &m->timer);
        curl_multi_setopt(m->handle, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(m->handle, CURLMOPT_SOCKETDATA, m);
        curl_multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, on_timeout);
        curl_multi_setopt(m->handle, CURLMOPT_TIMERDATA, m);
        curl_multi_setopt(m->handle, CURLMOPT_MAXCONNECTS, (long)PER_MULTI + 16);
    }
}

static void make_slots(const char *text) {
    CURLU *url = curl_url();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Authorization: Bearer token");
    curl_url_set(url, CURLUPART_URL, text, 0);
    for (unsigned i = 0; i < concurrency; i++) {
        struct slot *s = calloc(1, sizeof(*s));
        s->multi = &multis[i % multi_count];
        CURL *e = s->easy = curl_easy_init();
        curl_easy_setopt(e, CURLOPT_CURLU, url);
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_answer);
        curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
        curl_easy_setopt(e, CURLOPT_PRIVATE, s);
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(e, CURLOPT_PROXY, "");
        curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close);
        curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 4096L);
        curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
        s->next = idle_slots;
        idle_slots = s;
    }
}

static void start(struct slot *s, struct job *job) {
    s->job = job;
    s->len = 0;
    s->multi->touched = 1;
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, job->order.ptr);
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)job->order.len);
    curl_multi_add_handle(s->multi->handle, s->easy);
    in_flight++;
}

static void read_completions(struct multi *m) {
    CURLMsg *msg;
    int left;
    m->touched = 0;
    while ((msg = curl_multi_info_read(m->handle, &left)) != NULL) {
        struct slot *s;
        long status = 0;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &s);
        curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (msg->data.result != CURLE_OK || status != 200)
            die("request", curl_easy_strerror(msg->data.result));
        curl_multi_remove_handle(m->handle, s->easy);
        finish(s->job, s->answer, s->len);
        s->next = idle_slots;
        idle_slots = s;
        in_flight--;
    }
}

/* ---- the loop ---- */

static void fetch_more(void) {
    if (blocked)
        return;
    if (list_empty) {
        if (fetching > 0)
            return;
        list_empty = 0;
        blocked = 1;
        send_link(&fetch, on_fetched, &block_cmd);
        return;
    }
    unsigned have = in_flight + queued + fetching, want = have < 2 * concurrency ? 2 * concurrency - have : 0;
    unsigned batch = concurrency / 4 < 64 ? concurrency / 4 : 64;
    if (want < batch && (in_flight > 0 || fetching > 0))
        return;
    for (unsigned i = 0; i < want && i < 1024; i++, fetching++)
        send_link(&fetch, on_fetched, &fetch_cmd);
}

static void on_turn(uv_check_t *check) {
    (void)check;
    for (unsigned i = 0; i < multi_count; i++)
        if (multis[i].touched)
            read_completions(&multis[i]);
    while (idle_slots != NULL && first_job != NULL) {
        struct slot *s = idle_slots;
        struct job *job = first_job;
        idle_slots = s->next;
        first_job = job->next;
        if (first_job == NULL)
            last_job = &first_job;
        queued--;
        start(s, job);
    }
    for (unsigned i = 0; i < multi_count; i++)
        for (; multis[i].due; act(&multis[i], CURL_SOCKET_TIMEOUT, 0))
            multis[i].due = 0;
    fetch_more();
    flush_results();
    flush(&fetch);
    flush(&ack);
}

static void on_signal(uv_signal_t *handle, int number) {
    (void)handle, (void)number;
    _exit(0);
}

static void write_commands(const char *jobs) {
    struct buf *all[] = {&fetch_cmd, &block_cmd, &results, &removals, &push_cmd};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        buf_init(all[i], 64u << 20);
    for (int block = 0; block < 2; block++) {
        struct buf *cmd = block ? &block_cmd : &fetch_cmd;
        redis_resp_begin(cmd, block ? 6 : 5);
        redis_resp_str(cmd, block ? "BLMOVE" : "LMOVE");
        redis_resp_str(cmd, jobs);
        redis_resp_str(cmd, processing);
        redis_resp_str(cmd, "RIGHT");
        redis_resp_str(cmd, "LEFT");
        if (block)
            redis_resp_str(cmd, "0");
    }
    removal_start = strdup("*4\r\n$4\r\nLREM\r\n");
}

int main(int argc, char **argv) {
    if (argc != 7)
        die("usage", "floor REDIS_PORT URL CONCURRENCY JOBS PROCESSING RESULTS");
    loop = uv_default_loop();
    concurrency = (unsigned)atoi(argv[3]);
    processing = argv[5];
    results_key = argv[6];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    write_commands(argv[4]);
    make_multis();
    make_slots(argv[2]);
    connect_link(&fetch, atoi(argv[1]));
    connect_link(&ack, atoi(argv[1]));
    uv_check_t check;
    uv_signal_t term;
    uv_check_init(loop, &check);
    uv_check_start(&check, on_turn);
    uv_signal_init(loop, &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    on_turn(&check);
    return uv_run(loop, UV_RUN_DEFAULT);
}
