/* A consumer's turns: what came up to be settled and begun collects in its two open parts; together with a
 * claim, where one is due, they go out in one call. Turns cost as much as some orders, so while one is under way the
 * next waits for a reply, or for a third of the slots; a part that is full waits for nothing.
 *
 * Why thirds: an order's slot goes by a claim, a begin and a request. Where all slots were claimed by one turn, they
 * would be begun by one, sent at once and answered at once, and Redis, the provider and we would wait for
 * each other by turns. In three parts, each is at another of these.
 *
 * Happy path: consumer_flush() → turn → settled(), dispatch_begun(), claim_answered() → consumer_flush().
 * Failure modes: unanswered or refused by Redis as a whole (connection lost, READONLY, …), parts are kept
 * and sent again, each in a turn of its own, in order, when the lease is renewed; until then nothing is
 * claimed. What the turn may have claimed lies in a batch of ours (claim.c). Redis is full: it settles, and
 * refuses the rest; what was to begin is sent again, with backoff. */
#include "worker/batch_read.h"
#include "worker/flow.h"

#include <stdlib.h>

#include "policy/backoff.h"

#define MS_NS  1000000ull
#define ENOUGH 64 /* a turn of so many costs as little an order as larger ones */
/* A turn of so many orders, or of this share of the slots, is large enough not to look at the sockets once more. */
#define GATHER_ENOUGH 32
#define GATHER_SHARE  8

/* A turn that is under way. */
struct turn_call {
    struct turn_call *next; /* in the consumer's pool */
    struct consumer *consumer;
    struct turn turn;
    struct batch_read *read; /* of what it claims; NULL: nothing */
};

static struct turn_call *call_get(struct consumer *consumer) {
    struct turn_call *c = consumer->turns.spare_calls;
    if (c == NULL && (c = malloc(sizeof(*c))) == NULL)
        abort(); /* Redis holds every job's state, another worker recovers */
    else if (c == consumer->turns.spare_calls)
        consumer->turns.spare_calls = c->next;
    c->consumer = consumer;
    c->read = NULL;
    return c;
}

static void call_put(struct turn_call *c) {
    c->next = c->consumer->turns.spare_calls;
    c->consumer->turns.spare_calls = c;
}

void consumer_free_calls(struct consumer *consumer) {
    while (consumer->turns.spare_calls != NULL) {
        struct turn_call *c = consumer->turns.spare_calls;
        consumer->turns.spare_calls = c->next;
        free(c);
    }
}

/* --- sending --- */

static void on_turn(void *arg, const redisReply *reply, const char *error);
static void on_waited(void *arg, long long replicas);

static void send_turn(struct consumer *consumer, const struct turn *turn) {
    struct worker *w = consumer->worker;
    struct turn_call *c = call_get(consumer);
    c->turn = *turn;
    c->turn.claim_bytes = CLAIM_BYTES;
    c->turn.high_water = consumer->config->results_high_water;
    c->turn.limits_version = consumer->accounts.limits_version;
    consumer->turns.out++;
    consumer->turns.open++;
    if (turn->claims && turn->claim_n > 0) {
        c->turn.batch = ++consumer->claims.batches;
        c->read = batch_read_new(consumer, c->turn.batch, turn->claim_n);
    }
    consumer->claims.out += turn->picked.ptr != NULL;
    if (turn->settle != NULL)
        turn->settle->jitter = (double)rng_below(&w->rng, 1000) / 1000.0;
    if (turn->begin != NULL && !turn->begin->sent)
        turn->begin->sent_ns = clock_boot_ns();
    struct redis_wait wait = {0};
    if (turn->begin != NULL && replicas_wanted(consumer, turn->begin)) {
        wait = replicas_wait(consumer, turn->begin);
        wait.waited = on_waited;
    }
    turn_send(&c->turn, &w->scratch.cmd, w->caller, &consumer->keys, wait.waited != NULL ? &wait : NULL,
              on_turn, c);
    if (c->read != NULL)
        batch_read_ask(c->read);
}

