/* What may happen next, and how likely. One step is one of these. */
#include "sim.h"

#include <stdio.h>

#define ACTIONS_MAX 512

struct action {
    void (*run)(void *what);
    void *what;
    unsigned weight;
};

static struct action actions[ACTIONS_MAX];
static unsigned action_count, total_weight;

static void may(void (*run)(void *what), void *what, unsigned weight) {
    if (weight == 0 || action_count == ACTIONS_MAX)
        return;
    actions[action_count++] = (struct action){run, what, weight};
    total_weight += weight;
}

static bool awake(const struct sim_worker *s) {
    return s->w != NULL && !s->paused;
}

static unsigned fault(enum fault kind, unsigned weight) {
    return world.fault_now && world.fault[kind] ? weight : 0;
}

static void do_turn(void *what) {
    struct sim_worker *s = what;
    enter(s);
    s->turn_due = false;
    s->turn(s->prepare);
    leave();
}

static void do_timers(void *what) {
    struct sim_worker *s = what;
    for (unsigned i = 0; i < HANDLES_MAX; i++)
        if (s->timers[i].active && s->timers[i].due_ns <= world.now_ns) {
            loop_fire(s, &s->timers[i]);
            return;
        }
}

static void do_deferred(void *what) {
    loop_deferred(what);
}
static void do_reap(void *what) {
    worker_reap(what);
}
static void do_pool(void *what) {
    pool_finish_close(what);
}
static void do_up(void *what) {
    conn_up(what);
}
static void do_deliver(void *what) {
    conn_deliver(what);
}
static void do_close(void *what) {
    conn_finish_close(what);
}
static void do_break(void *what) {
    conn_break(what);
}
static void do_notice(void *what) {
    conn_down(what, "connection reset");
}
static void do_time_out(void *what) {
    conn_down(what, "no answer in time");
}
static void do_ready(void *what) {
    call_ready(what);
}
static void do_refuse(void *what) {
    call_refuse(what);
}
static void do_land(void *what) {
    call_land(what);
}
static void do_answer(void *what) {
    call_deliver(what);
}
static void do_hang_up(void *what) {
    call_hang_up(what);
}
static void do_call_time_out(void *what) {
    call_time_out(what);
}
static void do_lose(void *what) {
    call_lose(what);
}
static void do_ghost(void *what) {
    ghost_end(what, true);
}
static void do_ghost_dies(void *what) {
    ghost_end(what, false);
}
static void do_crash(void *what) {
    worker_crash(what);
}

static void do_execute(void *what) {
    struct redis_conn *c = what;
    conn_execute(c, conn_next_command(c));
}

static void do_error(void *what) {
    struct redis_conn *c = what;
    conn_refuse(c, conn_next_command(c));
}

/* Written, executed, and the connection gone before the reply. */
static void do_execute_and_break(void *what) {
    struct redis_conn *c = what;
    conn_execute(c, conn_next_command(c));
    conn_break(c);
}

static void do_retry(void *what) {
    struct redis_conn *c = what;
    c->state = REDIS_CONNECTING;
    enter(c->owner);
    c->on_state(c->arg, REDIS_CONNECTING, "");
    leave();
}

static void do_pause(void *what) {
    struct sim_worker *s = what;
    note("w%u is stopped", s->number);
    s->paused = true;
    s->paused_until_ns = world.now_ns + draw(world.config->lease_ms * (chance(70) ? 3 : 1)) * MS;
}

static void do_resume(void *what) {
    struct sim_worker *s = what;
    note("w%u goes on", s->number);
    s->paused = false;
    s->turn_due = true;
}

static void do_drain(void *what) {
    struct sim_worker *s = what;
    note("w%u drains", s->number);
    s->draining = true;
    enter(s);
    worker_drain(s->w);
    leave();
}

static void do_quiet(void *what) {
    struct sim_worker *s = what;
    note("w%u quiet or not", s->number);
    enter(s);
    if (s->w->mode == WORKER_QUIET)
        worker_resume(s->w);
    else
        worker_quiet(s->w);
    leave();
}

static void do_restart(void *what) {
    (void)what;
    note("redis restarts");
    for (struct redis_conn *c = world.conns; c != NULL; c = c->next)
        conn_break(c);
    while (world.ghosts != NULL)
        ghost_end(world.ghosts, false);
    if (world.fault[FAULT_FORGETS] && world.remembers && chance(70))
        server_forget();
    if (chance(50))
        server_flush_scripts();
    if (chance(50))
        world.away_until_ns = world.now_ns + draw(20000) * MS;
}

static void do_remember(void *what) {
    (void)what;
    note("redis saves");
    server_remember();
}

