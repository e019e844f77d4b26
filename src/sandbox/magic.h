/* Magic order keys: a suffix of an order's key that tells the sandbox how to behave, as a card
 * processor's test numbers do. "KA10001-FAIL503x2" is refused twice with 503, then created. */
#ifndef DRAY_SANDBOX_MAGIC_H
#define DRAY_SANDBOX_MAGIC_H

#include "dray/buf.h"

enum magic_kind {
    MAGIC_NONE,
    MAGIC_FAIL,     /* `status`; nothing is created */
    MAGIC_LATE,     /* the order is created, then `status` */
    MAGIC_PAUSE,    /* 429 with Retry-After: `ms`; nothing is created */
    MAGIC_BUSY,     /* 503 with Retry-After: `ms`; nothing is created */
    MAGIC_DATE,     /* 429 with Retry-After as an HTTP date, `ms` from now */
    MAGIC_HANGUP,   /* created, then the connection is closed without an answer */
    MAGIC_HANGUPNO, /* closed without an answer; nothing is created */
    MAGIC_SLOW,     /* created at once, answered after `ms` */
    MAGIC_DUP,      /* 409: the order was there before */
    MAGIC_REJECT,   /* the provider's own no; nothing is created */
    MAGIC_REDIRECT, /* 307 to the same path; nothing is created */
    MAGIC_HTML,     /* 200 with a web page; nothing is created */
    MAGIC_GARBAGE,  /* created, 200 with a body that is no JSON */
    MAGIC_TRUNC,    /* created, the answer breaks off in the middle */
    MAGIC_EMPTY,    /* created, 200 without a body */
    MAGIC_NOID,     /* created, the answer lacks the order's id */
    MAGIC_HUGE,     /* created, the answer is larger than 1 MiB */
    MAGIC_SPLIT,    /* created as `count` orders (KaKaClo v1 and v2; elsewhere as one) */
};

struct magic {
    enum magic_kind kind;
    uint32_t times; /* the first so many POSTs of the key; UINT32_MAX: all of them */
    unsigned status;
    uint32_t count;
    uint64_t ms;
};

/* Reads the suffix behind the key's last '-'. A suffix that is not exactly one of the table is no
 * magic: kind is MAGIC_NONE. */
struct magic magic_parse(struct span key);

/* Writes the table of all suffixes, one a line, as text or as a Markdown table. */
void magic_help(struct buf *out, bool markdown);

#endif
