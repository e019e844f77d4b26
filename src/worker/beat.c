/* The worker's lease on each queue, and the recovery of workers whose lease ran out.
 *
 * Happy path: a beat every third of the lease renews it by Redis's clock; we count it from the moment
 * the beat was sent, so that our view always ends before Redis's.
 * Failure modes: no reply: the next beat tries again; past `lease.until_ns` nothing is begun or sent.
 * The reply says E: the lease had run out but nobody recovered us: nothing is lost. N, though we were
 * known: we were recovered. Redis refuses what we still hold, claim by claim; what begin let go before
 * and has not left yet must not leave under the new lease: the consumer's lease.epoch moves on.
 * What was begun too long ago must not leave either: its token was of another time, and the provider would
 * see more at once than the account's rate allows.
 * Not caught: a process stopped between order_may_send and the kernel taking the bytes (some
 * microseconds) sends when it is resumed. Recovery therefore waits request_timeout before it looks such
 * an order up; a longer stop at that very place is docs/guarantees.md's "stop window".
 * Names of other workers in the reply: theirs ran out; one at a time is recovered: what it holds is read, then
 * moved in one script call per batch, the newest first, RECOVER_CALLS of them between two looks. */
#include "worker/spool.h"

#include "queue/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECOVER_CALLS  16 /* batches of a dead worker that are under way together */
#define EVICTION_BEATS 60 /* Redis is asked once in so many beats whether it may evict */
#define MS_NS          1000000ull

struct recovery {
    struct consumer *consumer;
    char dead[128];
    uint64_t given, unknown;
    /* of the calls since the last look */
    uint64_t moved, left; /* jobs; batches, as Redis said last */
    uint32_t out;
    bool failed; /* or the worker is alive again */
};

#define TOKENS_ROOM 400 /* bytes: who reads the info takes 511 of it */

/* When whose token ends, as far as that is known: {"shop":1795448588803}. */
static void write_tokens(const struct consumer *consumer, struct buf *out) {
    const char *comma = "";
    buf_add_str(out, ",\"tokens\":{");
    for (uint32_t i = 0; i < consumer->accounts.count; i++) {
        const struct account *account = consumer->accounts.list[i]->account;
        uint64_t ms = account_token_expires_ms(account);
        if (ms == 0 || out->len > TOKENS_ROOM)
            continue;
        buf_addf(out, "%s\"%s\":%llu", comma, account->name, (unsigned long long)ms);
        comma = ",";
    }
    buf_add_char(out, '}');
}

static void write_info(const struct consumer *consumer, struct buf *out) {
    const struct worker *w = consumer->worker;
    char host[128] = "";
    gethostname(host, sizeof(host) - 1);
    buf_add_str(out, "{\"host\":");
    buf_add_json_str(out, span_str(host));
    buf_addf(out, ",\"pid\":%ld,\"version\":\"" DRAY_VERSION "\",\"started_at\":%llu,\"lease_ms\":%llu,",
             (long)getpid(), (unsigned long long)w->start.unix_ms, (unsigned long long)w->boot->lease_ms);
    buf_addf(out, "\"connections\":%u,\"pickup_mode\":\"%s\",", worker_connections(w),
             pickup_blocks(consumer) ? "blocking" : "polling");
    buf_addf(out, "\"inflight\":%u,\"mode\":\"%s\"", consumer_active(consumer),
             w->mode == WORKER_QUIET      ? "quiet"
             : w->mode == WORKER_DRAINING ? "draining"
                                          : "running");
    buf_addf(out, ",\"format\":%d", QUEUE_FORMAT);
    write_tokens(consumer, out);
    buf_add_char(out, '}');
}

static void recover_read(struct recovery *rec);

