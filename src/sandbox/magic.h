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
    MAGIC_YES,      /* created, `status` (2xx) without a body */
    MAGIC_TWICE,    /* created, and answered twice on the same connection */
    MAGIC_KEEP,     /* created; the connection closes when it was idle for `ms` */
    MAGIC_GATEWAY,  /* created, then a gateway's web page with `status` */
    MAGIC_BLOCKED,  /* a firewall's 403; nothing is created */
    MAGIC_RATE,     /* 429 without Retry-After; nothing is created */
    MAGIC_FRACTION, /* 429 with Retry-After: `ms` in seconds with a fraction; nothing is created */
    MAGIC_BROKE,    /* nothing is created until the account's balance is set to enough */
    MAGIC_BOM,      /* created, the answer begins with a byte order mark */
    MAGIC_GZIP,     /* created, the answer is compressed though nobody asked */
    MAGIC_NAMES,    /* created, a name that says whether stands twice in the answer */
    MAGIC_OTHERKEY, /* created, the answer names another order's key */
    MAGIC_OTHERID,  /* created, the answer names the id of the caller's order before it */
    MAGIC_BLANKID,  /* created, the id is a blank */
    /* What look-ups of the key meet. */
    MAGIC_LOOKUP,       /* `status` in the provider's own error form */
    MAGIC_ROUTER,       /* 404 as text, from a router that knows no backend */
    MAGIC_LOOKUP_EMPTY, /* 200 without a body */
    MAGIC_LOOKUP_HTML,  /* 200 with a web page */
    MAGIC_LOOKUP_HANGUP,
    MAGIC_LOOKUP_TOTAL, /* a list: an empty page whose total counts the order */
    MAGIC_LOOKUP_OTHER, /* the order is shown under another key */
    MAGIC_LOOKUP_BLIND, /* "no such order", in the provider's own words, though it exists */
};

struct magic {
    enum magic_kind kind;
    uint32_t times; /* the first so many POSTs of the key; UINT32_MAX: all of them */
    unsigned status;
    uint32_t count;
    uint64_t ms;
};

/* The magic for POSTs of the key: the suffix behind its last '-', or the one in front of a look-up's suffix. A
 * suffix that is not exactly one of the table is no magic: kind is MAGIC_NONE. Where there is a look-up's
 * suffix alone, POSTs hang up, so that there is something to look up. */
struct magic magic_parse(struct span key);

/* What look-ups of the key meet: its last suffix, if that is a look-up's. */
struct magic magic_parse_lookup(struct span key);

/* Writes the table of all suffixes, one a line, as text or as a Markdown table. */
void magic_help(struct buf *out, bool markdown);

#endif
