/* Picking up work.
 *
 * Happy path: idle, a BLMOVE waits on the lane's own connection and moves the next job into
 * the queue's `taken` list; its reply makes us claim. Busy, a claim is sent whenever slots
 * are free, for a third of them (batches.c says why); together claims never ask for more than can be sent at once.
 * Failure modes: a claim's reply is lost: what it took lies in our in-flight set without an order
 * here; after the reconnect such orphans are given back. One that had begun and whose number we were
 * told once was sent (Redis lost its settlement): it becomes unknown. BLMOVE's reply is lost, or it is
 * served after its worker died: the job lies in `taken`, which anyone's next claim empties. An error
 * reply: claims pause, with backoff. */
#include "worker/share.h"
#include "worker/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/backoff.h"

#define EARLY_NS       50000000ull /* a pick-up that ends so long before its time was ended by somebody */
#define PICKUP_SHARE   2 /* a blocking pick-up ends within lease / this, before Redis could think us dead */
#define CLOSED_LOOK_NS 1000000000ull
#define LONE_NS                                                                                              \
    2000000ull /* a pick-up that waited longer found a lone job, if Redis answers fast; pick.lua knows */
#define CLAIM_HEAD      4    /* elements of a claim's answer before its records */
#define SETTLING_FACTOR 4    /* claims pause while so many times the slots wait for Redis to settle */
#define RECOVER_OWN_MAX 200  /* begun orphans of one look; there may be more */
#define CLOCK_BACK_MS   1000 /* as beat.lua says: what is a step of Redis's clock */
#define MS_NS           1000000ull

/* It has work, and could take it. */
static bool competes(const struct lane *lane) {
    return lane->more && lane->leased && !lane->retiring && lane->closed == LANE_OPEN && lane_is_up(lane);
}

/* What is left of max_inflight for this lane. Queues that compete share it by weight: a lane may use more
 * than its share only while the others that have work could still take theirs. */
static uint32_t worker_room(const struct lane *lane) {
    const struct worker *w = lane->worker;
    uint32_t most = w->boot->max_inflight, weights = 0, owed = 0, taken = w->active;
    for (uint32_t i = 0; i < w->lane_count; i++)
        taken += w->lanes[i]->asked;
    uint32_t room = taken < most ? most - taken : 0;
    for (uint32_t i = 0; i < w->lane_count; i++)
        if (w->lanes[i] == lane || competes(w->lanes[i]))
            weights += w->lanes[i]->config->weight;
    for (uint32_t i = 0; i < w->lane_count; i++) {
        const struct lane *other = w->lanes[i];
        uint32_t share = (uint32_t)((uint64_t)most * other->config->weight / (weights > 0 ? weights : 1));
        uint32_t cap = share < other->config->concurrency ? share : other->config->concurrency;
        uint32_t has = lane_active(other) + other->asked;
        if (other != lane && competes(other) && has < cap)
            owed += cap - has;
    }
    return room > owed ? room - owed : 0;
}

static uint32_t free_slots(const struct lane *lane) {
    uint32_t used = lane_active(lane) + lane->asked, most = lane_part(lane);
    uint32_t lane_free = used < lane->config->concurrency ? lane->config->concurrency - used : 0;
    uint32_t all = worker_room(lane);
    uint32_t n = lane_free < all ? lane_free : all;
    if (lane->orders[ORDER_SETTLING].count > SETTLING_FACTOR * lane->config->concurrency)
        n = 0;
    return n < most ? n : most;
}

/* A closed queue (paused, or its results are not consumed) opens without telling anyone: it is looked at
 * again soon, whatever else is known to come. */
