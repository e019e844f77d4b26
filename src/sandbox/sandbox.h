/* The sandbox: plays the providers' side on one port, in a thread of its own.
 *
 * It is strict about the providers' documents, remembers every POST and every order it created per
 * order key, and misbehaves on request: by flag, at run time, and by magic order keys
 * (sandbox/magic.h). docs/sandbox.md describes it from outside. */
#ifndef DRAY_SANDBOX_H
#define DRAY_SANDBOX_H

#include <stdio.h>

#include "dray/buf.h"
#include "dray/err.h"

#define SANDBOX_DOWN_HANGUP 1 /* `down`: close the connection instead of answering */

/* How the sandbox misbehaves; the same for every caller, or for one caller's credentials. */
struct sandbox_trouble {
    uint64_t latency_min_ms, latency_max_ms; /* of every answer of a provider, evenly between the two */
    double fail_rate;   /* share of POSTs answered 500, 502, 503 or 504; they create nothing */
    double hangup_rate; /* share closed without an answer; every second of them created the order */
    double slow_rate;   /* share answered only after slow_ms */
    uint64_t slow_ms;
    uint64_t index_lag_ms; /* from creation until look-ups that read an index see the order */
    bool refuse_repeats;   /* a key that has an order is answered 409 instead of creating another */
    bool balance_spent;    /* every order is refused with one code: the account's balance is too low */
    uint64_t token_ttl_ms; /* credentials are refused so long after their first request; 0: never */
    uint64_t keep_ms;      /* idle connections are closed after this; 0: they stay */
    unsigned down;         /* 0, an HTTP status, or SANDBOX_DOWN_HANGUP: every request of a provider */
};

struct sandbox_options {
    const char *host;
    uint16_t port; /* 0: the system picks one */
    struct sandbox_trouble trouble;
    uint64_t seed;     /* of all random choices */
    uint32_t remember; /* order keys, and orders, that fit; then POSTs are answered 507 */
    uint64_t memory;   /* bytes of keys and order bodies that are kept; then 507 as well */
    FILE *log;         /* a line for each request of a provider; NULL: none */
};

struct sandbox_totals {
    uint64_t posts;   /* to the create endpoints, whatever became of them */
    uint64_t created; /* orders that a POST created */
    uint64_t refused; /* POSTs that created nothing */
    uint64_t lookups;
    uint64_t keys;    /* order keys seen */
    uint64_t doubled; /* keys for which more than one POST created an order */
};

struct sandbox;

/* 127.0.0.1, port 0, no trouble, 1,000,000 keys, 1 GiB. */
void sandbox_options_init(struct sandbox_options *o);

/* Sets one part of `t` by name, from a flag or from /_sandbox/set: "latency" "fail_rate"
 * "hangup_rate" "slow_rate" "slow" "index_lag" "repeats" "balance" "token_ttl" "keep_alive" "down". 0, or
 * -1 and `err`. */
int sandbox_trouble_set(struct sandbox_trouble *t, const char *name, const char *value, struct err *err);

/* Listens, and serves from a thread of its own. NULL and `err` if that is not possible. */
struct sandbox *sandbox_start(const struct sandbox_options *options, struct err *err);
uint16_t sandbox_port(const struct sandbox *s);
/* Closes every connection, ends the thread, frees. `totals` may be NULL. NULL is fine. */
void sandbox_stop(struct sandbox *s, struct sandbox_totals *totals);

#endif
