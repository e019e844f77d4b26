/* An error message for a person. A function whose failure somebody may have to act on takes a `struct err *` and
 * writes what failed, where, and what to do. The message never holds secrets or personal data. */
#ifndef DRAY_ERR_H
#define DRAY_ERR_H

struct err {
    char text[512]; /* NUL-terminated; "" while nothing went wrong */
};

/* Writes the message (printf-style, cut at the buffer's end) and returns -1, so that a caller can
 * `return err_set(err, …)`. `err` may be NULL: then only -1 is returned. */
int err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " in front of the message that is there. Returns -1. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
