/* Log lines, and stderr as a file, a full pipe, a pipe nobody reads, a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dray/json.h"
#include "dray/log.h"

#define DEADLINE_S 60

/* stderr is a pipe while a test runs. */
struct capture {
    int real, reader;
    struct buf text;
};

static int set_up(void **state) {
    static struct capture c;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    c.real = dup(STDERR_FILENO);
    c.reader = fds[0];
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    buf_init(&c.text, 64u << 20);
    log_set_level(LOG_INFO);
    signal(SIGPIPE, SIG_DFL);
    alarm(DEADLINE_S);
    *state = &c;
    return 0;
}

static void stop_capture(struct capture *c) {
    if (c->real >= 0)
        dup2(c->real, STDERR_FILENO);
    if (c->real >= 0)
        close(c->real);
    c->real = -1;
}

static int tear_down(void **state) {
    struct capture *c = *state;
    stop_capture(c);
    if (c->reader >= 0)
        close(c->reader);
    buf_deinit(&c->text);
    alarm(0);
    return 0;
}

/* Reads what is there, waiting for at least one byte. False at the end of the pipe. */
static bool read_some(struct capture *c) {
    assert_true(buf_reserve(&c->text, 65536));
    ssize_t n = read(c->reader, c->text.data + c->text.len, 65536);
    assert_true(n >= 0);
    c->text.len += (size_t)n;
    return n > 0;
}

static void read_to_end(struct capture *c) {
    stop_capture(c);
    while (read_some(c))
        ;
}

/* Calls `see` with every whole line from *at on. */
static void each_line(struct capture *c, size_t *at, void (*see)(struct span line, void *arg), void *arg) {
    for (;;) {
        char *start = c->text.data + *at;
        char *newline = memchr(start, '\n', c->text.len - *at);
        if (newline == NULL)
            return;
        see((struct span){start, (size_t)(newline - start)}, arg);
        *at += (size_t)(newline - start) + 1;
    }
}

/* What a stream of lines amounts to. */
struct tally {
    uint64_t lines, dropped, gaps, last;
    bool ordered;
};

static void count_line(struct span text, void *arg) {
    struct tally *t = arg;
    struct json_doc doc;
    struct err err;
    int64_t n;
    json_init(&doc, 100);
    if (json_parse(&doc, text.ptr, text.len, &err) != 0)
        fail_msg("%.*s: %s", (int)text.len, text.ptr, err.text);
    if (json_i64(&doc, json_get(&doc, 0, "n"), &n)) {
        t->ordered = t->ordered && (uint64_t)n >= t->last;
        t->last = (uint64_t)n;
        t->lines++;
    } else {
        assert_true(json_i64(&doc, json_get(&doc, 0, "lines"), &n));
        t->dropped += (uint64_t)n;
        t->gaps++;
    }
    json_deinit(&doc);
}

static void log_number(uint64_t n) {
    struct log_line l;
    assert_true(log_begin(&l, LOG_INFO, "test"));
    log_u64(&l, "n", n);
    log_str(&l, "filler",
            "0123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789");
    log_end(&l);
}

static void fill_pipe(void) {
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
    while (write(STDERR_FILENO, "\n", 1) == 1)
        ;
    fcntl(STDERR_FILENO, F_SETFL, flags);
}

static void test_a_line_before_the_start_is_written_at_once(void **state) {
    struct capture *c = *state;
    struct log_line l;
    assert_false(log_begin(&l, LOG_DEBUG, "quiet"));
    assert_true(log_begin(&l, LOG_WARN, "attempt"));
    log_str(&l, "queue", "sh\"op\n\x01");
    log_str(&l, "none", NULL);
    log_span(&l, "bytes",
             (struct span){"a\xff"
                           "b",
                           3});
    log_u64(&l, "u", UINT64_MAX);
    log_i64(&l, "i", INT64_MIN);
    log_bool(&l, "yes", true);
    log_bool(&l, "no", false);
    log_end(&l);
    assert_true(read_some(c));
    const char *text = buf_cstr(&c->text);
    assert_memory_equal(text, "{\"time\":\"20", 11);
    const char *rest = strstr(text, "\"level\"");
    assert_non_null(rest);
    assert_int_equal(rest - text, 35);
    assert_string_equal(rest, "\"level\":\"warn\",\"event\":\"attempt\",\"queue\":\"sh\\\"op\\n\\u0001\","
                              "\"none\":\"\",\"bytes\":\"a\xef\xbf\xbd"
                              "b\",\"u\":18446744073709551615,"
                              "\"i\":-9223372036854775808,\"yes\":true,\"no\":false}\n");
}

