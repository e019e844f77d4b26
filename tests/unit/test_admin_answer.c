/* What the admin API says: bytes and digits that are kept, and a 500 where there is no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "admin/api.h"

static int left; /* pieces of memory that may still be had */

static void *few(size_t n) {
    return left-- > 0 ? malloc(n) : NULL;
}

static cJSON *tree(void) {
    const struct pause_view pause = {.on = true, .reason = "stocktaking"};
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "list");
    for (int i = 0; i < 2; i++) {
        cJSON *o = api_element(list);
        api_str(o, "text", "a\"\xff");
        api_str(o, "absent", NULL);
        tree_add_u64(o, "most", UINT64_MAX);
        tree_add_i64(o, "least", INT64_MIN);
        api_ms(o, "until", 0);
        api_pause(o, "paused", &pause, 5);
        tree_add_raw(o, "raw", SPAN_LIT("{\"price\": 9.990}"));
        tree_add_elements(o, "elements", SPAN_LIT("1,2"));
    }
    return root;
}

#define ELEMENT                                                                                              \
    "{\"text\":\"a\\\"\xef\xbf\xbd\",\"absent\":null,\"most\":18446744073709551615,\"least\":-"              \
    "9223372036854775808,"                                                                                   \
    "\"until\":null,\"paused\":{\"until\":null,\"reason\":\"stocktaking\"},\"raw\":{\"price\": "             \
    "9.990},\"elements\":[1,2]}"
#define WHOLE "{\"list\":[" ELEMENT "," ELEMENT "]}"

static void test_digits_and_bytes_are_kept(void **state) {
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    assert_true(tree_print(tree(), &out));
    assert_string_equal(buf_cstr(&out), WHOLE);
    buf_deinit(&out);
}

static void test_a_text_that_does_not_fit_fails(void **state) {
    (void)state;
    struct buf out;
    buf_init(&out, 40);
    assert_false(tree_print(tree(), &out));
    buf_deinit(&out);
}

/* However much memory there is: all of it, or a 500; never a part, a crash or a leak. */
static void test_without_memory_an_answer_is_a_500(void **state) {
    (void)state;
    cJSON_Hooks hooks = {few, free};
    int whole = 0, failed = 0;
    for (int n = 0; n < 200; n++) {
        struct request r = {.status = 0};
        buf_init(&r.out, 4096);
        left = n;
        cJSON_InitHooks(&hooks);
        answer_tree(&r, 200, tree());
        cJSON_InitHooks(NULL);
        if (r.status == 200) {
            assert_string_equal(buf_cstr(&r.out), WHOLE "\n");
            whole++;
        } else {
            assert_int_equal(r.status, 500);
            assert_non_null(strstr(r.constant.ptr, "\"code\":\"memory\""));
            failed++;
        }
        buf_deinit(&r.out);
    }
    assert_true(whole > 50 && failed > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits_and_bytes_are_kept),
        cmocka_unit_test(test_a_text_that_does_not_fit_fails),
        cmocka_unit_test(test_without_memory_an_answer_is_a_500),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
