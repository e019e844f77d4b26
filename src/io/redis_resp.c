/* RESP as a client writes it: an array of bulk strings. */
#include "dray/redis.h"

#include <string.h>

/* The type's letter, a number, CRLF: "*3\r\n", "$17\r\n". In one piece, because this runs for every
 * argument of every command. */
static void add_header(struct buf *b, char type, uint64_t v) {
    char text[24];
    size_t i = sizeof(text);
    text[--i] = '\n';
    text[--i] = '\r';
    do {
        text[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    text[--i] = type;
    buf_add(b, text + i, sizeof(text) - i);
}

void redis_resp_begin(struct buf *b, size_t args) {
    add_header(b, '*', args);
}

void redis_resp_arg(struct buf *b, struct span arg) {
    add_header(b, '$', arg.len);
    buf_add(b, arg.ptr, arg.len);
    buf_add(b, "\r\n", 2);
}

void redis_resp_head(struct buf *b, size_t len) {
    add_header(b, '$', len);
}

void redis_resp_str(struct buf *b, const char *arg) {
    redis_resp_arg(b, span_str(arg));
}

void redis_resp_u64(struct buf *b, uint64_t v) {
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    redis_resp_arg(b, (struct span){digits + i, sizeof(digits) - i});
}
