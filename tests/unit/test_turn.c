/* A turn's reply is read strictly: what is not one is no answer, and the turn counts as not done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "queue/turn.h"

static struct batch two = {.count = 2};

/* The reply that a server's bytes make. */
static redisReply *reply_of(const char *resp) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, resp, strlen(resp)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static bool is_ok(const struct turn *turn, const char *resp) {
    redisReply *reply = reply_of(resp);
    bool ok = turn_reply_ok(turn, reply);
    freeReplyObject(reply);
    return ok;
}

#define HEAD "*5\r\n$1\r\n5\r\n$2\r\n-1\r\n"
#define NONE "*0\r\n"
#define TWO  "*1\r\n$2\r\nGG\r\n"

static void test_answers(void **state) {
    (void)state;
    const struct turn nothing = {0}, settles = {.settle = &two}, begins = {.begin = &two}, claims = {.claims = true};
    assert_true(is_ok(&nothing, HEAD NONE NONE NONE));
    assert_true(is_ok(&settles, HEAD TWO NONE NONE));
    assert_true(is_ok(&begins, HEAD NONE TWO NONE));
    assert_true(is_ok(&claims, HEAD NONE NONE "*1\r\n$2\r\nOK\r\n"));
}

static void test_what_is_no_answer(void **state) {
    (void)state;
    const struct turn settles = {.settle = &two}, begins = {.begin = &two}, claims = {.claims = true};
    static const char *const bad[] = {
        "+OK\r\n",
        "-ERR no\r\n",
        ":5\r\n",
        "*0\r\n",
        "*4\r\n$1\r\n5\r\n$2\r\n-1\r\n" NONE NONE,
        "*6\r\n$1\r\n5\r\n$2\r\n-1\r\n" NONE NONE NONE NONE,
        HEAD NONE NONE NONE,
        HEAD "*1\r\n$1\r\nG\r\n" "*1\r\n$1\r\nG\r\n" "*1\r\n:1\r\n",
        HEAD "*1\r\n$3\r\nGGG\r\n" "*1\r\n$3\r\nGGG\r\n" "$2\r\nOK\r\n",
        HEAD "*1\r\n:22\r\n" "*1\r\n:22\r\n" "*1\r\n*0\r\n",
        HEAD "$2\r\nGG\r\n" "$2\r\nGG\r\n" "+OK\r\n",
        HEAD NONE NONE "*3\r\n$2\r\nOK\r\n$1\r\n7\r\n$1\r\n8\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(is_ok(&settles, bad[i]));
        assert_false(is_ok(&begins, bad[i]));
        assert_false(is_ok(&claims, bad[i]));
    }
    assert_false(turn_reply_ok(&settles, NULL));
}

static void test_a_refusal_to_begin(void **state) {
    (void)state;
    const struct turn both = {.settle = &two, .begin = &two};
    redisReply *reply = reply_of(HEAD TWO "*2\r\n$0\r\n\r\n$7\r\nOOM bad\r\n" NONE);
    assert_true(turn_reply_ok(&both, reply));
    assert_string_equal(turn_begin_refused(reply), "OOM bad");
    freeReplyObject(reply);
    reply = reply_of(HEAD TWO TWO NONE);
    assert_null(turn_begin_refused(reply));
    freeReplyObject(reply);
    assert_false(is_ok(&both, HEAD TWO "*1\r\n$0\r\n\r\n" NONE));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_a_refusal_to_begin),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
