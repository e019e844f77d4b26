/* One job in a worker's hands, from its claim to the reply of its settlement.
 *
 *            ┌───────────────────────────── give back, dead letter ─────────────────────────┐
 *   claim → CLAIMED → BEGINNING ─ GO → SENDING ─ answer → SETTLING ─ reply → (freed)        │
 *              │          └── waits elsewhere, lost ─────────────────────────→ (freed)      │
 *              └─────────────────────────────────────────────────────→ SETTLING ←──────────┘
 *
 * CLAIMED lasts within one callback only, or while Redis is away. */
#ifndef DRAY_WORKER_ORDER_H
#define DRAY_WORKER_ORDER_H

#include "dray/http.h"
#include "dray/provider.h"
#include "queue/part.h"
#include "worker/trace.h"

enum order_state { ORDER_FREE, ORDER_CLAIMED, ORDER_BEGINNING, ORDER_SENDING, ORDER_SETTLING, ORDER_STATES };

/* The state letter of a record's header: what is to be done with the job. */
enum phase {
    PHASE_SEND = 'N',             /* send the order */
    PHASE_RECOVERED = 'U',        /* its worker died after its request had begun */
    PHASE_LOOKUP = 'L',           /* look it up: sent, but no clear answer */
    PHASE_LOOKUP_RETRY = 'R',     /* look it up before sending again: the provider was unavailable (503) */
    PHASE_LOOKUP_DUPLICATE = 'D', /* look it up: the provider says it exists (409) */
};

#define SAID_MAX    200         /* bytes of header.said */
#define HISTORY_MAX (96u << 10) /* bytes; from then on each attempt takes the last one's place */

/* The last attempt of the history: the next one takes its place where it is of the same kind and burned nothing,
 * so that an order that waits for days has a short history. */
struct last_attempt {
    struct span text; /* in the history; absent: there is none */
    struct span code;
    bool lookup;
    uint64_t since_ms; /* Unix ms of the first of them */
    uint32_t times;
};

/* What a job went through before this claim; the header's JSON. */
struct record_header {
    uint32_t recoveries;
    enum phase phase;
    uint32_t attempts; /* orders sent that count */
    uint32_t lookups;  /* since the phase began, that count */
    uint32_t waits;    /* tries that burned nothing: they only make the next wait longer */
    bool yes;          /* the order was answered 2xx: dray never sends it again */
    /* Unix ms when the provider first said that it does not have the order; 0: never */
    uint64_t absent_ms;
    uint64_t control_ms; /* … and when it said so again: what is asked next is the control. 0: no */
    uint64_t control_id; /* where pages of it were read (`page`): a hash of its key */
    struct span said;    /* what came when the order was sent whose outcome is unknown; or absent */
    /* times that the account was refused (401, 403) when this order was sent, as far as they count
     * (settle_put.lua) */
    uint32_t refused;
    /* number of the claim at the first of them; 0: orders of later claims went through */
    uint64_t refused_at;
    uint64_t first_ms;     /* Unix ms of the first claim; 0: this is it */
    uint64_t sent_ms;      /* Unix ms when the order whose outcome is unknown was sent */
    uint32_t page;         /* of a look-up of several pages: the next one; 0: none was read */
    uint64_t seen;         /* items on the pages read */
    uint64_t window_to_ms; /* Unix ms: the end of what the first page asked for */
    struct span history;   /* attempts so far: JSON objects, comma-separated, or empty */
    struct last_attempt last;
};

struct consumer;
struct account_runtime;

struct order {
    struct order *prev, *next; /* in its state's list */
    enum order_state state;
    struct consumer *consumer;
    struct claim claim;
    struct buf record;   /* header and text as claimed */
    struct buf decoded;  /* decoded parts of the envelope */
    struct buf warnings; /* what lenient validation let pass, as faults.list */
    struct record_header header;
    struct envelope envelope;
    struct account_runtime *runtime; /* counted reference, or NULL: the account is not known */
    const struct account *account;   /* the runtime's */
    char hash[33];                   /* of the order's bytes, hex */
    struct buf ledger_key;
    struct buf wire;    /* what of its request is its own, where that is not just its bytes */
    struct buf control; /* the key of the order that its look-up is controlled with */
    struct lookup_cursor cursor;
    struct http_call *call;
    uint64_t left_ns;       /* boot clock: when its request was sent; 0: not yet */
    uint64_t send_by_ns;    /* boot clock; it leaves before this or is handed back */
    uint32_t lease_epoch;   /* the consumer's when begin let the order go; it may not leave in another */
    uint64_t begun_unix_ms; /* when this attempt was sent */
    bool looking_up;
    bool waits_token;      /* SENDING, and nothing sent: until its account has a token */
    bool token_renewed;    /* 401 was answered once in this claim, and the token renewed */
    uint64_t token_number; /* the grant's, when it left */
    bool may_wait;         /* dead as rejected, unless Redis says that it waits for its account */
    struct trace_marks trace;
};

/* Splits a claim's record into header and text; the record of a fresh job is the text. 0, or -1 where it is no record of dray's. `doc` is scratch. */
int record_header_parse(struct record_header *header, bool fresh, struct span record, struct json_doc *doc,
                        struct span *raw);
/* Writes the header's part after the position: state, space, JSON. */
void record_header_write(const struct record_header *header, struct buf *out);

#endif
