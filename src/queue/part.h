/* Parts of a turn (queue/turn.h): what is to be begun, or to be settled. A part is filled, sent with its turn, kept until
 * its reply, and sent again as it is when the connection was lost (beginning and settling again is harmless). */
#ifndef DRAY_QUEUE_PART_H
#define DRAY_QUEUE_PART_H

#include "queue/call.h"
#include "queue/claim.h"
#include "queue/distinct.h"

#define PART_ITEMS  255        /* a run's length is one byte */
#define PART_BYTES  (4u << 20) /* a part is full past this; one item always fits */
#define PART_OP_MAX 128

enum part_kind { PART_BEGIN, PART_SETTLE };

enum settle_op { SETTLE_DONE, SETTLE_DEAD, SETTLE_RETRY, SETTLE_WAIT, SETTLE_BACK, SETTLE_OPS };

extern const char *const settle_op_names[SETTLE_OPS];
int settle_op_parse(struct span name); /* -1: none */

/* One job to begin, as src/queue/lua/begin.lua describes it. */
struct beginning {
    struct claim claim; /* where the turn itself claims it (turn.h: picked): of the batch that it makes */
    char kind;          /* P to send the order, L to look it up */
    const char *account;
    struct span limits; /* of the account, packed (limits_pack); absent: not known */
    const char *hash;   /* of the order's bytes, 32 hex digits */
    const char *worker;
    struct span ledger_key; /* the whole key */
};

/* One settlement, as src/queue/lua/settle.lua describes it. */
struct settlement {
    enum settle_op op;
    struct claim claim;
    const char *counter;     /* statistics: "created" …; NULL: none */
    const char *account;     /* NULL: not known */
    struct span limits;      /* of the account, packed; absent: not known */
    char gate;               /* gate effect: s l r f t p h - (gate_learn.lua) */
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
struct part_run {
    /* limits, op: places in the part's; 0: no limits known; what of a begin: its kind */
    uint8_t count, limits, what;
};

/* What the scripts take per item stands in columns, each as RESP: a script hands a whole column on without
 * touching it. */
struct part {
    struct part *next; /* in its owner's list */
    enum part_kind kind;
    uint32_t count;
    void *items[PART_ITEMS]; /* the caller's, in the order of the replies */
    struct buf keys, more_keys;
    struct buf accounts; /* of the runs */
    struct buf places;   /* of each item three bytes: which of `batches`; its place there */
    struct buf lists;    /* keys: the lists of `batches` */
    struct buf firsts;   /* ledger entries; results */
    struct buf ledgers;  /* settle only */
    struct buf extras;   /* settle only: two for each item that is neither done nor handed back */
    struct distinct limits, ops, batches;
    struct part_run runs[PART_ITEMS];
    uint32_t run_count;
    uint32_t more_count;  /* further results lists */
    uint32_t extra_count; /* items that have extras */
    size_t last_account;  /* how long the last run's is */
    struct buf op;        /* scratch */
    double jitter;
    bool dies;        /* one of them is dead */
    bool stray;       /* of one the limits of its account are not known, or they may be old: Redis's count */
    bool sent;        /* once at least */
    uint64_t sent_ns; /* boot clock, the first time */
    bool repeated;    /* the last time it was sent was not the first */
    bool waits;       /* WAIT's answer is still to come */
    bool answered;    /* … and the script's came */
};

struct part *part_new(enum part_kind kind); /* NULL: out of memory */
void part_free(struct part *b);
void part_reset(struct part *b);
bool part_full(const struct part *b);

/* Both return false (and add nothing) when memory runs out. */
bool part_add_begin(struct part *b, void *item, const struct queue_keys *k, const struct beginning *begin);
bool part_add_settlement(struct part *b, void *item, const struct queue_keys *k, const struct settlement *s);

/* part_read.c: walks a part's settlements. Texts of `s` lie in the reader, spans in the part. What is known of the
 * limits is left out. */
struct part_reader {
    const struct part *part;
    struct span keys, lists, accounts, results, ledgers, extras;
    uint32_t at, run, run_left;
    char account[PART_OP_MAX], op[PART_OP_MAX], dead_id[128];
};
void part_reader_init(struct part_reader *r, const struct part *b);
/* false: no more */
bool part_read(struct part_reader *r, const struct queue_keys *k, struct settlement *s);

/* Appends the list of a batch of this worker, as a key of a command. */
void part_add_list(const struct queue_keys *k, uint64_t batch, struct buf *out);

/* How many arguments its columns are. */
size_t part_arg_count(const struct part *b);
void part_write_columns(const struct part *b, struct buf *cmd);

#endif
