/* Picking up work.
 *
 * Happy path: idle, a BLMOVE waits on the consumer's own connection and moves the next job into
 * the queue's `taken` list; its reply makes us claim. Busy, a claim is sent whenever slots
 * are free, for a third of them (turns.c says why); together claims never ask for more than can be sent at once.
 * Failure modes: a claim's reply is lost: what it took lies in a batch of ours without orders
 * here; after the reconnect such orphans are given back. One that had begun, of a batch that we were
 * told of, was sent (Redis lost its settlement): it becomes unknown. BLMOVE's reply is lost, or it is
 * served after its worker died: the job lies in `taken`, which anyone's next claim empties. An error
 * reply: claims pause, with backoff. */
#include "worker/share.h"
#include "worker/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/backoff.h"

#define EARLY_NS     50000000ull /* a pick-up that ends so long before its time was ended by somebody */
#define PICKUP_SHARE 2 /* a blocking pick-up ends within lease / this, before Redis could think us dead */
#define LONE_NS                                                                                              \
    2000000ull /* a pick-up that waited longer found a lone job, if Redis answers fast; pick.lua knows */
#define FIRST_CLAIM     32 /* jobs, before it is known how long they are */
#define SETTLING_FACTOR 4  /* claims pause while so many times the slots wait for Redis to settle */
#define MS_NS           1000000ull

/* It has work, and could take it. */
static bool competes(const struct consumer *consumer) {
    return consumer->claims.more && consumer->lease.held && !consumer->retiring &&
           consumer->claims.closed == CONSUMER_OPEN && consumer_is_up(consumer);
}

/* What is left of max_inflight for this consumer. Queues that compete share it by weight: a consumer may use more
 * than its share only while the others that have work could still take theirs. */
static uint32_t worker_room(const struct consumer *consumer) {
    const struct worker *w = consumer->worker;
    uint32_t most = w->boot->max_inflight, weights = 0, owed = 0, taken = w->active;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        taken += w->consumers[i]->claims.asked;
    uint32_t room = taken < most ? most - taken : 0;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (w->consumers[i] == consumer || competes(w->consumers[i]))
            weights += w->consumers[i]->config->weight;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        const struct consumer *other = w->consumers[i];
        uint32_t share = (uint32_t)((uint64_t)most * other->config->weight / (weights > 0 ? weights : 1));
        uint32_t cap = share < other->config->concurrency ? share : other->config->concurrency;
        uint32_t has = consumer_active(other) + other->claims.asked;
        if (other != consumer && competes(other) && has < cap)
            owed += cap - has;
    }
    return room > owed ? room - owed : 0;
}

static uint32_t free_slots(const struct consumer *consumer) {
    uint32_t used = consumer_active(consumer) + consumer->claims.asked, most = consumer_third(consumer);
    uint32_t consumer_free = used < consumer->config->concurrency ? consumer->config->concurrency - used : 0;
    uint32_t all = worker_room(consumer);
    uint32_t n = consumer_free < all ? consumer_free : all;
    if (consumer->orders.in[ORDER_SETTLING].count > SETTLING_FACTOR * consumer->config->concurrency)
        n = 0;
    return n < most ? n : most;
}

/* Of `n` jobs, as many as fit into one claim if they are as long as the last ones. */
static uint32_t that_fit(const struct consumer *consumer, uint32_t n) {
    size_t longest = consumer->claims.longest, most = longest > 0 ? CLAIM_BYTES / longest : FIRST_CLAIM;
    return n <= most ? n : most > 0 ? (uint32_t)most : 1;
}

static enum consumer_closed closed_of(const char *status) {
    return strcmp(status, "PAUSED") == 0 ? CONSUMER_PAUSED
           : strcmp(status, "FULL") == 0 ? CONSUMER_FULL
                                         : CONSUMER_OPEN;
}

void consumer_refuses_no_more(struct consumer *consumer) {
    consumer->trouble.failures = 0; /* which make the pauses longer */
    consumer->trouble.redis_full = false;
}

static void claim_failed(struct consumer *consumer, const char *error) {
    log_redis_error(consumer, "claim", error);
    consumer->trouble.failures++;
    consumer->claims.not_before_ns =
        clock_boot_ns() +
        (100 + backoff_ms(100, 5000, consumer->trouble.failures, &consumer->worker->rng)) * MS_NS;
    consumer->claims.look_now = true;
}

bool claim_refused(const redisReply *r) {
    return strcmp(r->element[0]->str, "REFUSED") == 0;
}

void claim_status(struct consumer *consumer, const redisReply *r) {
    const char *status = r->element[0]->str;
    if (claim_refused(r))
        return;
    consumer->worker->last_claim_ns = clock_boot_ns();
    log_closed(consumer, closed_of(status));
    consumer->claims.closed = closed_of(status);
    consumer->claims.look_at_ns = 0;
}

