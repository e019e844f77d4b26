/* The accounts of a consumer, as its worker uses them. */
#ifndef DRAY_WORKER_ACCOUNT_RUNTIME_H
#define DRAY_WORKER_ACCOUNT_RUNTIME_H

#include "dray/config.h"
#include "worker/controls.h"
#include "worker/grant.h"
#include "worker/stats.h"

struct worker;
struct consumer;

/* What a worker needs of an account: made once per configuration, counted by its consumer and its orders. */
struct account_runtime {
    uint32_t refs;
    struct worker *worker;
    struct consumer *consumer;
    struct config *config; /* counted: it owns the account */
    const struct account *account;
    struct http_target *create;
    struct grant *grant; /* of an account with OAuth2; NULL: none */
    bool plain;          /* nothing but an order's bytes differs from request to request */
    struct buf limits;   /* packed, as scripts take them */
    uint32_t active;     /* orders of this consumer that are BEGINNING or SENDING */
    /* boot clock: last answer, or since when it has something active; how long the last took */
    uint64_t stir_ns, took_ns;
    /* share.c: those that had work lately and have nothing active, by when that ended */
    struct account_runtime *older, *newer;
    uint64_t idle_ns;
    bool listed;
    uint64_t created_number; /* the highest number of a claim whose order was created */
    bool current;            /* one of the consumer's accounts; false: a reload has replaced it */
    struct account_stats stats;
    struct account_controls controls;
};

/* All of a consumer. */
struct consumer_accounts {
    /* account_runtime.c */
    struct account_runtime **list; /* sorted by account name */
    struct account_runtime *by_default;
    uint32_t count;
    /* limits.c, account_runtime.c: of the limits in Redis, when ours were told; empty: not known */
    char limits_version[24];
    /* share.c */
    struct account_runtime *idle_first, *idle_last;
    uint32_t idle_recent;
    /* while all slots are taken: when the queue is looked through next; 0: they are not */
    uint64_t full_look_ns;
};

/* account_runtime.c */
struct account_runtime *consumer_account(const struct consumer *consumer, const char *account);
void runtime_ref(struct account_runtime *runtime);
void runtime_unref(struct account_runtime *runtime); /* NULL is fine */
/* Replaces the consumer's accounts by those of the worker's present configuration. 0, or -1 and the old stay. */
int consumer_set_accounts(struct consumer *consumer, struct err *err);
void consumer_drop_accounts(struct consumer *consumer);

/* limits.c: what accounts may do, told to Redis */
/* False: out of memory. */
bool runtime_pack_limits(struct account_runtime *runtime, const struct config *boot);
void consumer_send_limits(struct consumer *consumer);
/* Held accounts whose credentials are not those of `old`: one probe at once. */
void consumer_reopen(struct consumer *consumer, const struct config *old);

#endif
