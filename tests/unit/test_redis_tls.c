/* rediss:// against a redis-server with a certificate of a test's own authority; without TLS in
 * hiredis, the error that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_client.h"
#include "redis_server.h"

#ifdef DRAY_HAVE_HIREDIS_SSL

static struct redis_server server;
static struct client c;
static char dir[] = "/tmp/dray-tls-XXXXXX";
static char ca[64], other_ca[64], cert[64], key[64], tls_port[8];
static uint16_t port;

/* Two authorities, and a certificate of the first one's for localhost and 127.0.0.1. */
static void make_certificates(void) {
    static const char script[] =
        "set -e; cd '%s'; exec 2>/dev/null\n"
        "for a in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$a "
        "-keyout $a.key -out $a.crt; done\n"
        "openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr\n"
        "echo subjectAltName=DNS:localhost,IP:127.0.0.1 > ext\n"
        "openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile ext -out server.crt\n";
    char command[1024];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof(command), script, dir);
    assert_int_equal(system(command), 0);
    snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
    snprintf(other_ca, sizeof(other_ca), "%s/other.crt", dir);
    snprintf(cert, sizeof(cert), "%s/server.crt", dir);
    snprintf(key, sizeof(key), "%s/server.key", dir);
}

static int start(void **state) {
    static const char *const args[] = {
        "--tls-port",         tls_port, "--tls-cert-file",    cert,       "--tls-key-file", key,
        "--tls-ca-cert-file", ca,       "--tls-auth-clients", "optional", "--bind",         "127.0.0.1",
        "127.0.0.2",          NULL};
    (void)state;
    make_certificates();
    port = redis_server_free_port();
    snprintf(tls_port, sizeof(tls_port), "%u", (unsigned)port);
    redis_server_start(&server, args);
    return 0;
}

