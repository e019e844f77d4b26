/* Redis URLs: what they mean, and that no message shows a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dray/redis.h"

struct good {
    const char *url;
    const char *unix_path, *host;
    uint16_t port;
    uint32_t database;
    bool tls;
    const char *username, *password;
};

static void assert_text(const char *got, const char *expected) {
    if (expected == NULL)
        assert_null(got);
    else
        assert_string_equal(got, expected);
}

static void test_good_urls(void **state) {
    (void)state;
    static const struct good cases[] = {
        {"redis://redis.example", NULL, "redis.example", 6379, 0, false, NULL, NULL},
        {"redis://127.0.0.1:7000/2", NULL, "127.0.0.1", 7000, 2, false, NULL, NULL},
        {"redis://h/?db=4", NULL, "h", 6379, 4, false, NULL, NULL},
        {"redis://", NULL, "127.0.0.1", 6379, 0, false, NULL, NULL},
        {"redis:///1", NULL, "127.0.0.1", 6379, 1, false, NULL, NULL},
        {"redis://:1234", NULL, NULL, 0, 0, false, NULL, NULL},
        {"redis://[::1]:7000", NULL, "::1", 7000, 0, false, NULL, NULL},
        {"redis://[2001:db8::7]", NULL, "2001:db8::7", 6379, 0, false, NULL, NULL},
        {"redis://[fe80::1%25eth0]", NULL, "fe80::1%eth0", 6379, 0, false, NULL, NULL},
        {"REDISS://h:6380", NULL, "h", 6380, 0, true, NULL, NULL},
        {"redis://u:p@h", NULL, "h", 6379, 0, false, "u", "p"},
        {"redis://:p@h", NULL, "h", 6379, 0, false, NULL, "p"},
        {"redis://u@h", NULL, "h", 6379, 0, false, "u", NULL},
        {"redis://u:p:q@h", NULL, "h", 6379, 0, false, "u", "p:q"},
        {"redis://u:p@q@h", NULL, "h", 6379, 0, false, "u", "p@q"},
        {"rediss://a%3Ab:%2f%40%25%3f%C3%A9@[::1]:1/9", NULL, "::1", 1, 9, true, "a:b", "/@%?\xc3\xa9"},
        {"unix:///run/redis.sock", "/run/redis.sock", NULL, 0, 0, false, NULL, NULL},
        {"unix:///run/a%20b.sock?db=7", "/run/a b.sock", NULL, 0, 7, false, NULL, NULL},
        {"unix://u:p@/run/r@1.sock", "/run/r@1.sock", NULL, 0, 0, false, "u", "p"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct good *g = &cases[i];
        struct redis_options o = {0};
        struct err err = {""};
        struct buf storage;
        buf_init(&storage, 1024);
        int rc = redis_options_parse(&o, g->url, &storage, &err);
        if (g->host == NULL && g->unix_path == NULL) {
            assert_int_equal(rc, -1); /* ":1234" has no host */
        } else {
            assert_string_equal(err.text, "");
            assert_int_equal(rc, 0);
            assert_text(o.unix_path, g->unix_path);
            assert_text(o.host, g->host);
            assert_int_equal(o.port, g->port);
            assert_int_equal(o.database, g->database);
            assert_int_equal(o.tls, g->tls);
            assert_text(o.username, g->username);
            assert_text(o.password, g->password);
        }
        buf_deinit(&storage);
    }
}

static void test_bad_urls(void **state) {
    (void)state;
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"redis://u:hunter2@h:0", "the port is not a number from 1 to 65535"},
        {"redis://u:hunter2@h:65536", "the port"},
        {"redis://u:hunter2@h:port", "the port"},
        {"redis://u:hunter2@h:", "the port"},
        {"redis://u:hunter2@[::1", "the host is not a name"},
        {"redis://u:hunter2@[::1]7", "the host"},
        {"redis://u:hunter2@[fe80]", "the host"},
        {"redis://u:hunter2@[fe80::1%eth0]", "the host"},
        {"redis://u:hunter2@h h", "the host"},
        {"redis://u:hunter2@h/x", "the database is not a number"},
        {"redis://u:hunter2@h/99999999999", "the database"},
        {"redis://u:hunter2@h?password=hunter2", "the only parameter after ? is db=NUMBER"},
        {"redis://u:hunter2%4@h", "the password has a malformed % escape"},
        {"redis://u:hunter2%00@h", "the password has a malformed % escape"},
        {"redis://u%zz:hunter2@h", "the user name has a malformed % escape"},
        /* a password that was not encoded cuts the URL in the wrong places */
        {"redis://u:hunter2/3@h", "%2F"},
        {"redis://u:hunter2?3@h", "%3F"},
        {"redis://u:hunter2#3@h#hunter2", "%23"},
        {"http://u:hunter2@h", "the scheme http:// is not known"},
        {"redis:/u:hunter2@h", "it must begin with redis://, rediss:// (TLS) or unix://"},
        {"u:hunter2@h", "it must begin with"},
        {"", "it must begin with"},
        {"unix://", "needs the socket's absolute path"},
        {"unix://u:hunter2@", "needs the socket's absolute path"},
        {"unix://relative.sock", "needs the socket's absolute path"},
        {"unix://u:hunter2/3@/run/r.sock", "needs the socket's absolute path"},
        {"unix:///run/%zz", "the socket's path has a malformed % escape"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct redis_options o = {0};
        struct err err = {""};
        struct buf storage;
        buf_init(&storage, 1024);
        int rc = redis_options_parse(&o, cases[i].url, &storage, &err);
        if (rc != -1 || strstr(err.text, cases[i].says) == NULL || strstr(err.text, "hunter2"))
            fail_msg("%s: rc %d, '%s'", cases[i].url, rc, err.text);
        buf_deinit(&storage);
    }
}

static void test_url_keeps_what_it_does_not_name(void **state) {
    (void)state;
    struct redis_options o = {.username = "u", .password = "from-a-file", .database = 3};
    struct buf storage;
    buf_init(&storage, 1024);
    assert_int_equal(redis_options_parse(&o, "redis://h", &storage, NULL), 0);
    assert_string_equal(o.username, "u");
    assert_string_equal(o.password, "from-a-file");
    assert_int_equal(o.database, 0);
    buf_deinit(&storage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_url_keeps_what_it_does_not_name),
    };
    return cmocka_run_group_tests_name("redis_url", tests, NULL, NULL);
}
