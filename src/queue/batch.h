/* Batches of begins and of settlements: all that came up in the same loop turn. A batch is filled, sent with
 * its turn (queue/turn.h), kept until its reply, and sent again as it is when the connection was lost
 * (beginning and settling again is harmless). */
#ifndef DRAY_QUEUE_BATCH_H
#define DRAY_QUEUE_BATCH_H

#include "queue/call.h"
#include "queue/distinct.h"

#define BATCH_ITEMS  255        /* a run's length is one byte */
#define BATCH_BYTES  (4u << 20) /* a batch is full past this; one item always fits */
#define BATCH_OP_MAX 128
#define TOKEN_SIZE   24

enum batch_kind { BATCH_BEGIN, BATCH_SETTLE };

enum settle_op { SETTLE_DONE, SETTLE_DEAD, SETTLE_RETRY, SETTLE_WAIT, SETTLE_BACK, SETTLE_OPS };

extern const char *const settle_op_names[SETTLE_OPS];
int settle_op_parse(struct span name); /* -1: none */

/* What the worker knows of a claim of its own: settle.lua does not look it up. */
enum claim_state {
    CLAIM_HELD = 'n', /* never begun */
    CLAIM_BEGUN = 'b',
    CLAIM_COUNTED = 'c', /* begun, and counted as one of its account's requests */
    CLAIM_UNSURE = '?',  /* begun perhaps: then it is looked up */
};

/* One job to begin, as src/queue/lua/begin.lua describes it. */
struct beginning {
    const char *token; /* "" where the turn itself claims it (turn.h: picked) */
    char kind;         /* P to send the order, L to look it up */
    const char *account;
    struct span limits; /* of the account, packed (limits_pack); absent: not known */
    const char *hash;   /* of the order's bytes, 32 hex digits */
    const char *worker;
    struct span ledger_key; /* the whole key */
};

/* One settlement, as src/queue/lua/settle.lua describes it. */
struct settlement {
    enum settle_op op;
    enum claim_state claim;
    const char *counter;     /* statistics: "created" …; NULL: none */
    const char *account;     /* NULL: not known */
    struct span limits;      /* of the account, packed; absent: not known */
    char gate;               /* gate effect: s l r f t p h - (learn.lua) */
    uint64_t gate_ms;        /* for p; 0: the answer named no time */
    const char *gate_code;   /* for r and h; NULL: none */
    uint64_t due_ms;         /* retry, wait: from now */
    const char *dead_id;     /* dead */
    struct span body;        /* retry, wait: state, space, header JSON; dead: the entry */
    struct span result;      /* absent: none */
    struct span results_key; /* absent: the queue's */
    struct span ledger;      /* absent: leave; "D": delete; else the new value */
    struct span ledger_key;  /* the whole key; absent: none */
};

/* Neighbours that share account, limits, and kind or op. */
struct batch_run {
    /* limits, op: places in the batch's; 0: no limits known; what of a begin: its kind */
    uint8_t count, limits, what;
};

/* What the scripts take per item stands in columns, each as RESP: a script hands a whole column on without
 * touching it. */
struct batch {
    struct batch *next; /* in its owner's list */
    enum batch_kind kind;
    uint32_t count;
    void *items[BATCH_ITEMS]; /* the caller's, in the order of the replies */
    struct buf keys, more_keys;
    struct buf accounts; /* of the runs */
    struct buf tokens;
    struct buf firsts;  /* ledger entries; results */
    struct buf ledgers; /* settle only */
    struct buf extras;  /* settle only: two for each item that is neither done nor handed back */
    struct distinct limits, ops;
    struct batch_run runs[BATCH_ITEMS];
    uint32_t run_count;
    uint32_t more_count;  /* further results lists */
    uint32_t extra_count; /* items that have extras */
    size_t last_account;  /* how long the last run's is */
    struct buf op;        /* scratch */
    uint64_t lowest;      /* the lowest number of a token; UINT64_MAX: of an empty batch */
    double jitter;
    bool dies;        /* one of them is dead */
    bool stray;       /* of one the limits of its account are not known, or they may be old: Redis's count */
    bool doubtful;    /* of one it is not known what became of its claim */
    bool sent;        /* once at least */
    uint64_t sent_ns; /* boot clock, the first time */
    bool repeated;    /* the last time it was sent was not the first */
    bool waits;       /* WAIT's answer is still to come */
    bool answered;    /* … and the script's came */
};

struct batch *batch_new(enum batch_kind kind); /* NULL: out of memory */
void batch_free(struct batch *b);
void batch_reset(struct batch *b);
bool batch_full(const struct batch *b);

/* Both return false (and add nothing) when memory runs out. */
bool batch_add_begin(struct batch *b, void *item, const struct beginning *begin);
bool batch_add_settlement(struct batch *b, void *item, const struct queue_keys *k, const char *token,
                          const struct settlement *s);

/* batch_read.c: walks a batch's settlements. Texts of `s` lie in the reader, spans in the batch. What is known of
 * the claims and the limits is left out. */
struct batch_reader {
    const struct batch *batch;
    struct span keys, lists, accounts, tokens, results, ledgers, extras;
    uint32_t run, run_left;
    char token[TOKEN_SIZE], account[BATCH_OP_MAX], op[BATCH_OP_MAX], dead_id[128];
};
void batch_reader_init(struct batch_reader *r, const struct batch *b);
/* false: no more */
bool batch_read(struct batch_reader *r, const struct queue_keys *k, struct settlement *s);

/* How many arguments its columns are. */
size_t batch_arg_count(const struct batch *b);
void batch_write_columns(const struct batch *b, struct buf *cmd);

#endif
