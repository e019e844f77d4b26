/* HTTP client: what stands between us and the provider (proxies, compressed answers, paths), and how long a
 * connection is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "http_client.h"
#include "peer.h"

/* A proxy that refuses every CONNECT with the status in `arg`. */
static void refuse_connect(struct peer_conn *c, void *arg) {
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        assert_memory_equal(r.head, "CONNECT ", 8);
        assert_non_null(strstr(r.head, "\r\nUser-Agent: dray/test\r\n"));
        peer_request_deinit(&r);
        peer_answer(c, arg, "", "<html>no</html>");
    }
}

static void check_proxy(const char *status, const char *url, long expected) {
    struct client c;
    struct result r = {0};
    char text[64], proxy[64];
    snprintf(text, sizeof(text), "%s", status);
    struct peer *p = peer_new(&(struct peer_options){.serve = refuse_connect, .arg = text});
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", peer_port(p));
    client_init(&c, 16);
    struct http_target *t =
        client_target(&c, &(struct http_target_options){
                              .method = HTTP_POST, .url = url, .proxy = proxy, .user_agent = "dray/test"});
    for (int i = 0; i < 2; i++) {
        client_do(&c, t, "{\"order\":1}", &r);
        assert_int_equal(r.x.proxy_status, expected);
        assert_false(r.x.sent || r.x.answered || r.x.early);
        assert_int_equal(r.x.status, 0);
    }
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_proxy_that_refuses_is_told(void **state) {
    (void)state;
    check_proxy("407 Proxy Authentication Required", "https://provider.test/orders", 407);
    check_proxy("502 Bad Gateway", "https://provider.test/orders", 502);
    check_proxy("403 Forbidden", "https://provider.test/orders", 403);
}

/* {"ok":true}, compressed: gzip(1). */
static const unsigned char gzip_ok[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xab,
                                        0x56, 0xca, 0xcf, 0x56, 0xb2, 0x2a, 0x29, 0x2a, 0x4d, 0xad, 0x05,
                                        0x00, 0x90, 0x5f, 0xd4, 0xa7, 0x0b, 0x00, 0x00, 0x00};

struct body {
    const void *data;
    size_t n;
    char request[8192]; /* the head that came last */
};

static void answer_gzip(struct peer_conn *c, void *arg) {
    struct body *b = arg;
    struct peer_request r;
    char head[256];
    while (peer_read_request(c, &r)) {
        snprintf(b->request, sizeof(b->request), "%s", r.head);
        peer_request_deinit(&r);
        snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", b->n);
        peer_say(c, head);
        peer_send(c, b->data, b->n);
    }
}

static void gzip_once(struct body *b, struct result *r) {
    struct client c;
    struct peer *p = peer_new(&(struct peer_options){.serve = answer_gzip, .arg = b});
    client_init(&c, 16);
    struct http_target *t = client_post(&c, peer_url(p));
    client_do(&c, t, "{}", r);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_compressed_answer_is_read_though_not_asked_for(void **state) {
    (void)state;
    struct result r = {0};
    struct body b = {.data = gzip_ok, .n = sizeof(gzip_ok)};
    gzip_once(&b, &r);
    assert_true(r.x.answered);
    assert_string_equal(r.body, "{\"ok\":true}");
    assert_non_null(strstr(b.request, "\r\nAccept-Encoding: identity\r\n"));
}

/* How often the head has a line that starts so. */
static unsigned lines_with(const char *head, const char *start) {
    unsigned n = 0;
    for (const char *p = head; (p = strstr(p, "\r\n")) != NULL;) {
        p += 2;
        n += strncasecmp(p, start, strlen(start)) == 0;
    }
    return n;
}

static void check_lines(const char *const *headers, const char *agent, const char *coding) {
    struct client c;
    struct result r = {0};
    struct body b = {.data = gzip_ok, .n = sizeof(gzip_ok)};
    struct peer *p = peer_new(&(struct peer_options){.serve = answer_gzip, .arg = &b});
    client_init(&c, 16);
    struct http_target *t = client_target(
        &c, &(struct http_target_options){
                .method = HTTP_POST, .url = peer_url(p), .headers = headers, .user_agent = "dray/test"});
    for (int i = 0; i < 2; i++) {
        client_do(&c, t, "{}", &r);
        assert_int_equal(lines_with(b.request, "User-Agent:"), 1);
        assert_int_equal(lines_with(b.request, agent), 1);
        assert_int_equal(lines_with(b.request, "Accept-Encoding:"), 1);
        assert_int_equal(lines_with(b.request, coding), 1);
        assert_int_equal(lines_with(b.request, "Content-Type: application/json"), 1);
    }
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_each_line_is_sent_once_and_a_given_one_instead_of_ours(void **state) {
    (void)state;
    static const char *const given[] = {"user-agent: mine", "Accept-encoding: gzip", NULL};
    check_lines(NULL, "User-Agent: dray/test\r\n", "Accept-Encoding: identity\r\n");
    check_lines(given, "user-agent: mine\r\n", "Accept-encoding: gzip\r\n");
}

/* Some KiB that become 64 MiB. */
static void test_compressed_answer_is_bounded_when_it_is_read(void **state) {
    (void)state;
    static unsigned char bomb[1 << 20];
    struct result r = {0};
    FILE *gzip = popen("head -c 67108864 /dev/zero | gzip -9", "r");
    assert_non_null(gzip);
    struct body b = {.data = bomb, .n = fread(bomb, 1, sizeof(bomb), gzip)};
    assert_int_equal(pclose(gzip), 0);
    assert_true(b.n > 1000 && b.n < sizeof(bomb));
    gzip_once(&b, &r);
    assert_true(r.x.too_large && r.x.sent);
    assert_false(r.x.answered);
    assert_true(r.x.body.len <= HTTP_ANSWER_MAX);
}

static void test_broken_compression_is_no_answer(void **state) {
    (void)state;
    struct result r = {0};
    struct body b = {.data = "not gzip at all", .n = 15};
    gzip_once(&b, &r);
    assert_true(r.x.sent);
    assert_false(r.x.answered);
}

/* Answers with the request line; `headers` besides. */
static void tell_target(struct peer_conn *c, void *arg) {
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        *strchr(r.head, '\r') = '\0';
        peer_answer(c, "200 OK", arg, r.head);
        peer_request_deinit(&r);
    }
}

static void test_path_is_sent_as_it_is(void **state) {
    (void)state;
    static const char *const paths[] = {"/orders/..", "/orders/.", "/a/../b/./c", "/orders/%2e%2e/x",
                                        "/orders/a%2Fb"};
    struct client c;
    struct result r = {0};
    char url[256], line[300], none[] = "";
    struct peer *p = peer_new(&(struct peer_options){.serve = tell_target, .arg = none});
    client_init(&c, 16);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        for (int query = 0; query < 2; query++) {
            snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", peer_port(p), paths[i]);
            struct http_target *t =
                client_target(&c, &(struct http_target_options){.method = HTTP_GET, .url = url});
            struct http_request request = {.query = query ? "key=.." : NULL};
            assert_true(client_start(&c, t, &request, &r));
            client_wait(&c);
            snprintf(line, sizeof(line), "GET %s%s HTTP/1.1", paths[i], query ? "?key=.." : "");
            assert_string_equal(r.body, line);
            http_target_unref(t);
        }
    client_deinit(&c);
    peer_free(p);
}

static bool elapsed(void *arg) {
    return uv_hrtime() >= *(uint64_t *)arg;
}

static void idle_ms(struct client *c, unsigned ms) {
    uint64_t until = uv_hrtime() + ms * 1000000ull;
    client_until(c, elapsed, &until);
}

struct keeping {
    const char *headers;
    unsigned idle_reuse_ms;
    bool no_reuse;
    unsigned orders, pause_ms;
};

/* How many connections so many orders take, a pause between each. */
static unsigned connections_of(const struct keeping *k) {
    struct client c;
    struct result r = {0};
    char headers[128];
    snprintf(headers, sizeof(headers), "%s", k->headers);
    struct peer *p = peer_new(&(struct peer_options){.serve = tell_target, .arg = headers});
    client_init(&c, 16);
    struct http_target *t = client_target(&c, &(struct http_target_options){.method = HTTP_POST,
                                                                            .url = peer_url(p),
                                                                            .idle_reuse_ms = k->idle_reuse_ms,
                                                                            .no_reuse = k->no_reuse});
    for (unsigned i = 0; i < k->orders; i++) {
        client_do(&c, t, "{}", &r);
        assert_true(r.x.answered);
        idle_ms(&c, k->pause_ms);
    }
    unsigned n = peer_connections(p);
    assert_int_equal(peer_requests(p), k->orders);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
    return n;
}

static void test_connection_is_kept_as_long_as_its_server_does(void **state) {
    (void)state;
    /* always used again, so quickly does the next order come */
    assert_int_equal(connections_of(&(struct keeping){"", 0, false, 10, 10}), 1);
    /* the first idle one shows that the host keeps it, the others are used again */
    assert_in_range(connections_of(&(struct keeping){"", 0, false, 8, 400}), 2, 3);
    /* ten seconds are promised */
    assert_int_equal(
        connections_of(&(struct keeping){"Keep-Alive: timeout=10, max=100\r\n", 0, false, 4, 400}), 1);
    /* none is */
    assert_int_equal(connections_of(&(struct keeping){"Keep-Alive: timeout=0\r\n", 0, false, 5, 10}), 5);
    /* longer than the account allows */
    assert_int_equal(connections_of(&(struct keeping){"Keep-Alive: timeout=10\r\n", 100, false, 4, 200}), 4);
    assert_int_equal(connections_of(&(struct keeping){"", 0, true, 5, 0}), 5);
}

static void pause_thread(unsigned ms) {
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000l}, NULL);
}

