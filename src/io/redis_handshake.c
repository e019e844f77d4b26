/* AUTH, SELECT, CLIENT SETNAME, HELLO, PING: all sent at once, each judged when its answer comes.
 *
 * HELLO needs no rights and tells what ROLE and INFO would: whether this is a master, and whether it is a node
 * of a cluster. A replica is refused, unless it is one of a cluster: those answer MOVED. A replica is met
 * behind an address that stays while the server behind it changes, or under a name with several addresses. It
 * would refuse writes, or, if it takes them, lose them. Where HELLO is not known (some proxies), the first
 * write shows it. */
#include "io/redis_handshake.h"

#include <string.h>

#include "io/redis_link.h"

static void decide(struct redis_handshake *h, const char *refusal) {
    if (h->decided)
        return;
    h->decided = true;
    h->done(h->arg, refusal);
}

/* AUTH, SELECT: any error ends it. */
static void on_required(void *arg, const redisReply *reply, const char *error) {
    (void)error;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        decide(arg, reply->str);
}

/* Whether an error to CLIENT SETNAME or PING means that this server can't serve us now. Other errors (NOPERM, a
 * renamed command, MISCONF, BUSY) are the business of the caller's own commands. */
static bool is_refusal(const char *text) {
    static const char *const prefixes[] = {"NOAUTH", "LOADING", "MASTERDOWN", "ERR max number of clients",
                                           "DENIED", NULL};
    for (size_t i = 0; prefixes[i] != NULL; i++) {
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

static void on_optional(void *arg, const redisReply *reply, const char *error) {
    (void)error;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR && is_refusal(reply->str))
        decide(arg, reply->str);
}

/* The value of one of HELLO's names, which stand one after the other. "" if it is not there. */
static const char *hello_value(const redisReply *r, const char *name) {
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const redisReply *n = r->element[i], *v = r->element[i + 1];
        if (n->type == REDIS_REPLY_STRING && v->type == REDIS_REPLY_STRING && strcmp(n->str, name) == 0)
            return v->str;
    }
    return "";
}

static void on_hello(void *arg, const redisReply *reply, const char *error) {
    struct redis_handshake *h = arg;
    on_optional(arg, reply, error);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return;
    const char *mode = hello_value(reply, "mode"), *role = hello_value(reply, "role");
    if (strcmp(mode, "cluster") == 0)
        h->kind = REDIS_SERVER_CLUSTER;
    else if (strcmp(mode, "standalone") == 0)
        h->kind = REDIS_SERVER_SINGLE;
    bool replica = strcmp(role, "replica") == 0 || strcmp(role, "slave") == 0;
    if (replica && h->kind != REDIS_SERVER_CLUSTER) /* the sentinels may be behind */
        decide(h, h->sentinel ? "the node that the sentinels name is not (yet) a master"
                              : "the server is a replica, not a master");
}

static void on_last(void *arg, const redisReply *reply, const char *error) {
    on_optional(arg, reply, error);
    if (reply != NULL)
        decide(arg, "");
}

static void say(struct redis_handshake *h, struct redis_link *l, struct buf *b, redis_reply_fn done) {
    if (buf_ok(b))
        redis_link_send(l, buf_span(b), 0, done, h);
    else
        redis_link_break(l, "out of memory");
    buf_reset(b);
}

void redis_handshake_send(struct redis_handshake *h, struct redis_link *l, const struct redis_options *o) {
    struct buf b;
    buf_init(&b, 64 * 1024);
    h->decided = false;
    h->kind = REDIS_SERVER_UNKNOWN;
    h->sentinel = o->sentinels != NULL;
    if (o->password != NULL) {
        redis_resp_begin(&b, o->username != NULL ? 3 : 2);
        redis_resp_str(&b, "AUTH");
        if (o->username != NULL)
            redis_resp_str(&b, o->username);
        redis_resp_str(&b, o->password);
        say(h, l, &b, on_required);
    }
    if (o->database > 0) {
        redis_resp_begin(&b, 2);
        redis_resp_str(&b, "SELECT");
        redis_resp_u64(&b, o->database);
        say(h, l, &b, on_required);
    }
    if (o->client_name != NULL) {
        redis_resp_begin(&b, 3);
        redis_resp_str(&b, "CLIENT");
        redis_resp_str(&b, "SETNAME");
        redis_resp_str(&b, o->client_name);
        say(h, l, &b, on_optional);
    }
    redis_resp_begin(&b, 2);
    redis_resp_str(&b, "HELLO");
    redis_resp_str(&b, "2");
    say(h, l, &b, on_hello);
    redis_resp_begin(&b, 1);
    redis_resp_str(&b, "PING");
    say(h, l, &b, on_last);
    if (b.data != NULL)
        explicit_bzero(b.data, b.cap); /* the password was in it */
    buf_deinit(&b);
}
