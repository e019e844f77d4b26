/* What an exchange with a provider means (docs/protocol.md, "What an answer means"). */
#ifndef DRAY_VERDICT_H
#define DRAY_VERDICT_H

#include "dray/buf.h"

enum verdict {
    VERDICT_CREATED,   /* the order exists, and this attempt created it */
    VERDICT_DUPLICATE, /* the order existed before */
    VERDICT_REJECTED,  /* the provider said no; surely nothing was created */
    VERDICT_RETRY,     /* surely nothing was created; worth another attempt */
    /* as RETRY, or as LOOKUP where `look_first` is set; and the account pauses for retry_after_ms */
    VERDICT_PAUSE,
    VERDICT_HOLD, /* the account is refused (credentials, our proxy); the job burns no attempt */
    /* the order may or may not exist; where http_status is a 2xx, it is never sent again */
    VERDICT_UNKNOWN,
    VERDICT_LOOKUP, /* ask the provider first (409; 503 where the look-up is exact) */
    VERDICT_ABSENT, /* of a look-up only: the provider itself says that it has no such order */
};
#define VERDICTS (VERDICT_ABSENT + 1)     /* how many there are: the last one, and one more */
const char *verdict_name(enum verdict v); /* "created" "duplicate" … */

#define OUTCOME_MAX_IDS 64

/* What an exchange means, in detail. Spans point into the exchange's body. */
struct outcome {
    enum verdict verdict;
    long http_status;
    char code[64];     /* provider's code, "http_503", or dray's own ("timeout", "unreadable_answer",
                             * "redirect", …); safe to log */
    char message[512]; /* for the dead letter and the result; may hold personal data: never logged */
    struct span order; /* S2, VU, http-json: the provider's order object; absent otherwise */
    /* order ids: a number's digits, a string's inner bytes (escapes as they are) */
    struct span ids[OUTCOME_MAX_IDS];
    uint32_t id_count;                  /* the first is `order_id` */
    struct span parts[OUTCOME_MAX_IDS]; /* of an order that was split: the answer's object for each id */
    uint32_t part_count;                /* id_count; 0: the answer has no such objects */
    uint64_t retry_after_ms;            /* VERDICT_PAUSE */
    bool retry_after_told; /* VERDICT_PAUSE: the answer said retry_after_ms; false: it is a first guess */
    /* This counts as no attempt (of a look-up: as no look-up), because nothing was sent. */
    bool free;
    bool look_first; /* VERDICT_PAUSE: look the order up before it is sent again */
    bool exists;     /* VERDICT_LOOKUP: the provider says that it has the order */
    /* VERDICT_REJECTED, of a 2xx: it has an order id as well, so that only a list of codes makes it a clear no */
    bool contradicts;
};

#endif
