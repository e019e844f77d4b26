/* Where log lines go: a bounded queue and the thread that writes it to stderr. */
#ifndef DRAY_UTIL_LOG_WRITER_H
#define DRAY_UTIL_LOG_WRITER_H

#include "dray/buf.h"

/* A line with its newline; as long as a pipe takes in one piece (PIPE_BUF), so that lines of
 * several processes on one pipe never mix. */
#define LOG_LINE_MAX 4096

/* Gives the line that says how many were dropped. Called by the writer thread; the span lives until
 * the next call. */
typedef struct span (*log_dropped_fn)(uint64_t lines);

/* 0, or -1: already running, or no thread. */
int log_writer_start(log_dropped_fn format_dropped);
/* Writes what is queued, for one second at most, and ends the thread. */
void log_writer_stop(void);
/* Queues a line, or writes it at once while no thread runs; never waits for a reader of stderr. An
 * urgent line is not held back to be written with later ones. */
void log_writer_add(struct span line, bool urgent);
uint64_t log_writer_dropped(void);

#endif
