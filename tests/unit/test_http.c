/* HTTP client: every end that one exchange can come to, against a peer that misbehaves on a socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_client.h"
#include "peer.h"

/* What the peer says to each request, with the answer's own bytes; then it hangs up, unless `keep`.
 */
struct script {
    const char *says;
    bool keep;
    bool hang; /* waits for the client instead of hanging up */
};

static void follow_script(struct peer_conn *c, void *arg) {
    const struct script *s = arg;
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        peer_request_deinit(&r);
        peer_say(c, s->says);
        if (s->hang)
            peer_wait_closed(c);
        if (!s->keep)
            return;
    }
}

/* One request against a fresh peer. */
static void exchange(const struct script *script, const struct http_target_options *options,
                     struct result *r) {
    struct client c;
    struct peer *p =
        peer_new(&(struct peer_options){.serve = follow_script, .arg = (void *)(uintptr_t)script});
    struct http_target_options o = *options;
    o.method = HTTP_POST;
    o.url = peer_url(p);
    client_init(&c, 64);
    struct http_target *t = client_target(&c, &o);
    client_do(&c, t, "{\"a\":1}", r);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static const struct http_target_options plain = {.request_timeout_ms = 5000};
static const struct http_target_options hasty = {.request_timeout_ms = 150};

static void test_answer_is_whole_and_connection_kept(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct script s = {.says = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: 14\r\n\r\n{\"code\":10000}",
                       .keep = true};
    struct peer *p = peer_new(&(struct peer_options){.serve = follow_script, .arg = &s});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    for (unsigned i = 1; i <= 20; i++) {
        client_do(&c, t, "{\"a\":1}", &r);
        assert_true(r.x.answered && r.x.sent);
        assert_int_equal(r.x.status, 200);
        assert_string_equal(r.body, "{\"code\":10000}");
        assert_string_equal(r.content_type, "application/json");
        assert_string_equal(r.error, "");
        assert_string_equal(r.x.phase, "done");
        assert_null(r.x.retry_after.ptr);
        assert_int_equal(peer_requests(p), i);
    }
    assert_int_equal(peer_connections(p), 1);
    assert_int_equal(http_pool_stats(c.pool).requests, 20);
    assert_int_equal(http_pool_stats(c.pool).connections, 1);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void assert_not_sent(const struct result *r, const char *phase) {
    assert_false(r->x.sent || r->x.answered || r->x.cancelled);
    assert_int_equal(r->x.status, 0);
    assert_string_equal(r->x.phase, phase);
    assert_string_not_equal(r->error, "");
}

static void test_connection_refused(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = follow_script});
    client_init(&c, 1);
    struct http_target *t = client_post(&c, peer_url(p));
    peer_free(p); /* nobody listens any more */
    client_do(&c, t, "{}", &r);
    assert_not_sent(&r, "connect");
    http_target_unref(t);
    client_deinit(&c);
}

static void test_unknown_host(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    client_init(&c, 1);
    struct http_target *t = client_post(&c, "http://no-such-host.invalid/orders");
    client_do(&c, t, "{}", &r);
    assert_not_sent(&r, "resolve");
    http_target_unref(t);
    client_deinit(&c);
}

static void test_connect_times_out(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct blackhole hole;
    char url[64];
    blackhole_open(&hole);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hole.port);
    client_init(&c, 1);
    struct http_target *t = client_target(
        &c, &(struct http_target_options){.method = HTTP_POST, .url = url, .connect_timeout_ms = 100});
    client_do(&c, t, "{}", &r);
    assert_not_sent(&r, "connect");
    assert_in_range(r.x.duration_us, 90 * 1000, 15 * 1000 * 1000);
    struct http_target *patient = /* of the same host, right behind it: waits as long as it was told to */
        client_target(
            &c, &(struct http_target_options){.method = HTTP_POST, .url = url, .connect_timeout_ms = 400});
    client_do(&c, patient, "{}", &r);
    assert_not_sent(&r, "connect");
    assert_in_range(r.x.duration_us, 390 * 1000, 15 * 1000 * 1000);
    http_target_unref(patient);
    http_target_unref(t);
    client_deinit(&c);
    blackhole_close(&hole);
}

static void assert_unclear(const struct result *r, long status, const char *phase) {
    assert_true(r->x.sent);
    assert_false(r->x.answered || r->x.cancelled || r->x.replay_refused);
    assert_int_equal(r->x.status, status);
    assert_string_equal(r->x.phase, phase);
    assert_string_not_equal(r->error, "");
}