static int stop(void **state) {
    char command[64];
    (void)state;
    redis_server_stop(&server);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static void connect_tls(const char *host, const char *authority) {
    client_init(&c);
    c.options.host = host;
    c.options.port = port;
    c.options.tls = true;
    c.options.tls_ca = authority;
    client_connect(&c);
}

static void test_commands(void **state) {
    (void)state;
    static struct answer a[1000];
    for (int by_name = 0; by_name < 2; by_name++) {
        connect_tls(by_name ? "localhost" : "127.0.0.1", ca);
        client_wait_up(&c);
        for (size_t i = 0; i < 1000; i++)
            client_send(&c, &a[i], "PING", 0);
        client_wait_answer(&c, &a[999]);
        for (size_t i = 0; i < 1000; i++)
            assert_string_equal(a[i].text, "PONG");
        client_deinit(&c);
    }
}

/* Longer than a record of TLS and than the socket's buffers: reads and writes go in pieces. */
static void test_large_value(void **state) {
    (void)state;
    enum { SIZE = 5 << 20 };
    static char command[SIZE + 16];
    struct answer set, get, after;
    int n = snprintf(command, sizeof(command), "SET big ");
    memset(command + n, 'x', SIZE);
    connect_tls("127.0.0.1", ca);
    client_wait_up(&c);
    client_send(&c, &set, command, 0);
    client_send(&c, &get, "GET big", 0);
    client_wait_answer(&c, &get);
    client_do(&c, &after, "PING");
    assert_int_equal(get.len, SIZE);
    assert_string_equal(after.text, "PONG");
    client_deinit(&c);
}

static void assert_not_accepted(const char *why) {
    client_wait_down(&c);
    assert_memory_equal(c.reason, "TLS: the server's certificate is not accepted: ", 47);
    assert_string_equal(c.reason + 47, why);
    assert_int_equal(c.ups, 0);
    client_deinit(&c);
}

static void test_unknown_authority(void **state) {
    (void)state;
    connect_tls("127.0.0.1", other_ca);
    assert_not_accepted("self-signed certificate in certificate chain");
    connect_tls("127.0.0.1", NULL); /* the system's */
    assert_not_accepted("self-signed certificate in certificate chain");
}

static void test_certificate_of_another_host(void **state) {
    (void)state;
    connect_tls("127.0.0.2", ca);
    assert_not_accepted("IP address mismatch");
}

static void test_a_server_without_tls(void **state) {
    (void)state;
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = server.port;
    c.options.tls = true;
    c.options.tls_ca = ca;
    c.options.connect_timeout_ms = 100;
    client_connect(&c);
    client_wait_down(&c);
    assert_string_equal(c.reason, "no answer to the greeting within 100 ms; does this port speak TLS?");
    client_deinit(&c);
}

static void test_client_certificate(void **state) {
    (void)state;
    struct answer a;
    connect_tls("127.0.0.1", ca);
    client_wait_up(&c);
    client_do(&c, &a, "CONFIG SET tls-auth-clients yes");
    client_deinit(&c);
    connect_tls("127.0.0.1", ca);
    client_wait_down(&c);
    assert_memory_equal(c.reason, "TLS: ", 5);
    assert_non_null(strstr(c.reason, "certificate required"));
    client_deinit(&c);
    client_init(&c);
    c.options.host = "127.0.0.1";
    c.options.port = port;
    c.options.tls = true;
    c.options.tls_ca = ca;
    c.options.tls_cert = cert;
    c.options.tls_key = key;
    client_connect(&c);
    client_wait_up(&c);
    client_do(&c, &a, "CONFIG SET tls-auth-clients optional");
    client_deinit(&c);
}

static void test_killed(void **state) {
    (void)state;
    struct answer a;
    connect_tls("127.0.0.1", ca);
    client_wait_up(&c);
    redis_server_pause(&server);
    client_send(&c, &a, "PING", 0);
    redis_flush(c.conn);
    redis_server_kill(&server);
    client_wait_down(&c);
    assert_int_equal(a.calls, 1);
    assert_false(a.got_reply);
    redis_server_again(&server);
    client_wait_up(&c);
    client_deinit(&c);
}

static void test_synchronous(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = {.host = "localhost", .port = port, .tls = true, .tls_ca = ca};
    redisContext *ctx = redis_connect_sync(&o, &err);
    assert_string_equal(err.text, "");
    redisReply *r = redisCommand(ctx, "PING");
    assert_string_equal(r->str, "PONG");
    freeReplyObject(r);
    redisFree(ctx);
}

static void test_files_that_are_not_there(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = {.host = "h", .port = port, .tls = true, .tls_ca = "/nonexistent"};
    assert_null(redis_connect_sync(&o, &err));
    assert_memory_equal(err.text, "TLS: the authorities in /nonexistent (tls_ca): ", 46);
    o.tls_ca = ca;
    o.tls_cert = cert;
    assert_null(redis_connect_sync(&o, &err));
    assert_string_equal(err.text, "TLS: tls_cert and tls_key must both be given, or neither");
    o.tls_key = other_ca;
    assert_null(redis_connect_sync(&o, &err));
    assert_non_null(strstr(err.text, "(tls_key): "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_large_value),
        cmocka_unit_test(test_unknown_authority),
        cmocka_unit_test(test_certificate_of_another_host),
        cmocka_unit_test(test_a_server_without_tls),
        cmocka_unit_test(test_client_certificate),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_synchronous),
        cmocka_unit_test(test_files_that_are_not_there),
    };
    return cmocka_run_group_tests_name("redis_tls", tests, start, stop);
}

#else

static void test_tls_is_refused(void **state) {
    (void)state;
    struct err err = {""};
    struct redis_options o = {.host = "h", .port = 1, .tls = true};
    assert_null(redis_connect_sync(&o, &err));
    assert_memory_equal(err.text,
                        "rediss:// needs hiredis with TLS (hiredis >= 1.0 built with SSL); this build "
                        "has hiredis ",
                        89);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tls_is_refused)};
    return cmocka_run_group_tests_name("redis_tls", tests, NULL, NULL);
}

#endif
