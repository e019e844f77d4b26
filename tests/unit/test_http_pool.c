/* HTTP client: many calls at once, calls that end early, and calls made from callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http_client.h"
#include "peer.h"

#define CROWD 200 /* over four CURLMs */

/* So long the client may keep an idle connection, however slow this machine is. */
static char kept[] = "Keep-Alive: timeout=60\r\n";

/* `arg`: headers, or NULL. */
static void echo(struct peer_conn *c, void *arg) {
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        peer_answer(c, "200 OK", arg != NULL ? arg : "", r.body);
        peer_request_deinit(&r);
    }
}

/* Reads requests, answers none. */
static void swallow(struct peer_conn *c, void *arg) {
    (void)arg;
    struct peer_request r;
    while (peer_read_request(c, &r))
        peer_request_deinit(&r);
}

static void test_crowd_gets_each_its_own_answer(void **state) {
    (void)state;
    struct client c;
    static struct result r[CROWD];
    char bodies[CROWD][32];
    struct peer *p = peer_new(&(struct peer_options){.serve = echo, .arg = kept});
    client_init(&c, CROWD);
    struct http_target *t = client_post(&c, peer_url(p));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CROWD; i++) {
            snprintf(bodies[i], sizeof(bodies[i]), "{\"order\":%d.%d}", round, i);
            assert_true(client_start(&c, t, &(struct http_request){.body = span_str(bodies[i])}, &r[i]));
        }
        assert_int_equal(http_inflight(c.pool), CROWD);
        client_wait(&c);
        assert_int_equal(http_inflight(c.pool), 0);
        for (int i = 0; i < CROWD; i++) {
            assert_int_equal(r[i].calls, 1);
            assert_true(r[i].x.answered);
            assert_string_equal(r[i].body, bodies[i]);
        }
    }
    assert_int_equal(peer_requests(p), 3 * CROWD);
    assert_int_equal(peer_connections(p), CROWD); /* each was used again */
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

/* More than it was made for is served too, and targets take over each other's handles. */
static void test_targets_share_few_handles(void **state) {
    (void)state;
    struct client c;
    static struct result r[2 * 70];
    struct peer *p = peer_new(&(struct peer_options){.serve = echo});
    client_init(&c, 4);
    for (int round = 0; round < 3; round++) {
        struct http_target *t[2] = {client_post(&c, peer_url(p)), client_post(&c, peer_url(p))};
        int n = round == 1 ? 70 : 3; /* the pool was made for 4 */
        for (int i = 0; i < 2 * n; i++)
            assert_true(client_start(&c, t[i % 2], &(struct http_request){.body = SPAN_LIT("{}")}, &r[i]));
        http_target_unref(t[0]); /* its calls keep it */
        client_wait(&c);
        http_target_unref(t[1]);
        for (int i = 0; i < 2 * n; i++)
            assert_true(r[i].x.answered);
    }
    client_deinit(&c);
    peer_free(p);
}

/* Answers with the credentials that came. */
static void tell_credentials(struct peer_conn *c, void *arg) {
    (void)arg;
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        char *line = strstr(r.head, "Authorization: Bearer ");
        char *end = line != NULL ? strchr(line, '\r') : NULL;
        if (end != NULL)
            *end = '\0';
        peer_answer(c, "200 OK", "", end != NULL ? line + strlen("Authorization: Bearer ") : "none");
        peer_request_deinit(&r);
    }
}

/* A thousand shops of one provider use few connections, each with its own credentials, also after some are gone. */
static void test_targets_of_a_host_share_connections(void **state) {
    (void)state;
    enum { SHOPS = 1000, AT_ONCE = 4 };
    struct client c;
    static struct result r[AT_ONCE];
    static struct http_target *t[SHOPS];
    char token[16];
    struct peer *p = peer_new(&(struct peer_options){.serve = tell_credentials});
    client_init(&c, 1024);
    for (int i = 0; i < SHOPS; i++) {
        snprintf(token, sizeof(token), "shop-%d", i);
        struct http_target_options o = {
            .method = HTTP_POST, .url = peer_url(p), .bearer = i % 7 > 0 ? token : NULL};
        t[i] = client_target(&c, &o);
    }
    for (int i = 0; i < SHOPS; i += AT_ONCE) {
        for (int k = 0; k < AT_ONCE; k++)
            assert_true(client_start(&c, t[i + k], &(struct http_request){.body = SPAN_LIT("{}")}, &r[k]));
        client_wait(&c);
        for (int k = 0; k < AT_ONCE; k++) {
            snprintf(token, sizeof(token), "shop-%d", i + k);
            assert_string_equal(r[k].body, (i + k) % 7 > 0 ? token : "none");
        }
        http_target_unref(t[i]);
        t[i] = NULL;
    }
    assert_int_equal(peer_connections(p), AT_ONCE);
    for (int i = 0; i < SHOPS; i++)
        http_target_unref(t[i]);
    client_deinit(&c);
    peer_free(p);
}