static void set_look(struct lane *lane, int64_t redis_now_ms, int64_t next_ms) {
    uint64_t now = clock_boot_ns(), at = 0;
    if (next_ms == 0)
        lane->look_now = true;
    else if (next_ms > 0)
        at = now + (next_ms > redis_now_ms ? (uint64_t)(next_ms - redis_now_ms) : 1) * MS_NS;
    uint64_t soon = lane->look_at_ns != 0 && lane->look_at_ns < now + CLOSED_LOOK_NS ? lane->look_at_ns
                                                                                     : now + CLOSED_LOOK_NS;
    if (lane->closed != LANE_OPEN && (at == 0 || at > soon))
        at = soon;
    lane->look_at_ns = at;
}

static int64_t reply_int(const redisReply *r) {
    return r->type == REDIS_REPLY_INTEGER ? r->integer : strtoll(r->str, NULL, 10);
}

void lane_look(struct lane *lane, const redisReply *r, size_t at) {
    uint64_t before = lane->look_at_ns;
    int64_t now_ms = reply_int(r->element[at]), next_ms = reply_int(r->element[at + 1]);
    if (now_ms + CLOCK_BACK_MS < lane->redis_ms)
        lane_beat(lane); /* which puts right what is due by the old clock */
    lane->redis_ms = now_ms;
    set_look(lane, now_ms, next_ms);
    if (lane->closed != LANE_OPEN && before != 0 && (lane->look_at_ns == 0 || before < lane->look_at_ns))
        lane->look_at_ns = before; /* when the claim that was refused told to ask again */
}

static enum lane_closed closed_of(const char *status) {
    return strcmp(status, "PAUSED") == 0 ? LANE_PAUSED : strcmp(status, "FULL") == 0 ? LANE_FULL : LANE_OPEN;
}

void lane_refuses_no_more(struct lane *lane) {
    lane->failures = 0; /* which make the pauses longer */
    lane->redis_full = false;
}

static void claim_failed(struct lane *lane, const char *error) {
    log_redis_error(lane, "claim", error);
    lane->failures++;
    lane->claim_not_before_ns =
        clock_boot_ns() + (100 + backoff_ms(100, 5000, lane->failures, &lane->worker->rng)) * MS_NS;
    lane->look_now = true;
}

/* Reads the claim's records; their tokens are composed as claim.lua says. Returns their bytes. */
static size_t admit_all(struct lane *lane, const redisReply *r) {
    uint64_t number = strtoull(r->element[1]->str, NULL, 10);
    const redisReply *nonce = r->element[2], *marks = r->element[3];
    struct buf *token = &lane->worker->text_path;
    size_t bytes = 0;
    lane->longest = 0;
    for (size_t i = 0; i + CLAIM_HEAD < r->elements; i++) {
        const redisReply *record = r->element[CLAIM_HEAD + i];
        buf_reset(token);
        buf_add_u64(token, number + i + 1);
        buf_add_char(token, '.');
        buf_add(token, nonce->str, nonce->len);
        if (i < marks->len && marks->str[i] != '-')
            buf_add_char(token, marks->str[i]);
        bytes += record->len;
        if (record->len > lane->longest)
            lane->longest = record->len;
        admit(lane, buf_span(token), (struct span){record->str, record->len});
    }
    return bytes;
}

bool claim_refused(const redisReply *r) {
    return strcmp(r->element[0]->str, "REFUSED") == 0;
}

void claim_status(struct lane *lane, const redisReply *r) {
    const char *status = r->element[0]->str;
    if (claim_refused(r))
        return;
    lane->worker->last_claim_ns = clock_boot_ns();
    log_closed(lane, closed_of(status));
    lane->closed = closed_of(status);
    lane->look_at_ns = 0;
}

static void count_claimed(struct lane *lane, uint32_t asked, size_t jobs, size_t bytes) {
    lane->stats.claimed += jobs;
    if (jobs > 0) {
        lane->stats.claimed_ns = lane->worker->last_claim_ns;
        lane->poll_ms = 0;
    }
    lane->more = jobs > 0 && (jobs >= asked || bytes >= CLAIM_BYTES);
}

