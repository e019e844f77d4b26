/* Whether a consumer's data in Redis are of the format that this worker works with (format.c). */
#ifndef DRAY_WORKER_FORMAT_H
#define DRAY_WORKER_FORMAT_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct consumer;

struct consumer_format {
    bool ours;                            /* the last beat said so */
    bool refused;                         /* it said that they are not; `words` says what to do */
    bool asked;                           /* a takeover is unanswered */
    char words[800];                      /* for people; names workers, and nothing of an order */
    uint64_t logged_ns, others_logged_ns; /* boot clock; 0: not yet */
};

/* A beat was answered. True: the data are of another format, nothing was done, and all that follows from that was done
 * here. At the worker's start it ends, exit code 1; later the consumer stands still until a beat goes through. */
bool format_refused(struct consumer *consumer, const redisReply *beat);
/* A beat went through: `told` is what it tells of formats (beat.lua), or NULL. */
void format_accepted(struct consumer *consumer, const redisReply *told);

#endif
