/* RESP over one connected socket, on the uv loop, with hiredis' non-blocking context (not its async
 * layer, which calls back in the middle of its own clean-up and can lose callbacks when a
 * connection fails).
 *
 * Happy path: redis_link_send appends to hiredis' output buffer and to the ring of callbacks, and
 * arms `idle` and `check`; the next of them writes all of the turn's commands at once. The socket
 * stays armed for reading; each answer pops the ring.
 * Failure modes: end of file, a socket or protocol error, an answer that is too long, no answer in
 * time, too much waiting to be written. Each reads what has already arrived (those commands did
 * run), then calls owner.lost() as the last thing it does.
 *
 * A callback may stop the link, but the link is only freed from lost() or a later turn. */
#include "io/redis_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/redis_pending.h"
#include "io/redis_tls.h"

#define READ_SIZE      (16 * 1024)          /* what hiredis reads at once */
#define READS_PER_TURN 64                   /* so that one connection can't starve the rest */
#define ANSWER_MAX     (512U * 1024 * 1024) /* bytes of an unfinished answer; Redis' own limit */
#define UNWRITTEN_MAX  (256U * 1024 * 1024) /* bytes of commands that the socket did not take */
#define UNANSWERED_MAX ((size_t)1 << 20)    /* commands */
#define LONG_COMMAND   (256U * 1024)        /* bytes of a command or answer whose progress counts as life */

struct redis_link {
    uv_loop_t *loop;
    struct redis_link_owner owner;
    redisContext *ctx;
    struct ssl_st *tls; /* the context's, or NULL */
    uv_poll_t *poll;
    uv_idle_t *idle;
    uv_check_t *check;
    uv_timer_t *timer;
    int events;         /* what `poll` is armed for */
    bool scheduled;     /* idle and check run */
    bool dead;          /* lost or stopped: the handles are closed */
    bool timing;        /* the timer runs, and fires at timer_due */
    uint64_t timer_due; /* ms, loop time */
    uint64_t deadline;  /* ms, loop time: of the oldest unanswered command */
    struct redis_pending_ring pending;
    char broken[256]; /* why it will be lost, or "" */
    bool broken_io;   /* … which was the socket's error and not a decision */
};

static void free_handle(uv_handle_t *h) {
    free(h);
}

static void close_handle(void *handle) {
    if (handle != NULL)
        uv_close(handle, free_handle);
}

void redis_link_stop(struct redis_link *l) {
    if (l->dead)
        return;
    l->dead = true;
    close_handle(l->poll);
    close_handle(l->idle);
    close_handle(l->check);
    close_handle(l->timer);
}

/* A caller does this last: the link may be freed afterwards. */
static void lose(struct redis_link *l, const char *reason) {
    char text[sizeof(l->broken)];
    snprintf(text, sizeof(text), "%s", l->broken[0] != '\0' ? l->broken : reason);
    if (l->tls != NULL && (l->broken[0] == '\0' || l->broken_io))
        redis_tls_explain(l->tls, text, sizeof(text));
    redis_link_stop(l);
    l->owner.lost(l->owner.arg, text);
}

static const char *context_error(const redisContext *ctx) {
    if (ctx->err == REDIS_ERR_EOF)
        return "the server closed the connection";
    return ctx->errstr[0] != '\0' ? ctx->errstr : "I/O error";
}

/* --- the turn's tick --- */

static void tick(struct redis_link *l);

static void on_idle(uv_idle_t *idle) {
    tick(idle->data);
}

static void on_check(uv_check_t *check) {
    tick(check->data);
}

/* Commands given in a poll callback are written by `check` in the same turn, all others by `idle`
 * before the loop waits. */
static void schedule(struct redis_link *l) {
    if (l->scheduled || l->dead)
        return;
    l->scheduled = true;
    uv_idle_start(l->idle, on_idle);
    uv_check_start(l->check, on_check);
}

void redis_link_break(struct redis_link *l, const char *reason) {
    if ((l->broken[0] != '\0' && !l->broken_io) || l->dead)
        return; /* what the server said before it hung up tells more than the socket's error */
    snprintf(l->broken, sizeof(l->broken), "%s", reason);
    l->broken_io = false;
    l->ctx->err = 0; /* hiredis reads no more after a failed write; answers may have come */
    schedule(l);
}

/* --- the oldest command's clock --- */

static bool read_in(struct redis_link *l);
static void on_timer(uv_timer_t *timer);

