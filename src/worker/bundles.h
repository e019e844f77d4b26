/* What a lane knows of its bundles: claims of many jobs at a time, whose texts lie in lists of their own (bundle.lua). */
#ifndef DRAY_WORKER_BUNDLES_H
#define DRAY_WORKER_BUNDLES_H

#include "queue/fold.h"
#include "queue/turn.h"

struct lane;
struct order;

enum bundle_state {
    BUNDLE_FREE,
    BUNDLE_OFFERED, /* to a turn that is unanswered */
    BUNDLE_HELD,    /* its claims are orders here */
    BUNDLE_ENDED,   /* all its claims have; Redis is to be told */
    BUNDLE_TELLING, /* by a turn that is unanswered */
    BUNDLE_LOST,    /* Redis may have claims of it that no order here stands for */
    BUNDLE_LOOKING, /* the same; whether there are is being asked */
    BUNDLE_STATES,
};
struct bundle {
    struct lane *lane;
    enum bundle_state state;
    bool asked; /* for its texts, and no answer yet */
    bool asked_again;
    bool folded;     /* Redis has one entry for its claims (fold.lua), as far as we know */
    uint32_t claims; /* that have not ended */
    uint32_t size;   /* how many it had */
    uint64_t first;  /* number of the first of them; 1: not known */
    uint64_t turn;   /* that it was offered to */
};

#define BUNDLE_LEAST 4 /* fewer jobs are quicker taken one by one */

struct bundles {
    struct bundle *of;          /* BUNDLES of them, the first is none */
    uint8_t last;               /* the last that was offered */
    uint8_t awaited;            /* the claim's that is to be admitted when its texts are there; 0: none */
    bool off;                   /* Redis did not give us texts */
    uint32_t in[BUNDLE_STATES]; /* how many are */
    uint32_t count;             /* of the awaited */
    char nonce[24];
};

int bundles_init(struct lane *lane); /* 0, or -1 out of memory */
void bundles_deinit(struct lane *lane);
uint8_t bundle_offer(struct lane *lane, uint64_t turn); /* 0: none */
/* for its texts, behind the turn it was offered to */
void bundle_ask(struct lane *lane, uint8_t n);
/* The turn was answered; `claimed`: its part of the claim, or NULL where it claimed nothing. True: the claim is a
 * bundle, and goes on when its texts are there. */
bool bundle_answered(struct lane *lane, uint8_t n, const redisReply *claimed);
void bundle_unanswered(struct lane *lane, uint8_t n);
uint16_t bundle_which(const struct order *o); /* of its bundle's claims it is, from 0 on; 0 of none */
void bundle_left(struct order *o);            /* its claim has ended, its text is elsewhere */
void bundle_lost(struct order *o);            /* the order leaves; whether its claim has ended is not known */
/* Whether Redis has all that the batch settles as claims of folded bundles; all that it begins as whole ones. */
bool bundles_end_folded(const struct lane *lane, const struct batch *settle);
bool bundles_begin_folded(const struct lane *lane, const struct batch *begin);
void bundles_unfolded(struct lane *lane);                /* none is folded, or nobody knows */
void bundles_tell(struct lane *lane, struct turn *turn); /* which have ended */
void bundles_told(struct lane *lane, const struct turn *turn, bool answered);
/* Redis is asked what we hold, and has said it: whether it holds nothing that no order here stands for. */
void bundles_look(struct lane *lane);
void bundles_looked(struct lane *lane, bool nothing_else);

#endif
