/* What a service manager receives: whole datagrams, at a path or an abstract name; and what is said
 * where nobody listens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dray/notify.h"

static int setup(void **state) {
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

/* A manager's socket; `name` as in the environment. */
static int listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void expect(int fd, const char *text) {
    char got[256] = "";
    ssize_t n = recv(fd, got, sizeof(got) - 1, 0);
    assert_int_equal(n, (ssize_t)strlen(text));
    assert_string_equal(got, text);
}

static void nobody_listens(void **state) {
    (void)state;
    struct err err = {""};
    assert_int_equal(notify_send("READY=1", &err), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(notify_send("READY=1", &err), 0);
    assert_string_equal(err.text, "");
}

static void a_path_receives_each_state_as_a_datagram(void **state) {
    (void)state;
    char dir[] = "/tmp/dray-notify-XXXXXX", path[64];
    struct err err = {""};
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    int fd = listen_at(path);
    assert_int_equal(notify_send("READY=1\nSTATUS=fine", &err), 1);
    assert_int_equal(notify_send("STOPPING=1", &err), 1);
    expect(fd, "READY=1\nSTATUS=fine");
    expect(fd, "STOPPING=1");
    close(fd);
    unlink(path);
    assert_int_equal(notify_send("READY=1", &err), -1);
    assert_non_null(strstr(err.text, path));
    rmdir(dir);
}

static void an_abstract_name_receives(void **state) {
    (void)state;
    char name[64];
    struct err err = {""};
    snprintf(name, sizeof(name), "@dray-notify-%ld", (long)getpid());
    int fd = listen_at(name);
    assert_int_equal(notify_send("WATCHDOG=1", &err), 1);
    expect(fd, "WATCHDOG=1");
    close(fd);
}

static void a_full_socket_is_an_error_and_no_wait(void **state) {
    (void)state;
    char name[64];
    struct err err = {""};
    int sent = 0, code;
    snprintf(name, sizeof(name), "@dray-full-%ld", (long)getpid());
    int fd = listen_at(name);
    while ((code = notify_send("WATCHDOG=1", &err)) == 1 && sent < 100000)
        sent++;
    assert_int_equal(code, -1);
    assert_non_null(strstr(err.text, "temporarily unavailable"));
    close(fd);
}

static void impossible_names_are_refused(void **state) {
    (void)state;
    char longest[200];
    const char *names[] = {"relative/path", "vsock:2:1", "@", "/", longest};
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct err err = {""};
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_int_equal(notify_send("READY=1", &err), -1);
        assert_non_null(strstr(err.text, "NOTIFY_SOCKET"));
    }
}

static void the_watchdog_is_fed_at_half_its_time(void **state) {
    (void)state;
    char pid[32];
    assert_int_equal(notify_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_ms(), 15000);
    setenv("WATCHDOG_USEC", "1000", 1);
    assert_int_equal(notify_watchdog_ms(), 1);
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_ms(), 1);
    setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
    assert_int_equal(notify_watchdog_ms(), 0);
}

static void a_nonsense_watchdog_is_none(void **state) {
    (void)state;
    const char *values[] = {"", "0", "-5", "1e6", "10s", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        setenv("WATCHDOG_USEC", values[i], 1);
        assert_int_equal(notify_watchdog_ms(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_listens, setup),
        cmocka_unit_test_setup(a_path_receives_each_state_as_a_datagram, setup),
        cmocka_unit_test_setup(an_abstract_name_receives, setup),
        cmocka_unit_test_setup(a_full_socket_is_an_error_and_no_wait, setup),
        cmocka_unit_test_setup(impossible_names_are_refused, setup),
        cmocka_unit_test_setup(the_watchdog_is_fed_at_half_its_time, setup),
        cmocka_unit_test_setup(a_nonsense_watchdog_is_none, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