static void test_the_level_decides(void **state) {
    struct capture *c = *state;
    log_set_level(LOG_ERROR);
    assert_int_equal(log_get_level(), LOG_ERROR);
    log_msg(LOG_WARN, "no", "no");
    log_msg(LOG_ERROR, "yes", "%d of %s", 3, "four");
    log_set_level(LOG_OFF);
    log_msg(LOG_ERROR, "no", "no");
    read_to_end(c);
    assert_non_null(strstr(buf_cstr(&c->text), "\"event\":\"yes\",\"message\":\"3 of four\"}\n"));
    assert_null(strstr(buf_cstr(&c->text), "\"no\""));
}

static void test_levels_have_names(void **state) {
    (void)state;
    assert_int_equal(log_level_parse("debug"), LOG_DEBUG);
    assert_int_equal(log_level_parse("info"), LOG_INFO);
    assert_int_equal(log_level_parse("warn"), LOG_WARN);
    assert_int_equal(log_level_parse("error"), LOG_ERROR);
    assert_int_equal(log_level_parse("INFO"), -1);
    assert_int_equal(log_level_parse("off"), -1);
    assert_int_equal(log_level_parse(""), -1);
}

static void test_stop_writes_what_is_queued_in_order(void **state) {
    struct capture *c = *state;
    struct tally t = {.ordered = true};
    size_t at = 0;
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), -1);
    for (uint64_t n = 1; n <= 200; n++)
        log_number(n);
    log_stop();
    log_stop();
    read_to_end(c);
    each_line(c, &at, count_line, &t);
    assert_int_equal(at, c->text.len);
    assert_int_equal(t.lines, 200);
    assert_true(t.ordered);
}

static void test_a_line_comes_out_without_a_stop(void **state) {
    struct capture *c = *state;
    struct tally t = {.ordered = true};
    size_t at = 0;
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    for (uint64_t n = 1; n <= 3; n++) {
        log_number(n);
        while (t.lines < n) {
            read_some(c);
            each_line(c, &at, count_line, &t);
        }
    }
    log_stop();
}

/* More than the queue holds, while nobody reads: the caller goes on, and every line is either
 * there or counted. */
static void test_a_full_pipe_drops_and_says_so(void **state) {
    struct capture *c = *state;
    const uint64_t pushed = 20000;
    struct tally t = {.ordered = true};
    size_t at = 0;
    uint64_t before = log_dropped();
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    for (uint64_t n = 1; n <= pushed; n++)
        log_number(n);
    uint64_t dropped = log_dropped() - before;
    assert_true(dropped > 0 && dropped < pushed);
    while (t.lines + t.dropped < pushed) {
        read_some(c);
        each_line(c, &at, count_line, &t);
    }
    assert_int_equal(t.dropped, dropped);
    assert_true(t.ordered);
    assert_in_range(t.gaps, 1, 3);
    log_stop();
    assert_int_equal(log_dropped() - before, dropped);
}

static void test_stop_gives_up_on_a_full_pipe(void **state) {
    (void)state;
    uint64_t before = log_dropped();
    fill_pipe();
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    for (uint64_t n = 1; n <= 10; n++)
        log_number(n);
    log_stop();
    assert_int_equal(log_dropped() - before, 10);
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0); /* the thread is gone, not stuck */
    log_stop();
}

static void test_a_full_pipe_stops_nobody_without_a_thread(void **state) {
    (void)state;
    uint64_t before = log_dropped();
    fill_pipe();
    for (int i = 0; i < 1000; i++) /* a tenth of a second each would be past the alarm */
        log_number(1);
    assert_int_equal(log_dropped() - before, 1000);
}

static void test_a_closed_pipe_kills_nobody(void **state) {
    struct capture *c = *state;
    sigset_t pending;
    uint64_t before = log_dropped();
    close(c->reader);
    c->reader = -1;
    log_number(1);
    assert_int_equal(log_dropped() - before, 1);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    log_number(2);
    log_number(3);
    log_stop();
    assert_int_equal(log_dropped() - before, 3);
}

static void *log_many(void *arg) {
    (void)arg;
    for (int i = 0; i < 300; i++)
        log_number(0);
    return NULL;
}