static void test_time_runs_out_before_an_answer(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "", .hang = true}, &hasty, &r);
    assert_unclear(&r, 0, "timeout");
}

static void test_time_runs_out_in_the_body(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"da", .hang = true},
             &hasty, &r);
    assert_unclear(&r, 200, "timeout");
    assert_string_equal(r.body, "{\"da");
}

static void test_peer_hangs_up_without_an_answer(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = ""}, &plain, &r);
    assert_unclear(&r, 0, "receive");
}

static void test_body_is_cut(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":1"}, &plain,
             &r);
    assert_unclear(&r, 200, "receive");
    assert_string_equal(r.body, "{\"data\":1");
}

static void test_chunks_are_broken(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "4\r\n{\"a\"\r\nzz\r\n"},
             &plain, &r);
    assert_unclear(&r, 200, "receive");
    exchange(&(struct script){.says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "4\r\n{\"a\"\r\n"},
             &plain, &r);
    assert_unclear(&r, 200, "receive"); /* the last chunk is missing */
}

static void test_answer_is_no_http(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "SSH-2.0-OpenSSH_9.2\r\n\r\n"}, &plain, &r);
    assert_unclear(&r, 0, "receive");
}

static void test_continue_is_no_answer(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                                      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
             &plain, &r);
    assert_true(r.x.answered);
    assert_int_equal(r.x.status, 200);
    assert_string_equal(r.body, "{}");
    exchange(&(struct script){.says = "HTTP/1.1 100 Continue\r\n\r\n"}, &plain, &r);
    assert_unclear(&r, 0, "receive");
}

static void test_redirect_is_not_followed(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /else\r\n"
                                      "Content-Length: 0\r\n\r\n",
                              .keep = true},
             &plain, &r);
    assert_true(r.x.answered);
    assert_int_equal(r.x.status, 307);
}

static void test_retry_after_is_kept(void **state) {
    (void)state;
    struct result r = {0};
    exchange(&(struct script){.says = "HTTP/1.1 429 Too Many\r\nretry-after: 17\r\n"
                                      "Content-Length: 0\r\n\r\n"},
             &plain, &r);
    assert_int_equal(r.x.status, 429);
    assert_string_equal(r.retry_after, "17");
    exchange(&(struct script){.says = "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"}, &plain, &r);
    assert_int_equal(r.x.status, 503);
    assert_null(r.x.retry_after.ptr);
}

static void send_bulk(struct peer_conn *c, void *arg) {
    const size_t *size = arg;
    struct peer_request r;
    char head[128], block[65536];
    memset(block, ' ', sizeof(block));
    while (peer_read_request(c, &r)) {
        peer_request_deinit(&r);
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", *size);
        peer_say(c, head);
        for (size_t left = *size; left > 0;) {
            size_t n = left < sizeof(block) ? left : sizeof(block);
            peer_send(c, block, n);
            left -= n;
        }
    }
}

static void test_answer_has_a_maximum(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    size_t size = 2u << 20;
    struct peer *p = peer_new(&(struct peer_options){.serve = send_bulk, .arg = &size});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    client_do(&c, t, "{}", &r);
    assert_unclear(&r, 200, "receive");
    assert_true(r.x.too_large);
    size = HTTP_ANSWER_MAX;
    client_do(&c, t, "{}", &r);
    assert_true(r.x.answered);
    assert_false(r.x.too_large);
    assert_int_equal(r.x.body.len, HTTP_ANSWER_MAX);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

/* Keeps the last request's head. */
static void keep_head(struct peer_conn *c, void *arg) {
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        memcpy(arg, r.head, sizeof(r.head));
        peer_answer(c, "200 OK", "", strstr(r.head, "Expect:") != NULL ? "expected" : r.body);
        peer_request_deinit(&r);
    }
}

