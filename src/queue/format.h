/* The format of what dray keeps in Redis: its number, and the words where another one is met. Bumped with each change
 * after which workers of the version before and after cannot work on the same keys; docs/CHANGELOG.md promises it. */
#ifndef DRAY_QUEUE_FORMAT_H
#define DRAY_QUEUE_FORMAT_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "dray/buf.h"

#define QUEUE_FORMAT        3
#define QUEUE_FORMAT_OLDEST 1 /* the oldest that is taken over, once none of its workers is left */

/* Appends the two numbers as arguments, as format.lua, beat.lua and takeover.lua want them. */
void queue_format_args(struct buf *cmd);

/* Is it the reply of such a script that refuses? */
bool queue_format_refused(const redisReply *reply);
/* Of one: are all those that it names dead, so that takeover.lua may be asked? */
bool queue_format_all_dead(const redisReply *reply);
/* Appends what is wrong, who is there, and what to do. */
void queue_format_words(const char *queue, const redisReply *reply, struct buf *out);

#endif
