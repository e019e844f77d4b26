/* The log: one line on stderr per event, in JSON, or as text for people. The caller only formats the line into a
 * ring. A thread writes it out, so that a full pipe never blocks the loop. While the ring is full, lines are
 * dropped; how many is logged as soon as there is room.
 *
 * Of an order or an answer, only these are ever logged: ids, hashes of order keys, the provider's codes, HTTP
 * statuses, sizes and times.
 *
 *     struct log_line l;
 *     if (log_begin(&l, LOG_INFO, "attempt")) {
 *         log_str(&l, "queue", q->name);
 *         log_u64(&l, "ms", ms);
 *         log_end(&l);
 *     }
 */
#ifndef DRAY_LOG_H
#define DRAY_LOG_H

#include "dray/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_JSON, LOG_TEXT, LOG_AUTO /* text on a terminal, JSON elsewhere */ };

struct log_line {
    struct buf *out;
    enum log_level level;
};

/* Starts the writer thread. Returns 0 or -1. Before log_start, lines are written at once. */
int log_start(enum log_level level, enum log_format format);
/* Writes what is in the ring (for at most one second), ends the thread. */
void log_stop(void);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
uint64_t log_dropped(void); /* lines dropped since the start */

/* "debug" "info" "warn" "error"; -1 for anything else. */
int log_level_parse(const char *text);

/* Starts a line. Returns false, and writes nothing, if `level` is below the one set. `event` is a short fixed
 * name in snake_case. One line at a time: end it before you begin the next. */
bool log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *name, const char *value);
void log_span(struct log_line *l, const char *name, struct span value);
void log_u64(struct log_line *l, const char *name, uint64_t value);
void log_i64(struct log_line *l, const char *name, int64_t value);
void log_bool(struct log_line *l, const char *name, bool value);
void log_end(struct log_line *l);

/* A line with one field `message`. */
void log_msg(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
