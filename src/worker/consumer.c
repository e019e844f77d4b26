/* A consumer: one queue in one worker, from its start to the moment it leaves the queue's workers.
 *
 * Leaving: the blocking pick-up is ended on the server (CLIENT UNBLOCK), so that it takes nothing
 * behind our back; when nothing is held, `leave` gives back what it had taken and signs the worker off.
 * Where that is not sure (Redis away, a pick-up's connection lost), the worker does not sign off: its
 * lease runs out, and whoever recovers it finds everything. */
#include "worker/flow.h"

#include <stdlib.h>

struct consumer *consumer_new(struct worker *w, const struct queue_config *config, struct err *err) {
    struct consumer *consumer = calloc(1, sizeof(*consumer));
    if (consumer == NULL) {
        err_set(err, "queue %s: out of memory", config->name);
        return NULL;
    }
    consumer->worker = w;
    consumer->config = config;
    consumer->claims.look_now = true;
    if (queue_keys_init(&consumer->keys, w->boot->redis_prefix, config->name, w->id) < 0)
        err_set(err, "queue %s: out of memory", config->name);
    else if (consumer_set_accounts(consumer, err) == 0)
        return consumer;
    consumer_free(consumer);
    return NULL;
}

static void free_batches(struct part *b) {
    while (b != NULL) {
        struct part *next = b->next;
        part_free(b);
        b = next;
    }
}

void consumer_free(struct consumer *consumer) {
    if (consumer == NULL)
        return;
    for (int s = ORDER_CLAIMED; s < ORDER_STATES; s++)
        while (consumer->orders.in[s].first != NULL)
            order_drop(consumer->orders.in[s].first);
    consumer_free_pool(consumer);
    runtime_unref(consumer->controls.asked);
    consumer_drop_accounts(consumer);
    free_batches(consumer->turns.begin);
    free_batches(consumer->turns.settle);
    free_batches(consumer->turns.resend);
    free_batches(consumer->turns.spare);
    consumer_free_calls(consumer);
    queue_keys_deinit(&consumer->keys);
    free(consumer);
}

/* Format, lease and then limits, each time the node has come (back). A slot that only moved brings both along. */
void consumer_follow(struct consumer *consumer) {
    bool was = consumer->up;
    consumer->up = consumer_is_up(consumer);
    if (!consumer->up || was)
        return;
    consumer->lease.held = false; /* until a beat says what became of it */
    consumer_check_server(consumer);
    if (!consumer->lease.registered)
        consumer_check_rights(consumer);
    /* What Redis forgot, it holds as claims that we do not know. */
    consumer->claims.lost |= consumer->lease.registered;
    consumer->lease.info_stale = true;
    consumer_beat(consumer);
    pickups_open(consumer->worker);
}

bool consumer_is_empty(const struct consumer *consumer) {
    return consumer_held(consumer) == 0 && consumer->claims.out == 0 && !consumer->claims.orphans_out &&
           !consumer->claims.lost && !consumer->pickup.blocking && !consumer->lease.recovering &&
           !consumer->lease.beat_out && consumer->turns.out == 0 && consumer->asides == 0 &&
           consumer->turns.resend == NULL &&
           (consumer->turns.settle == NULL || consumer->turns.settle->count == 0);
}

static void on_left(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    (void)r, (void)error; /* unanswered: the lease runs out, which does the same later */
    consumer->left = true;
}

void consumer_leave(struct consumer *consumer) {
    static const enum queue_key keys[] = {KEY_WORKERS, KEY_WORKERS_INFO, KEY_CLAIMS, KEY_TAKEN, KEY_JOBS};
    const size_t count = sizeof(keys) / sizeof(keys[0]);
    struct worker *w = consumer->worker;
    if (!consumer->left && consumer->asides > 0 && consumer_held(consumer) == 0)
        grants_leave(consumer);
    if (consumer->left || consumer->leaving || !consumer_is_empty(consumer))
        return;
    if (!consumer->lease.registered || consumer->pickup.lost) {
        consumer->left = true;
        return;
    }
    if (!consumer_is_up(consumer))
        return;
    struct buf *cmd = &w->scratch.cmd;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_LEAVE, count, 1);
    for (size_t i = 0; i < count; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    redis_resp_str(cmd, consumer->keys.worker);
    consumer->leaving = true;
    queue_call(w->caller, consumer->keys.slot, SCRIPT_LEAVE, cmd, on_left, consumer);
}
