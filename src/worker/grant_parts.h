/* What grant.c and grant_share.c have in common. */
#ifndef DRAY_WORKER_GRANT_PARTS_H
#define DRAY_WORKER_GRANT_PARTS_H

#include "dray/seal.h"
#include "worker/flow.h"

#define MS_NS       1000000ull
#define PAUSE_NS    (1000 * MS_NS)  /* after a failure, before the endpoint is asked again; doubles, up to: */
#define LATER_NS    (30 * PAUSE_NS) /* also while there still is a token */
#define ANY_VERSION "*"             /* what Redis has is none of ours to judge: it is not taken */

/* Until an order may go, or the token is renewed:
 *
 *   IDLE → ASKS Redis ─ a token → IDLE
 *           ↑   │  └─── ours to fetch, or Redis refuses → FETCHES → IDLE, and Redis is told
 *           └ WAITS ─── another worker fetches */
enum grant_state { GRANT_IDLE, GRANT_ASKS, GRANT_WAITS, GRANT_FETCHES };

struct grant {
    char *token;         /* NULL: none */
    char *refresh_token; /* a newer one than the configuration's, as the endpoint gave it; NULL: none */
    uint64_t number;     /* tokens had so far */
    uint64_t renew_at_ns, ends_at_ns; /* boot clock; UINT64_MAX: its life is not told */
    uint64_t not_before_ns;           /* neither Redis nor the endpoint is asked before that */
    struct http_call *call;           /* FETCHES */
    struct buf body;
    const char *failed; /* why the last fetch did; NULL: it did not */
    uint32_t failures;  /* in a row */
    bool refused;

    enum grant_state state;
    uint64_t ask_at_ns;           /* WAITS: when Redis is asked again */
    struct account_runtime *next; /* of worker->busy_grants, all that are not idle */
    char version[17];             /* of the token, in Redis; empty: there is none */
    char name[33];                /* of the key in Redis, made of the credentials; empty: not shared */
    char holder[160];             /* who asks: this worker, and this grant */
    unsigned char seal_key[SEAL_KEY_BYTES]; /* of them, too */
};

/* ---- grant_init.c ---- */

void grant_wipe(char **text); /* of a secret; frees it */

/* ---- grant.c ---- */

/* Asks the token endpoint. False: it could not be asked. */
bool grant_fetch(struct account_runtime *runtime);
struct grant_token {
    struct span token;
    uint64_t good_ms, life_ms; /* from now, and from when it was fetched; good_ms 0: not told */
};
/* From now on this is the token; orders that wait are woken by grant_wake. */
void grant_take(struct account_runtime *runtime, const struct grant_token *t);
/* Orders that wait go, or are settled where there is no token. */
void grant_wake(struct account_runtime *runtime);
bool grant_is_good(const struct grant *g, uint64_t now_ns);
void grant_set_refresh_token(struct grant *g, struct span token);

/* ---- grant_share.c ---- */

/* Asks Redis; the grant is idle. */
void grant_ask(struct account_runtime *runtime);
/* Counted: runtime and consumer live on. */
void grant_busy(struct account_runtime *runtime, enum grant_state state);
void grant_idle(struct account_runtime *runtime); /* may free it */
/* Redis is told what came of a fetch: a token, or for how long nobody shall ask again (0: at once). */
void grant_tell_token(struct account_runtime *runtime, const struct grant_token *t,
                      struct span refresh_token);
void grant_tell_failed(struct account_runtime *runtime, uint64_t pause_ms);

#endif
