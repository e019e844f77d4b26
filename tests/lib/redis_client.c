/* The test's side of a Redis connection. */
#include "redis_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 10000

#define REQUIRE(condition, ...)                                                                              \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fputc('\n', stderr);                                                                             \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static void on_tick(uv_timer_t *timer) {
    (void)timer;
}

static void on_state(void *arg, enum redis_state state, const char *reason) {
    struct client *c = arg;
    if (state == REDIS_UP)
        c->ups++;
    if (state != REDIS_DOWN)
        return;
    c->downs++;
    c->callbacks_at_down = c->callbacks;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

void client_init(struct client *c) {
    memset(c, 0, sizeof(*c));
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&c->loop);
    uv_timer_init(&c->loop, &c->ticker);
    uv_timer_start(&c->ticker, on_tick, 2, 2);
    rng_seed(&c->rng, 1);
    c->options.client_name = "test";
}

void client_connect(struct client *c) {
    struct err err = {""};
    c->closed = false;
    c->conn = redis_conn_new(&c->loop, &c->options, &c->rng, on_state, c, &err);
    REQUIRE(c->conn != NULL, "redis_conn_new: %s", err.text);
}

static void on_closed(void *arg) {
    ((struct client *)arg)->closed = true;
}

static bool is_closed(void *arg) {
    return ((struct client *)arg)->closed;
}

void client_close(struct client *c) {
    if (c->conn == NULL)
        return;
    redis_conn_close(c->conn, on_closed, c);
    REQUIRE(client_wait(c, is_closed, c), "the connection did not close");
    c->conn = NULL;
}

void client_deinit(struct client *c) {
    client_close(c);
    uv_close((uv_handle_t *)&c->ticker, NULL);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    REQUIRE(uv_loop_close(&c->loop) == 0, "the loop did not close clean");
}

bool client_wait(struct client *c, bool (*condition)(void *arg), void *arg) {
    uint64_t deadline = uv_hrtime() + DEADLINE_MS * 1000000ULL;
    while (!condition(arg)) {
        if (uv_hrtime() > deadline)
            return false;
        uv_run(&c->loop, UV_RUN_ONCE);
    }
    return true;
}

static bool is_up(void *arg) {
    return redis_conn_state(((struct client *)arg)->conn) == REDIS_UP;
}

static bool is_down(void *arg) {
    return redis_conn_state(((struct client *)arg)->conn) == REDIS_DOWN;
}

static bool is_answered(void *arg) {
    return ((struct answer *)arg)->calls > 0;
}

void client_wait_up(struct client *c) {
    REQUIRE(client_wait(c, is_up, c), "not UP: %s", redis_conn_error(c->conn));
}

void client_wait_down(struct client *c) {
    REQUIRE(client_wait(c, is_down, c), "not DOWN");
}

void client_wait_answer(struct client *c, struct answer *a) {
    REQUIRE(client_wait(c, is_answered, a), "no answer");
}

static void on_answer(void *arg, const redisReply *reply, const char *error) {
    struct answer *a = arg;
    struct client *c = a->client;
    a->calls++;
    a->order = ++c->callbacks;
    a->got_reply = reply != NULL;
    if (reply == NULL) {
        c->unanswered++;
        snprintf(a->text, sizeof(a->text), "%s", error);
        return;
    }
    a->type = reply->type;
    a->integer = reply->integer;
    a->len = reply->len;
    snprintf(a->text, sizeof(a->text), "%s", reply->str != NULL ? reply->str : "");
}

void client_send(struct client *c, struct answer *a, const char *command, uint32_t block_ms) {
    struct span words[16];
    size_t n = 0;
    for (const char *p = command; *p != '\0' && n < 16;) {
        size_t len = strcspn(p, " ");
        words[n++] = (struct span){p, len};
        p += len + (p[len] == ' ' ? 1 : 0);
    }
    struct buf b;
    buf_init(&b, 16 << 20);
    redis_resp_begin(&b, n);
    for (size_t i = 0; i < n; i++)
        redis_resp_arg(&b, words[i]);
    REQUIRE(buf_ok(&b), "the command is too long");
    memset(a, 0, sizeof(*a));
    a->client = c;
    redis_send(c->conn, buf_span(&b), block_ms, on_answer, a);
    buf_deinit(&b);
}

void client_do(struct client *c, struct answer *a, const char *command) {
    client_send(c, a, command, 0);
    client_wait_answer(c, a);
}