/* Tells the method, after 100 ms. */
static void tell_method(struct peer_conn *c, void *arg) {
    (void)arg;
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        *strchr(r.head, ' ') = '\0';
        peer_answer(c, "200 OK", "", r.head);
        peer_request_deinit(&r);
    }
}

/* Targets of one host that differ in one more thing than path and credentials, each used for the first time right behind
 * the plain one: it does not get what is the other's. */
static void test_a_target_keeps_its_own_options(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = tell_method});
    client_init(&c, 16);
    const struct http_target_options options[] = {
        {.method = HTTP_POST, .url = peer_url(p)},
        {.method = HTTP_POST, .url = peer_url(p), .request_timeout_ms = 20},
        {.method = HTTP_GET, .url = peer_url(p)},
        {.method = HTTP_POST, .url = peer_url(p), .proxy = "http://127.0.0.1:1"},
    };
    const char *const bodies[] = {"POST", NULL, "GET", NULL}, *const phases[] = {"done", "timeout", "done",
                                                                                 "connect"};
    struct http_target *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = client_target(&c, &options[i]);
    for (int i = 0; i < 12; i++) {
        int k = i % 2 == 0 ? 0 : 1 + i / 2 % 3;
        client_do(&c, t[k], "{}", &r);
        assert_string_equal(r.x.phase, phases[k]);
        assert_int_equal(r.x.answered, bodies[k] != NULL);
        if (bodies[k] != NULL)
            assert_string_equal(r.body, bodies[k]);
    }
    for (int i = 0; i < 4; i++)
        http_target_unref(t[i]);
    client_deinit(&c);
    peer_free(p);
}

static bool all_read(void *arg) {
    return peer_requests(arg) == 50;
}

static void test_cancel_of_a_request_on_its_way(void **state) {
    (void)state;
    struct client c;
    static struct result r[50];
    struct peer *p = peer_new(&(struct peer_options){.serve = swallow});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    for (int i = 0; i < 50; i++)
        assert_true(client_start(&c, t, &(struct http_request){.body = SPAN_LIT("{}")}, &r[i]));
    client_until(&c, all_read, p);
    for (int i = 0; i < 50; i += 2) {
        http_cancel(r[i].call);
        assert_int_equal(r[i].calls, 1);
        assert_true(r[i].x.cancelled && r[i].x.sent);
        assert_false(r[i].x.answered);
    }
    assert_int_equal(http_inflight(c.pool), 25);
    http_target_unref(t);
    client_deinit(&c); /* the others */
    for (int i = 1; i < 50; i += 2) {
        assert_int_equal(r[i].calls, 1);
        assert_true(r[i].x.cancelled && r[i].x.sent);
    }
    peer_free(p);
}

static void test_cancel_before_anything_happened(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct http_request request = {.body = SPAN_LIT("{}"), .may_send = result_may_send};
    struct peer *p = peer_new(&(struct peer_options){.serve = echo});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    client_do(&c, t, "{}", &r); /* so that libcurl has an earlier request's figures */
    r.allow = true;
    assert_true(client_start(&c, t, &request, &r));
    http_cancel(r.call);
    assert_int_equal(r.calls, 1);
    assert_true(r.x.cancelled);
    assert_false(r.x.sent || r.x.answered);
    assert_int_equal(r.x.status, 0);
    assert_int_equal(r.asked, 0);
    assert_int_equal(peer_requests(p), 1);
    client_do(&c, t, "{}", &r);
    assert_true(r.x.answered);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_close_delivers_answers_that_came_already(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = echo});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    assert_true(client_start(&c, t, &(struct http_request){.body = SPAN_LIT("{}")}, &r));
    http_target_unref(t);
    client_deinit(&c); /* at once: the call is not lost, whichever way it ends */
    assert_int_equal(r.calls, 1);
    assert_true(r.x.cancelled != r.x.answered);
    peer_free(p);
}

