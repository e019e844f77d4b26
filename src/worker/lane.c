/* A lane: one queue in one worker, from its start to the moment it leaves the queue's workers.
 *
 * Leaving: the blocking pick-up is ended on the server (CLIENT UNBLOCK), so that it takes nothing
 * behind our back; when nothing is held, `leave` gives back what it had taken and signs the worker off.
 * Where that is not sure (Redis away, a pick-up's connection lost), the worker does not sign off: its
 * lease runs out, and whoever recovers it finds everything. */
#include "worker/flow.h"

#include <stdlib.h>

struct lane *lane_new(struct worker *w, const struct queue_config *config, struct err *err) {
    struct lane *lane = calloc(1, sizeof(*lane));
    if (lane == NULL) {
        err_set(err, "queue %s: out of memory", config->name);
        return NULL;
    }
    lane->worker = w;
    lane->config = config;
    lane->look_now = true;
    if (queue_keys_init(&lane->keys, w->boot->redis_prefix, config->name, w->id) < 0)
        err_set(err, "queue %s: out of memory", config->name);
    else if (lane_set_ports(lane, err) == 0)
        return lane;
    lane_free(lane);
    return NULL;
}

static void free_batches(struct batch *b) {
    while (b != NULL) {
        struct batch *next = b->next;
        batch_free(b);
        b = next;
    }
}

void lane_free(struct lane *lane) {
    if (lane == NULL)
        return;
    for (int s = ORDER_CLAIMED; s < ORDER_STATES; s++)
        while (lane->orders[s].first != NULL)
            order_drop(lane->orders[s].first);
    lane_free_pool(lane);
    port_unref(lane->controls.asked);
    lane_drop_ports(lane);
    free_batches(lane->begin);
    free_batches(lane->settle);
    free_batches(lane->resend);
    free_batches(lane->spare);
    lane_free_calls(lane);
    queue_keys_deinit(&lane->keys);
    free(lane);
}

bool lane_is_up(const struct lane *lane) {
    struct redis_router *r = lane->worker->redis; /* NULL once it is closed */
    return r != NULL && redis_router_state(r, lane->keys.slot) == REDIS_UP;
}

/* Format, lease and then limits, each time the node has come (back). A slot that only moved brings both along. */
void lane_follow(struct lane *lane) {
    bool was = lane->up;
    lane->up = lane_is_up(lane);
    if (!lane->up || was)
        return;
    lane->leased = false; /* until a beat says what became of it */
    lane_check_server(lane);
    if (!lane->registered)
        lane_check_rights(lane);
    lane->claim_lost |= lane->registered; /* what Redis forgot, it holds as claims that we don't know */
    lane->info_stale = true;
    lane_beat(lane);
    pickups_open(lane->worker);
}

void lane_stop_pickup(struct lane *lane) {
    if (lane->blocking)
        redis_router_unblock(lane->blocker, lane->worker->redis);
}

bool lane_is_empty(const struct lane *lane) {
    return lane_held(lane) == 0 && lane->claims_out == 0 && !lane->orphans_out && !lane->claim_lost &&
           !lane->blocking && !lane->recovering && !lane->beat_out && lane->turns_out == 0 &&
           lane->asides == 0 && lane->resend == NULL && (lane->settle == NULL || lane->settle->count == 0);
}

static void on_left(void *arg, const redisReply *r, const char *error) {
    struct lane *lane = arg;
    (void)r, (void)error; /* unanswered: the lease runs out, which does the same later */
    lane->left = true;
}

void lane_leave(struct lane *lane) {
    static const enum queue_key keys[] = {KEY_WORKERS, KEY_WORKERS_INFO, KEY_INFLIGHT,
                                          KEY_TAKEN,   KEY_JOBS,         KEY_STATS};
    const size_t count = sizeof(keys) / sizeof(keys[0]);
    struct worker *w = lane->worker;
    if (!lane->left && lane->asides > 0 && lane_held(lane) == 0)
        grants_leave(lane);
    if (lane->left || lane->leaving || !lane_is_empty(lane))
        return;
    if (!lane->registered || lane->blocker_lost) {
        lane->left = true;
        return;
    }
    if (!lane_is_up(lane))
        return;
    struct buf *cmd = &w->text_cmd;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_LEAVE, count, 1);
    for (size_t i = 0; i < count; i++)
        queue_cmd_key(cmd, &lane->keys, keys[i]);
    redis_resp_str(cmd, lane->keys.worker);
    lane->leaving = true;
    queue_call(w->caller, lane->keys.slot, SCRIPT_LEAVE, cmd, on_left, lane);
}
