/* The access token of an account with `auth = oauth2`: fetched when an order needs it, once for the fleet,
 * and renewed before it ends. */
#ifndef DRAY_WORKER_GRANT_H
#define DRAY_WORKER_GRANT_H

#include <stdbool.h>
#include <stdint.h>

struct account_runtime;
struct order;
struct account;
struct worker;
struct consumer;

struct grant;

/* For the runtime of an account that uses OAuth2; from `before`, its predecessor or NULL, it takes the token over if the credentials are
 * the same. False: out of memory. */
bool grant_new(struct account_runtime *runtime, const struct account_runtime *before);
void grant_free(struct grant *grant); /* NULL is fine; no fetch of it is under way */
bool grant_same_credentials(const struct account *a, const struct account *b);
/* Gives the account the target that carries its token. False: there is none, or no memory. */
bool grant_make_target(struct account_runtime *runtime);

/* True: there is a token that is good now (it may be renewed meanwhile). False: the order waits for one, or was settled since
 * there is none to be had. */
bool grant_ready(struct order *o);
/* 401 was answered: true where a new token is worth another try, and the order waits or was sent again. */
bool grant_renew(struct order *o);
/* The account with its token, for requests made one by one: `copy`, or the account itself where it has no grant. */
const struct account *grant_account(const struct account_runtime *runtime, struct account *copy);

/* Each turn: Redis is asked again for tokens that other workers fetch; and when that is due next, 0: never. */
void grants_turn(struct worker *w, uint64_t now_ns);
uint64_t grants_wake_ns(const struct worker *w);
/* The consumer holds no order any more: what is under way for its accounts ends, and Redis is told. */
void grants_leave(struct consumer *consumer);
void grants_end(struct worker *w); /* everything is closed */

#endif