/* Hangs up 60 ms after each answer. */
static void close_soon(struct peer_conn *c, void *arg) {
    struct peer_request r;
    (void)arg;
    while (peer_read_request(c, &r)) {
        peer_request_deinit(&r);
        peer_answer(c, "200 OK", "", "{}");
        if (c->number <= 3) {
            pause_thread(60);
            return;
        }
    }
}

static void test_closes_teach(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = close_soon});
    client_init(&c, 16);
    struct http_target *t = client_post(&c, peer_url(p));
    for (unsigned i = 1; i <= 3; i++) {
        client_do(&c, t, "{}", &r);
        assert_true(r.x.answered);
        idle_ms(&c, 100);
    }
    unsigned before = peer_connections(p);
    for (unsigned i = 1; i <= 3; i++) { /* idle for more than half of what it closed one after */
        client_do(&c, t, "{}", &r);
        assert_true(r.x.answered);
        assert_int_equal(peer_connections(p), before + i);
        idle_ms(&c, 45);
    }
    for (unsigned i = 1; i <= 3; i++) {
        client_do(&c, t, "{}", &r);
        assert_true(r.x.answered);
    }
    assert_int_equal(peer_connections(p), before + 4); /* at once: used again */
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_that_refuses_is_told),
        cmocka_unit_test(test_compressed_answer_is_read_though_not_asked_for),
        cmocka_unit_test(test_each_line_is_sent_once_and_a_given_one_instead_of_ours),
        cmocka_unit_test(test_compressed_answer_is_bounded_when_it_is_read),
        cmocka_unit_test(test_broken_compression_is_no_answer),
        cmocka_unit_test(test_path_is_sent_as_it_is),
        cmocka_unit_test(test_connection_is_kept_as_long_as_its_server_does),
        cmocka_unit_test(test_closes_teach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
