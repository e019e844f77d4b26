/* One schedule: a world drawn from the seed, a while with faults, then faults off until every job
 * has ended and nothing is held. */
#include "sim.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_STEPS_MAX 30000
#define SETTLE_TIME_MAX  (2 * 3600 * SECOND)

struct world world;

uint64_t draw(uint64_t n) {
    return rng_below(&world.rng, n);
}

bool chance(unsigned of_100) {
    return draw(100) < of_100;
}

static uint64_t one_of(const uint64_t *values, size_t n) {
    return values[draw(n)];
}
#define ONE_OF(...)                                                                                          \
    one_of((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* The account's own rules, and with them what its provider may do. */
static void draw_account(unsigned i) {
    struct account *a = world.config->accounts[i];
    bool exact = provider_lookup_kind(a) == LOOKUP_EXACT;
    a->rate = chance(25) ? 4.0 : 0.0;
    a->burst = 2;
    a->concurrency = (uint32_t)ONE_OF(0, 0, 1, 2);
    a->max_attempts = (uint32_t)ONE_OF(2, 3, 5);
    a->backoff_base_ms = 200;
    a->backoff_cap_ms = 3000;
    a->request_timeout_ms = (uint32_t)ONE_OF(1000, 3000, 8000);
    a->connect_timeout_ms = 500;
    a->lookup_delay_ms = ONE_OF(500, 2000);
    a->absent_window_ms = ONE_OF(0, 300, 2000);
    a->lookup_attempts = (uint32_t)ONE_OF(1, 3);
    a->breaker_failures = (uint32_t)ONE_OF(0, 2, 10);
    a->breaker_cooldown_ms = ONE_OF(0, 500, 2000);
    a->retry_after_cap_ms = 3000;
    a->on_unknown = chance(30) ? ON_UNKNOWN_HOLD : ON_UNKNOWN_LOOKUP;
    if (i == ACCOUNTS - 1)
        a->on_unknown = ON_UNKNOWN_RESEND;
    a->on_absent = exact ? ON_ABSENT_RETRY : ON_ABSENT_HOLD;
    world.resend_ok[i] = a->on_unknown == ON_UNKNOWN_RESEND;
    world.index_lag_ns[i] = exact ? 0 : ONE_OF(0, 1000, 6000) * MS;
    world.blind[i] = exact && chance(15);
    world.trouble[i] = (uint32_t)ONE_OF(10, 40, 70);
    for (unsigned k = 0; k < KEYS_PER_ACCOUNT; k++)
        world.made[i][k].preexisting = chance(4);
}

/* In a quarter of the worlds. Either some orders of the account are refused, for what is in them, or all, for what is wrong with
 * the account; that nothing else happens to it then lets the audit count. */
static void draw_refusals(unsigned i) {
    static const uint16_t statuses[] = {401, 403, 422};
    world.config->accounts[i]->reject_limit = (uint32_t)ONE_OF(1, 2, 3);
    if (world.config->accounts[i]->breaker_cooldown_ms == 0)
        /* else one probe follows the other, and takes all the steps there are */
        world.config->accounts[i]->breaker_cooldown_ms = 500;
    world.refuses_all[i] = chance(35);
    if (world.refuses_all[i])
        world.trouble[i] = 0;
    else if (chance(30))
        return;
    uint16_t status = statuses[draw(3)];
    for (unsigned k = 0; k < KEYS_PER_ACCOUNT; k++) {
        bool refused = world.refuses_all[i] || k == 0 || (k == 1 && chance(50));
        world.refuses[i][k] = refused ? status : 0;
        world.made[i][k].preexisting = false;
    }
}

static void draw_world(void) {
    struct config *c = world.config;
    c->lease_ms = ONE_OF(1000, 3000, 6000, 15000);
    c->drain_timeout_ms = ONE_OF(1000, 5000);
    c->max_inflight = (uint32_t)ONE_OF(2, 8, 64);
    /* none, or one for two queues */
    c->pickup_connections = world.seed % 5 == 4 ? (uint32_t)(world.seed / 5 % 2) : UINT32_MAX;
    c->redis.command_timeout_ms = (uint32_t)(c->lease_ms / 3);
    for (uint32_t i = 0; i < c->queue_count; i++)
        c->queues[i].concurrency = (uint32_t)ONE_OF(1, 2, 4, 16);
    for (unsigned i = 0; i < FAULT_KINDS; i++)
        world.fault[i] = chance(i == FAULT_FORGETS ? 25 : 60) || (sim_mutation != NULL && i == FAULT_PAUSE);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        draw_account(i);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        world.config->accounts[i]->reject_limit = 0;
    for (unsigned i = 0; i < ACCOUNTS && world.seed % 4 == 3; i++)
        draw_refusals(i);
    world.jobs_to_push = 4 + (unsigned)draw(7);
    world.fault_rate = (unsigned)ONE_OF(5, 15, 40);
    world.push_weight = (unsigned)ONE_OF(1, 3, 10);
    world.connect_weight = (unsigned)ONE_OF(1, 5, 20);
    for (uint64_t n = 1 + draw(3); n > 0; n--)
        worker_start();
}

static void undo_operator(void) {
    char key[64];
    for (unsigned q = 0; q < QUEUES; q++) {
        job_queue_key(queue_names[q], "pauses", key, sizeof(key));
        freeReplyObject(server_command("DEL %s", key));
        job_queue_key(queue_names[q], "gates", key, sizeof(key));
        for (unsigned a = 0; a < ACCOUNTS; a++)
            freeReplyObject(server_command("ZADD %s XX 0 a%u", key, a));
    }
}

bool at_rest(void) {
    return all_jobs_ended() && world.claim_count == 0 && world.ghosts == NULL;
}

/* Orders that are refused hold up no other of their account. Once all others have ended they are refused no longer. */
static void mend(void) {
    for (unsigned i = 0; i < world.job_count; i++) {
        const struct sim_job *j = &world.jobs[i];
        if (world.refuses[j->account][j->key] == 0 && j->place[0] != 'r' && j->place[0] != 'd')
            return;
    }
    if (!world.mended && world.jobs_to_push == 0)
        note("orders are mended");
    world.mended = world.jobs_to_push == 0;
}

/* For the reader of a failing seed. */
static void note_state(void) {
    for (unsigned i = 0; i < world.job_count; i++)
        if (world.jobs[i].place[0] != 'r' && world.jobs[i].place[0] != 'd')
            note("job %u (a%u key-%u) is in '%s'", i, world.jobs[i].account, world.jobs[i].key,
                 world.jobs[i].place);
    for (struct redis_conn *c = world.conns; c != NULL; c = c->next)
        note("w%u c%u: state %d%s%s%s", c->owner->number, c->number, (int)c->state,
             c->broken ? " broken" : "", c->closing ? " closing" : "",
             c->first != NULL ? " with commands" : "");
    for (unsigned i = 0; i < world.worker_count; i++) {
        const struct sim_worker *s = &world.workers[i];
        for (uint32_t k = 0; s->w != NULL && k < s->w->consumer_count; k++) {
            const struct consumer *l = s->w->consumers[k];
            note("w%u %s: mode %d%s%s%s%s%s%s%s, %u held, %u batches out, look at %lld ms", i,
                 l->config->name, (int)s->w->mode, s->paused ? " stopped" : "",
                 l->lease.held ? " leased" : "", l->claims.out > 0 ? " claim_out" : "",
                 l->claims.lost ? " claim_lost" : "", l->claims.orphans_out ? " orphans_out" : "",
                 l->turns.resend != NULL ? " resend" : "", l->claims.look_now ? " look_now" : "",
                 consumer_held(l), l->turns.out,
                 (long long)(l->claims.look_at_ns - s->boot_offset_ns - world.now_ns) / (long long)MS);
        }
    }
}

static void settle_all(void) {
    unsigned last = world.steps + SETTLE_STEPS_MAX;
    uint64_t until = world.now_ns + SETTLE_TIME_MAX;
    note("faults off");
    world.settling = true;
    undo_operator();
    while (!world.failed && !at_rest()) {
        if (!step() && !advance_to_next_event())
            sim_fail("nothing moves, and not all jobs have ended");
        mend();
        if (world.steps > last || world.now_ns > until)
            sim_fail("not at rest after %s", world.steps > last ? "30,000 steps" : "two hours");
    }
    if (world.failed)
        note_state();
    if (!world.failed)
        audit_at_rest();
}

void world_end(void) {
    for (unsigned i = 0; i < world.worker_count; i++)
        if (world.workers[i].w != NULL)
            worker_crash(&world.workers[i]);
    while (world.ghosts != NULL)
        ghost_end(world.ghosts, false);
    while (world.calls != NULL)
        call_lose(world.calls);
}

bool all_running(void) {
    for (unsigned i = 0; i < world.worker_count; i++)
        if (world.workers[i].w->mode != WORKER_RUNNING)
            return false;
    return true;
}

/* So that the steps that follow are spent on jobs. */
static void warm_up(void) {
    world.warming = true;
    for (unsigned i = 0; i < 400 && !world.failed && !all_running(); i++)
        if (!step())
            advance_to_next_event();
    world.warming = false;
}

static void empty_spool(void) {
    DIR *dir = opendir(world.config->spool_dir);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), e->d_name, 0);
    if (dir != NULL)
        closedir(dir);
}

void world_begin(uint64_t seed) {
    struct config *config = world.config;
    memset(&world, 0, sizeof(world));
    world.config = config;
    world.seed = seed;
    rng_seed(&world.rng, seed);
    server_reset();
    empty_spool();
}

/* With a guard taken out, schedules are longer and workers are stopped in all of them: what the
 * rarest guards stop needs a worker that wakes up at the wrong moment. */
void schedule_run(uint64_t seed) {
    world_begin(seed);
    draw_world();
    if (chance(80))
        warm_up();
    for (uint64_t n = (sim_mutation != NULL ? 200 : 40) + draw(180); n > 0 && !world.failed; n--)
        if (!step())
            advance_to_next_event();
    if (!world.failed)
        settle_all();
    world_end();
}
