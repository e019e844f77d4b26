/* Data of another format: nothing is claimed, begun or written.
 *
 * Each beat asks, so the first of all (nothing is told or claimed before it), the first after a failover, which may have
 * brought an old snapshot, and every later one. Happy path: the number is ours → go on. The queue is fresh, or of an older
 * format whose workers have all left → beat.lua writes our number, and it is ours.
 * Failure modes: only dead workers of the older format are there → takeover.lua strikes off those that hold nothing, then
 * the next beat decides. Living ones, dead ones that hold jobs, or a newer format: before the worker was ready it drains
 * what other queues gave it and ends; later this consumer stands still, says so once a minute, and goes on with the beat that
 * finds all well. What its orders were answered meanwhile waits in memory, as while Redis is away.
 * Not caught: a worker of a version that knows no format may start beside us, and asks nobody. Beats find it by its info,
 * and say so. */
#include "worker/flow.h"

#include "queue/format.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_NS (60ull * 1000000000)

/* The words of a refusal, or of workers beside us, into the consumer's. */
static void put_words(struct consumer *consumer, const redisReply *r) {
    struct buf words;
    buf_init(&words, 16384);
    queue_format_words(consumer->keys.queue, r, &words);
    snprintf(consumer->format.words, sizeof(consumer->format.words), "%s", buf_cstr(&words));
    buf_deinit(&words);
}

static void end_worker(struct worker *w) {
    w->end.exit_code = 1;
    w->up->drain(w);
}

static void refuse(struct consumer *consumer, const redisReply *r) {
    struct worker *w = consumer->worker;
    uint64_t now = clock_boot_ns();
    put_words(consumer, r);
    consumer->format.refused = true;
    if (consumer->format.logged_ns == 0 || now - consumer->format.logged_ns >= AGAIN_NS) {
        consumer->format.logged_ns = now;
        log_msg(LOG_ERROR, "wrong_format", "%s%s", consumer->format.words,
                w->start.ready_logged ? "; nothing of this queue is claimed until that is done" : "");
    }
    if (!w->start.ready_logged)
        end_worker(w);
}

static void on_takeover(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    consumer->asides--;
    consumer->format.asked = false;
    if (queue_format_refused(r))
        refuse(consumer, r);
    else if (r != NULL && r->type == REDIS_REPLY_ARRAY)
        consumer->worker->up->beat(consumer);
    else if (r != NULL)
        log_redis_error(consumer, "takeover", error);
}

/* All of `others` ran out: do they hold anything? */
static void ask_takeover(struct consumer *consumer, const redisReply *others) {
    static const enum queue_key fixed[] = {KEY_FORMAT, KEY_WORKERS, KEY_WORKERS_INFO, KEY_STATS};
    struct buf *cmd = &consumer->worker->scratch.cmd, *key = &consumer->worker->scratch.path;
    size_t count = others->elements / 3;
    if (consumer->format.asked)
        return;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_TAKEOVER, 4 + 2 * count, 2 + count);
    for (size_t i = 0; i < 4; i++)
        queue_cmd_key(cmd, &consumer->keys, fixed[i]);
    for (size_t i = 0; i < 2 * count; i++) {
        struct span name = {others->element[3 * (i / 2)]->str, others->element[3 * (i / 2)]->len};
        buf_reset(key);
        (i % 2 == 0 ? queue_keys_inflight : queue_keys_claims)(&consumer->keys, name, key);
        redis_resp_arg(cmd, buf_span(key));
    }
    queue_format_args(cmd);
    for (size_t i = 0; i < count; i++)
        redis_resp_arg(cmd, (struct span){others->element[3 * i]->str, others->element[3 * i]->len});
    consumer->format.asked = true;
    consumer->asides++;
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_TAKEOVER, cmd, on_takeover, consumer);
}

bool format_refused(struct consumer *consumer, const redisReply *beat) {
    if (!queue_format_refused(beat))
        return false;
    consumer->lease.held = consumer->format.ours = false;
    if (beat->element[2]->elements >= 3 && queue_format_all_dead(beat))
        ask_takeover(consumer, beat->element[2]);
    else
        refuse(consumer, beat);
    return true;
}

/* Workers of another format beside us: those that are dead and hold nothing are struck off, the others told of. */
static void note_others(struct consumer *consumer, const redisReply *others) {
    uint64_t now = clock_boot_ns();
    char names[400] = "";
    size_t n = 0;
    bool dead = true;
    for (size_t i = 0; i + 2 < others->elements; i += 3) {
        int more = snprintf(names + n, sizeof(names) - n, "%s%s (format %s)", n > 0 ? ", " : "",
                            others->element[i]->str, others->element[i + 1]->str);
        n = more > 0 && n + (size_t)more < sizeof(names) ? n + (size_t)more : n;
        dead = dead && strcmp(others->element[i + 2]->str, "0") == 0;
    }
    if (dead)
        ask_takeover(consumer, others);
    if (consumer->format.others_logged_ns != 0 && now - consumer->format.others_logged_ns < AGAIN_NS)
        return;
    consumer->format.others_logged_ns = now;
    log_msg(LOG_ERROR, "wrong_format",
            "queue %s: workers of another format than this one's, %d, work beside it, and harm its orders: "
            "%s. Stop them "
            "with TERM; docs/operations.md, \"Upgrade\"",
            consumer->keys.queue, QUEUE_FORMAT, names);
}

void format_accepted(struct consumer *consumer, const redisReply *told) {
    if (consumer->format.refused)
        log_msg(LOG_INFO, "format_right", "queue %s: its data in Redis are of format %d again; it goes on",
                consumer->keys.queue, QUEUE_FORMAT);
    consumer->format.ours = true;
    consumer->format.refused = false;
    consumer->format.logged_ns = 0;
    if (told == NULL || told->elements < 2)
        return;
    if (told->element[0]->len > 0)
        log_msg(LOG_INFO, "format_taken_over",
                "queue %s: its data in Redis were of format %s, and are of %d now", consumer->keys.queue,
                told->element[0]->str, QUEUE_FORMAT);
    if (told->element[1]->elements > 0)
        note_others(consumer, told->element[1]);
}