static void recovery_end(struct recovery *rec) {
    struct consumer *consumer = rec->consumer;
    struct log_line l;
    consumer->lease.recovering = false;
    consumer->claims.look_now = true;
    if (rec->given + rec->unknown > 0 && log_begin(&l, LOG_WARN, "worker_recovered")) {
        log_str(&l, "queue", consumer->config->name);
        log_str(&l, "dead_worker", rec->dead);
        log_u64(&l, "given_back", rec->given);
        log_u64(&l, "unknown", rec->unknown);
        log_end(&l);
    }
    free(rec);
}

static void on_recovered(void *arg, const redisReply *r, const char *error) {
    struct recovery *rec = arg;
    bool moved = r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements >= 4;
    if (moved) {
        uint64_t given = queue_reply_u64(r, 2), unknown = queue_reply_u64(r, 3);
        rec->given += given;
        rec->unknown += unknown;
        rec->moved += given + unknown;
        rec->left = queue_reply_u64(r, 1);
    } else if (r != NULL && r->type == REDIS_REPLY_ERROR) {
        log_redis_error(rec->consumer, "recover", error);
    }
    rec->failed |= !moved;
    if (--rec->out > 0)
        return;
    if (!rec->failed && rec->left > 0 && rec->moved > 0)
        recover_read(rec);
    else
        recovery_end(rec); /* the next beat names it again, if anything is left */
}

static void add_order_key(const struct consumer *consumer, struct span account_key, struct buf *cmd,
                          struct buf *key) {
    buf_reset(key);
    buf_add_span(key, consumer->keys.order_prefix);
    buf_add_span(key, account_key);
    redis_resp_arg(cmd, buf_span(key));
}

static void add_claims_keys(const struct consumer *consumer, struct span worker, uint64_t batch,
                            struct buf *cmd, struct buf *key) {
    buf_reset(key);
    queue_keys_claims(&consumer->keys, worker, key);
    redis_resp_arg(cmd, buf_span(key));
    buf_reset(key);
    queue_keys_batch(&consumer->keys, worker, batch, key);
    redis_resp_arg(cmd, buf_span(key));
}

/* Batch 0: the dead worker holds nothing, it is only to be struck off. */
static struct buf *recover_cmd(const struct consumer *consumer, const char *worker, bool living,
                               const struct own_claims *begun) {
    static const enum queue_key keys[] = {KEY_JOBS,   KEY_DELAYED, KEY_PARKED,       KEY_GATES, KEY_ACCOUNTS,
                                          KEY_LIMITS, KEY_WORKERS, KEY_WORKERS_INFO, KEY_STATS};
    size_t fixed = sizeof(keys) / sizeof(keys[0]);
    struct buf *cmd = &consumer->worker->scratch.cmd, *key = &consumer->worker->scratch.path;
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_RECOVER, fixed + 2 + begun->count, 3 + begun->count);
    for (size_t i = 0; i < fixed; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    add_claims_keys(consumer, span_str(worker), begun->batch, cmd, key);
    for (size_t i = 0; i < begun->count; i++)
        add_order_key(consumer, begun->account_key[i], cmd, key);
    redis_resp_str(cmd, worker);
    if (begun->batch > 0)
        redis_resp_u64(cmd, begun->batch);
    else
        redis_resp_str(cmd, "");
    redis_resp_str(cmd, living ? "1" : "");
    for (size_t i = 0; i < begun->count; i++)
        redis_resp_u64(cmd, begun->place[i]);
    return cmd;
}

static void on_own_recovered(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    consumer->claims.orphans_out = false;
    consumer->claims.look_now = true;
    if (r != NULL && r->type == REDIS_REPLY_ARRAY)
        return;
    consumer->claims.lost = true; /* looked for again */
    if (r != NULL)
        log_redis_error(consumer, "recover", error);
}

void consumer_recover_own(struct consumer *consumer, const struct own_claims *own) {
    struct log_line l;
    if (log_begin(&l, LOG_WARN, "own_orders_unknown")) {
        log_str(&l, "queue", consumer->config->name);
        log_u64(&l, "orders", own->count);
        log_str(&l, "message",
                "Redis holds them as being sent, this worker does not: did Redis lose its last writes?");
        log_end(&l);
    }
    consumer->claims.orphans_out = true;
    struct buf *cmd = recover_cmd(consumer, consumer->keys.worker, true, own);
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_RECOVER, cmd, on_own_recovered,
               consumer);
}