static void test_lines_of_several_threads_do_not_mix(void **state) {
    struct capture *c = *state;
    struct tally t = {.ordered = true};
    pthread_t threads[4];
    size_t at = 0;
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    while (t.lines < 1200) {
        read_some(c);
        each_line(c, &at, count_line, &t);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_stop();
    assert_int_equal(t.dropped, 0);
}

static void test_a_long_line_is_cut_and_stays_json(void **state) {
    struct capture *c = *state;
    char big[1000];
    memset(big, '\x01', sizeof(big)); /* six bytes each, once escaped */
    struct log_line l;
    assert_int_equal(log_start(LOG_INFO, LOG_JSON), 0);
    assert_true(log_begin(&l, LOG_INFO, "test"));
    log_span(&l, "too_big", (struct span){big, sizeof(big)});
    for (uint64_t n = 0; n < 400; n++)
        log_u64(&l, "n", 1000 + n);
    log_end(&l);
    log_stop();
    read_to_end(c);
    assert_in_range(c->text.len, 3000, 4096);
    struct json_doc doc;
    struct err err;
    json_init(&doc, 2000);
    assert_int_equal(json_parse(&doc, c->text.data, c->text.len, &err), 0);
    assert_int_equal(json_type(&doc, json_get(&doc, 0, "truncated")), JSON_TRUE);
    assert_int_equal(json_get(&doc, 0, "too_big"), JSON_NONE);
    json_deinit(&doc);
}

static void test_a_long_value_is_cut(void **state) {
    struct capture *c = *state;
    char big[3000];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    log_msg(LOG_INFO, "test", "%s", big);
    read_to_end(c);
    struct json_doc doc;
    struct err err;
    json_init(&doc, 2000);
    assert_int_equal(json_parse(&doc, c->text.data, c->text.len, &err), 0);
    assert_int_equal(json_inner(&doc, json_get(&doc, 0, "message")).len, 1024);
    assert_int_equal(json_type(&doc, json_get(&doc, 0, "truncated")), JSON_TRUE);
    json_deinit(&doc);
}

static void log_for_people(void) {
    struct log_line l;
    assert_true(log_begin(&l, LOG_ERROR, "attempt"));
    log_str(&l, "plain", "shop-1");
    log_str(&l, "spaced", "a b");
    log_str(&l, "empty", "");
    log_str(&l, "nasty",
            "\x1b[31m\x7f\xc2\x9b"
            "31m\n");
    log_bool(&l, "ok", false);
    log_end(&l);
}

static void test_text_for_people(void **state) {
    struct capture *c = *state;
    assert_int_equal(log_start(LOG_INFO, LOG_TEXT), 0);
    log_for_people();
    log_stop();
    read_to_end(c);
    const char *text = buf_cstr(&c->text);
    assert_string_equal(text + 24, " ERROR attempt plain=shop-1 spaced=\"a b\" empty=\"\" "
                                   "nasty=\"\\u001b[31m?\?\?31m\\n\" ok=false\n");
}

/* A terminal gets text with colours without asking; NO_COLOR takes the colours. */
static void test_a_terminal_gets_colours(void **state) {
    struct capture *c = *state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0)
        skip();
    assert_int_equal(grantpt(master) | unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    dup2(slave, STDERR_FILENO);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    for (int no_color = 0; no_color <= 1; no_color++) {
        if (no_color)
            setenv("NO_COLOR", "1", 1);
        assert_int_equal(log_start(LOG_INFO, LOG_AUTO), 0);
        log_for_people();
        log_stop();
        char text[1024];
        size_t len = 0;
        do {
            ssize_t n = read(master, text + len, sizeof(text) - 1 - len);
            assert_true(n > 0);
            len += (size_t)n;
        } while (text[len - 1] != '\n');
        text[len] = '\0';
        assert_int_equal(strstr(text, "\033[31mERROR \033[0mattempt") != NULL, !no_color);
        assert_int_equal(strstr(text, "\033") != NULL, !no_color);
        assert_non_null(strstr(text, "\\u001b[31m?\?\?31m"));
    }
    unsetenv("NO_COLOR");
    close(slave);
    close(master);
    stop_capture(c);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_line_before_the_start_is_written_at_once),
        TEST(test_the_level_decides),
        TEST(test_levels_have_names),
        TEST(test_stop_writes_what_is_queued_in_order),
        TEST(test_a_line_comes_out_without_a_stop),
        TEST(test_a_full_pipe_drops_and_says_so),
        TEST(test_stop_gives_up_on_a_full_pipe),
        TEST(test_a_full_pipe_stops_nobody_without_a_thread),
        TEST(test_a_closed_pipe_kills_nobody),
        TEST(test_lines_of_several_threads_do_not_mix),
        TEST(test_a_long_line_is_cut_and_stays_json),
        TEST(test_a_long_value_is_cut),
        TEST(test_text_for_people),
        TEST(test_a_terminal_gets_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
