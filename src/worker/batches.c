/* Begins and settlements collect in the lane's two open batches; once per loop turn both are sent.
 * Unanswered or refused by Redis as a whole (connection lost, OOM, READONLY, …), a batch is kept and
 * sent again, in order, when the lease is renewed; until then nothing is claimed. */
#include "worker/worker.h"

#include "policy/backoff.h"

#define MS_NS 1000000ull

static struct batch *take_spare(struct lane *lane, enum script_id script) {
    struct batch *b = lane->spare;
    if (b == NULL)
        return batch_new(script);
    lane->spare = b->next;
    b->next = NULL;
    b->script = script;
    return b;
}

static void on_batch(void *arg, const redisReply *reply, const char *error);

static void send_batch(struct lane *lane, struct batch *b) {
    b->lane = lane;
    b->jitter = (double)rng_below(&lane->worker->rng, 1000) / 1000.0;
    lane->batches_out++;
    if (!b->sent)
        b->sent_ns = clock_boot_ns();
    if (replicas_wanted(lane, b))
        replicas_send(lane, b, on_batch);
    else
        batch_send(b, lane->worker->caller, &lane->keys, NULL, on_batch, b);
}

/* The batch being filled, or NULL when memory ran out. */
struct batch *lane_batch(struct lane *lane, enum script_id script) {
    struct batch **slot = script == SCRIPT_BEGIN ? &lane->begin : &lane->settle;
    if (*slot != NULL && batch_full(*slot)) {
        struct batch *full = *slot;
        *slot = NULL;
        if (lane->resend != NULL || !lane_is_up(lane) || (script == SCRIPT_BEGIN && !replicas_may_begin(lane)))
            lane_unanswered(lane, full);
        else
            send_batch(lane, full);
    }
    if (*slot == NULL)
        *slot = take_spare(lane, script);
    return *slot;
}

void batch_done(struct lane *lane, struct batch *b) {
    batch_reset(b);
    b->next = lane->spare;
    lane->spare = b;
}

/* Keeps a batch for lane_resend, behind those already there. */
void lane_unanswered(struct lane *lane, struct batch *b) {
    b->next = NULL;
    if (lane->resend_last != NULL)
        lane->resend_last->next = b;
    else
        lane->resend = b;
    lane->resend_last = b;
}

static void on_batch(void *arg, const redisReply *reply, const char *error) {
    struct batch *b = arg;
    struct lane *lane = b->lane;
    lane->batches_out -= b->waits ? 0 : 1;
    if (batch_reply_ok(b, reply)) {
        lane->failures = 0;
        if (b->script == SCRIPT_BEGIN)
            dispatch_begun(lane, b, reply);
        else
            settled(lane, b, reply);
        return;
    }
    if (reply != NULL) {
        log_redis_error(lane, b->script == SCRIPT_BEGIN ? "begin" : "settle", error);
        lane->failures++;
        lane->resend_at_ns =
            clock_boot_ns() + (50 + backoff_ms(100, 5000, lane->failures, &lane->worker->rng)) * MS_NS;
    }
    lane_unanswered(lane, b);
}

/* Sends what came up in this turn. */
void lane_flush(struct lane *lane) {
    if (lane->resend != NULL || !lane->leased || !lane_is_up(lane))
        return;
    struct batch *settle = lane->settle, *begin = lane->begin;
    if (settle != NULL && settle->count > 0) {
        lane->settle = NULL;
        send_batch(lane, settle);
    }
    if (begin != NULL && begin->count > 0 && replicas_may_begin(lane)) {
        lane->begin = NULL;
        send_batch(lane, begin);
    }
}

/* After a reconnect or an error: everything unanswered goes out again, in order. */
void lane_resend(struct lane *lane, uint64_t now_ns) {
    if (lane->resend == NULL || !lane->leased || now_ns < lane->resend_at_ns || lane->batches_out > 0 ||
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