void claim_answered(struct consumer *consumer, uint32_t asked, const redisReply *r, struct claimed *claimed) {
    if (claim_refused(r)) {
        claim_failed(consumer, r->elements > 1 ? r->element[1]->str : NULL);
        return;
    }
    if (strcmp(r->element[0]->str, "LOST") == 0) {
        consumer->lease.held = false;
        consumer->worker->up->beat(consumer);
        return;
    }
    uint64_t count = queue_reply_u64(r, 2), left = queue_reply_u64(r, 5);
    claimed->number = queue_reply_u64(r, 1);
    claimed->count = count <= BATCH_CLAIMS ? (uint32_t)count : 0;
    claimed->records = (uint32_t)(queue_reply_u64(r, 3) + queue_reply_u64(r, 4));
    consumer->claims.more = count > 0 && (count >= asked || left > 0);
}

void claim_texts(struct consumer *consumer, uint64_t batch, const struct claimed *claimed,
                 const redisReply *texts) {
    consumer->stats.claimed += claimed->count;
    consumer->stats.claimed_ns = consumer->worker->last_claim_ns;
    consumer->pickup.poll_ms = 0;
    if (batch > consumer->claims.told)
        consumer->claims.told = batch;
    consumer->claims.longest = 0;
    for (size_t i = 0; i < texts->elements; i++) {
        const redisReply *text = texts->element[i];
        struct claim claim = {.batch = batch, .place = (uint16_t)i, .number = claimed->number + i + 1};
        if (text->len > consumer->claims.longest)
            consumer->claims.longest = text->len;
        admit(consumer, &claim, i >= claimed->records, (struct span){text->str, text->len});
    }
}

void claim_unanswered(struct consumer *consumer, bool refused, const char *error) {
    if (refused) {
        claim_failed(consumer, error);
        return;
    }
    consumer->claims.lost = true;
    consumer->claims.look_now = true;
}

static bool may_claim(const struct consumer *consumer, uint64_t now_ns) {
    const struct worker *w = consumer->worker;
    return w->mode == WORKER_RUNNING && w->trial == NULL && !consumer->retiring && consumer->lease.held &&
           now_ns < consumer->lease.until_ns && consumer->claims.out < PARTS && !consumer->claims.lost &&
           !consumer->claims.orphans_out && consumer->turns.resend == NULL &&
           now_ns >= consumer->claims.not_before_ns && consumer_is_up(consumer) && !spool_holds(consumer);
}

uint32_t consumer_claim_due(struct consumer *consumer, uint64_t now_ns) {
    uint32_t look = share_look_due(consumer, now_ns);
    if (!may_claim(consumer, now_ns))
        return 0;
    uint32_t n = consumer->claims.look_now || consumer->claims.more ? free_slots(consumer) : 0;
    return that_fit(consumer, n > 0 ? n : look);
}

/* Gives back what a pick-up took that nobody will claim here any more. */
void consumer_untake(struct consumer *consumer) {
    if (consumer->claims.out == 0 && consumer->lease.held && consumer_is_up(consumer))
        consumer->worker->up->send_claim(consumer, 0);
}

/* A job that came at once after the pick-up was armed is one of many: then a claim takes a batch. Where there are
 * more although it took long, pick.lua says so, and the next claim does. */
static void take_picked(struct consumer *consumer, struct span text) {
    uint64_t now = clock_boot_ns();
    consumer->claims.look_now = true;
    uint32_t n = that_fit(consumer, free_slots(consumer));
    if (!may_claim(consumer, now) || (n == 0 && consumer->claims.out > 0))
        return; /* a claim that is under way takes it, too */
    bool lone = n > 0 && now - consumer->pickup.armed_ns > LONE_NS &&
                consumer->config->results_high_water == 0 && consumer->worker->boot->min_replicas == 0;
    if (lone && admit_picked(consumer, text))
        consumer->claims.look_now = false;
    else
        consumer->worker->up->send_claim(consumer, n > 0 ? n : 1);
    redis_router_flush(consumer->worker->redis.router);
}

static void picked_up(struct consumer *consumer, const redisReply *r, const char *error) {
    consumer->pickup.blocking = false;
    if (r == NULL) {
        consumer->pickup.lost = true; /* the connection comes back by itself; worker_turn arms it again */
        return;
    }
    consumer->pickup.lost = false;
    if (r->type == REDIS_REPLY_ERROR) {
        claim_failed(consumer, error != NULL && error[0] != '\0' ? error : r->str);
        return;
    }
    consumer->worker->last_claim_ns = clock_boot_ns();
    consumer_refuses_no_more(consumer);
    /* nothing came; before its time: somebody says that there is work elsewhere */
    if (r->type != REDIS_REPLY_STRING) {
        consumer->claims.look_now |=
            clock_boot_ns() + EARLY_NS <
            consumer->pickup.armed_ns + consumer->worker->boot->lease_ms / PICKUP_SHARE * 1000000;
        return;
    }
    if (consumer->worker->mode == WORKER_QUIET)
        consumer_untake(consumer);
    take_picked(consumer, (struct span){r->str, r->len});
}

