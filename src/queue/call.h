/* Calls of the Lua transitions, each at the node of its queue's slot.
 *
 * Happy path: the command (EVALSHA) is kept until its reply, which the callback gets.
 * NOSCRIPT (a restarted or failed-over Redis, a node that a slot has just moved to): the command is
 * sent once more as EVAL, which brings the script along wherever a redirection may lead it.
 * Connection lost: the callback gets NULL; whether the script ran is not known; the caller decides
 * whether asking again is harmless (it is, for begin, settle, beat, recover). */
#ifndef DRAY_QUEUE_CALL_H
#define DRAY_QUEUE_CALL_H

#include "dray/redis_cluster.h"
#include "queue/keys.h"
#include "queue/script.h"

/* `reply` is NULL when there was none; an error reply is passed on with its text in `error`. */
typedef void (*queue_reply_fn)(void *arg, const redisReply *reply, const char *error);

struct queue_caller; /* owns the calls under way on one router */

struct queue_caller *queue_caller_new(struct redis_router *router);
/* The router must have been closed before (so that every callback was called). */
void queue_caller_free(struct queue_caller *c);

/* A command being written: begin, then keys, then arguments; the counts are known up front. */
void queue_cmd_begin(struct buf *cmd, enum script_id script, size_t keys, size_t args);
void queue_cmd_key(struct buf *cmd, const struct queue_keys *k, enum queue_key key);

/* Sends `cmd` (copied) to the node of the slot. `done` is called exactly once, never from within. */
void queue_call(struct queue_caller *c, uint16_t slot, enum script_id script, const struct buf *cmd,
                queue_reply_fn done, void *arg);

/* The same, and then WAIT for replicas on the node that ran the script (redis_router_send_wait). */
void queue_call_wait(struct queue_caller *c, uint16_t slot, enum script_id script, const struct buf *cmd,
                     const struct redis_wait *wait, queue_reply_fn done, void *arg);

/* Element `i` of an array reply as a number, however the script gave it; 0 where there is none. */
uint64_t queue_reply_u64(const redisReply *reply, size_t i);

#endif