static void do_start(void *what) {
    (void)what;
    worker_start();
}

static void do_push(void *what) {
    (void)what;
    jobs_push();
}

/* An operator pauses an account or a queue, or ends that. */
static void do_operator(void *what) {
    char pauses[64], gates[64], account[8] = "", pause[64];
    unsigned a = (unsigned)draw(ACCOUNTS);
    (void)what;
    job_queue_key(queue_names[account_queue(a)], "pauses", pauses, sizeof(pauses));
    job_queue_key(queue_names[account_queue(a)], "gates", gates, sizeof(gates));
    if (chance(70))
        snprintf(account, sizeof(account), "a%u", a);
    if (chance(40)) {
        uint64_t until = chance(50) ? 0 : START_UNIX_MS + world.now_ns / MS + draw(5000);
        note("operator pauses %s '%s' until %llu", pauses, account, (unsigned long long)until);
        snprintf(pause, sizeof(pause), "%llu maintenance", (unsigned long long)until);
        freeReplyObject(server_command("HSET %s %s %s", pauses, account, pause));
    } else {
        note("operator resumes %s '%s'", pauses, account);
        freeReplyObject(server_command("HDEL %s %s", pauses, account));
        freeReplyObject(server_command("ZADD %s XX 0 %s", gates, account));
    }
}

static void advance(uint64_t ns) {
    world.now_ns += ns;
    note("time %llu.%03llu s", (unsigned long long)(world.now_ns / SECOND),
         (unsigned long long)(world.now_ns / MS % 1000));
}

static void earlier(uint64_t *at, uint64_t candidate) {
    if (candidate < *at)
        *at = candidate;
}

bool advance_to_next_event(void) {
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < world.worker_count; i++)
        if (awake(&world.workers[i]))
            earlier(&at, loop_next_due(&world.workers[i]));
        else if (world.workers[i].w != NULL && world.workers[i].paused_until_ns > world.now_ns)
            earlier(&at, world.workers[i].paused_until_ns);
    if (world.away_until_ns > world.now_ns)
        at = world.away_until_ns;
    for (const struct redis_conn *c = world.conns; c != NULL; c = c->next) {
        if (!awake(c->owner))
            continue;
        if (c->state == REDIS_DOWN)
            earlier(&at, c->retry_at_ns);
        else if (c->first != NULL)
            earlier(&at, c->first->block_until_ns > 0 ? c->first->block_until_ns : c->first->deadline_ns);
    }
    for (const struct http_call *c = world.calls; c != NULL; c = c->next)
        earlier(&at, c->owner == NULL ? c->land_until_ns + 1 : c->deadline_ns);
    if (at == UINT64_MAX)
        return false;
    advance(at > world.now_ns ? at - world.now_ns : MS);
    return true;
}

static void do_next_event(void *what) {
    (void)what;
    advance_to_next_event();
}

static void do_a_while(void *what) {
    (void)what;
    advance((1 + draw(300)) * MS);
}

static void do_stall(void *what) {
    (void)what;
    advance(draw(2 * world.config->lease_ms) * MS);
}

/* A worker with requests under way is the one worth hitting. */
static unsigned busy(const struct sim_worker *s) {
    unsigned n = 0;
    for (uint32_t i = 0; i < s->w->consumer_count; i++)
        n += s->w->consumers[i]->orders.in[ORDER_SENDING].count +
             s->w->consumers[i]->orders.in[ORDER_BEGINNING].count;
    return n > 0 ? 1 : 0;
}

static void worker_actions(struct sim_worker *s) {
    if (s->w == NULL)
        return;
    if (s->paused) {
        if (world.now_ns >= s->paused_until_ns)
            may(do_resume, s, 20);
        may(do_crash, s, fault(FAULT_CRASH, 1));
        return;
    }
    if (s->stopped) {
        if (s->deferred_count > 0)
            may(do_deferred, s, 10);
        may(do_reap, s, 10);
        return;
    }
    if (s->turn != NULL && s->turn_due)
        may(do_turn, s, 60);
    if (loop_next_due(s) <= world.now_ns)
        may(do_timers, s, 20);
    if (s->deferred_count > 0)
        may(do_deferred, s, 10);
    if (s->pool != NULL && s->pool->closing)
        may(do_pool, s, 10);
    may(do_crash, s, fault(FAULT_CRASH, 1 + busy(s)));
    may(do_pause, s, fault(FAULT_PAUSE, 1 + 4 * busy(s)));
    if (!s->draining)
        may(do_drain, s, fault(FAULT_DRAIN, 1));
    may(do_quiet, s,
        world.settling && s->w->mode == WORKER_QUIET
            ? 50
            : fault(FAULT_QUIET, s->w->mode == WORKER_QUIET ? 10 : 1));
}

