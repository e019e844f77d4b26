/* Finds the master of a name through the sentinels.
 *
 * Happy path: dial a sentinel → AUTH, where it is configured → SENTINEL GET-MASTER-ADDR-BY-NAME →
 * done(host, port). Failure modes: a sentinel that can't be reached, says nothing in time, refuses or does not know
 * the name: the next one is asked. After one round done(NULL) with the last one's reason. */
#include "io/redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_dial.h"
#include "io/redis_link.h"

#define SENTINEL_PORT       26379
#define SENTINEL_TIMEOUT_MS 1000 /* to connect, and again to answer */

struct redis_sentinel {
    uv_loop_t *loop;
    const struct redis_options *options;
    const struct redis_tls *tls;
    size_t *first;
    size_t asked; /* how many so far */
    redis_sentinel_fn done;
    void *arg;
    struct redis_dial *dial;
    struct redis_link *link;
    struct redis_address address;
    struct redis_stats stats;
    char host[256];
    char master[256];
    uint16_t master_port; /* 0: no answer yet */
    char reason[256];
};

static size_t count(const struct redis_options *o) {
    size_t n = 0;
    while (o->sentinels[n] != NULL)
        n++;
    return n;
}

void redis_sentinel_cancel(struct redis_sentinel *s) {
    if (s == NULL)
        return;
    redis_dial_cancel(s->dial);
    redis_link_free(s->link);
    free(s);
}

static void finish(struct redis_sentinel *s) {
    struct redis_sentinel gone = *s;
    gone.dial = NULL;
    gone.link = NULL;
    redis_sentinel_cancel(s);
    gone.done(gone.arg, gone.master_port != 0 ? gone.master : NULL, gone.master_port, gone.reason);
}

static int ask_next(struct redis_sentinel *s);

static void fail(struct redis_sentinel *s, const char *reason) {
    const char *name = s->options->sentinels[*s->first];
    snprintf(s->reason, sizeof(s->reason), "sentinel %s: %s", name, reason);
    redis_link_free(s->link);
    s->link = NULL;
    *s->first = (*s->first + 1) % count(s->options);
    s->asked++;
    if (s->asked >= count(s->options) || ask_next(s) != 0)
        finish(s);
}

/* The link ends in every case; once there is an answer, redis_link_break ends it. */
static void on_lost(void *arg, const char *reason) {
    struct redis_sentinel *s = arg;
    if (s->master_port != 0)
        finish(s);
    else
        fail(s, reason);
}

static int read_address(struct redis_sentinel *s, const redisReply *r) {
    if (r->elements != 2 || r->element[0]->type != REDIS_REPLY_STRING ||
        r->element[1]->type != REDIS_REPLY_STRING || r->element[0]->len >= sizeof(s->master))
        return -1;
    unsigned long port = strtoul(r->element[1]->str, NULL, 10);
    if (port == 0 || port > UINT16_MAX)
        return -1;
    memcpy(s->master, r->element[0]->str, r->element[0]->len + 1);
    s->master_port = (uint16_t)port;
    return 0;
}

/* Says what to configure. The server's words end with a full stop. */
static const char *hint(const struct redis_sentinel *s, const char *text) {
    if (strncmp(text, "NOAUTH", 6) == 0 && s->options->sentinel_password == NULL)
        return " Set sentinel_password";
    if (strncmp(text, "NOPERM", 6) == 0)
        return "; the sentinel's user needs +sentinel|get-master-addr-by-name";
    return redis_reason_is_auth(text) ? " See sentinel_username and sentinel_password" : "";
}

/* AUTH: only an error matters, and ends the asking of this sentinel. */
static void on_auth(void *arg, const redisReply *reply, const char *error) {
    struct redis_sentinel *s = arg;
    (void)error;
    char text[200];
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return;
    snprintf(text, sizeof(text), "%s%s", reply->str, hint(s, reply->str));
    redis_link_break(s->link, text);
}

static void add_auth(struct redis_sentinel *s, struct buf *b) {
    const struct redis_options *o = s->options;
    if (o->sentinel_password == NULL)
        return;
    redis_resp_begin(b, o->sentinel_username != NULL ? 3 : 2);
    redis_resp_str(b, "AUTH");
    if (o->sentinel_username != NULL)
        redis_resp_str(b, o->sentinel_username);
    redis_resp_str(b, o->sentinel_password);
}

static void on_reply(void *arg, const redisReply *reply, const char *error) {
    struct redis_sentinel *s = arg;
    (void)error;
    char text[200];
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ARRAY && read_address(s, reply) == 0)
        snprintf(text, sizeof(text), "answered");
    else if (reply->type == REDIS_REPLY_ERROR)
        snprintf(text, sizeof(text), "%s%s", reply->str, hint(s, reply->str));
    else
        snprintf(text, sizeof(text), "does not know a master named %s", s->options->sentinel_master);
    redis_link_break(s->link, text);
}

static void on_dialed(void *arg, int fd, const char *reason) {
    struct redis_sentinel *s = arg;
    if (fd < 0) {
        s->dial = NULL;
        fail(s, reason);
        return;
    }
    redis_dial_cancel(s->dial);
    s->dial = NULL;
    struct redis_link_owner owner = {s, on_lost, NULL, SENTINEL_TIMEOUT_MS, &s->stats};
    struct err err;
    s->link = redis_link_new(s->loop, fd, s->tls, s->host, &owner, &err);
    if (s->link == NULL) {
        fail(s, err.text);
        return;
    }
    struct buf b;
    buf_init(&b, 128 * 1024);
    add_auth(s, &b);
    if (b.len > 0)
        redis_link_send(s->link, buf_span(&b), 0, on_auth, s);
    if (b.data != NULL)
        explicit_bzero(b.data, b.cap);
    buf_reset(&b);
    redis_resp_begin(&b, 3);
    redis_resp_str(&b, "SENTINEL");
    redis_resp_str(&b, "get-master-addr-by-name");
    redis_resp_str(&b, s->options->sentinel_master);
    if (buf_ok(&b))
        redis_link_send(s->link, buf_span(&b), 0, on_reply, s);
    else
        redis_link_break(s->link, "the master's name is too long");
    buf_deinit(&b);
}

/* Returns -1 when out of memory. */
static int ask_next(struct redis_sentinel *s) {
    const char *name = s->options->sentinels[*s->first];
    s->address = (struct redis_address){.host = s->host};
    if (redis_split_host_port(name, SENTINEL_PORT, s->host, sizeof(s->host), &s->address.port) != 0)
        s->address.host = name; /* which the dial can't resolve, and says so */
    s->dial = redis_dial_start(s->loop, &s->address, NULL, SENTINEL_TIMEOUT_MS, on_dialed, s);
    return s->dial != NULL ? 0 : -1;
}

struct redis_sentinel *redis_sentinel_ask(uv_loop_t *loop, const struct redis_options *o,
                                          const struct redis_tls *tls, size_t *first, redis_sentinel_fn done,
                                          void *arg) {
    struct redis_sentinel *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (struct redis_sentinel){.loop = loop,
                                 .options = o,
                                 .tls = tls,
                                 .first = first,
                                 .done = done,
                                 .arg = arg,
                                 .reason = "out of memory"};
    if (ask_next(s) != 0) {
        free(s);
        return NULL;
    }
    return s;
}
