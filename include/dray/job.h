/* A job as a worker holds it: the envelope's parts (docs/protocol.md), pointing into `raw`. */
#ifndef DRAY_JOB_H
#define DRAY_JOB_H

#include "dray/account.h"
#include "dray/buf.h"
#include "dray/json.h"

#define JOB_ID_MAX    128  /* characters */
#define ORDER_KEY_MAX 256  /* bytes, decoded */
#define META_MAX      4096 /* bytes */

struct envelope {
    struct span raw;       /* the exact text that was pushed */
    struct span id;        /* the bytes between the quotes, escapes as they stand; absent where unreadable */
    struct span order;     /* the order object, byte for byte */
    struct span account;   /* as for `id`; absent: the queue's default */
    struct span order_key; /* decoded: the envelope's, else provider_key, else the id */
    struct span
        provider_key;     /* decoded: what the order has in the provider's own key field; absent: nothing */
    struct span reply_to; /* decoded bytes; absent: the queue's results list */
    struct span traceparent; /* absent: none */
    struct span meta;        /* raw JSON; absent: none */
    uint64_t not_before_ms;  /* this and the next two: Unix ms; 0: not given */
    uint64_t expires_at_ms;
    uint64_t enqueued_at_ms;
    uint32_t max_attempts; /* 0: the account's */
};

/* The faults of a job. A fault says where it is and which rule is broken; it never shows the value. */
#define FAULTS_MAX 100 /* so many are listed; more are only counted */
struct faults {
    struct buf list;  /* JSON: {"path":…,"rule":…},{…} without the brackets */
    struct buf first; /* "path: rule" of the first, for `message` */
    uint32_t count;
};
void faults_init(struct faults *f);
void faults_deinit(struct faults *f);
void faults_reset(struct faults *f);
/* Adds a fault. `path` starts at the envelope: "order.orderItemsList[2].quantity"; "" is the whole text. */
void faults_add(struct faults *f, const char *path, const char *rule_format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
