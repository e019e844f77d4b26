/* A lane's turns: what came up to be settled and begun collects in its two open batches; together with a
 * claim, where one is due, they go out in one call. Turns cost as much as some orders, so while one is under way the
 * next waits for a reply, or for a third of the slots; a batch that is full waits for nothing.
 *
 * Why thirds: an order's slot goes by a claim, a begin and a request. Where all slots were claimed by one turn, they
 * would be begun by one, sent at once and answered at once, and Redis, the provider and we would wait for
 * each other by turns. In three parts, each is at another of these.
 *
 * Happy path: lane_flush() → turn → settled(), dispatch_begun(), claim_answered() → lane_flush().
 * Failure modes: unanswered or refused by Redis as a whole (connection lost, READONLY, …), batches are kept
 * and sent again, each in a turn of its own, in order, when the lease is renewed; until then nothing is
 * claimed. What the turn may have claimed lies in our in-flight set (claim.c). Redis is full: it settles, and
 * refuses the rest; the begin batch is sent again, with backoff. */
#include "worker/flow.h"

#include <stdlib.h>

#include "policy/backoff.h"

#define MS_NS 1000000ull
/* How many jobs a claim takes off the list before it knows how long they are, while they have been short. */
#define FIRST_POP 32
#define SHORT_JOB (64u << 10)
#define PART_MAX  512 /* orders */
#define ENOUGH    64  /* a turn of so many costs as little an order as larger ones */
/* A turn of so many orders, or of this share of the slots, is large enough not to look at the sockets once more. */
#define GATHER_ENOUGH 32
#define GATHER_SHARE  8

/* A turn that is under way. */
struct turn_call {
    struct turn_call *next; /* in the lane's pool */
    struct lane *lane;
    struct turn turn;
};

static struct turn_call *call_get(struct lane *lane) {
    struct turn_call *c = lane->spare_calls;
    if (c == NULL && (c = malloc(sizeof(*c))) == NULL)
        abort(); /* Redis holds every job's state, another worker recovers */
    else if (c == lane->spare_calls)
        lane->spare_calls = c->next;
    c->lane = lane;
    return c;
}

static void call_put(struct turn_call *c) {
    c->next = c->lane->spare_calls;
    c->lane->spare_calls = c;
}

void lane_free_calls(struct lane *lane) {
    while (lane->spare_calls != NULL) {
        struct turn_call *c = lane->spare_calls;
        lane->spare_calls = c->next;
        free(c);
    }
}

static struct batch *take_spare(struct lane *lane, enum batch_kind kind) {
    struct batch *b = lane->spare;
    if (b == NULL)
        return batch_new(kind);
    lane->spare = b->next;
    b->next = NULL;
    b->kind = kind;
    return b;
}

void batch_done(struct lane *lane, struct batch *b) {
    batch_reset(b);
    b->next = lane->spare;
    lane->spare = b;
}

/* --- sending --- */

static void on_turn(void *arg, const redisReply *reply, const char *error);
static void on_waited(void *arg, long long replicas);

static void send_turn(struct lane *lane, const struct turn *turn) {
    struct worker *w = lane->worker;
    struct turn_call *c = call_get(lane);
    c->turn = *turn;
    c->turn.claim_bytes = CLAIM_BYTES;
    c->turn.high_water = lane->config->results_high_water;
    c->turn.first_pop = lane->longest > 0 && lane->longest <= SHORT_JOB ? FIRST_POP : 1;
    c->turn.number = lane->turn_number = turn_number(lane->turn_number, clock_unix_ms() * 1000);
    c->turn.answered = lane->turn_answered;
    c->turn.highest = lane->highest_token;
    c->turn.limits_version = lane->limits_version;
    lane->turns_out++;
    lane->turns_open++;
    lane->claims_out += turn->claims || turn->picked.ptr != NULL;
    lane->asked += turn->claims ? turn->claim_n : 0;
    if (turn->settle != NULL)
        turn->settle->jitter = (double)rng_below(&w->rng, 1000) / 1000.0;
    if (turn->begin != NULL && !turn->begin->sent)
        turn->begin->sent_ns = clock_boot_ns();
    struct redis_wait wait = {0};
    if (turn->begin != NULL && replicas_wanted(lane, turn->begin)) {
        wait = replicas_wait(lane, turn->begin);
        wait.waited = on_waited;
    }
    turn_send(&c->turn, &w->text_cmd, w->caller, &lane->keys, wait.waited != NULL ? &wait : NULL, on_turn, c);
}

