/* The life of one Redis connection: find it, connect, greet, serve, lose, wait, again.
 *
 * Happy path: attempt → [sentinel] → dial → link → handshake → UP.
 * Failure modes: each step ends in down(reason): callbacks owed are called with NULL, then
 * on_state(DOWN), then a timer with full-jitter backoff starts the next attempt. A server that
 * refuses the password is asked again at the slow end of the backoff, since someone has to act.
 * READONLY, MASTERDOWN, LOADING, and a cluster that stays down mean that the master is elsewhere: the answer
 * is passed on, then the connection is dropped, so that the next attempt asks the sentinels, resolves the name,
 * or goes through the balancer anew. Of a name's addresses, one whose server refuses (a replica, a balancer
 * with nothing behind it) is followed by the next at once; the one that was last left is tried last.
 *
 *   enum redis_state   held by                       left by
 *   CONNECTING         sentinel, dial or handshake   on_greeted, down, close
 *   UP                 link                          on_lost → down, close
 *   DOWN               timer (backoff)               attempt, close
 *   CLOSED             idle's close callback         on_closed: the memory goes
 */
#include "dray/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_dial.h"
#include "io/redis_handshake.h"
#include "io/redis_link.h"
#include "io/redis_parts.h"
#include "io/redis_pending.h"
#include "io/redis_sentinel.h"
#include "io/redis_tls.h"

#define SENTINELS_PLACE "the sentinels"
#define STABLE_MS       1000 /* a connection that was UP for so long: the next backoff starts small again */

struct redis_conn {
    uv_loop_t *loop;
    const struct redis_options *options;
    struct rng *rng;
    redis_state_fn on_state;
    void *arg;
    enum redis_state state;

    struct redis_tls *tls; /* or NULL */
    bool renewed;          /* … which is to be made anew from the options' files first */
    struct redis_sentinel *sentinel;
    size_t first_sentinel;
    struct redis_dial *dial; /* stays through the handshake: there may be more addresses */
    struct redis_link *link;
    struct redis_handshake handshake;
    uv_timer_t *timer;                 /* backoff; the handshake's limit */
    uv_idle_t *idle;                   /* runs while `refused` has callbacks to call */
    struct redis_pending_ring refused; /* given while not UP */

    char host[256]; /* of the master that the sentinels named */
    struct redis_address address;
    struct sockaddr_storage served; /* of the last that was UP */
    struct redis_standstill standstill;
    char place[300];
    char reason[256];
    uint32_t attempts; /* since the last stable connection */
    uint64_t up_since; /* ms, loop time */
    struct redis_stats stats;

    void (*closed)(void *arg);
    void *closed_arg;
};

static void set_state(struct redis_conn *c, enum redis_state state, const char *reason) {
    c->state = state;
    if (c->on_state != NULL)
        c->on_state(c->arg, state, reason);
}

static void set_address(struct redis_conn *c, const struct redis_address *address) {
    c->address = *address;
    redis_place(c->place, sizeof(c->place), address);
}

/* --- down, and up again --- */

static void attempt(struct redis_conn *c);

static void on_backoff(uv_timer_t *timer) {
    struct redis_conn *c = timer->data;
    c->stats.reconnects++;
    attempt(c);
}

static void drop(struct redis_conn *c) {
    redis_sentinel_cancel(c->sentinel);
    redis_dial_cancel(c->dial);
    redis_link_free(c->link);
    c->sentinel = NULL;
    c->dial = NULL;
    c->link = NULL;
}

static void down(struct redis_conn *c, const char *reason) {
    if (c->state == REDIS_CLOSED)
        return;
    bool was_stable = c->state == REDIS_UP && uv_now(c->loop) - c->up_since >= STABLE_MS;
    c->state = REDIS_DOWN;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    if (c->link != NULL)
        redis_link_fail(c->link, c->reason);
    if (c->state == REDIS_CLOSED)
        return;
    drop(c);
    if (was_stable)
        c->attempts = 0;
    uv_timer_start(c->timer, on_backoff, redis_backoff_ms(c->attempts, c->reason, c->rng), 0);
    c->attempts++;
    set_state(c, REDIS_DOWN, c->reason);
}

