/* A loop with one redis_conn, and a note of all that it called back: for tests of the Redis client
 * and of what stands on it. */
#ifndef DRAY_TESTS_REDIS_CLIENT_H
#define DRAY_TESTS_REDIS_CLIENT_H

#include <uv.h>

#include "dray/redis.h"

#define CLIENT_TEXT_MAX 200

/* What one command came to. `calls` must end at 1. */
struct answer {
    struct client *client;
    unsigned calls;
    unsigned order; /* the how-manieth callback of the client this was, from 1 */
    bool got_reply;
    int type;
    long long integer;
    char text[CLIENT_TEXT_MAX]; /* a string, status or error reply; or why there was none */
    size_t len;                 /* of the reply's string */
};

struct client {
    uv_loop_t loop;
    uv_timer_t ticker; /* wakes the loop, so that a deadline is seen */
    struct rng rng;
    struct redis_options options;
    struct redis_conn *conn;
    unsigned ups, downs;
    unsigned callbacks, unanswered;
    unsigned callbacks_at_down; /* how many callbacks had been called when on_state(DOWN) was */
    bool closed;
    char reason[CLIENT_TEXT_MAX];
};

void client_init(struct client *c); /* the options are the caller's to fill next */
void client_connect(struct client *c);
void client_close(struct client *c);  /* runs the loop until `closed` was called */
void client_deinit(struct client *c); /* closes, and fails the test if the loop does not close clean */

/* Runs the loop until the condition holds; false when it did not within 10 s. */
bool client_wait(struct client *c, bool (*condition)(void *arg), void *arg);
void client_wait_up(struct client *c); /* … and end the test where they fail */
void client_wait_down(struct client *c);
void client_wait_answer(struct client *c, struct answer *a);

/* Splits `command` at spaces. */
void client_send(struct client *c, struct answer *a, const char *command, uint32_t block_ms);
/* client_send, then waits. */
void client_do(struct client *c, struct answer *a, const char *command);

#endif
