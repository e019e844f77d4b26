/* redis.h: connections whose peer is real and whose network is not.
 *
 * A command is executed in its line's order, its reply delivered in order; both when the scheduler
 * says. A connection that dies leaves what was not executed behind: a ghost may still be executed
 * later (a socket buffer the server had not read), or never. */
#include "sim.h"

#include "io/redis_parts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX (64u << 20)

struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                  redis_state_fn on_state, void *arg, struct err *err) {
    (void)loop, (void)rng, (void)err;
    struct redis_conn *c = calloc(1, sizeof(*c));
    c->owner = world.current;
    c->number = world.conn_numbers++;
    c->on_state = on_state;
    c->arg = arg;
    c->state = REDIS_CONNECTING;
    c->command_timeout_ms = options->command_timeout_ms > 0 ? options->command_timeout_ms : 10000;
    struct redis_conn **end = &world.conns;
    while (*end != NULL)
        end = &(*end)->next;
    *end = c;
    return c;
}

enum redis_state redis_conn_state(const struct redis_conn *c) {
    return c->owner->crashed ? REDIS_DOWN : c->state;
}

void redis_conn_renew(struct redis_conn *c) {
    (void)c;
}

enum redis_server_kind redis_conn_kind(const struct redis_conn *c) {
    (void)c;
    return REDIS_SERVER_SINGLE;
}

const char *redis_conn_error(const struct redis_conn *c) {
    (void)c;
    return "";
}

const char *redis_conn_place(const struct redis_conn *c) {
    (void)c;
    return "the simulation";
}

static void command_free(struct command *cmd) {
    buf_deinit(&cmd->bytes);
    if (cmd->reply != NULL)
        freeReplyObject(cmd->reply);
    free(cmd);
}

static struct command *add_command(struct redis_conn *c, struct span resp, uint32_t block_ms,
                                   redis_reply_fn done, void *arg) {
    struct command *cmd = calloc(1, sizeof(*cmd));
    buf_init(&cmd->bytes, COMMAND_MAX);
    buf_add_span(&cmd->bytes, resp);
    cmd->done = done;
    cmd->arg = arg;
    cmd->from = c->owner;
    cmd->refused = c->state != REDIS_UP || c->owner->crashed;
    cmd->deadline_ns = world.now_ns + (c->command_timeout_ms + (uint64_t)block_ms) * MS;
    cmd->block_until_ns = block_ms > 0 ? world.now_ns + block_ms * MS : 0;
    for (unsigned q = 0; block_ms > 0 && q < QUEUES; q++)
        if (memmem(resp.ptr, resp.len, queue_names[q], strlen(queue_names[q])) != NULL)
            cmd->queue = q;
    if (c->last != NULL)
        c->last->next = cmd;
    else
        c->first = cmd;
    c->last = cmd;
    return cmd;
}

void redis_send(struct redis_conn *c, struct span resp, uint32_t block_ms, redis_reply_fn done, void *arg) {
    add_command(c, resp, block_ms, done, arg);
}

void redis_command(struct redis_conn *c, redis_reply_fn done, void *arg, const char *format, ...) {
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int len = redisvFormatCommand(&text, format, ap);
    va_end(ap);
    if (len < 0)
        abort();
    redis_send(c, (struct span){text, (size_t)len}, 0, done, arg);
    redisFreeCommand(text);
}

void redis_flush(struct redis_conn *c) {
    (void)c;
}

struct redis_stats redis_conn_stats(const struct redis_conn *c) {
    (void)c;
    return (struct redis_stats){0};
}

void redis_conn_close(struct redis_conn *c, void (*closed)(void *arg), void *arg) {
    c->closing = true;
    c->closed = closed;
    c->closed_arg = arg;
}

static struct command *pop(struct redis_conn *c) {
    struct command *cmd = c->first;
    if (cmd == NULL)
        return NULL;
    c->first = cmd->next;
    if (c->first == NULL)
        c->last = NULL;
    cmd->next = NULL;
    return cmd;
}

/* The next that the server would read. */
struct command *conn_next_command(const struct redis_conn *c) {
    struct command *cmd = c->first;
    while (cmd != NULL && cmd->executed)
        cmd = cmd->next;
    return cmd != NULL && !cmd->refused ? cmd : NULL;
}

void conn_up(struct redis_conn *c) {
    c->state = REDIS_UP;
    note("w%u c%u up", c->owner->number, c->number);
    enter(c->owner);
    c->on_state(c->arg, REDIS_UP, "");
    leave();
}

void conn_execute(struct redis_conn *c, struct command *cmd) {
    if (cmd->block_until_ns > 0) {
        if (!cmd->unblocked && world.now_ns < cmd->block_until_ns && !server_take_blocked(cmd, &cmd->reply))
            return;
        if (cmd->reply == NULL) {
            cmd->reply = calloc(1, sizeof(*cmd->reply));
            cmd->reply->type = REDIS_REPLY_NIL;
        }
        note("w%u c%u pick-up ends", c->owner->number, c->number);
    } else {
        cmd->reply = server_execute(c->owner, c->number, cmd);
    }
    cmd->executed = true;
}