/* The handshake failed. The next of the name's addresses may do better, unless the password was refused. */
static bool try_next(struct redis_conn *c, const char *reason) {
    if (c->state != REDIS_CONNECTING || c->dial == NULL || redis_reason_is_auth(reason) ||
        !redis_dial_next(c->dial))
        return false;
    uv_timer_stop(c->timer);
    if (c->link != NULL)
        redis_link_fail(c->link, reason);
    redis_link_free(c->link);
    c->link = NULL;
    return true;
}

static void on_lost(void *arg, const char *reason) {
    struct redis_conn *c = arg;
    char text[sizeof(c->reason)], where[64] = "";
    if (try_next(c, reason))
        return;
    if (c->dial != NULL)
        redis_dial_describe(c->dial, where, sizeof(where));
    snprintf(text, sizeof(text), "%.*s%s", (int)(sizeof(text) - sizeof(where)), reason, where);
    down(c, text);
}

static void on_error_reply(void *arg, const char *text) {
    struct redis_conn *c = arg;
    if (c->state == REDIS_UP &&
        (redis_reason_is_moved(text) || redis_standstill_goes_on(&c->standstill, text, uv_now(c->loop))))
        redis_link_break(c->link, text);
}

static void on_greeted(void *arg, const char *refusal) {
    struct redis_conn *c = arg;
    if (c->state == REDIS_CLOSED)
        return;
    uv_timer_stop(c->timer);
    if (refusal[0] != '\0') {
        redis_link_break(c->link, refusal);
        return;
    }
    if (c->dial != NULL)
        c->served = redis_dial_peer(c->dial);
    redis_dial_cancel(c->dial);
    c->dial = NULL;
    c->reason[0] = '\0';
    c->up_since = uv_now(c->loop);
    set_state(c, REDIS_UP, "");
}

static void on_greeting_timeout(uv_timer_t *timer) {
    struct redis_conn *c = timer->data;
    char text[96];
    snprintf(text, sizeof(text), "no answer to the greeting within %u ms%s",
             (unsigned)redis_connect_timeout(c->options),
             c->tls != NULL ? "; does this port speak TLS?" : "");
    redis_link_stop(c->link);
    on_lost(c, text);
}

static void on_dialed(void *arg, int fd, const char *reason) {
    struct redis_conn *c = arg;
    if (fd < 0) {
        c->dial = NULL;
        down(c, reason);
        return;
    }
    struct redis_link_owner owner = {c, on_lost, on_error_reply, redis_command_timeout(c->options),
                                     &c->stats};
    struct err err;
    c->link = redis_link_new(c->loop, fd, c->tls, c->address.host, &owner, &err);
    if (c->link == NULL) {
        on_lost(c, err.text);
        return;
    }
    uv_timer_start(c->timer, on_greeting_timeout, redis_connect_timeout(c->options), 0);
    redis_handshake_send(&c->handshake, c->link, c->options);
}

static void dial(struct redis_conn *c) {
    c->dial =
        redis_dial_start(c->loop, &c->address, &c->served, redis_connect_timeout(c->options), on_dialed, c);
    if (c->dial == NULL)
        down(c, "out of memory");
}

static void on_master(void *arg, const char *host, uint16_t port, const char *reason) {
    struct redis_conn *c = arg;
    c->sentinel = NULL;
    if (host == NULL) {
        snprintf(c->place, sizeof(c->place), "%s", SENTINELS_PLACE);
        down(c, reason);
        return;
    }
    snprintf(c->host, sizeof(c->host), "%s", host);
    set_address(c, &(struct redis_address){.host = c->host, .port = port});
    dial(c);
}

static void attempt(struct redis_conn *c) {
    const struct redis_options *o = c->options;
    struct err err;
    set_state(c, REDIS_CONNECTING, "");
    if (c->state == REDIS_CLOSED)
        return;
    if (c->renewed && c->tls != NULL && redis_tls_renew(&c->tls, o, &err) != 0) {
        down(c, err.text);
        return;
    }
    c->renewed = false;
    if (o->sentinels != NULL) {
        c->sentinel = redis_sentinel_ask(c->loop, o, c->tls, &c->first_sentinel, on_master, c);
        if (c->sentinel == NULL)
            down(c, "out of memory");
        return;
    }
    dial(c);
}

static void on_first(uv_timer_t *timer) {
    attempt(timer->data);
}

/* --- the public side --- */

