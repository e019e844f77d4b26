/* HTTP client: whose answer it is. Bytes that nobody asked for end a connection before the next request's
 * first byte, over plain TCP and TLS, whichever account sends next; an answer that overtakes its request is
 * told. Each test ends with what the peer was sent, and told whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_client.h"
#include "peer.h"

#define ORDERS 30

enum trouble {
    SECOND_LATER,   /* each answer again, once it has been taken */
    SECOND_AT_ONCE, /* in the same segment */
    SECOND_CHUNKED, /* behind a chunked answer, in the same segment */
    SECOND_EMPTY,   /* behind a 204, in the same segment */
    LATE_408,       /* once each answer has been taken */
    ONE_BYTE,       /* once each answer has been taken */
    TICKETS,        /* TLS 1.3 session tickets, once each answer has been taken */
    HANG_UP,        /* once each answer has been taken */
    TROUBLES,
};

struct server {
    enum trouble trouble;
    atomic_uint taken; /* orders whose answer the client has */
    atomic_uint done;  /* orders whose trouble has been made */
};

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The answer says what was in the request: so whose it is. */
static void tell(struct peer_conn *c, const char *body, const char *behind) {
    char text[1024];
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s%s", strlen(body), body,
             behind);
    peer_say(c, text);
}

static void second(char out[static 256], const char *body) {
    snprintf(out, 256, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
}

/* Until *count is at least `least`; 20 s at most. */
static bool reaches(atomic_uint *count, unsigned least) {
    for (int i = 0; i < 20000 && *count < least; i++)
        pause_ms(1);
    return *count >= least;
}

/* What comes while the client still reads the answer would be read together with it, and thrown away. */
static bool trouble(struct peer_conn *c, struct server *s, const char *body) {
    enum trouble t = s->trouble;
    char again[256], text[1024];
    second(again, body);
    switch (t) {
    case SECOND_AT_ONCE:
        tell(c, body, again);
        return true;
    case SECOND_CHUNKED:
        snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n%s",
                 strlen(body), body, again);
        peer_say(c, text);
        return true;
    case SECOND_EMPTY:
        snprintf(text, sizeof(text), "HTTP/1.1 204 No Content\r\n\r\n%s", again);
        peer_say(c, text);
        return true;
    default:
        tell(c, body, "");
    }
    reaches(&s->taken, s->done + 1);
    switch (t) {
    case SECOND_LATER:
        peer_say(c, again);
        return true;
    case LATE_408:
        peer_say(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return true;
    case ONE_BYTE:
        peer_say(c, "\n");
        return true;
    case TICKETS:
        SSL_new_session_ticket(c->ssl);
        SSL_do_handshake(c->ssl);
        return true;
    default:
        shutdown(c->fd, SHUT_RDWR);
        return false;
    }
}

static void serve(struct peer_conn *c, void *arg) {
    struct server *s = arg;
    struct peer_request r;
    bool on = true;
    while (on && peer_read_request(c, &r)) {
        on = trouble(c, s, r.body != NULL ? r.body : "");
        peer_request_deinit(&r);
        s->done++;
    }
}

static struct peer *start(const struct test_cert *cert, struct server *s) {
    return peer_new(&(struct peer_options){.serve = serve,
                                           .arg = s,
                                           .cert_file = cert != NULL ? cert->cert : NULL,
                                           .key_file = cert != NULL ? cert->key : NULL});
}

static struct http_target *target(struct client *c, const struct peer *p, const struct test_cert *cert,
                                  const char *owner) {
    return client_target(c, &(struct http_target_options){.method = HTTP_POST,
                                                          .url = peer_url(p),
                                                          .owner = owner,
                                                          .bearer = owner,
                                                          .ca_file = cert != NULL ? cert->cert : NULL});
}

struct strays {
    unsigned count;
    char owner[64], host[128];
    size_t bytes;
};

static void on_stray(void *arg, const char *owner, const char *host, size_t bytes) {
    struct strays *s = arg;
    s->count++;
    s->bytes = bytes;
    snprintf(s->owner, sizeof(s->owner), "%s", owner);
    snprintf(s->host, sizeof(s->host), "%s", host);
}

struct wanted {
    struct server *server;
    unsigned done;
};

static bool is_done(void *arg) {
    const struct wanted *w = arg;
    return w->server->done >= w->done;
}

/* Until the peer has made its trouble of so many orders. The loop turns meanwhile, or stands still: then only the look
 * right before the first byte can tell. */
static void wait_trouble(struct client *c, bool turning, struct server *s, unsigned done) {
    struct wanted w = {s, done};
    if (turning)
        client_until(c, is_done, &w);
    assert_true(reaches(&s->done, done));
}

/* Orders of two accounts by turns, on whatever connections there are: each gets its own answer. */
static void cascade(const struct test_cert *cert, enum trouble t, bool turning) {
    struct client c;
    struct result r = {0};
    struct strays strays = {0};
    struct server s = {.trouble = t};
    char order[32], host[64];
    bool late = t == SECOND_LATER || t == LATE_408 || t == ONE_BYTE;
    struct peer *p = start(cert, &s);
    client_init(&c, 64);
    http_pool_on_stray(c.pool, on_stray, &strays);
    struct http_target *shops[2] = {target(&c, p, cert, "shop-0"), target(&c, p, cert, "shop-1")};
    for (int i = 0; i < ORDERS; i++) {
        snprintf(order, sizeof(order), "{\"order\":%d}", i);
        client_do(&c, shops[i % 2], order, &r);
        s.taken++;
        assert_true(r.x.answered && r.x.sent);
        assert_false(r.x.early);
        assert_string_equal(r.body, t == SECOND_EMPTY ? "" : order);
        if (late && i > 0 && turning)
            assert_string_equal(strays.owner, i % 2 ? "shop-0" : "shop-1");
        if (t == SECOND_LATER || t > SECOND_EMPTY)
            wait_trouble(&c, turning, &s, (unsigned)i + 1);
    }
    assert_int_equal(peer_requests(p), ORDERS);
    if (late || t > SECOND_EMPTY) /* what libcurl reads together with an answer it throws away, and goes on */
        assert_int_equal(peer_connections(p), t == TICKETS ? 1 : ORDERS);
    snprintf(host, sizeof(host), "127.0.0.1:%d", peer_port(p));
    if (late) {
        assert_in_range(strays.count, ORDERS - 1, ORDERS);
        assert_string_equal(strays.host, host);
        assert_true(strays.bytes > 0);
    } else {
        assert_int_equal(strays.count, 0);
    }
    assert_int_equal(http_pool_stats(c.pool).strays, strays.count);
    assert_int_equal(http_pool_stats(c.pool).replays_refused, 0);
    http_target_unref(shops[0]);
    http_target_unref(shops[1]);
    client_deinit(&c);
    peer_free(p);
}

static void test_no_order_gets_another_ones_answer(void **state) {
    (void)state;
    for (enum trouble t = 0; t < TROUBLES; t++) {
        if (t == TICKETS)
            continue;
        cascade(NULL, t, true);
        cascade(NULL, t, false);
    }
}

static void test_no_order_gets_another_ones_answer_over_tls(void **state) {
    for (enum trouble t = 0; t < TROUBLES; t++) {
        cascade(*state, t, true);
        cascade(*state, t, false);
    }
}

/* A body that is larger than what the kernel holds of it for either side: it is not sent before the peer reads it. */
#define LARGE (16u << 20)

struct early {
    const char *status;
    atomic_uint done; /* bodies that have been answered, and connections that have ended */
};

/* Answers when it has the head, then reads the rest and answers again. */
static void answer_early(struct peer_conn *c, void *arg) {
    struct early *e = arg;
    char head[8192];
    size_t n = 0;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
    for (int i = 0; peer_read(c, head + n, 1); n++) {
        assert_true(n < sizeof(head) - 1);
        if (n < 3 || memcmp(head + n - 3, "\r\n\r\n", 4) != 0)
            continue;
        head[n] = '\0';
        size_t length = strtoul(strcasestr(head, "Content-Length:") + 15, NULL, 10);
        char *body = malloc(length);
        assert_non_null(body);
        if (length > 100)
            peer_answer(c, e->status, "", "{\"id\":1}");
        if (length > 100)
            pause_ms(20);
        bool whole = peer_read(c, body, length);
        free(body);
        if (!whole)
            break;
        peer_count_request(c);
        peer_answer(c, "200 OK", "", i++ == 0 ? "{\"id\":2}" : "{\"id\":3}");
        e->done++;
        n = (size_t)-1;
    }
    e->done++;
}

static void check_early(const struct test_cert *cert, const char *status, bool kept) {
    struct client c;
    struct result r = {0};
    static char large[LARGE + 1];
    memset(large, 'x', sizeof(large) - 1);
    struct early e = {.status = status};
    struct peer *p = peer_new(&(struct peer_options){.serve = answer_early,
                                                     .arg = &e,
                                                     .cert_file = cert != NULL ? cert->cert : NULL,
                                                     .key_file = cert != NULL ? cert->key : NULL});
    client_init(&c, 64);
    struct http_target *t = target(&c, p, cert, "shop");
    if (kept) {
        client_do(&c, t, "{}", &r);
        assert_string_equal(r.body, "{\"id\":2}");
    }
    client_do(&c, t, large, &r);
    assert_true(r.x.sent);
    assert_true(r.x.early == (kept || status[0] == '2'));
    unsigned connections = peer_connections(p);
    assert_true(reaches(&e.done, kept ? 2 : 1)); /* the second answer is out, or nobody is there to take it */
    client_do(&c, t, "{}", &r);                  /* its own answer, on another connection */
    assert_true(r.x.answered && !r.x.early);
    assert_string_equal(r.body, "{\"id\":2}");
    assert_int_equal(peer_connections(p), connections + 1);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

static void test_early_answer_is_told_and_ends_the_connection(void **state) {
    for (int kept = 0; kept < 2; kept++) {
        check_early(NULL, "200 OK", kept);
        check_early(NULL, "422 Unprocessable", kept);
        check_early(*state, "200 OK", kept);
        check_early(*state, "422 Unprocessable", kept);
    }
}

static void doubt_it(void *arg, const struct http_exchange *x) {
    struct result *r = arg;
    r->calls++;
    r->client->outstanding--;
    r->x = *x;
    http_doubt(r->call);
}

static void test_doubt_ends_the_connection(void **state) {
    struct client c;
    struct result r = {0};
    struct server s = {.trouble = TICKETS, .taken = 3};
    struct peer *p = start(*state, &s);
    client_init(&c, 64);
    struct http_target *t = target(&c, p, *state, "shop");
    for (unsigned i = 1; i <= 3; i++) {
        r = (struct result){.client = &c};
        r.call = http_send(c.pool, t, &(struct http_request){.body = SPAN_LIT("{}")}, doubt_it, &r);
        c.outstanding++;
        client_wait(&c);
        assert_true(r.x.answered);
        assert_int_equal(peer_connections(p), i);
    }
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

/* Speaks first, as no HTTP server does. */
static void greet(struct peer_conn *c, void *arg) {
    (void)arg;
    peer_say(c, "220 ready\r\n");
    peer_wait_closed(c);
}

static void test_peer_that_speaks_first_is_sent_nothing(void **state) {
    (void)state;
    struct client c;
    struct result r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = greet});
    client_init(&c, 64);
    struct http_target *t = client_post(&c, peer_url(p));
    for (int i = 0; i < 20; i++) { /* where the greeting comes later than the request, that was sent */
        client_do(&c, t, "{}", &r);
        assert_false(r.x.answered);
        if (!r.x.sent)
            break;
    }
    if (!r.x.sent) {
        assert_string_equal(r.x.phase, "send");
        assert_non_null(strstr(r.error, "nothing was sent"));
    }
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_order_gets_another_ones_answer),
        cmocka_unit_test(test_no_order_gets_another_ones_answer_over_tls),
        cmocka_unit_test(test_early_answer_is_told_and_ends_the_connection),
        cmocka_unit_test(test_doubt_ends_the_connection),
        cmocka_unit_test(test_peer_that_speaks_first_is_sent_nothing),
    };
    return cmocka_run_group_tests(tests, test_cert_setup, test_cert_teardown);
}
