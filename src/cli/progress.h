/* A progress bar on stderr, if that is a terminal; nothing otherwise. */
#ifndef DRAY_CLI_PROGRESS_H
#define DRAY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "checking", "pushing" */
    bool shown;       /* stderr is a terminal */
    uint64_t total;   /* 0: not known */
    uint64_t begun_ns, drawn_ns;
};

void progress_begin(struct progress *p, const char *what, uint64_t total);
/* Share, count, pace and time left; draws at most ten times a second. */
void progress_set(struct progress *p, uint64_t done);
/* Clears the line. */
void progress_end(struct progress *p);

#endif
