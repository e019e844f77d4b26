/* A dead letter, read, and its ways back: what the command line and the admin server share. */
#ifndef DRAY_QUEUE_LETTER_H
#define DRAY_QUEUE_LETTER_H

#include "dray/json.h"
#include "queue/keys.h"

/* One letter, read. Spans point into `raw` and `text`. */
struct letter {
    struct json_doc doc, job_doc;
    struct span id;                                        /* the dead letter's id */
    struct span raw;                                       /* as it is kept */
    struct buf text;                                       /* decoded parts */
    struct span reason, account, order_key, code, message; /* decoded; absent where null */
    struct span job;      /* the exact text that was pushed; absent where it was no UTF-8 */
    struct span job_id;   /* inner bytes; absent where null */
    struct span attempts; /* what is between the brackets */
    uint32_t attempt_count;
    int64_t died_at, http_status; /* of the last attempt; 0: none */
    bool readable;                /* false: no dead letter of dray's; only id and raw are set */
};

void letter_init(struct letter *l);
void letter_deinit(struct letter *l);
void letter_read(struct letter *l, struct span id, struct span raw);
/* True if nobody knows whether its order exists: then it takes `resolve`. */
bool letter_is_unknown(const struct letter *l);
/* The record that goes back into the queue: header with the history, then `job`. */
void letter_record(const struct letter *l, struct span job, struct buf *out);
/* Appends the ledger's key, or the queue's `dead` key where the letter has none. */
void letter_ledger_key(const struct queue_keys *keys, const struct letter *l, struct buf *out);
/* The order's bytes, or absent where the job holds none. Parses the job into l->job_doc. */
struct span letter_order(struct letter *l);
/* The order's hash, or false where the job holds no order. Parses the job into l->job_doc. */
bool letter_order_hash(struct letter *l, char out[static 33]);

/* Appends the job with only the order's bytes replaced. -1: the job has no `order`. Parses the job
 * into l->job_doc. */
int letter_put_order(struct letter *l, struct span order, struct buf *job);

/* Writes the call of dead_resolve.lua: an operator found the order at its provider, as `order_id`.
 * `provider` is the account's, for the result; NULL where it is not known. */
void letter_resolve(struct letter *l, const struct queue_keys *keys, const char *provider,
                    struct span order_id, uint64_t now_ms, struct buf *cmd);

#endif
