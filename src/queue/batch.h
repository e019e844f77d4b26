/* Batches of begins and of settlements: all that came up in the same loop turn. A batch is filled, sent with
 * its turn (queue/turn.h), kept until its reply, and sent again as it is when the connection was lost
 * (beginning and settling again is harmless). */
#ifndef DRAY_QUEUE_BATCH_H
#define DRAY_QUEUE_BATCH_H

#include "queue/call.h"

#define BATCH_ITEMS 256
#define BATCH_BYTES (4u << 20) /* a batch is full past this; one item always fits */
#define BATCH_WHAT_MAX 256
#define TOKEN_SIZE  24

enum batch_kind { BATCH_BEGIN, BATCH_SETTLE };

enum settle_op { SETTLE_DONE, SETTLE_DEAD, SETTLE_RETRY, SETTLE_WAIT, SETTLE_BACK, SETTLE_OPS };

extern const char *const settle_op_names[SETTLE_OPS];
int settle_op_parse(struct span name); /* -1: none */

/* One settlement, as src/queue/lua/settle.lua describes it. */
struct settlement {
    enum settle_op op;
    const char *counter;   /* statistics: "created" …; NULL: none */
    const char *account;   /* NULL: not known */
    char gate;             /* gate effect: s f t p h - */
    uint64_t gate_ms;      /* for p */
    uint64_t due_ms;       /* retry, wait: from now */
    const char *dead_id;   /* dead */
    struct span body;      /* retry, wait: state, space, header JSON; dead: the entry */
    struct span result;    /* absent: none */
    struct span results_key; /* absent: the queue's */
    struct span ledger;    /* absent: leave; "D": delete; else the new value */
    struct span ledger_key;  /* the whole key; absent: none */
};

/* What the scripts take per item stands in columns, each as RESP: a script hands a whole column on without
 * touching it. What neighbours share (`whats`) is said once, with how many they are. */
struct batch {
    struct batch *next; /* in its owner's list */
    enum batch_kind kind;
    uint32_t count;
    void *items[BATCH_ITEMS]; /* the caller's, in the order of the replies */
    struct buf keys, more_keys;
    struct buf whats, tokens;
    struct buf firsts;  /* hashes; results */
    struct buf ledgers; /* settle only */
    struct buf extras;  /* settle only: two for each item that is neither done nor handed back */
    struct buf what, last_what; /* of the item being added; of the last run */
    uint16_t run_len[BATCH_ITEMS]; /* of each of `whats`, how many items share it */
    uint32_t run_count;
    uint32_t more_count;  /* further results lists */
    uint32_t extra_count; /* items that have extras */
    double jitter;
    bool sent;     /* once at least */
    uint64_t sent_ns; /* boot clock, the first time */
    bool repeated; /* the last time it was sent was not the first */
    bool waits;    /* WAIT's answer is still to come */
    bool answered; /* … and the script's came */
};

struct batch *batch_new(enum batch_kind kind); /* NULL: out of memory */
void batch_free(struct batch *b);
void batch_reset(struct batch *b);
bool batch_full(const struct batch *b);

/* Both return false (and add nothing) when memory runs out. `kind` is 'P' or 'L'. */
bool batch_add_begin(struct batch *b, void *item, const char *token, char kind, const char *account,
                     const char hash[static 33], struct span ledger_key);
bool batch_add_settlement(struct batch *b, void *item, const struct queue_keys *k, const char *token,
                          const struct settlement *s);

/* batch_read.c: walks a batch's settlements. Texts of `s` lie in the reader, spans in the batch. */
struct batch_reader {
    const struct batch *batch;
    struct span keys, lists, whats, tokens, results, ledgers, extras;
    uint32_t run, run_left;
    char token[TOKEN_SIZE], what[BATCH_WHAT_MAX], cut[BATCH_WHAT_MAX], dead_id[128];
};
void batch_reader_init(struct batch_reader *r, const struct batch *b);
bool batch_read(struct batch_reader *r, const struct queue_keys *k, struct settlement *s); /* false: no more */

/* How many arguments batch_write_args writes. */
size_t batch_arg_count(const struct batch *b);
/* The runs, their lengths, the columns. */
void batch_write_args(const struct batch *b, struct buf *cmd);

#endif