static void send_batch(struct lane *lane, struct batch *b) {
    struct turn turn = {0};
    *(b->kind == BATCH_BEGIN ? &turn.begin : &turn.settle) = b;
    send_turn(lane, &turn);
}

/* The batch being filled, or NULL when memory ran out. */
struct batch *lane_batch(struct lane *lane, enum batch_kind kind) {
    struct batch **slot = kind == BATCH_BEGIN ? &lane->begin : &lane->settle;
    if (*slot != NULL && batch_full(*slot)) {
        struct batch *full = *slot;
        *slot = NULL;
        if (lane->resend != NULL || !lane_is_up(lane) || (kind == BATCH_BEGIN && !replicas_may_begin(lane)))
            lane_unanswered(lane, full);
        else
            send_batch(lane, full);
    }
    if (*slot == NULL)
        *slot = take_spare(lane, kind);
    return *slot;
}

/* Takes the open batch if there is something in it. */
static struct batch *take_filled(struct batch **slot) {
    struct batch *b = *slot;
    if (b == NULL || b->count == 0)
        return NULL;
    *slot = NULL;
    return b;
}

void lane_send_claim(struct lane *lane, uint32_t n) {
    struct turn turn = {.claims = true, .claim_n = n};
    lane->look_now = false;
    if (lane->resend == NULL && lane->leased) {
        turn.settle = take_filled(&lane->settle);
        turn.begin = lane->worker->boot->min_replicas == 0 ? take_filled(&lane->begin) : NULL;
    }
    send_turn(lane, &turn);
}

/* `order` is begun with what Redis claims for it: the text that a blocking pick-up gave. */
bool lane_send_picked(struct lane *lane, struct order *order, const struct beginning *begin,
                      struct span text) {
    struct turn turn = {
        .begin = take_spare(lane, BATCH_BEGIN), .picked = text, .outside = lane->worker->trial != NULL};
    if (turn.begin == NULL || !batch_add_begin(turn.begin, order, begin)) {
        if (turn.begin != NULL)
            batch_done(lane, turn.begin);
        return false;
    }
    send_turn(lane, &turn);
    return true;
}

static uint32_t filled(const struct batch *b) {
    return b != NULL ? b->count : 0;
}

/* Orders that wait for a turn. */
static uint32_t came_up(const struct lane *lane) {
    return filled(lane->settle) + filled(lane->begin);
}

uint32_t lane_part(const struct lane *lane) {
    uint32_t part = (lane->config->concurrency + PARTS - 1) / PARTS;
    return part < PART_MAX ? part : PART_MAX;
}

static void send_what_came_up(struct lane *lane) {
    if (lane->resend != NULL || !lane->leased || !lane_is_up(lane) || lane->turns_open >= PARTS)
        return;
    /* WAIT holds up what comes behind it, so a begin that waits for replicas goes alone, and last. */
    bool waits = lane->begin != NULL && lane->begin->count > 0 && replicas_wanted(lane, lane->begin);
    struct turn turn = {.settle = take_filled(&lane->settle),
                        .begin = waits ? NULL : take_filled(&lane->begin)};
    uint32_t n = lane_claim_due(lane, clock_boot_ns());
    if (n > 0) {
        turn.claims = true;
        turn.claim_n = n;
        lane->look_now = false;
    }
    if (turn.settle != NULL || turn.begin != NULL || turn.claims)
        send_turn(lane, &turn);
    if (waits && replicas_may_begin(lane))
        send_batch(lane, take_filled(&lane->begin));
}

void lane_flush(struct lane *lane) {
    uint32_t enough = lane_part(lane) < ENOUGH ? lane_part(lane) : ENOUGH;
    if (lane->turns_open == 0 || came_up(lane) >= enough)
        send_what_came_up(lane);
}

/* --- answers --- */

/* Keeps a batch for lane_resend, behind those already there. */
void lane_unanswered(struct lane *lane, struct batch *b) {
    b->stray = true; /* a reload may have changed the limits by then */
    b->next = NULL;
    if (lane->resend_last != NULL)
        lane->resend_last->next = b;
    else
        lane->resend = b;
    lane->resend_last = b;
}