/* The claims of a batch that have begun. Where it cannot be read, none: recover.lua then says so. */
static void read_begun(const redisReply *n, const redisReply *packed, struct own_claims *begun) {
    struct batch_state state;
    uint16_t place;
    struct span account_key;
    begun->batch = strtoull(n->str, NULL, 10);
    begun->count = 0;
    if (batch_state_read((struct span){packed->str, packed->len}, &state) != 0)
        return;
    while (begun->count < BATCH_CLAIMS && batch_next_begun(&state, &place, &account_key)) {
        if (state.letters.ptr[place] == CLAIM_ENDED)
            continue;
        begun->place[begun->count] = place;
        begun->account_key[begun->count++] = account_key;
    }
}

static void recover_batch(struct recovery *rec, const struct own_claims *begun) {
    struct consumer *consumer = rec->consumer;
    struct buf *cmd = recover_cmd(consumer, rec->dead, false, begun);
    rec->out++;
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_RECOVER, cmd, on_recovered, rec);
}

static void on_held(void *arg, const redisReply *r, const char *error) {
    struct recovery *rec = arg;
    struct own_claims begun = {.batch = 0};
    if (r == NULL || r->type != REDIS_REPLY_ARRAY) {
        if (r != NULL && r->type == REDIS_REPLY_ERROR)
            log_redis_error(rec->consumer, "recover", error);
        recovery_end(rec);
        return;
    }
    rec->moved = rec->left = 0;
    for (size_t i = r->elements; i >= 2 && rec->out < RECOVER_CALLS; i -= 2) {
        read_begun(r->element[i - 2], r->element[i - 1], &begun);
        recover_batch(rec, &begun);
    }
    if (rec->out == 0)
        recover_batch(rec, &begun);
}

static void recover_read(struct recovery *rec) {
    struct consumer *consumer = rec->consumer;
    struct buf *cmd = &consumer->worker->scratch.cmd, *key = &consumer->worker->scratch.path;
    buf_reset(cmd);
    buf_reset(key);
    queue_cmd_begin(cmd, SCRIPT_HELD, 1, 0);
    queue_keys_claims(&consumer->keys, span_str(rec->dead), key);
    redis_resp_arg(cmd, buf_span(key));
    queue_call(consumer->worker->caller, consumer->keys.slot, SCRIPT_HELD, cmd, on_held, rec);
}

static void on_spool_asked(void *arg, bool wait) {
    if (wait)
        recovery_end(arg);
    else
        recover_read(arg);
}

static void recover(struct consumer *consumer, const redisReply *name) {
    struct recovery *rec = calloc(1, sizeof(*rec));
    if (rec == NULL || name->len >= sizeof(rec->dead)) {
        free(rec);
        return;
    }
    rec->consumer = consumer;
    memcpy(rec->dead, name->str, name->len);
    consumer->lease.recovering = true;
    if (!spool_ask(consumer, rec->dead, on_spool_asked, rec))
        recover_read(rec);
}

/* A renewed lease: what waited for it goes on. */
static void leased(struct consumer *consumer, char how) {
    struct worker *w = consumer->worker;
    bool was = consumer->lease.held;
    consumer->lease.held = true;
    consumer->lease.until_ns = consumer->lease.beat_sent_ns + w->boot->lease_ms * MS_NS / 100 * 98;
    if (how == 'N' && consumer->lease.registered) {
        consumer->lease.epoch++;
        log_msg(LOG_WARN, "lease_lost",
                "queue %s: the lease ran out and others recovered this worker's orders; is the machine "
                "overloaded?",
                consumer->config->name);
    }
    consumer->lease.registered = true;
    if (!was)
        consumer->claims.look_now = true;
}