void claim_answered(struct lane *lane, uint32_t asked, const redisReply *r) {
    if (claim_refused(r)) {
        claim_failed(lane, r->elements > 1 ? r->element[1]->str : NULL);
        return;
    }
    if (strcmp(r->element[0]->str, "LOST") == 0) {
        lane->leased = false;
        lane_beat(lane);
        return;
    }
    size_t jobs = r->elements > CLAIM_HEAD ? r->elements - CLAIM_HEAD : 0, bytes = 0;
    if (jobs > 0)
        bytes = admit_all(lane, r);
    count_claimed(lane, asked, jobs, bytes);
}

void claim_unanswered(struct lane *lane, bool refused, const char *error) {
    if (refused) {
        claim_failed(lane, error);
        return;
    }
    lane->claim_lost = true;
    lane->look_now = true;
}

static bool may_claim(const struct lane *lane, uint64_t now_ns) {
    const struct worker *w = lane->worker;
    return w->mode == WORKER_RUNNING && w->trial == NULL && !lane->retiring && lane->leased &&
           now_ns < lane->lease_until_ns && lane->claims_out < PARTS && !lane->claim_lost &&
           !lane->orphans_out && lane->resend == NULL && now_ns >= lane->claim_not_before_ns &&
           lane_is_up(lane) && !spool_holds(lane);
}

void lane_wake(struct lane *lane, uint64_t now_ns) {
    if (lane->poll_at_ns != 0 && now_ns >= lane->poll_at_ns) {
        lane->poll_at_ns = 0;
        lane->look_now = true;
    }
    if (lane->look_at_ns == 0 || now_ns < lane->look_at_ns)
        return;
    lane->look_at_ns = 0;
    lane->look_now = true;
}

uint32_t lane_claim_due(struct lane *lane, uint64_t now_ns) {
    uint32_t look = share_look_due(lane, now_ns);
    if (!may_claim(lane, now_ns))
        return 0;
    uint32_t n = lane->look_now || lane->more ? free_slots(lane) : 0;
    return n > 0 ? n : look;
}

/* Gives back what a pick-up took that nobody will claim here any more. */
void lane_untake(struct lane *lane) {
    if (lane->claims_out == 0 && lane->leased && lane_is_up(lane))
        lane_send_claim(lane, 0);
}

/* A job that came at once after the pick-up was armed is one of many: then a claim takes a batch. Where there are
 * more although it took long, pick.lua says so, and the next claim does. */
static void take_picked(struct lane *lane, struct span text) {
    uint64_t now = clock_boot_ns();
    lane->look_now = true;
    uint32_t n = free_slots(lane);
    if (!may_claim(lane, now) || (n == 0 && lane->claims_out > 0))
        return; /* a claim that is under way takes it, too */
    bool lone = n > 0 && now - lane->armed_ns > LONE_NS && lane->config->results_high_water == 0 &&
                lane->worker->boot->min_replicas == 0;
    if (lone && admit_picked(lane, text))
        lane->look_now = false;
    else
        lane_send_claim(lane, n > 0 ? n : 1);
    redis_router_flush(lane->worker->redis);
}

static void picked_up(struct lane *lane, const redisReply *r, const char *error) {
    lane->blocking = false;
    if (r == NULL) {
        lane->blocker_lost = true; /* the connection comes back by itself; worker_turn arms it again */
        return;
    }
    lane->blocker_lost = false;
    if (r->type == REDIS_REPLY_ERROR) {
        claim_failed(lane, error != NULL && error[0] != '\0' ? error : r->str);
        return;
    }
    lane->worker->last_claim_ns = clock_boot_ns();
    lane_refuses_no_more(lane);
    /* nothing came; before its time: somebody says that there is work elsewhere */
    if (r->type != REDIS_REPLY_STRING) {
        lane->look_now |= clock_boot_ns() + EARLY_NS <
                          lane->armed_ns + lane->worker->boot->lease_ms / PICKUP_SHARE * 1000000;
        return;
    }
    if (lane->worker->mode == WORKER_QUIET)
        lane_untake(lane);
    take_picked(lane, (struct span){r->str, r->len});
}