/* Callbacks that send, cancel and close. */
struct chain {
    struct client *c;
    struct http_target *t;
    unsigned left, done, cancelled;
};

static void on_link(void *arg, const struct http_exchange *x);

static struct http_call *send_link(struct chain *ch) {
    struct http_request request = {.body = SPAN_LIT("{}")};
    return http_send(ch->c->pool, ch->t, &request, on_link, ch);
}

static void on_link(void *arg, const struct http_exchange *x) {
    struct chain *ch = arg;
    ch->done++;
    ch->cancelled += x->cancelled;
    if (x->cancelled || ch->left == 0)
        return;
    if (--ch->left == 0)
        return;
    struct http_call *next = send_link(ch);
    assert_non_null(next);
    if (ch->left % 3 != 0)
        return;
    http_cancel(next); /* from within a callback, a call that has not begun */
    assert_non_null(send_link(ch));
}

static bool chain_ended(void *arg) {
    const struct chain *ch = arg;
    return ch->left == 0;
}

static void test_callbacks_may_send_and_cancel(void **state) {
    (void)state;
    struct client c;
    struct chain ch = {.c = &c, .left = 300};
    struct peer *p = peer_new(&(struct peer_options){.serve = echo});
    client_init(&c, 64);
    ch.t = client_post(&c, peer_url(p));
    assert_non_null(send_link(&ch));
    client_until(&c, chain_ended, &ch);
    assert_int_equal(ch.done, 300 + 99);
    assert_int_equal(ch.cancelled, 99);
    assert_int_equal(http_inflight(c.pool), 0);
    http_target_unref(ch.t);
    client_deinit(&c);
    peer_free(p);
}

static void on_closed(void *arg) {
    struct chain *ch = arg;
    ch->c->closed = true;
}

static void on_last(void *arg, const struct http_exchange *x) {
    struct chain *ch = arg;
    ch->done++;
    if (x->cancelled)
        return;
    http_pool_close(ch->c->pool, on_closed, ch);
    assert_null(send_link(ch)); /* a closing pool takes nothing more */
}

static void test_callback_may_close_the_pool(void **state) {
    (void)state;
    struct client c;
    struct chain ch = {.c = &c};
    struct http_request request = {.body = SPAN_LIT("{}")};
    struct peer *p = peer_new(&(struct peer_options){.serve = echo});
    client_init(&c, CROWD);
    ch.t = client_post(&c, peer_url(p));
    for (int i = 0; i < CROWD; i++) {
        void (*done)(void *, const struct http_exchange *) = i == 0 ? on_last : on_link;
        assert_non_null(http_send(c.pool, ch.t, &request, done, &ch));
    }
    http_target_unref(ch.t);
    assert_int_equal(uv_run(&c.loop, UV_RUN_DEFAULT), 0);
    assert_true(c.closed);
    assert_int_equal(ch.done, CROWD);
    assert_int_equal(uv_loop_close(&c.loop), 0);
    peer_free(p);
}

static void test_idle_pool_does_not_hold_the_loop(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = echo});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    assert_true(client_start(&c, t, &(struct http_request){.body = SPAN_LIT("{}")}, &r));
    assert_int_equal(uv_run(&c.loop, UV_RUN_DEFAULT), 0); /* ends, though a connection is kept */
    assert_true(r.x.answered);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd_gets_each_its_own_answer),
        cmocka_unit_test(test_targets_share_few_handles),
        cmocka_unit_test(test_targets_of_a_host_share_connections),
        cmocka_unit_test(test_a_target_keeps_its_own_options),
        cmocka_unit_test(test_cancel_of_a_request_on_its_way),
        cmocka_unit_test(test_cancel_before_anything_happened),
        cmocka_unit_test(test_close_delivers_answers_that_came_already),
        cmocka_unit_test(test_callbacks_may_send_and_cancel),
        cmocka_unit_test(test_callback_may_close_the_pool),
        cmocka_unit_test(test_idle_pool_does_not_hold_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