static void conn_actions(struct redis_conn *c) {
    struct command *next = conn_next_command(c);
    bool awake_now = awake(c->owner);
    if (c->state == REDIS_UP && !c->broken && next != NULL) {
        bool blocked = next->block_until_ns > 0 && !next->unblocked && world.now_ns < next->block_until_ns;
        if (!blocked || world.jobs_waiting[next->queue])
            may(do_execute, c, blocked ? 10 : 40);
        may(do_error, c, fault(FAULT_ERRORS, 3));
        may(do_execute_and_break, c, fault(FAULT_DROP, blocked ? 0 : 1));
    }
    if (c->state == REDIS_UP && !c->broken)
        may(do_break, c, fault(FAULT_DROP, 1));
    if (!awake_now)
        return;
    if (c->closing) {
        may(do_close, c, 10);
        return;
    }
    if (c->broken)
        may(do_notice, c, 20);
    else if (c->first != NULL && (c->first->executed || c->first->refused))
        may(do_deliver, c, 40);
    else if (c->first != NULL && c->state == REDIS_UP && c->first->block_until_ns == 0 &&
             c->first->deadline_ns <= world.now_ns)
        may(do_time_out, c, 20);
    if (c->first == NULL && c->state == REDIS_CONNECTING && world.now_ns >= world.away_until_ns)
        may(do_up, c, 20);
    if (c->first == NULL && c->state == REDIS_DOWN && c->retry_at_ns <= world.now_ns)
        may(do_retry, c, 20);
}

static void call_actions(struct http_call *c) {
    if (c->owner == NULL) {
        if (world.now_ns > c->land_until_ns)
            may(do_lose, c, 100);
        else
            may(do_land, c, 4);
        may(do_lose, c, 1);
        return;
    }
    if (c->state == CALL_SENT && world.now_ns <= c->land_until_ns)
        may(do_land, c, 15);
    if (!awake(c->owner) || c->owner->stopped)
        return;
    if (c->state == CALL_NEW) {
        may(do_ready, c, world.settling ? 20 : world.connect_weight);
        may(do_refuse, c, fault(FAULT_HTTP, 2));
    } else if (c->state == CALL_ANSWERED) {
        may(do_answer, c, 20);
    } else if (c->state == CALL_BROKEN) {
        may(do_hang_up, c, 20);
    }
    if (c->state != CALL_NEW)
        may(do_hang_up, c, fault(FAULT_HTTP, 2));
    if (world.now_ns >= c->deadline_ns)
        may(do_call_time_out, c, 20);
}

static void ghost_actions(struct command *g) {
    bool late = world.settling || world.now_ns > g->deadline_ns;
    if (g->block_until_ns == 0 || g->unblocked || world.jobs_waiting[g->queue])
        may(do_ghost, g, 3);
    may(do_ghost_dies, g, late ? 20 : 1);
}

/* False: nothing can happen without time going on. */
bool step(void) {
    action_count = total_weight = 0;
    world.fault_now = !world.settling && !world.warming && chance(world.fault_rate);
    for (unsigned i = 0; i < world.worker_count; i++)
        worker_actions(&world.workers[i]);
    for (struct redis_conn *c = world.conns; c != NULL; c = c->next)
        conn_actions(c);
    for (struct http_call *c = world.calls; c != NULL; c = c->next)
        call_actions(c);
    for (struct command *g = world.ghosts; g != NULL; g = g->next)
        ghost_actions(g);
    if (world.jobs_to_push > 0 && !world.warming)
        may(do_push, NULL, world.settling ? 10 : world.push_weight);
    if (workers_alive() < (world.settling ? 1 : 2))
        may(do_start, NULL, 20);
    else if (workers_alive() < 4 && !world.settling && !world.warming)
        may(do_start, NULL, 1);
    if (!world.settling && !world.warming) {
        may(do_next_event, NULL, 15);
        may(do_a_while, NULL, 8);
        may(do_stall, NULL, fault(FAULT_STALL, 1));
        may(do_restart, NULL, fault(FAULT_RESTART, 1) + fault(FAULT_FORGETS, world.remembers ? 3 : 0));
        may(do_remember, NULL, fault(FAULT_FORGETS, 3));
        may(do_operator, NULL, fault(FAULT_OPERATOR, 2));
    }
    if (action_count == 0)
        return false;
    uint64_t at = draw(total_weight);
    unsigned i = 0;
    while (at >= actions[i].weight)
        at -= actions[i++].weight;
    actions[i].run(actions[i].what);
    audit_worker_books();
    world.steps++;
    return true;
}