/* A claim that Redis executed after its connection had died holds jobs that no order here knows of. */
static void notice_strangers(struct consumer *consumer, uint64_t held) {
    bool settling =
        consumer->turns.out > 0 || consumer->turns.resend != NULL || consumer->turns.settle != NULL;
    if (held > consumer_held(consumer) && !settling && consumer->claims.out == 0 &&
        !consumer->claims.orphans_out)
        consumer->claims.lost = true;
}

/* beat.lua has put right what was due by the old clock. */
static void notice_clock(const struct consumer *consumer, uint64_t back_ms) {
    struct log_line l;
    if (back_ms == 0 || !log_begin(&l, LOG_WARN, "redis_clock_back"))
        return;
    log_str(&l, "queue", consumer->config->name);
    log_u64(&l, "back_ms", back_ms);
    log_str(
        &l, "message",
        "Redis's clock went back; what was due by the old one is due earlier by as much: was its server's "
        "clock set, or does another server answer now?");
    log_end(&l);
}

static void on_beat(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    consumer->lease.beat_out = false;
    if (r == NULL || format_refused(consumer, r))
        return;
    if (r->type != REDIS_REPLY_ARRAY || r->elements < 5) {
        log_redis_error(consumer, "beat", error);
        return;
    }
    const redisReply *last = r->element[r->elements - 1];
    bool told = last->type == REDIS_REPLY_ARRAY;
    size_t expired = r->elements - 5 - told;
    format_accepted(consumer, told ? last : NULL);
    if (!consumer->lease.held)
        consumer_send_limits(consumer); /* whose format is not known is told nothing */
    if (!consumer->lease.held || consumer->lease.beats % EVICTION_BEATS == 0)
        consumer_check_eviction(consumer);
    leased(consumer, r->element[2]->str[0]);
    notice_clock(consumer, queue_reply_u64(r, 4));
    consumer->lease.redis_ms = 0; /* it has seen to it, if it went back */
    controls_write(consumer);
    consumer_look(consumer, r, 0);
    notice_strangers(consumer, queue_reply_u64(r, 3));
    if (expired > 0 && !consumer->lease.recovering && consumer->worker->mode != WORKER_DRAINING &&
        !spool_holds(consumer))
        recover(consumer, r->element[5]);
    consumer->worker->up->ready(consumer->worker);
}

void consumer_beat(struct consumer *consumer) {
    static const enum queue_key keys[] = {KEY_WORKERS, KEY_WORKERS_INFO, KEY_DELAYED, KEY_GATES,  KEY_TAKEN,
                                          KEY_CLAIMS,  KEY_ACCOUNTS,     KEY_STATS,   KEY_PAUSES, KEY_FORMAT};
    struct worker *w = consumer->worker;
    if (consumer->lease.beat_out || consumer->left || !consumer_is_up(consumer))
        return;
    struct buf *cmd = &w->scratch.cmd, *info = &w->scratch.path;
    buf_reset(cmd);
    buf_reset(info);
    if (consumer->lease.beats++ % 4 == 0 || consumer->lease.info_stale)
        write_info(consumer, info);
    consumer->lease.info_stale = false;
    size_t count = sizeof(keys) / sizeof(keys[0]);
    queue_cmd_begin(cmd, SCRIPT_BEAT, count, 5);
    for (size_t i = 0; i < count; i++)
        queue_cmd_key(cmd, &consumer->keys, keys[i]);
    redis_resp_str(cmd, consumer->keys.worker);
    redis_resp_u64(cmd, w->boot->lease_ms);
    redis_resp_arg(cmd, buf_span(info));
    queue_format_args(cmd);
    consumer->lease.beat_out = true;
    consumer->lease.beat_sent_ns = clock_boot_ns();
    queue_call(w->caller, consumer->keys.slot, SCRIPT_BEAT, cmd, on_beat, consumer);
}

void consumer_expire(struct consumer *consumer, uint64_t now_ns) {
    if (!consumer->lease.held || now_ns < consumer->lease.until_ns)
        return;
    consumer->lease.held = false;
    consumer_beat(consumer);
}
