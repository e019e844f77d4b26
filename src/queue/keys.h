/* The names of a queue's keys. All carry the hash tag {queue}, so that a queue lives in one slot. */
#ifndef DRAY_QUEUE_KEYS_H
#define DRAY_QUEUE_KEYS_H

#include "dray/account.h"
#include "dray/buf.h"

enum queue_key {
    KEY_JOBS,
    KEY_RESULTS,
    KEY_DEAD,
    KEY_DEAD_ENTRIES,
    KEY_DELAYED,
    KEY_PARKED,
    KEY_WAITING,
    KEY_GATES,
    KEY_ACCOUNTS,
    KEY_LIMITS,
    KEY_PAUSES,
    KEY_WORKERS,
    KEY_WORKERS_INFO,
    KEY_STATS,
    KEY_TAKEN,
    KEY_CONTROLS,
    KEY_FORMAT,
    KEY_CLAIMS, /* the last is this worker's own */
    KEY_COUNT,
};

struct queue_keys {
    char queue[NAME_MAX_LEN + 1];
    char worker[128];
    char hash_tag[NAME_MAX_LEN + 3]; /* "{queue}" */
    uint16_t slot;                   /* of every key here, in a cluster */
    struct buf text;                 /* where the spans below point */
    struct span key[KEY_COUNT];
    struct span bulk[KEY_COUNT]; /* the same as RESP bulk strings */
    struct span order_prefix;    /* "dray:{queue}:order:" */
    struct span grant_prefix;    /* "dray:{queue}:grant:" */
    struct span batch_prefix;    /* "dray:{queue}:batch:" */
};

/* `worker` may be NULL where the worker's own keys are not used. 0, or -1 out of memory or names too
 * long. */
int queue_keys_init(struct queue_keys *k, const char *prefix, const char *queue, const char *worker);
void queue_keys_deinit(struct queue_keys *k);

/* True for a name that is one of the queue's own keys (but its results list): no place for results. */
bool queue_keys_owns(const struct queue_keys *k, struct span name);

/* Append names of any worker's keys: its claims; its batch n; where workers of formats 1 and 2 kept jobs in flight. */
void queue_keys_claims(const struct queue_keys *k, struct span worker, struct buf *out);
void queue_keys_batch(const struct queue_keys *k, struct span worker, uint64_t n, struct buf *out);
void queue_keys_inflight(const struct queue_keys *k, struct span worker, struct buf *out);
/* Appends the ledger's key for an account and order key. */
void queue_keys_order(const struct queue_keys *k, struct span account, struct span order_key,
                      struct buf *out);

#endif
