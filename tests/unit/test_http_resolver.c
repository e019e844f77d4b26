/* HTTP client: a name server that doesn't answer holds up nobody but the request that asked. The C
 * library's resolver is replaced, because no real one can be made to hang without root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "http_client.h"
#include "peer.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hung;         /* "slow.test" gets no answer while this is set */
static unsigned waiting;  /* look-ups that hang now */
static unsigned look_ups; /* of "*.test" */

typedef int resolve_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* An address at which nobody listens, then the peer's. glibc frees such a list node by node. */
static int resolve_twofold(resolve_fn *real, const char *service, const struct addrinfo *hints,
                           struct addrinfo **result) {
    struct addrinfo *good = NULL;
    int rc = real("127.0.0.1", service, hints, &good);
    if (rc != 0)
        return rc;
    rc = real("127.0.0.2", service, hints, result);
    struct addrinfo *last = *result;
    while (last->ai_next != NULL)
        last = last->ai_next;
    last->ai_next = good;
    return rc;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    static resolve_fn *real;
    pthread_mutex_lock(&lock);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    bool test = node != NULL && strstr(node, ".test") != NULL;
    look_ups += test;
    waiting++;
    pthread_cond_broadcast(&changed);
    while (test && hung)
        pthread_cond_wait(&changed, &lock);
    waiting--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (test && strncmp(node, "twofold", 7) == 0)
        return resolve_twofold(real, service, hints, result);
    return real(test ? "127.0.0.1" : node, service, hints, result);
}

static void set_hung(bool on) {
    pthread_mutex_lock(&lock);
    hung = on;
    pthread_cond_broadcast(&changed);
    while (!on && waiting > 0) /* threads that hang now end before the test does */
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static bool somebody_waits(void *arg) {
    (void)arg;
    pthread_mutex_lock(&lock);
    bool yes = waiting > 0;
    pthread_mutex_unlock(&lock);
    return yes;
}

static void answer(struct peer_conn *c, void *arg) {
    (void)arg;
    struct peer_request r;
    while (peer_read_request(c, &r)) {
        peer_request_deinit(&r);
        peer_answer(c, "200 OK", "Keep-Alive: timeout=60\r\n", "{}"); /* however slow this machine is */
    }
}

static struct http_target *named_target(struct client *c, const char *name, struct peer *p,
                                        uint32_t connect_ms) {
    char url[64];
    snprintf(url, sizeof(url), "http://%s:%d/", name, peer_port(p));
    return client_target(
        c, &(struct http_target_options){.method = HTTP_POST, .url = url, .connect_timeout_ms = connect_ms});
}

static void test_time_runs_out_in_the_resolver(void **state) {
    (void)state;
    struct client c;
    struct result slow = {0}, r = {0};
    struct peer *p = peer_new(&(struct peer_options){.serve = answer});
    client_init(&c, 64);
    struct http_target *t = named_target(&c, "slow.test", p, 150), *near = client_post(&c, peer_url(p));
    set_hung(true);
    client_do(&c, t, "{}", &slow); /* would hang, if libcurl joined its thread */
    assert_false(slow.x.sent || slow.x.answered);
    assert_string_equal(slow.x.phase, "resolve");
    client_do(&c, near, "{}", &r);
    assert_true(r.x.answered);
    set_hung(false);
    client_do(&c, t, "{}", &slow);
    assert_true(slow.x.answered);
    http_target_unref(t);
    http_target_unref(near);
    client_deinit(&c);
    peer_free(p);
}

static void test_cancel_and_close_while_resolving(void **state) {
    (void)state;
    struct client c;
    struct result r[2] = {0};
    struct http_request request = {.body = SPAN_LIT("{}")};
    struct peer *p = peer_new(&(struct peer_options){.serve = answer});
    client_init(&c, 64);
    struct http_target *t = named_target(&c, "slow.test", p, 20000);
    set_hung(true);
    assert_true(client_start(&c, t, &request, &r[0]));
    assert_true(client_start(&c, t, &request, &r[1]));
    client_until(&c, somebody_waits, NULL);
    http_cancel(r[0].call);
    assert_true(r[0].x.cancelled);
    assert_false(r[0].x.sent);
    http_target_unref(t);
    client_deinit(&c);
    assert_true(r[1].x.cancelled);
    set_hung(false);
    assert_int_equal(peer_connections(p), 0);
    peer_free(p);
}

static void test_name_is_looked_up_once_for_all_multis(void **state) {
    (void)state;
    struct client c;
    static struct result r[200];
    struct http_request request = {.body = SPAN_LIT("{}")};
    struct peer *p = peer_new(&(struct peer_options){.serve = answer});
    client_init(&c, 200);
    struct http_target *t = named_target(&c, "slow.test", p, 5000);
    look_ups = 0;
    client_do(&c, t, "{}", &r[0]);
    assert_int_equal(look_ups, 1);
    for (int i = 0; i < 200; i++)
        assert_true(client_start(&c, t, &request, &r[i]));
    client_wait(&c);
    for (int i = 0; i < 200; i++)
        assert_true(r[i].x.answered);
    assert_int_equal(look_ups, 1);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

/* libcurl 7.88 closes the refused socket without a word, and the next one gets the same number. */
static void test_next_address_is_tried(void **state) {
    (void)state;
    struct client c;
    static struct result r[100];
    struct http_request request = {.body = SPAN_LIT("{}")};
    struct peer *p = peer_new(&(struct peer_options){.serve = answer});
    client_init(&c, 100);
    struct http_target *t = named_target(&c, "twofold.test", p, 5000);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++)
            assert_true(client_start(&c, t, &request, &r[i]));
        client_wait(&c);
        for (int i = 0; i < 100; i++)
            assert_true(r[i].x.answered);
    }
    assert_int_equal(peer_connections(p), 100);
    assert_int_equal(http_pool_stats(c.pool).connections, 200);
    http_target_unref(t);
    client_deinit(&c);
    peer_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_runs_out_in_the_resolver),
        cmocka_unit_test(test_cancel_and_close_while_resolving),
        cmocka_unit_test(test_next_address_is_tried),
        cmocka_unit_test(test_name_is_looked_up_once_for_all_multis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