static int init_handles(struct redis_conn *c) {
    c->timer = malloc(sizeof(*c->timer));
    c->idle = malloc(sizeof(*c->idle));
    if (c->timer == NULL || c->idle == NULL) {
        free(c->timer);
        free(c->idle);
        return -1;
    }
    uv_timer_init(c->loop, c->timer);
    uv_idle_init(c->loop, c->idle);
    c->timer->data = c->idle->data = c;
    uv_timer_start(c->timer, on_first, 0, 0);
    return 0;
}

struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                  redis_state_fn on_state, void *arg, struct err *err) {
    if (redis_options_check(options, err) != 0)
        return NULL;
    struct redis_conn *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        err_set(err, "out of memory");
        return NULL;
    }
    *c = (struct redis_conn){.loop = loop,
                             .options = options,
                             .rng = rng,
                             .on_state = on_state,
                             .arg = arg,
                             .state = REDIS_CONNECTING};
    c->handshake = (struct redis_handshake){.done = on_greeted, .arg = c};
    if (options->sentinels != NULL)
        snprintf(c->place, sizeof(c->place), "%s", SENTINELS_PLACE);
    else
        set_address(c, &(struct redis_address){options->unix_path, options->host, options->port});
    if (options->tls && (c->tls = redis_tls_new(options, err)) == NULL) {
        free(c);
        return NULL;
    }
    if (init_handles(c) != 0) {
        err_set(err, "out of memory");
        redis_tls_free(c->tls);
        free(c);
        return NULL;
    }
    return c;
}

void redis_conn_renew(struct redis_conn *c) {
    c->renewed = true;
}

enum redis_state redis_conn_state(const struct redis_conn *c) {
    return c->state;
}

const char *redis_conn_error(const struct redis_conn *c) {
    return c->reason;
}

const char *redis_conn_place(const struct redis_conn *c) {
    return c->place;
}

enum redis_server_kind redis_conn_kind(const struct redis_conn *c) {
    return c->handshake.kind;
}

struct redis_stats redis_conn_stats(const struct redis_conn *c) {
    return c->stats;
}

static const char *refusal(const struct redis_conn *c) {
    if (c->state == REDIS_CLOSED)
        return "the connection was closed";
    return c->reason[0] != '\0' ? c->reason : "not connected";
}

static void on_idle(uv_idle_t *idle) {
    struct redis_conn *c = idle->data;
    uv_idle_stop(idle);
    redis_pending_fail(&c->refused, refusal(c));
}

static void refuse(struct redis_conn *c, redis_reply_fn done, void *arg) {
    redis_pending_push(&c->refused, (struct redis_pending){.done = done, .arg = arg});
    if (c->state != REDIS_CLOSED)
        uv_idle_start(c->idle, on_idle);
}

void redis_send(struct redis_conn *c, struct span resp, uint32_t block_ms, redis_reply_fn done, void *arg) {
    if (c->state == REDIS_UP)
        redis_link_send(c->link, resp, block_ms, done, arg);
    else
        refuse(c, done, arg);
}

void redis_flush(struct redis_conn *c) {
    if (c->state == REDIS_UP)
        redis_link_flush(c->link);
}

static void on_closed(uv_handle_t *idle) {
    struct redis_conn *c = idle->data;
    free(idle);
    if (c->link != NULL)
        redis_link_fail(c->link, refusal(c));
    while (c->refused.len > 0)
        redis_pending_fail(&c->refused, refusal(c));
    drop(c);
    redis_pending_deinit(&c->refused);
    redis_tls_free(c->tls);
    void (*closed)(void *) = c->closed;
    void *arg = c->closed_arg;
    free(c);
    if (closed != NULL)
        closed(arg);
}

static void free_handle(uv_handle_t *h) {
    free(h);
}

void redis_conn_close(struct redis_conn *c, void (*closed)(void *arg), void *arg) {
    if (c == NULL || c->state == REDIS_CLOSED)
        return;
    c->state = REDIS_CLOSED;
    c->closed = closed;
    c->closed_arg = arg;
    if (c->link != NULL)
        redis_link_stop(c->link);
    redis_sentinel_cancel(c->sentinel);
    redis_dial_cancel(c->dial);
    c->sentinel = NULL;
    c->dial = NULL;
    uv_close((uv_handle_t *)c->timer, free_handle);
    uv_close((uv_handle_t *)c->idle, on_closed);
}

redisContext *redis_conn_detach(struct redis_conn *c) {
    redisContext *ctx = redis_link_detach(c->link);
    c->link = NULL;
    return ctx;
}