static void set_timer(struct redis_link *l, uint64_t now) {
    l->timing = true;
    l->timer_due = l->deadline;
    uv_timer_start(l->timer, on_timer, l->deadline > now ? l->deadline - now : 0, 0);
}

/* The command at the head has just become the oldest. If the timer fires early enough it is left running:
 * on_timer looks again. */
static void start_clock(struct redis_link *l) {
    const struct redis_pending *head = redis_pending_head(&l->pending);
    if (head == NULL)
        return;
    uint64_t now = uv_now(l->loop);
    l->deadline = now + l->owner.command_timeout_ms + head->block_ms;
    if (!l->timing || l->timer_due > l->deadline)
        set_timer(l, now);
}

/* Bytes went out or came in, so the oldest command gets more time. A command of tens of megabytes takes long;
 * giving up on it would only send it again. */
static void moved(struct redis_link *l) {
    uint64_t until = uv_now(l->loop) + l->owner.command_timeout_ms;
    if (l->pending.len > 0 && until > l->deadline)
        l->deadline = until;
}

static void on_timer(uv_timer_t *timer) {
    struct redis_link *l = timer->data;
    l->timing = false;
    if (l->pending.len == 0)
        return;
    if (uv_now(l->loop) >= l->deadline) {
        /* If this process stood still, the answer may have been waiting for us. */
        if (!read_in(l) || l->pending.len == 0)
            return;
    }
    uint64_t now = uv_now(l->loop);
    if (now < l->deadline) {
        if (!l->timing)
            set_timer(l, now);
        return;
    }
    char text[64];
    snprintf(text, sizeof(text), "a command was not answered within %u ms",
             (unsigned)(l->owner.command_timeout_ms + redis_pending_head(&l->pending)->block_ms));
    lose(l, text);
}

/* --- out --- */

static void arm(struct redis_link *l, int events);

