/* The unit tests' own set-up works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dray/buf.h"

static void test_buffer_stops_at_its_maximum(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_add_str(&b, "1234");
    assert_true(buf_ok(&b));
    buf_add_char(&b, '5');
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 4);
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_buffer_stops_at_its_maximum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
