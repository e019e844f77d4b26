/* The life of a job: what to do next, given what was seen. Pure: time and randomness are arguments,
 * nothing is read or written, so that a test can run any schedule. */
#ifndef DRAY_WORKER_LIFE_H
#define DRAY_WORKER_LIFE_H

#include "dray/clock.h"
#include "worker/order.h"

#define REFUSALS_MAX                                                                                         \
    3 /* an order that is refused as its account's so often, others going through, is refused itself */
#define POISON_RECOVERIES 3 /* a job that took so many workers down is not tried again */
#define ACCOUNT_MISSING_MS                                                                                   \
    60000                     /* until a job that may exist is looked at again, its account being unknown */
#define CONTROL_TIME_MS 30000 /* a control counts for so long at least after what it controls */
#define BUSY_DELAY_MS   1000  /* how long a job waits whose key is under way elsewhere, about */

enum ledger_change {
    LEDGER_KEEP,
    LEDGER_DROP,    /* surely nothing was created */
    LEDGER_CREATED, /* with the outcome's ids */
    LEDGER_LOOKUP,  /* unknown, and being looked up */
    LEDGER_UNKNOWN, /* unknown for good, with the dead letter's id */
};

enum result_status { RESULT_NONE, RESULT_CREATED, RESULT_DUPLICATE, RESULT_FAILED };

struct decision {
    enum settle_op op;
    const char *counter;
    char gate; /* as in gate_learn.lua */
    uint64_t gate_ms;
    uint64_t due_ms;
    enum ledger_change ledger;
    enum result_status result;   /* RESULT_FAILED becomes none where the job has no readable id */
    struct record_header header; /* the job's header after this; `history` is the old one */
    const char *reason;          /* SETTLE_DEAD: "invalid" … */
    const char *code;            /* of the error */
    const char *message;         /* of the error; NULL: the outcome's */
    bool tell_said;              /* of the error: header.said stands behind the message */
    bool free;                   /* burned nothing: the history counts its like as one */
    bool keep_header;            /* retry, wait: leave the header as it is */
};

/* What is known of a job right after its claim. */
struct admission {
    const struct record_header *header;
    const struct envelope *envelope;
    const struct account *account; /* NULL: unknown, which is a fault too */
    uint32_t faults;
    uint64_t now_ms; /* Unix */
};

/* True: begin (send or look up, by header->phase). False: settle as decided. */
bool life_admit(const struct admission *a, struct rng *rng, struct decision *d);

/* `begin` refused; `letter` is its reply's first: D K U B. */
void life_refused(const struct record_header *header, char letter, struct rng *rng, struct decision *d);

/* An order was sent, or was to be. */
void life_answered(const struct record_header *header, const struct account *account, uint32_t max_attempts,
                   const struct http_exchange *x, const struct outcome *outcome, uint64_t now_ms,
                   struct rng *rng, struct decision *d);

/* The account's bound, lowered by the job's own. */
uint32_t life_max_attempts(const struct account *account, const struct envelope *envelope);

/* The last page of a look-up was read. */
void life_looked_up(const struct record_header *header, const struct account *account, uint32_t max_attempts,
                    const struct outcome *outcome, uint64_t now_ms, struct rng *rng, struct decision *d);

/* The control was looked up (VERDICT_CREATED: found); also what is to be done where there is none. */
void life_controlled(const struct record_header *header, const struct account *account, uint32_t max_attempts,
                     const struct outcome *outcome, uint64_t now_ms, struct rng *rng, struct decision *d);

/* Found now, it would still say something of the order's look-up: its next page is worth reading. */
bool life_control_in_time(const struct record_header *header, const struct account *account, uint64_t now_ms);

/* It cannot be looked up right now: so much later, with nothing burned. */
void life_control_later(const struct record_header *header, uint64_t due_ms, struct decision *d);

/* A page of a look-up was read and there are more: the next one passes the account's gate like any other
 * request. */
void life_next_page(const struct record_header *header, uint32_t page, uint64_t seen, uint64_t window_to_ms,
                    struct decision *d);

/* The job is handed back as it came: never sent by this claim. */
void life_hand_back(const struct record_header *header, bool begun, struct decision *d);

#endif