static void write_out(struct redis_link *l) {
    if (l->broken[0] != '\0' || sdslen(l->ctx->obuf) == 0)
        return;
    int done = 0;
    size_t before = sdslen(l->ctx->obuf);
    l->owner.stats->writes++;
    if (l->tls != NULL)
        redis_tls_forget_errors();
    if (redisBufferWrite(l->ctx, &done) != REDIS_OK) {
        char text[sizeof(l->broken)];
        snprintf(text, sizeof(text), "%s", context_error(l->ctx));
        if (l->tls != NULL)
            redis_tls_explain(l->tls, text, sizeof(text));
        redis_link_break(l, text);
        l->broken_io = true;
        return;
    }
    if (before > LONG_COMMAND && sdslen(l->ctx->obuf) < before)
        moved(l);
    bool wait = !done && (l->tls == NULL || !redis_tls_wants_read(l->tls));
    arm(l, wait ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

void redis_link_send(struct redis_link *l, struct span resp, uint32_t block_ms, redis_reply_fn done,
                     void *arg) {
    redis_pending_push(&l->pending, (struct redis_pending){.done = done, .arg = arg, .block_ms = block_ms});
    l->owner.stats->commands++;
    if (l->pending.len == 1)
        start_clock(l);
    schedule(l);
    if (l->broken[0] != '\0' || l->dead)
        return;
    if (l->pending.len > UNANSWERED_MAX)
        redis_link_break(l, "too many commands without an answer");
    else if (resp.len > UNWRITTEN_MAX - sdslen(l->ctx->obuf))
        redis_link_break(l, "the server does not take what is sent to it");
    else if (redisAppendFormattedCommand(l->ctx, resp.ptr, resp.len) != REDIS_OK)
        redis_link_break(l, "out of memory");
}

void redis_link_flush(struct redis_link *l) {
    if (!l->dead)
        write_out(l);
}

/* --- in --- */

/* Returns false when the link is over (and possibly gone). */
static bool answer(struct redis_link *l, redisReply *reply) {
    if (l->pending.len == 0) {
        freeReplyObject(reply);
        lose(l, "an answer came that no command asked for");
        return false;
    }
    struct redis_pending p = redis_pending_pop(&l->pending);
    start_clock(l);
    if (reply->type == REDIS_REPLY_ERROR)
        l->owner.stats->errors++;
    if (p.done != NULL)
        p.done(p.arg, reply, NULL);
    if (reply->type == REDIS_REPLY_ERROR && !l->dead && l->owner.error_reply != NULL)
        l->owner.error_reply(l->owner.arg, reply->str);
    freeReplyObject(reply);
    return !l->dead;
}

static bool answer_all(struct redis_link *l) {
    while (true) {
        void *reply = NULL;
        if (redisGetReplyFromReader(l->ctx, &reply) != REDIS_OK) {
            lose(l, context_error(l->ctx));
            return false;
        }
        if (reply == NULL)
            return true;
        if (!answer(l, reply))
            return false;
    }
}

/* Reads until the socket is empty or the turn's share is used up. Returns false when the link is
 * over (and possibly gone). TLS reads on until nothing comes, since OpenSSL holds bytes that no
 * poll shows. */
static bool read_in(struct redis_link *l) {
    for (int i = 0; i < READS_PER_TURN || l->tls != NULL; i++) {
        size_t before = l->ctx->reader->len;
        if (l->tls != NULL)
            redis_tls_forget_errors();
        if (redisBufferRead(l->ctx) != REDIS_OK) {
            lose(l, context_error(l->ctx));
            return false;
        }
        size_t got = l->ctx->reader->len - before;
        if (before > LONG_COMMAND && got > 0)
            moved(l);
        if (got > 0 && !answer_all(l))
            return false;
        if (l->ctx->reader->len > ANSWER_MAX) {
            lose(l, "an answer is longer than 512 MiB");
            return false;
        }
        if (got == 0 || (l->tls == NULL && got < READ_SIZE))
            return true;
    }
    return true;
}

static void tick(struct redis_link *l) {
    l->scheduled = false;
    uv_idle_stop(l->idle);
    uv_check_stop(l->check);
    write_out(l);
    if (l->broken[0] != '\0' && read_in(l))
        lose(l, l->broken);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct redis_link *l = poll->data;
    if (status < 0) { /* the socket is broken, and what has arrived is still to be read */
        if (read_in(l))
            lose(l, uv_strerror(status));
        return;
    }
    if ((events & UV_WRITABLE) != 0 || l->tls != NULL)
        write_out(l);
    if ((events & UV_READABLE) != 0)
        read_in(l);
}

static void arm(struct redis_link *l, int events) {
    if (l->events == events || l->dead)
        return;
    l->events = events;
    uv_poll_start(l->poll, events, on_poll);
}

/* --- life --- */

static int init_handles(struct redis_link *l) {
    uv_poll_t *poll = malloc(sizeof(*poll));
    l->idle = malloc(sizeof(*l->idle));
    l->check = malloc(sizeof(*l->check));
    l->timer = malloc(sizeof(*l->timer));
    if (poll == NULL || l->idle == NULL || l->check == NULL || l->timer == NULL ||
        uv_poll_init(l->loop, poll, l->ctx->fd) != 0) {
        free(poll);
        free(l->idle);
        free(l->check);
        free(l->timer);
        return -1;
    }
    l->poll = poll;
    uv_idle_init(l->loop, l->idle);
    uv_check_init(l->loop, l->check);
    uv_timer_init(l->loop, l->timer);
    l->poll->data = l->idle->data = l->check->data = l->timer->data = l;
    return 0;
}

struct redis_link *redis_link_new(uv_loop_t *loop, int fd, const struct redis_tls *tls, const char *host,
                                  const struct redis_link_owner *owner, struct err *err) {
    struct redis_link *l = calloc(1, sizeof(*l));
    redisContext *ctx = redisConnectFd(fd);
    if (l == NULL || ctx == NULL || ctx->err != 0) {
        free(l);
        if (ctx != NULL)
            redisFree(ctx);
        else
            close(fd);
        err_set(err, "out of memory");
        return NULL;
    }
    ctx->flags &= ~REDIS_BLOCK;
    *l = (struct redis_link){.loop = loop, .owner = *owner, .ctx = ctx};
    if (tls != NULL)
        l->tls = redis_tls_start(tls, ctx, host, err);
    if ((tls != NULL && l->tls == NULL) || init_handles(l) != 0) {
        if (tls == NULL || l->tls != NULL)
            err_set(err, "out of memory");
        redisFree(ctx);
        free(l);
        return NULL;
    }
    arm(l, UV_READABLE);
    return l;
}

void redis_link_fail(struct redis_link *l, const char *reason) {
    redis_pending_fail(&l->pending, reason);
}

void redis_link_free(struct redis_link *l) {
    if (l == NULL)
        return;
    redis_link_stop(l);
    redis_pending_deinit(&l->pending);
    if (l->ctx != NULL)
        redisFree(l->ctx);
    free(l);
}

redisContext *redis_link_detach(struct redis_link *l) {
    redisContext *ctx = l->ctx;
    redis_link_stop(l);
    l->ctx = NULL;
    redis_link_free(l);
    return ctx;
}
