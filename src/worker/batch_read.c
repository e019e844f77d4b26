/* Reading what was claimed.
 *
 * Happy path: a turn with a claim is sent, and right behind it an LRANGE of the batch that the claim makes → the turn
 * says how many jobs there are → the texts come → orders.
 * Failure modes: the turn was sent a second time (its script was not loaded, its slot has moved), so the texts were
 * read too early: they are asked for once more. No connection, or the batch is not what the turn said: what it
 * holds are claims that no order here knows of, and they are given back (claim.c). */
#include "worker/batch_read.h"

#include <stdlib.h>

#include "worker/flow.h"
#include "worker/internal.h"
#include "worker/turns.h"

struct batch_read {
    struct consumer *consumer;
    uint64_t batch;
    uint32_t asked; /* how many jobs the claim may bring */
    struct claimed claimed;
    bool told; /* the turn was answered, or never will be */
    bool owed; /* LRANGE is unanswered */
    bool again;
};

struct batch_read *batch_read_new(struct consumer *consumer, uint64_t batch, uint32_t asked) {
    struct batch_read *r = calloc(1, sizeof(*r));
    if (r == NULL)
        abort(); /* Redis holds every job's state, another worker recovers */
    *r = (struct batch_read){.consumer = consumer, .batch = batch, .asked = asked};
    consumer->claims.out++;
    consumer->claims.asked += asked;
    return r;
}

static void release(struct batch_read *r) {
    r->consumer->claims.out--;
    r->consumer->claims.asked -= r->asked;
    r->asked = 0;
}

static void on_texts(void *arg, const redisReply *reply, const char *error);

void batch_read_ask(struct batch_read *r) {
    struct worker *w = r->consumer->worker;
    struct buf *cmd = &w->scratch.cmd;
    buf_reset(cmd);
    redis_resp_begin(cmd, 4);
    redis_resp_str(cmd, "LRANGE");
    part_add_list(&r->consumer->keys, r->batch, cmd);
    redis_resp_str(cmd, "0");
    redis_resp_str(cmd, "-1");
    r->owed = true;
    redis_router_send(w->redis.router, r->consumer->keys.slot, buf_span(cmd), 0, on_texts, r);
}

static bool is_all(const struct batch_read *r, const redisReply *reply) {
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != r->claimed.count)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static void on_texts(void *arg, const redisReply *reply, const char *error) {
    struct batch_read *r = arg;
    struct consumer *consumer = r->consumer;
    r->owed = false;
    if (!r->told)
        return; /* too early: batch_read_told asks again */
    if (r->claimed.count == 0) {
        free(r);
        return;
    }
    if (reply != NULL && !r->again && !is_all(r, reply)) {
        if (reply->type == REDIS_REPLY_ERROR)
            log_redis_error(consumer, "claim", error);
        r->again = true;
        batch_read_ask(r);
        return;
    }
    release(r);
    if (is_all(r, reply)) {
        claim_texts(consumer, r->batch, &r->claimed, reply);
        consumer->worker->up->go_on(consumer);
    } else {
        claim_unanswered(consumer, false, NULL);
    }
    free(r);
}

void batch_read_told(struct batch_read *r, const struct claimed *claimed) {
    r->told = true;
    if (claimed != NULL)
        r->claimed = *claimed;
    if (r->claimed.count > 0) {
        if (!r->owed)
            batch_read_ask(r);
        return;
    }
    release(r);
    if (!r->owed)
        free(r);
}