static void test_request_is_as_told(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    static char head[8192];
    struct peer *p = peer_new(&(struct peer_options){.serve = keep_head, .arg = head});
    client_init(&c, 64);
    struct http_target *t =
        client_target(&c, &(struct http_target_options){.method = HTTP_POST,
                                                        .url = peer_url(p),
                                                        .headers = (const char *[]){"X-Shop: 7", NULL},
                                                        .basic_user = "key",
                                                        .basic_password = "s3cret"});
    struct http_request request = {.body = SPAN_LIT("{\"price\":9.990}"),
                                   .traceparent = "00-0af7651916cd43dd8448eb211c80319c-00f0-01"};
    assert_true(client_start(&c, t, &request, &r));
    client_wait(&c);
    assert_string_equal(r.body, "{\"price\":9.990}");
    assert_non_null(strstr(head, "POST /orders HTTP/1.1\r\n"));
    assert_non_null(strstr(head, "\r\nX-Shop: 7\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(head, "\r\nAuthorization: Basic a2V5OnMzY3JldA==\r\n"));
    assert_non_null(strstr(head, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-00f0-01\r\n"));
    request.traceparent = "00\r\nX-Injected: 1";
    assert_true(client_start(&c, t, &request, &r));
    client_wait(&c);
    assert_true(r.x.answered);
    assert_null(strstr(head, "traceparent"));
    assert_null(strstr(head, "Injected"));
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_large_body_asks_for_no_continue(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    static char head[8192];
    size_t n = (1u << 20) + 1;
    char *body = calloc(1, n);
    assert_non_null(body);
    memset(body, ' ', n);
    struct peer *p = peer_new(&(struct peer_options){.serve = keep_head, .arg = head});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    assert_true(client_start(&c, t, &(struct http_request){.body = {body, n}}, &r));
    client_wait(&c);
    assert_null(strstr(head, "Expect"));
    assert_int_equal(peer_requests(p), 1);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
    free(body);
}

static void test_error_holds_no_secret(void **state) {
    (void)state;
    static const char *const says[] = {"", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: zz\r\n\r\n"};
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        struct result r = {0};
        struct http_target_options o = {.bearer = "s3cret-token",
                                        .headers = (const char *[]){"X-Key: s3cret-key", NULL}};
        exchange(&(struct script){.says = says[i]}, &o, &r);
        assert_false(r.x.answered);
        assert_string_not_equal(r.error, "");
        assert_null(strstr(r.error, "s3cret"));
        assert_null(strstr(r.error, "{\"a\""));
    }
}

static void assert_refused(struct client *c, const struct http_target_options *o, const char *word) {
    struct err err = {""};
    assert_null(http_target_new(c->pool, o, &err));
    assert_non_null(strstr(err.text, word));
    assert_null(strstr(err.text, "s3cret"));
}

static void test_target_names_what_is_wrong(void **state) {
    (void)state;
    struct client c;
    client_init(&c, 1);
    const char *split[] = {"X-A: s3cret\r\nX-B: 1", NULL};
    const char *length[] = {"Content-Length: 3", NULL};
    const char *nameless[] = {"s3cret", NULL};
    assert_refused(&c, &(struct http_target_options){.url = "ftp://host/"}, "https://");
    assert_refused(&c, &(struct http_target_options){.url = "host/orders"}, "https://");
    assert_refused(&c, &(struct http_target_options){.url = "http://u:s3cret@host/"}, "password");
    assert_refused(&c, &(struct http_target_options){.url = "http://h/", .bearer = "s3cret\n"}, "token");
    assert_refused(&c, &(struct http_target_options){.url = "http://h/", .headers = split}, "X-A");
    assert_refused(&c, &(struct http_target_options){.url = "http://h/", .headers = length},
                   "Content-Length");
    assert_refused(&c, &(struct http_target_options){.url = "http://h/", .headers = nameless}, "Name: value");
    assert_refused(&c, &(struct http_target_options){.url = "http://h/", .ca_file = "/no/such"}, "/no/such");
    client_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_is_whole_and_connection_kept),
        cmocka_unit_test(test_connection_refused),
        cmocka_unit_test(test_unknown_host),
        cmocka_unit_test(test_connect_times_out),
        cmocka_unit_test(test_time_runs_out_before_an_answer),
        cmocka_unit_test(test_time_runs_out_in_the_body),
        cmocka_unit_test(test_peer_hangs_up_without_an_answer),
        cmocka_unit_test(test_body_is_cut),
        cmocka_unit_test(test_chunks_are_broken),
        cmocka_unit_test(test_answer_is_no_http),
        cmocka_unit_test(test_continue_is_no_answer),
        cmocka_unit_test(test_redirect_is_not_followed),
        cmocka_unit_test(test_retry_after_is_kept),
        cmocka_unit_test(test_answer_has_a_maximum),
        cmocka_unit_test(test_request_is_as_told),
        cmocka_unit_test(test_large_body_asks_for_no_continue),
        cmocka_unit_test(test_error_holds_no_secret),
        cmocka_unit_test(test_target_names_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
