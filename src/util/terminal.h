/* Texts of others (providers, producers) before a person's eyes.
 *
 * A terminal obeys control characters, the C1 ones too (U+009B starts an escape sequence), and shows text backwards
 * after a bidirectional override (U+202E), so that an id reads as another. On a terminal they are shown
 * escaped, as JSON would write them; what goes into a pipe or a file keeps its bytes. */
#ifndef DRAY_UTIL_TERMINAL_H
#define DRAY_UTIL_TERMINAL_H

#include <stdbool.h>

#include "dray/buf.h"

/* How much is escaped. */
enum foreign {
    FOREIGN_LINE, /* a pipe: C0 and DEL only, so that one line stays one line */
    /* C0, DEL, C1, bidirectional controls, line and paragraph separators, bytes that are no UTF-8 */
    FOREIGN_TERMINAL,
};

/* FOREIGN_TERMINAL where `fd` is one. */
enum foreign foreign_for(int fd);

/* Appends `text`: what must be escaped as \n, \t, \r or \uXXXX (bytes that are no UTF-8: \xXX); at most `max`
 * characters of it (0: all). Returns the columns written, an East Asian wide character counting as one. */
size_t foreign_add(struct buf *out, struct span text, enum foreign how, size_t max);

#endif
