/* HTTP client: a POST reaches the peer at most once, whatever libcurl would like to repeat; and
 * TLS, on which some of that depends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_client.h"
#include "peer.h"

/* On its first connection the peer reads the second request whole and hangs up on it. */
struct hangup {
    bool reset;       /* with RST instead of FIN */
    bool idle;        /* hangs up right after the first answer instead */
    char target[256]; /* the last request line that came */
};

static void hang_up(struct peer_conn *c, const struct hangup *h) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (h->reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void serve_once(struct peer_conn *c, void *arg) {
    struct hangup *h = arg;
    struct peer_request r;
    for (unsigned i = 1; peer_read_request(c, &r); i++) {
        peer_request_deinit(&r);
        snprintf(h->target, sizeof(h->target), "%.*s", (int)strcspn(r.head, "\r"), r.head);
        if (c->number == 1 && i == 2) {
            hang_up(c, h);
            return;
        }
        peer_answer(c, "200 OK", "", "{}");
        if (c->number == 1 && h->idle)
            return;
    }
}

static void assert_replay_refused(const struct result *r) {
    assert_true(r->x.replay_refused);
    assert_true(r->x.sent);
    assert_false(r->x.answered || r->x.guard_refused || r->x.cancelled);
    assert_int_equal(r->x.status, 0);
    assert_string_equal(r->x.phase, "receive");
    assert_non_null(strstr(r->error, "not repeated"));
}

static void check_no_replay(bool reset) {
    struct client c;
    struct result r = {0};
    struct hangup h = {.reset = reset};
    struct peer *p = peer_new(&(struct peer_options){.serve = serve_once, .arg = &h});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    client_do(&c, t, "{\"order\":1}", &r);
    assert_true(r.x.answered);
    size_t one = peer_bytes(p);
    client_do(&c, t, "{\"order\":2}", &r);
    assert_true(r.x.sent);
    assert_false(r.x.answered);
    if (!reset) { /* a reset may also end it without an attempt to repeat it */
        assert_replay_refused(&r);
        assert_int_equal(http_pool_stats(c.pool).replays_refused, 1);
    }
    client_do(&c, t, "{\"order\":3}", &r); /* the target goes on, and no byte came in between */
    assert_true(r.x.answered);
    assert_int_equal(peer_requests(p), 3);
    assert_int_equal(peer_bytes(p), 3 * one);
    assert_int_equal(peer_connections(p), 2);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_post_is_not_replayed(void **state) {
    (void)state;
    check_no_replay(false);
    check_no_replay(true);
}

/* Another connection stands ready: libcurl would replay on that one, without opening a socket. */
static void serve_pair(struct peer_conn *c, void *arg) {
    const unsigned *fatal = arg; /* requests that the peer has read when it starts to hang up */
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        peer_request_deinit(&r);
        if (peer_requests(c->peer) > *fatal)
            return;
        while (peer_requests(c->peer) < *fatal)
            usleep(1000); /* both connections get one request before either is answered */
        peer_answer(c, "200 OK", "", "{}");
    }
}

static void test_post_is_not_replayed_on_another_kept_connection(void **state) {
    (void)state;
    struct client c;
    struct result r[2] = {0};
    unsigned fatal = 2;
    struct http_request request = {.body = SPAN_LIT("{}")};
    struct peer *p = peer_new(&(struct peer_options){.serve = serve_pair, .arg = &fatal});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    assert_true(client_start(&c, t, &request, &r[0]));
    assert_true(client_start(&c, t, &request, &r[1]));
    client_wait(&c);
    assert_true(r[0].x.answered && r[1].x.answered);
    assert_int_equal(peer_connections(p), 2);
    client_do(&c, t, "{}", &r[0]);
    assert_replay_refused(&r[0]);
    assert_int_equal(peer_requests(p), 3);
    assert_int_equal(peer_connections(p), 2);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_connection_closed_while_idle_costs_nothing(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct hangup h = {.idle = true};
    struct peer *p = peer_new(&(struct peer_options){.serve = serve_once, .arg = &h});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    client_do(&c, t, "{}", &r);
    client_do(&c, t, "{}", &r); /* the end of file was seen in time, or it is unclear */
    assert_true(r.x.answered || r.x.sent);
    client_do(&c, t, "{}", &r);
    assert_true(r.x.answered);
    assert_int_equal(peer_connections(p), 2);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_get_is_repeated_with_its_own_query(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct hangup h = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = serve_once, .arg = &h});
    client_init(&c, 64);
    struct http_target *t =
        client_target(&c, &(struct http_target_options){.method = HTTP_GET, .url = peer_url(p)});
    struct http_request request = {.query = "key=first"};
    assert_true(client_start(&c, t, &request, &r));
    client_wait(&c);
    assert_true(r.x.answered);
    assert_string_equal(h.target, "GET /orders?key=first HTTP/1.1");
    request.query = "key=second%201";
    assert_true(client_start(&c, t, &request, &r));
    client_wait(&c);
    assert_true(r.x.answered && r.x.sent);
    assert_string_equal(h.target, "GET /orders?key=second%201 HTTP/1.1");
    assert_int_equal(peer_requests(p), 3);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_guard_is_asked_before_the_first_byte(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct hangup h = {0};
    struct http_request request = {.body = SPAN_LIT("{}"), .may_send = result_may_send};
    struct peer *p = peer_new(&(struct peer_options){.serve = serve_once, .arg = &h});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    for (int i = 0; i < 2; i++) { /* on a new connection, then on a kept one */
        size_t before = peer_bytes(p);
        r.allow = false;
        assert_true(client_start(&c, t, &request, &r));
        client_wait(&c);
        assert_true(r.x.guard_refused);
        assert_false(r.x.sent || r.x.answered || r.x.replay_refused);
        assert_string_equal(r.x.phase, "send");
        assert_int_equal(r.asked, 1);
        assert_int_equal(peer_bytes(p), before);
        if (i == 1)
            break;
        r.allow = true;
        assert_true(client_start(&c, t, &request, &r));
        client_wait(&c);
        assert_true(r.x.answered);
        assert_int_equal(r.asked, 1);
    }
    assert_int_equal(peer_requests(p), 1);
    assert_int_equal(http_pool_stats(c.pool).guards_refused, 2);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_tls_is_verified(void **state) {
    const struct test_cert *cert = *state;
    struct client c;
    struct result r = {0};
    struct hangup h = {0};
    struct peer *p = peer_new(&(struct peer_options){
        .serve = serve_once, .arg = &h, .cert_file = cert->cert, .key_file = cert->key});
    client_init(&c, 64);
    struct http_target *strange = client_post(&c, peer_url(p));
    client_do(&c, strange, "{}", &r);
    assert_false(r.x.sent || r.x.answered);
    assert_string_equal(r.x.phase, "tls");
    assert_non_null(strstr(r.error, "certificate"));
    struct http_target *known = client_target(
        &c, &(struct http_target_options){.method = HTTP_POST, .url = peer_url(p), .ca_file = cert->cert});
    client_do(&c, known, "{}", &r);
    assert_true(r.x.answered && r.x.sent);
    client_do(&c, known, "{}", &r); /* the peer's connection 2: not the one that hangs up */
    assert_true(r.x.answered);
    client_do(&c, strange, "{}", &r); /* what one target trusts is no other's */
    assert_false(r.x.sent || r.x.answered);
    client_do(&c, known, "{}", &r);
    struct http_target *new = /* not even right behind it, with no handle of its own */
        client_target(&c, &(struct http_target_options){.method = HTTP_POST, .url = peer_url(p)});
    client_do(&c, new, "{}", &r);
    assert_false(r.x.sent || r.x.answered);
    assert_int_equal(peer_requests(p), 3);
    http_target_unref(new);
    http_target_unref(strange);
    http_target_unref(known);
    client_deinit(&c);
    peer_free(p);
}

static void test_post_is_not_replayed_over_tls(void **state) {
    const struct test_cert *cert = *state;
    struct client c;
    struct result r = {0};
    struct hangup h = {0};
    struct peer *p = peer_new(&(struct peer_options){
        .serve = serve_once, .arg = &h, .cert_file = cert->cert, .key_file = cert->key});
    client_init(&c, 64);
    struct http_target *t = client_target(
        &c, &(struct http_target_options){.method = HTTP_POST, .url = peer_url(p), .ca_file = cert->cert});
    client_do(&c, t, "{}", &r);
    assert_true(r.x.answered);
    client_do(&c, t, "{}", &r);
    assert_replay_refused(&r);
    assert_int_equal(peer_requests(p), 2);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void say_nothing(struct peer_conn *c, void *arg) {
    (void)arg;
    peer_wait_closed(c);
}

static void test_tls_without_an_answer_times_out(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    char url[64];
    struct peer *p = peer_new(&(struct peer_options){.serve = say_nothing});
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", peer_port(p));
    client_init(&c, 64);
    struct http_target *t = client_target(
        &c, &(struct http_target_options){.method = HTTP_POST, .url = url, .connect_timeout_ms = 150});
    client_do(&c, t, "{}", &r);
    assert_false(r.x.sent || r.x.answered);
    assert_string_equal(r.x.phase, "tls");
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

/* Just enough of RFC 9113 for one request after the other. */
enum { H2_DATA = 0, H2_HEADERS = 1, H2_RST_STREAM = 3, H2_SETTINGS = 4, H2_GOAWAY = 7 };

/* What a request meets: RST_STREAM with this code; 0: GOAWAY before it; -1: GOAWAY that takes it, and the end. */
enum h2_fault {
    H2_TAKEN = -1,
    H2_GONE = 0,
    H2_INTERNAL_ERROR = 2,
    H2_REFUSED_STREAM = 7,
    H2_HTTP_1_1_REQUIRED = 13
};

struct h2_peer {
    enum h2_fault fault;
    bool first; /* already the first request of the first connection meets it */
};

static void h2_send(struct peer_conn *c, unsigned char type, unsigned char flags, unsigned stream,
                    const void *payload, unsigned char n) {
    unsigned char frame[9 + 255] = {0, 0, n, type, flags};
    for (int i = 0; i < 4; i++)
        frame[5 + i] = (unsigned char)(stream >> (24 - 8 * i));
    if (n > 0)
        memcpy(frame + 9, payload, n);
    peer_send(c, frame, 9u + n);
}

/* False: the connection ends. */
static bool h2_answer(struct peer_conn *c, const struct h2_peer *h, unsigned stream) {
    static const unsigned char status_200 = 0x88;
    const unsigned char code[4] = {0, 0, 0, (unsigned char)h->fault};
    unsigned last = h->fault == H2_TAKEN ? stream : h->first ? 0 : 1;
    const unsigned char goaway[8] = {0, 0, 0, (unsigned char)last, 0, 0, 0, 0}; /* NO_ERROR */
    peer_count_request(c);
    if (c->number > 1 || (stream == 1 && !h->first))
        h2_send(c, H2_HEADERS, 0x5, stream, &status_200, 1); /* END_HEADERS, END_STREAM */
    else if (h->fault <= H2_GONE)
        h2_send(c, H2_GOAWAY, 0, 0, goaway, sizeof(goaway));
    else
        h2_send(c, H2_RST_STREAM, 0, stream, code, sizeof(code));
    return c->number > 1 || h->fault != H2_TAKEN || (stream == 1 && !h->first);
}

static void serve_h2(struct peer_conn *c, void *arg) {
    unsigned char head[24], payload[65536];
    if (!peer_read(c, head, 24)) /* the preface */
        return;
    h2_send(c, H2_SETTINGS, 0, 0, NULL, 0);
    while (peer_read(c, head, 9)) {
        size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        unsigned stream = (unsigned)head[6] << 16 | (unsigned)head[7] << 8 | head[8];
        if (n > sizeof(payload) || !peer_read(c, payload, n))
            return;
        if (head[3] == H2_SETTINGS && (head[4] & 1) == 0)
            h2_send(c, H2_SETTINGS, 1, 0, NULL, 0);
        if ((head[3] == H2_DATA || head[3] == H2_HEADERS) && (head[4] & 1) != 0)
            if (!h2_answer(c, arg, stream))
                return;
    }
}

static void check_h2(const struct test_cert *cert, enum h2_fault fault, bool first) {
    struct client c;
    struct result r = {0};
    struct h2_peer h = {.fault = fault, .first = first};
    struct peer *p = peer_new(&(struct peer_options){
        .serve = serve_h2, .arg = &h, .cert_file = cert->cert, .key_file = cert->key, .h2 = true});
    client_init(&c, 64);
    struct http_target *t = client_target(
        &c, &(struct http_target_options){.method = HTTP_POST, .url = peer_url(p), .ca_file = cert->cert});
    unsigned n = 0;
    if (!first) {
        client_do(&c, t, "{\"order\":1}", &r);
        assert_true(r.x.answered);
        assert_int_equal(r.x.status, 200);
        n++;
    }
    client_do(&c, t, "{\"order\":2}", &r);
    assert_false(r.x.answered);
    /* nothing was done: it may be sent again */
    bool refused = fault == H2_GONE || fault == H2_REFUSED_STREAM;
    assert_int_equal(r.x.unprocessed, refused);
    assert_int_equal(r.x.sent, !refused);
    if (refused) {
        assert_string_equal(r.x.phase, "send");
        assert_non_null(strstr(r.error, "did not take"));
    }
    assert_int_equal(peer_requests(p), ++n);
    client_do(&c, t, "{\"order\":3}", &r); /* where the connection stands, it meets the same */
    assert_int_equal(peer_requests(p), ++n);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_post_is_not_replayed_over_h2(void **state) {
    static const enum h2_fault faults[] = {H2_REFUSED_STREAM, H2_HTTP_1_1_REQUIRED, H2_INTERNAL_ERROR,
                                           H2_GONE, H2_TAKEN};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        for (int first = 0; first < 2; first++)
            check_h2(*state, faults[i], first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_post_is_not_replayed),
        cmocka_unit_test(test_post_is_not_replayed_on_another_kept_connection),
        cmocka_unit_test(test_connection_closed_while_idle_costs_nothing),
        cmocka_unit_test(test_get_is_repeated_with_its_own_query),
        cmocka_unit_test(test_guard_is_asked_before_the_first_byte),
        cmocka_unit_test(test_tls_is_verified),
        cmocka_unit_test(test_post_is_not_replayed_over_tls),
        cmocka_unit_test(test_tls_without_an_answer_times_out),
        cmocka_unit_test(test_post_is_not_replayed_over_h2),
    };
    return cmocka_run_group_tests(tests, test_cert_setup, test_cert_teardown);
}