void consumer_send_part(struct consumer *consumer, struct part *b) {
    struct turn turn = {0};
    *(b->kind == PART_BEGIN ? &turn.begin : &turn.settle) = b;
    send_turn(consumer, &turn);
}

/* Takes the open part if there is something in it. */
static struct part *take_filled(struct part **slot) {
    struct part *b = *slot;
    if (b == NULL || b->count == 0)
        return NULL;
    *slot = NULL;
    return b;
}

void consumer_send_claim(struct consumer *consumer, uint32_t n) {
    struct turn turn = {.claims = true, .claim_n = n};
    consumer->claims.look_now = false;
    if (consumer->turns.resend == NULL && consumer->lease.held) {
        turn.settle = take_filled(&consumer->turns.settle);
        turn.begin = consumer->worker->boot->min_replicas == 0 ? take_filled(&consumer->turns.begin) : NULL;
    }
    send_turn(consumer, &turn);
}

/* `order` is begun with what Redis claims for it: the text that a blocking pick-up gave. */
bool consumer_send_picked(struct consumer *consumer, struct order *order, const struct beginning *begin,
                          struct span text) {
    struct turn turn = {.begin = part_spare(consumer, PART_BEGIN),
                        .batch = order->claim.batch,
                        .picked = text,
                        .outside = consumer->worker->trial != NULL};
    if (turn.begin == NULL || !part_add_begin(turn.begin, order, &consumer->keys, begin)) {
        if (turn.begin != NULL)
            part_done(consumer, turn.begin);
        return false;
    }
    send_turn(consumer, &turn);
    return true;
}

static uint32_t filled(const struct part *b) {
    return b != NULL ? b->count : 0;
}

/* Orders that wait for a turn. */
static uint32_t came_up(const struct consumer *consumer) {
    return filled(consumer->turns.settle) + filled(consumer->turns.begin);
}

static void send_what_came_up(struct consumer *consumer) {
    if (consumer->turns.resend != NULL || !consumer->lease.held || !consumer_is_up(consumer) ||
        consumer->turns.open >= PARTS)
        return;
    /* WAIT holds up what comes behind it, so a begin that waits for replicas goes alone, and last. */
    bool waits = consumer->turns.begin != NULL && consumer->turns.begin->count > 0 &&
                 replicas_wanted(consumer, consumer->turns.begin);
    struct turn turn = {.settle = take_filled(&consumer->turns.settle),
                        .begin = waits ? NULL : take_filled(&consumer->turns.begin)};
    uint32_t n = consumer_claim_due(consumer, clock_boot_ns());
    if (n > 0) {
        turn.claims = true;
        turn.claim_n = n;
        consumer->claims.look_now = false;
    }
    if (turn.settle != NULL || turn.begin != NULL || turn.claims)
        send_turn(consumer, &turn);
    if (waits && replicas_may_begin(consumer))
        consumer_send_part(consumer, take_filled(&consumer->turns.begin));
}

void consumer_flush(struct consumer *consumer) {
    uint32_t enough = consumer_third(consumer) < ENOUGH ? consumer_third(consumer) : ENOUGH;
    if (consumer->turns.open == 0 || came_up(consumer) >= enough)
        send_what_came_up(consumer);
}

/* --- answers --- */

static void refused(struct consumer *consumer, const char *what, const char *error) {
    log_redis_error(consumer, what, error);
    consumer->trouble.failures++;
    consumer->turns.resend_at_ns =
        clock_boot_ns() +
        (50 + backoff_ms(100, 5000, consumer->trouble.failures, &consumer->worker->rng)) * MS_NS;
}

/* No answer, or none to the turn as a whole. */
static void not_done(struct consumer *consumer, const struct turn *turn, const redisReply *reply,
                     const char *error) {
    if (turn->picked.ptr != NULL) {
        pick_failed(consumer, turn->begin, reply, error);
        return;
    }
    if (reply != NULL && (turn->settle != NULL || turn->begin != NULL))
        refused(consumer, turn->settle != NULL ? "settle" : "begin", error);
    if (turn->settle != NULL)
        consumer_unanswered(consumer, turn->settle);
    if (turn->begin != NULL)
        consumer_unanswered(consumer, turn->begin);
    if (turn->claims)
        claim_unanswered(consumer, reply != NULL, error);
}