void conn_refuse(struct redis_conn *c, struct command *cmd) {
    static const char *const errors[] = {
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MISCONF Redis is configured to save RDB snapshots",
        "BUSY Redis is busy running a script.",
        "MASTERDOWN Link with MASTER is down",
    };
    const char *error = errors[draw(sizeof(errors) / sizeof(errors[0]))];
    cmd->reply = calloc(1, sizeof(*cmd->reply));
    cmd->reply->type = REDIS_REPLY_ERROR;
    cmd->reply->str = strdup(error);
    cmd->reply->len = strlen(error);
    cmd->executed = true;
    note("w%u c%u error %s", c->owner->number, c->number, error);
}

/* The first reply, or the first refusal. */
void conn_deliver(struct redis_conn *c) {
    struct command *cmd = pop(c);
    note("w%u c%u %s", c->owner->number, c->number, cmd->refused ? "refused" : "reply");
    enter(c->owner);
    if (cmd->done != NULL)
        cmd->done(cmd->arg, cmd->refused ? NULL : cmd->reply, cmd->refused ? "not connected" : "");
    leave();
    command_free(cmd);
}

static void add_ghost(const struct redis_conn *c, const struct command *cmd) {
    if (!world.fault[FAULT_GHOSTS] || world.settling || !chance(60))
        return;
    struct command *g = calloc(1, sizeof(*g));
    buf_init(&g->bytes, COMMAND_MAX);
    buf_add_span(&g->bytes, buf_span(&cmd->bytes));
    g->from = cmd->from;
    g->conn = c->number;
    g->unblocked = cmd->unblocked;
    g->block_until_ns = cmd->block_until_ns;
    g->queue = cmd->queue;
    g->deadline_ns = world.now_ns + 20 * SECOND;
    struct command **end = &world.ghosts;
    while (*end != NULL)
        end = &(*end)->next;
    *end = g;
}

void ghost_end(struct command *g, bool execute) {
    redisReply *reply = NULL;
    if (execute && g->block_until_ns > 0) {
        if (!g->unblocked && world.now_ns < g->block_until_ns && !server_take_blocked(g, &reply))
            return;
        note("ghost pick-up of w%u ends", g->from->number);
    } else if (execute) {
        note("ghost of w%u is executed", g->from->number);
        reply = server_execute(g->from, g->conn, g);
    }
    if (reply != NULL)
        freeReplyObject(reply);
    struct command **at = &world.ghosts;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    command_free(g);
}

/* CLIENT UNBLOCK: ends the pick-up of a connection, also of one that only the server still has. */
bool conn_unblock(unsigned number) {
    struct command *cmd = NULL;
    for (struct redis_conn *c = world.conns; c != NULL; c = c->next)
        if (c->number == number && !c->broken)
            cmd = conn_next_command(c);
    for (struct command *g = world.ghosts; g != NULL; g = g->next)
        if (g->conn == number)
            cmd = g;
    if (cmd == NULL || cmd->block_until_ns == 0)
        return false;
    cmd->unblocked = true;
    return true;
}

void conn_break(struct redis_conn *c) {
    if (c->broken || c->state != REDIS_UP)
        return;
    c->broken = true;
    note("w%u c%u breaks", c->owner->number, c->number);
    for (struct command *cmd = c->first; cmd != NULL; cmd = cmd->next)
        if (!cmd->executed && !cmd->refused)
            add_ghost(c, cmd);
}

static void fail_all(struct redis_conn *c, const char *reason) {
    unsigned n = 0;
    for (struct command *cmd = c->first; cmd != NULL; cmd = cmd->next)
        n++;
    while (n-- > 0) {
        struct command *cmd = pop(c);
        if (cmd->done != NULL)
            cmd->done(cmd->arg, NULL, reason);
        command_free(cmd);
    }
}

void conn_down(struct redis_conn *c, const char *reason) {
    conn_break(c);
    note("w%u c%u down: %s", c->owner->number, c->number, reason);
    c->broken = false;
    c->state = REDIS_DOWN;
    c->retry_at_ns = world.now_ns + draw(500) * MS;
    enter(c->owner);
    fail_all(c, reason);
    if (!c->closing)
        c->on_state(c->arg, REDIS_DOWN, reason);
    leave();
}

static void unlink_conn(struct redis_conn *c) {
    struct redis_conn **at = &world.conns;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
}

void conn_finish_close(struct redis_conn *c) {
    struct sim_worker *s = world.current;
    conn_break(c);
    enter(c->owner);
    while (c->first != NULL)
        fail_all(c, "closed");
    unlink_conn(c);
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    free(c);
    if (closed != NULL)
        closed(arg);
    world.current = s;
}

/* Of a worker that crashed: its callbacks only give memory back; what they send goes nowhere. */
void conn_forget(struct sim_worker *s) {
    struct redis_conn *c;
    do {
        for (c = world.conns; c != NULL && c->owner != s;)
            c = c->next;
        if (c != NULL)
            conn_finish_close(c);
    } while (c != NULL);
}
