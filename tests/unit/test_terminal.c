/* Foreign text: what a terminal would obey is escaped, everything else keeps its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/terminal.h"
#include "util/utf8.h"

static void is(const char *text, size_t len, enum foreign how, size_t max, const char *expected,
               size_t columns) {
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(foreign_add(&out, (struct span){text, len}, how, max), columns);
    assert_string_equal(buf_cstr(&out), expected);
    buf_deinit(&out);
}

#define IS(text, how, max, expected, columns) is(text, sizeof(text) - 1, how, max, expected, columns)

static void test_terminal(void **state) {
    (void)state;
    IS("shop-7/1001", FOREIGN_TERMINAL, 0, "shop-7/1001", 11);
    IS("\x1b[2Jgone\x07", FOREIGN_TERMINAL, 0, "\\u001b[2Jgone\\u0007", 19);
    IS("a\tb\nc\rd\x7f\0", FOREIGN_TERMINAL, 0, "a\\tb\\nc\\rd\\u007f\\u0000", 22);
    IS("\xc2\x9b"
       "31m",
       FOREIGN_TERMINAL, 0, "\\u009b31m", 9);
    IS("1\xe2\x80\xae"
       "9876",
       FOREIGN_TERMINAL, 0, "1\\u202e9876", 11);
    IS("\xe2\x81\xa6\xd8\x9c\xe2\x80\xa8", FOREIGN_TERMINAL, 0, "\\u2066\\u061c\\u2028", 18);
    IS("M\xc3\xbcller \xe6\x9d\x8e \xf0\x9f\x93\xa6", FOREIGN_TERMINAL, 0,
       "M\xc3\xbcller \xe6\x9d\x8e \xf0\x9f\x93\xa6", 10);
    IS("\xff\xc2", FOREIGN_TERMINAL, 0, "\\xff\\xc2", 8);
}

static void test_pipe(void **state) {
    (void)state;
    IS("a\nb\x1b", FOREIGN_LINE, 0, "a\\nb\\u001b", 10);
    IS("\xc2\x9b \xe2\x80\xae \xff", FOREIGN_LINE, 0, "\xc2\x9b \xe2\x80\xae \xff", 5);
}

static void test_cut(void **state) {
    (void)state;
    IS("\xc3\xbc\xc3\xbc\xc3\xbc", FOREIGN_TERMINAL, 2, "\xc3\xbc\xc3\xbc", 2);
    IS("\x1b\x1b\x1b", FOREIGN_TERMINAL, 1, "\\u001b", 6);
    IS("", FOREIGN_TERMINAL, 5, "", 0);
}

/* Of every code point, those that are escaped are exactly the ones that Unicode calls Cc, Bidi_Control, Zl, Zp. */
static void test_all(void **state) {
    (void)state;
    struct buf out;
    unsigned char text[4];
    unsigned escaped = 0;
    buf_init(&out, 64);
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = utf8_encode(c, text);
        buf_reset(&out);
        size_t columns = foreign_add(&out, (struct span){(char *)text, n}, FOREIGN_TERMINAL, 0);
        escaped += columns > 1;
        if (columns == 1)
            assert_memory_equal(buf_cstr(&out), text, n);
    }
    assert_int_equal(escaped, 32 + 1 + 32 + 12 + 2); /* C0, DEL, C1, Bidi_Control, Zl and Zp */
    buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_terminal), cmocka_unit_test(test_pipe),
                                       cmocka_unit_test(test_cut), cmocka_unit_test(test_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
