/* AUTH, SELECT, CLIENT SETNAME, ROLE, PING: sent at once, judged as the answers come. */
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

/* Whether an error to CLIENT SETNAME or PING says that this server can't serve us now. All others
 * (NOPERM, a renamed command, MISCONF, BUSY) are left for the caller's own commands to meet. */
static bool is_refusal(const char *text) {
    static const char *const prefixes[] = {
        "NOAUTH", "LOADING", "MASTERDOWN", "ERR max number of clients", "DENIED", NULL};
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

/* The sentinels may be behind: only a node that calls itself master will do. */
static void on_role(void *arg, const redisReply *reply, const char *error) {
    (void)error;
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        decide(arg, reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "master") != 0)
        decide(arg, "the node that the sentinels name is not (yet) a master");
}

static void on_last(void *arg, const redisReply *reply, const char *error) {
    on_optional(arg, reply, error);
    if (reply != NULL)
        decide(arg, "");
}

static void say(struct redis_handshake *h, struct redis_link *l, struct buf *b,
                redis_reply_fn done) {
    if (buf_ok(b))
        redis_link_send(l, buf_span(b), 0, done, h);
    else
        redis_link_break(l, "out of memory");
    buf_reset(b);
}

void redis_handshake_send(struct redis_handshake *h, struct redis_link *l,
                          const struct redis_options *o) {
    struct buf b;
    buf_init(&b, 64 * 1024);
    h->decided = false;
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
    if (o->sentinels != NULL) {
        redis_resp_begin(&b, 1);
        redis_resp_str(&b, "ROLE");
        say(h, l, &b, on_role);
    }
    redis_resp_begin(&b, 1);
    redis_resp_str(&b, "PING");
    say(h, l, &b, on_last);
    if (b.data != NULL)
        explicit_bzero(b.data, b.cap); /* the password was in it */
    buf_deinit(&b);
}