static void refused(struct lane *lane, const char *what, const char *error) {
    log_redis_error(lane, what, error);
    lane->failures++;
    lane->resend_at_ns =
        clock_boot_ns() + (50 + backoff_ms(100, 5000, lane->failures, &lane->worker->rng)) * MS_NS;
}

/* No answer, or none to the turn as a whole. */
static void not_done(struct lane *lane, const struct turn *turn, const redisReply *reply, const char *error) {
    if (turn->picked.ptr != NULL) {
        pick_failed(lane, turn->begin, reply, error);
        return;
    }
    if (reply != NULL && (turn->settle != NULL || turn->begin != NULL))
        refused(lane, turn->settle != NULL ? "settle" : "begin", error);
    if (turn->settle != NULL)
        lane_unanswered(lane, turn->settle);
    if (turn->begin != NULL)
        lane_unanswered(lane, turn->begin);
    if (turn->claims)
        claim_unanswered(lane, reply != NULL, error);
}

/* Answers are coming in, and the loop has not looked at them while it read this one: a small turn waits for
 * one more look at the sockets. */
static bool gathers(const struct lane *lane) {
    uint32_t there = came_up(lane);
    return there > 0 && there < GATHER_ENOUGH && there < lane->config->concurrency / GATHER_SHARE &&
           lane->orders[ORDER_SENDING].count > 0;
}

void lane_go_on(struct lane *lane) {
    lane->gathers = gathers(lane);
    if (!lane->gathers)
        send_what_came_up(lane);
}

static void done(struct lane *lane, const struct turn *turn, const redisReply *reply) {
    const char *why = turn->begin != NULL ? turn_begin_refused(reply) : NULL;
    if (why == NULL && !(turn->claims && claim_refused(reply->element[TURN_CLAIMED])))
        lane_refuses_no_more(lane);
    if (turn->number > lane->turn_answered)
        lane->turn_answered = turn->number;
    if (turn->claims)
        claim_status(lane, reply->element[TURN_CLAIMED]);
    lane_look(lane, reply, TURN_NOW);
    if (turn->picked.ptr != NULL) {
        if (why != NULL)
            log_redis_error(lane, "pick", why);
        pick_answered(lane, turn->begin, reply);
    } else if (why != NULL) {
        refused(lane, "begin", why);
        lane_unanswered(lane, turn->begin);
    } else if (turn->begin != NULL) {
        dispatch_begun(lane, turn->begin, reply->element[TURN_BEGUN]);
    }
    if (turn->claims)
        claim_answered(lane, turn->claim_n, reply->element[TURN_CLAIMED]);
    if (turn->settle != NULL)
        settled(lane, turn->settle, reply->element[TURN_SETTLED]);
    lane_go_on(lane);
}

static void on_turn(void *arg, const redisReply *reply, const char *error) {
    struct turn_call *c = arg;
    struct lane *lane = c->lane;
    struct turn turn = c->turn;
    lane->turns_open--;
    if (turn.begin == NULL || !turn.begin->waits) { /* else on_waited comes, too */
        lane->turns_out--;
        call_put(c);
    }
    lane->claims_out -= turn.claims || turn.picked.ptr != NULL;
    lane->asked -= turn.claims ? turn.claim_n : 0;
    if (turn_reply_ok(&turn, reply))
        done(lane, &turn, reply);
    else
        not_done(lane, &turn, reply, error);
}

static void on_waited(void *arg, long long replicas) {
    struct turn_call *c = arg;
    struct lane *lane = c->lane;
    struct batch *b = c->turn.begin;
    lane->turns_out--;
    call_put(c);
    replicas_answered(lane, b, replicas);
}

/* After a reconnect or an error: everything unanswered goes out again, in order. */
void lane_resend(struct lane *lane, uint64_t now_ns) {
    if (lane->resend == NULL || !lane->leased || now_ns < lane->resend_at_ns || lane->turns_out > 0 ||
        !lane_is_up(lane))
        return;
    while (lane->resend != NULL) {
        struct batch *b = lane->resend;
        if (replicas_wanted(lane, b) && !replicas_may_begin(lane))
            return;
        lane->resend = b->next;
        if (lane->resend == NULL)
            lane->resend_last = NULL;
        b->next = NULL;
        send_batch(lane, b);
    }
}
