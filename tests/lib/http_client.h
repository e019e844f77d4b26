/* A loop, a pool and what came back: the frame of every test of the HTTP client. */
#ifndef DRAY_TESTS_HTTP_CLIENT_H
#define DRAY_TESTS_HTTP_CLIENT_H

#include "dray/http.h"

struct client {
    uv_loop_t loop;
    struct http_pool *pool;
    unsigned outstanding; /* sent through client_send, callback not seen */
    bool closed;
};

/* A copy of an exchange that outlives the callback. */
struct result {
    struct client *client;
    struct http_call *call;
    unsigned calls; /* of the callback */
    bool allow;     /* what may_send answers */
    unsigned asked;
    struct http_exchange x; /* its pointers lead into the copies below */
    char body[4096];        /* NUL-terminated, cut */
    char error[512];
    char retry_after[64];
    char content_type[64];
};

void client_init(struct client *c, uint32_t max_inflight);
/* Closes the pool, runs the loop dry, and asserts that nothing is left in it. */
void client_deinit(struct client *c);
struct http_target *client_target(struct client *c, const struct http_target_options *options);
/* POST, 5 s for everything. */
struct http_target *client_post(struct client *c, const char *url);
/* Starts a request whose callback fills `r`; false where http_send refused. */
bool client_start(struct client *c, struct http_target *t, const struct http_request *request,
                  struct result *r);
/* Runs the loop until no request of client_start is outstanding; asserts that this takes < 20 s. */
void client_wait(struct client *c);
/* Both, for a POST of `body`. */
void client_do(struct client *c, struct http_target *t, const char *body, struct result *r);
/* Runs the loop until `condition` holds, for at most 20 s. */
void client_until(struct client *c, bool (*condition)(void *arg), void *arg);

bool result_may_send(void *result); /* for http_request.may_send: counts, returns `allow` */

/* A certificate for 127.0.0.1 that is its own CA, made by openssl(1) in a directory of its own. */
struct test_cert {
    char dir[64], cert[96], key[96];
};
/* For cmocka_run_group_tests: makes it, as *state of each test; removes it. */
int test_cert_setup(void **state);
int test_cert_teardown(void **state);

#endif
