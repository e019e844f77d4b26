#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_client.h"

#define DEADLINE_MS 20000

void client_init(struct client *c, uint32_t max_inflight) {
    struct err err = {""};
    *c = (struct client){0};
    assert_int_equal(uv_loop_init(&c->loop), 0);
    c->pool = http_pool_new(&c->loop, max_inflight, &err);
    assert_string_equal(err.text, "");
    assert_non_null(c->pool);
}

static void on_closed(void *arg) {
    struct client *c = arg;
    c->closed = true;
}

void client_deinit(struct client *c) {
    http_pool_close(c->pool, on_closed, c);
    assert_int_equal(uv_run(&c->loop, UV_RUN_DEFAULT), 0);
    assert_true(c->closed);
    assert_int_equal(c->outstanding, 0);
    assert_int_equal(uv_loop_close(&c->loop), 0);
}

struct http_target *client_target(struct client *c, const struct http_target_options *options) {
    struct err err = {""};
    struct http_target *t = http_target_new(c->pool, options, &err);
    assert_string_equal(err.text, "");
    assert_non_null(t);
    return t;
}

struct http_target *client_post(struct client *c, const char *url) {
    return client_target(
        c, &(struct http_target_options){
               .method = HTTP_POST, .url = url, .connect_timeout_ms = 5000, .request_timeout_ms = 5000});
}

static struct span keep(char *copy, size_t size, struct span s) {
    if (s.ptr == NULL)
        return s;
    size_t n = s.len < size - 1 ? s.len : size - 1;
    memcpy(copy, s.ptr, n);
    copy[n] = '\0';
    return (struct span){copy, s.len};
}

static void on_done(void *arg, const struct http_exchange *x) {
    struct result *r = arg;
    r->calls++;
    r->client->outstanding--;
    r->x = *x;
    r->x.body = keep(r->body, sizeof(r->body), x->body);
    r->x.retry_after = keep(r->retry_after, sizeof(r->retry_after), x->retry_after);
    r->x.content_type = keep(r->content_type, sizeof(r->content_type), x->content_type);
    snprintf(r->error, sizeof(r->error), "%s", x->error);
    r->x.error = r->error;
    r->call = NULL;
}

bool result_may_send(void *arg) {
    struct result *r = arg;
    r->asked++;
    return r->allow;
}

bool client_start(struct client *c, struct http_target *t, const struct http_request *request,
                  struct result *r) {
    bool allow = r->allow;
    *r = (struct result){.client = c, .allow = allow};
    r->call = http_send(c->pool, t, request, on_done, r);
    assert_int_equal(r->calls, 0); /* never from within */
    c->outstanding += r->call != NULL;
    return r->call != NULL;
}

static void on_deadline(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *timer) {
    timer->data = NULL;
}

void client_until(struct client *c, bool (*condition)(void *arg), void *arg) {
    bool late = false;
    uv_timer_t deadline, tick; /* the tick: a condition that no event of this loop announces */
    uv_timer_init(&c->loop, &deadline);
    uv_timer_init(&c->loop, &tick);
    deadline.data = tick.data = &late;
    uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);
    bool ticked = false;
    tick.data = &ticked;
    uv_timer_start(&tick, on_deadline, 5, 5);
    while (!late && !condition(arg))
        uv_run(&c->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&deadline, on_timer_closed);
    uv_close((uv_handle_t *)&tick, on_timer_closed);
    while (deadline.data != NULL || tick.data != NULL)
        uv_run(&c->loop, UV_RUN_NOWAIT);
    assert_false(late);
}

static bool none_outstanding(void *arg) {
    const struct client *c = arg;
    return c->outstanding == 0;
}

void client_wait(struct client *c) {
    client_until(c, none_outstanding, c);
}

void client_do(struct client *c, struct http_target *t, const char *body, struct result *r) {
    struct http_request request = {.body = span_str(body)};
    assert_true(client_start(c, t, &request, r));
    client_wait(c);
    assert_int_equal(r->calls, 1);
}

static void test_cert_make(struct test_cert *c) {
    char command[512];
    snprintf(c->dir, sizeof(c->dir), "/tmp/dray-cert-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    snprintf(c->cert, sizeof(c->cert), "%s/cert.pem", c->dir);
    snprintf(c->key, sizeof(c->key), "%s/key.pem", c->dir);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1,DNS:localhost "
             "-keyout %s -out %s 2>/dev/null",
             c->key, c->cert);
    assert_int_equal(system(command), 0);
}

int test_cert_setup(void **state) {
    static struct test_cert cert;
    test_cert_make(&cert);
    *state = &cert;
    return 0;
}

int test_cert_teardown(void **state) {
    const struct test_cert *c = *state;
    unlink(c->cert);
    unlink(c->key);
    rmdir(c->dir);
    return 0;
}