/* Answers are coming in, and the loop has not looked at them while it read this one: a small turn waits for
 * one more look at the sockets. */
static bool gathers(const struct consumer *consumer) {
    uint32_t there = came_up(consumer);
    return there > 0 && there < GATHER_ENOUGH && there < consumer->config->concurrency / GATHER_SHARE &&
           consumer->orders.in[ORDER_SENDING].count > 0;
}

void consumer_go_on(struct consumer *consumer) {
    consumer->turns.gathers = gathers(consumer);
    if (!consumer->turns.gathers)
        send_what_came_up(consumer);
}

static void done(struct consumer *consumer, const struct turn *turn, struct batch_read *read,
                 const redisReply *reply) {
    const char *why = turn->begin != NULL ? turn_begin_refused(reply) : NULL;
    if (why == NULL && !(turn->claims && claim_refused(reply->element[TURN_CLAIMED])))
        consumer_refuses_no_more(consumer);
    if (turn->claims)
        claim_status(consumer, reply->element[TURN_CLAIMED]);
    consumer_look(consumer, reply, TURN_NOW);
    if (turn->picked.ptr != NULL) {
        if (why != NULL)
            log_redis_error(consumer, "pick", why);
        pick_answered(consumer, turn->begin, reply);
    } else if (why != NULL) {
        refused(consumer, "begin", why);
        consumer_unanswered(consumer, turn->begin);
    } else if (turn->begin != NULL) {
        dispatch_begun(consumer, turn->begin, reply->element[TURN_BEGUN]);
    }
    struct claimed claimed = {0};
    if (turn->claims)
        claim_answered(consumer, turn->claim_n, reply->element[TURN_CLAIMED], &claimed);
    if (turn->settle != NULL)
        settled(consumer, turn->settle, reply->element[TURN_SETTLED]);
    if (read != NULL)
        batch_read_told(read, &claimed);
    if (claimed.count == 0) /* else once its texts are here, which is mostly now */
        consumer_go_on(consumer);
}

static void on_turn(void *arg, const redisReply *reply, const char *error) {
    struct turn_call *c = arg;
    struct consumer *consumer = c->consumer;
    struct turn turn = c->turn;
    struct batch_read *read = c->read;
    consumer->turns.open--;
    if (turn.begin == NULL || !turn.begin->waits) { /* else on_waited comes, too */
        consumer->turns.out--;
        call_put(c);
    }
    consumer->claims.out -= turn.picked.ptr != NULL;
    if (turn_reply_ok(&turn, reply)) {
        done(consumer, &turn, read, reply);
        return;
    }
    if (read != NULL)
        batch_read_told(read, NULL);
    not_done(consumer, &turn, reply, error);
}

static void on_waited(void *arg, long long replicas) {
    struct turn_call *c = arg;
    struct consumer *consumer = c->consumer;
    struct part *b = c->turn.begin;
    consumer->turns.out--;
    call_put(c);
    replicas_answered(consumer, b, replicas);
}

/* After a reconnect or an error: everything unanswered goes out again, in order. */
void consumer_resend(struct consumer *consumer, uint64_t now_ns) {
    if (consumer->turns.resend == NULL || !consumer->lease.held || now_ns < consumer->turns.resend_at_ns ||
        consumer->turns.out > 0 || !consumer_is_up(consumer))
        return;
    while (consumer->turns.resend != NULL) {
        struct part *b = consumer->turns.resend;
        if (replicas_wanted(consumer, b) && !replicas_may_begin(consumer))
            return;
        consumer->turns.resend = b->next;
        if (consumer->turns.resend == NULL)
            consumer->turns.resend_last = NULL;
        b->next = NULL;
        consumer_send_part(consumer, b);
    }
}