static void on_picked_up(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    picked_up(consumer, r, error);
    if (consumer->pickup.leaves && consumer->worker->mode != WORKER_STOPPED)
        pickup_close(consumer);
}

void consumer_block_if_idle(struct consumer *consumer) {
    if (consumer->pickup.blocking || consumer->claims.look_now || consumer->claims.more ||
        consumer->claims.out > 0)
        return;
    uint64_t now = clock_boot_ns();
    bool blocks = pickup_blocks(consumer);
    if ((!blocks && consumer->pickup.poll_at_ns != 0) || !may_claim(consumer, now) ||
        consumer->claims.closed != CONSUMER_OPEN || free_slots(consumer) == 0)
        return;
    if (!blocks) {
        pickup_poll(consumer, now);
        return;
    }
    struct buf *cmd = &consumer->worker->scratch.cmd;
    buf_reset(cmd);
    redis_resp_begin(cmd, 6);
    redis_resp_str(cmd, "BLMOVE");
    queue_cmd_key(cmd, &consumer->keys, KEY_JOBS);
    queue_cmd_key(cmd, &consumer->keys, KEY_TAKEN);
    redis_resp_str(cmd, "RIGHT");
    redis_resp_str(cmd, "LEFT");
    uint32_t ms = (uint32_t)(consumer->worker->boot->lease_ms / PICKUP_SHARE);
    char seconds[24];
    snprintf(seconds, sizeof(seconds), "%u.%03u", ms / 1000, ms % 1000);
    redis_resp_str(cmd, seconds);
    consumer->pickup.blocking = true;
    consumer->pickup.armed_ns = now;
    redis_router_send(consumer->pickup.router, consumer->keys.slot, buf_span(cmd), ms, on_picked_up,
                      consumer);
    redis_router_flush(consumer->pickup.router);
}

static bool is_ours(const struct consumer *consumer, uint64_t batch, uint16_t place) {
    for (int s = ORDER_CLAIMED; s < ORDER_STATES; s++)
        for (const struct order *o = consumer->orders.in[s].first; o != NULL; o = o->next)
            if (o->claim.batch == batch && o->claim.place == place)
                return true;
    return false;
}

/* What no order here knows of in this batch. Claims that never began, or of which this worker was never told, go back. The others were
 * sent, and Redis lost their settlement: they become unknown. Returns how many these are. */
static size_t give_back_batch(struct consumer *consumer, uint64_t batch, struct batch_state *b) {
    struct own_claims lost = {.batch = batch, .count = 0};
    struct span key[BATCH_CLAIMS] = {0};
    uint16_t place;
    struct span account_key;
    while (batch_next_begun(b, &place, &account_key))
        if (place < BATCH_CLAIMS)
            key[place] = account_key;
    for (place = 0; place < b->count && place < BATCH_CLAIMS; place++) {
        char letter = b->letters.ptr[place];
        if (letter == CLAIM_ENDED || is_ours(consumer, batch, place))
            continue;
        struct claim claim = {.batch = batch, .place = place};
        if (letter == CLAIM_HELD || batch > consumer->claims.told) {
            settle_back(consumer, &claim, letter, key[place]);
        } else {
            lost.place[lost.count] = place;
            lost.account_key[lost.count++] = key[place];
        }
    }
    if (lost.count > 0)
        consumer_recover_own(consumer, &lost);
    return lost.count;
}

static void on_orphans(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    struct batch_state state;
    consumer->claims.orphans_out = false;
    if (r == NULL || r->type != REDIS_REPLY_ARRAY) {
        consumer->claims.lost = true;
        if (r != NULL)
            claim_failed(consumer, error != NULL && error[0] != '\0' ? error : r->str);
        return;
    }
    consumer->claims.look_now = true;
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        struct span packed = {r->element[i + 1]->str, r->element[i + 1]->len};
        if (batch_state_read(packed, &state) != 0 ||
            give_back_batch(consumer, strtoull(r->element[i]->str, NULL, 10), &state) == 0)
            continue;
        consumer->claims.lost =
            true; /* there may be more of them: looked for again, once these are recovered */
        return;
    }
}

/* Looks for claims of ours that no order here knows of. */
void consumer_give_back_orphans(struct consumer *consumer) {
    struct buf *cmd = &consumer->worker->scratch.cmd;
    consumer->claims.lost = false;
    consumer->claims.orphans_out = true;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_HELD, 1, 0);
    queue_cmd_key(cmd, &consumer->keys, KEY_CLAIMS);
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_HELD, cmd, on_orphans, consumer);
}