static void on_picked_up(void *arg, const redisReply *r, const char *error) {
    struct lane *lane = arg;
    picked_up(lane, r, error);
    if (lane->blocker_leaves && lane->worker->mode != WORKER_STOPPED)
        pickup_close(lane);
}

void lane_block_if_idle(struct lane *lane) {
    if (lane->blocking || lane->look_now || lane->more || lane->claims_out > 0)
        return;
    uint64_t now = clock_boot_ns();
    bool blocks = pickup_blocks(lane);
    if ((!blocks && lane->poll_at_ns != 0) || !may_claim(lane, now) || lane->closed != LANE_OPEN ||
        free_slots(lane) == 0)
        return;
    if (!blocks) {
        pickup_poll(lane, now);
        return;
    }
    struct buf *cmd = &lane->worker->text_cmd;
    buf_reset(cmd);
    redis_resp_begin(cmd, 6);
    redis_resp_str(cmd, "BLMOVE");
    queue_cmd_key(cmd, &lane->keys, KEY_JOBS);
    queue_cmd_key(cmd, &lane->keys, KEY_TAKEN);
    redis_resp_str(cmd, "RIGHT");
    redis_resp_str(cmd, "LEFT");
    uint32_t ms = (uint32_t)(lane->worker->boot->lease_ms / PICKUP_SHARE);
    char seconds[24];
    snprintf(seconds, sizeof(seconds), "%u.%03u", ms / 1000, ms % 1000);
    redis_resp_str(cmd, seconds);
    lane->blocking = true;
    lane->armed_ns = now;
    redis_router_send(lane->blocker, lane->keys.slot, buf_span(cmd), ms, on_picked_up, lane);
    redis_router_flush(lane->blocker);
}

static bool is_ours(const struct lane *lane, struct span token) {
    for (int s = ORDER_CLAIMED; s < ORDER_STATES; s++)
        for (const struct order *o = lane->orders[s].first; o != NULL; o = o->next)
            if (span_is(token, o->token))
                return true;
    return false;
}

static void on_orphans(void *arg, const redisReply *r, const char *error) {
    struct lane *lane = arg;
    lane->orphans_out = false;
    if (r == NULL || r->type != REDIS_REPLY_ARRAY) {
        lane->claim_lost = true;
        if (r != NULL)
            claim_failed(lane, error != NULL && error[0] != '\0' ? error : r->str);
        return;
    }
    size_t begun[RECOVER_OWN_MAX], begun_count = 0;
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        struct span token = {r->element[i]->str, r->element[i]->len};
        if (is_ours(lane, token))
            continue;
        struct span how = {r->element[i + 1]->str, r->element[i + 1]->len};
        if (how.len == 0 || strtoull(token.ptr, NULL, 10) > lane->highest_token)
            settle_back(lane, token, how);
        else if (begun_count < RECOVER_OWN_MAX)
            begun[begun_count++] = i;
    }
    lane->look_now = true;
    if (begun_count > 0)
        lane_recover_own(lane, r, begun, begun_count);
    lane->claim_lost |= begun_count == RECOVER_OWN_MAX;
}

/* Looks for claims in our in-flight set that no order here knows of. */
void lane_give_back_orphans(struct lane *lane) {
    struct buf *cmd = &lane->worker->text_cmd;
    lane->claim_lost = false;
    lane->orphans_out = true;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_HELD, 2, 0);
    queue_cmd_key(cmd, &lane->keys, KEY_INFLIGHT);
    queue_cmd_key(cmd, &lane->keys, KEY_CLAIMS);
    queue_call(lane->worker->caller, lane->keys.slot, SCRIPT_HELD, cmd, on_orphans, lane);
}
