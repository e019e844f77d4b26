/* Sealed texts: they open with the key and the use they were sealed with, and as they were, and not otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dray/seal.h"

static const struct span use = {"token", 5};

static void key_of(const char *secret, const char *label, unsigned char out[static SEAL_KEY_BYTES]) {
    assert_int_equal(seal_key(span_str(secret), span_str(label), out), 0);
}

/* RFC 5869's construction with our salt, as Python's hmac reckons it. */
static void test_key(void **state) {
    (void)state;
    static const unsigned char wanted[SEAL_KEY_BYTES] = {
        0x4e, 0x22, 0x93, 0x22, 0x47, 0xe3, 0xa3, 0x28, 0x52, 0x08, 0xf4, 0x72, 0x02, 0x9e, 0x7a, 0xbc,
        0x1e, 0x90, 0x03, 0xf8, 0x13, 0xd4, 0xc4, 0xc0, 0xd4, 0xe2, 0xe3, 0xd7, 0xb6, 0x01, 0xfa, 0x0a};
    unsigned char key[SEAL_KEY_BYTES], other[SEAL_KEY_BYTES];
    key_of("hush hush", "grant", key);
    assert_memory_equal(key, wanted, sizeof(key));
    key_of("hush hush", "name", other);
    assert_memory_not_equal(key, other, sizeof(key));
    key_of("hush hush!", "grant", other);
    assert_memory_not_equal(key, other, sizeof(key));
}

static void test_round(void **state) {
    (void)state;
    unsigned char key[SEAL_KEY_BYTES];
    struct buf sealed, again, text;
    key_of("hush", "grant", key);
    buf_init(&sealed, 4096);
    buf_init(&again, 4096);
    buf_init(&text, 4096);
    for (size_t len = 0; len <= 1000; len += 250) {
        char in[1000];
        memset(in, 't', sizeof(in));
        buf_reset(&sealed);
        buf_reset(&again);
        buf_reset(&text);
        buf_add_str(&text, "before ");
        assert_int_equal(seal_text(key, use, (struct span){in, len}, &sealed), 0);
        assert_int_equal(seal_text(key, use, (struct span){in, len}, &again), 0);
        assert_int_equal(sealed.len, len + 28);
        assert_memory_not_equal(sealed.data, again.data, sealed.len);
        assert_true(len == 0 || memmem(sealed.data, sealed.len, in, 8) == NULL);
        assert_int_equal(seal_open(key, use, buf_span(&sealed), &text), 0);
        assert_int_equal(text.len, 7 + len);
        assert_memory_equal(text.data + 7, in, len);
    }
    buf_deinit(&sealed);
    buf_deinit(&again);
    buf_deinit(&text);
}

static void test_what_does_not_open(void **state) {
    (void)state;
    unsigned char key[SEAL_KEY_BYTES], other[SEAL_KEY_BYTES];
    struct buf sealed, text;
    key_of("hush", "grant", key);
    key_of("hush?", "grant", other);
    buf_init(&sealed, 4096);
    buf_init(&text, 4096);
    assert_int_equal(seal_text(key, use, SPAN_LIT("tok-1"), &sealed), 0);
    assert_int_equal(seal_open(other, use, buf_span(&sealed), &text), -1);
    assert_int_equal(seal_open(key, SPAN_LIT("refresh"), buf_span(&sealed), &text), -1);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] = (char)(sealed.data[i] ^ 1);
        assert_int_equal(seal_open(key, use, buf_span(&sealed), &text), -1);
        sealed.data[i] = (char)(sealed.data[i] ^ 1);
        assert_int_equal(seal_open(key, use, (struct span){sealed.data, i}, &text), -1);
    }
    assert_int_equal(seal_open(key, use, (struct span){NULL, 0}, &text), -1);
    assert_int_equal(text.len, 0);
    assert_int_equal(seal_open(key, use, buf_span(&sealed), &text), 0);
    assert_memory_equal(text.data, "tok-1", 5);
    buf_deinit(&sealed);
    buf_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_what_does_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
