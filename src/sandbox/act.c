/* What magic order keys do to a POST. */
#include <string.h>

#include "sandbox/create.h"

#define AGAIN_MS 200 /* between the two answers of -TWICE */

enum retry_after { WHOLE_SECONDS, FRACTION, DATE };

static void add_retry_after(struct creation *c, uint64_t ms, enum retry_after form) {
    char *out = c->reply->retry_after;
    const size_t size = sizeof c->reply->retry_after;
    time_t at = (time_t)((c->now_ms + ms + 999) / 1000);
    struct tm tm;
    switch (form) {
    case WHOLE_SECONDS:
        snprintf(out, size, "%llu", (unsigned long long)(ms + 999) / 1000);
        break;
    case FRACTION:
        snprintf(out, size, "%g", (double)ms / 1000);
        break;
    case DATE:
        gmtime_r(&at, &tm);
        strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        break;
    }
}

static void answer_status(struct creation *c, unsigned status) {
    if (status >= 300 && status < 400)
        c->reply->location = c->endpoint->path;
    if (status == 429)
        add_retry_after(c, 1000, WHOLE_SECONDS);
    reply_error(c->s, c->endpoint_index, c->reply, status,
                status == 401   ? "unauthorized"
                : status == 409 ? "exists"
                                : "status",
                "the sandbox was told to answer so by the order's key");
}

/* The magic that creates nothing. */
static void refuse_by_magic(struct creation *c, const struct magic *m) {
    struct reply *reply = c->reply;
    c->s->tally.totals.refused++;
    switch (m->kind) {
    case MAGIC_PAUSE:
    case MAGIC_DATE:
    case MAGIC_BUSY:
    case MAGIC_FRACTION:
        answer_status(c, m->kind == MAGIC_BUSY ? 503 : 429);
        add_retry_after(c, m->ms,
                        m->kind == MAGIC_DATE       ? DATE
                        : m->kind == MAGIC_FRACTION ? FRACTION
                                                    : WHOLE_SECONDS);
        break;
    case MAGIC_RATE:
        answer_status(c, 429);
        reply->retry_after[0] = '\0';
        break;
    case MAGIC_BLOCKED:
        reply_page(c->s, reply, 403, "Request blocked");
        break;
    case MAGIC_HANGUPNO:
        reply->kind = REPLY_HANGUP;
        break;
    case MAGIC_REJECT:
        reply_error(c->s, c->endpoint_index, reply, c->endpoint->rejected_status, "rejected",
                    "this order is turned down");
        break;
    case MAGIC_HTML:
        reply_page(c->s, reply, 200, "Maintenance. We'll be back soon.");
        break;
    default:
        answer_status(c, m->kind == MAGIC_REDIRECT ? 307 : m->status);
    }
}

static void answer_huge(struct sandbox *s) {
    buf_reset(&s->out);
    buf_add_str(&s->out, "{\"padding\":\"");
    char line[1024];
    memset(line, 'x', sizeof line);
    for (unsigned i = 0; i < 1100; i++)
        buf_add(&s->out, line, sizeof line);
    buf_add_str(&s->out, "\"}");
}

/* Gives the order the id of the caller's order before it, if there is one. */
static void name_order_before(struct creation *c) {
    const struct tally *t = &c->s->tally;
    for (uint32_t i = t->order_count - 1; i-- > 0;)
        if (t->orders[i].caller == c->caller && t->orders[i].endpoint == c->endpoint_index &&
            t->orders[i].key != c->key) {
            struct buf id;
            buf_init(&id, 64);
            c->endpoint->write_id(&id, tally_serial(t, i), t->orders[i].created_ms);
            spoil_id(c, buf_cstr(&id));
            buf_deinit(&id);
            return;
        }
}

/* The usual answer, but not sent as usual. False: this magic does not do so. */
static bool send_oddly(struct reply *reply, const struct magic *m) {
    switch (m->kind) {
    case MAGIC_HANGUP:
        reply->kind = REPLY_HANGUP;
        return true;
    case MAGIC_TRUNC:
        reply->kind = REPLY_TRUNCATED;
        return true;
    case MAGIC_SLOW:
        reply->delay_ms = m->ms;
        return true;
    case MAGIC_TWICE:
        reply->again_ms = AGAIN_MS;
        return true;
    case MAGIC_KEEP:
        reply->keep_ms = m->ms;
        reply->says_keep = true;
        return true;
    default:
        return false;
    }
}

/* Another answer than the usual one. */
static void answer_oddly(struct creation *c, const struct magic *m) {
    struct reply *reply = c->reply;
    struct buf *out = &c->s->out;
    switch (m->kind) {
    case MAGIC_LATE:
        answer_status(c, m->status);
        break;
    case MAGIC_GATEWAY:
        reply_page(c->s, reply, m->status, "The gateway got no answer in time.");
        break;
    case MAGIC_GARBAGE:
        buf_reset(out);
        buf_add_str(out, "{\"code\":10000,\"message\":\"suc\x01\xff}{");
        break;
    case MAGIC_YES:
    case MAGIC_EMPTY:
        reply->status = m->kind == MAGIC_YES ? m->status : reply->status;
        buf_reset(out);
        break;
    case MAGIC_HUGE:
        answer_huge(c->s);
        break;
    case MAGIC_BOM:
        spoil_bom(out);
        break;
    case MAGIC_GZIP:
        spoil_gzip(out);
        reply->content_encoding = "gzip";
        break;
    case MAGIC_NAMES:
        spoil_names(c);
        break;
    case MAGIC_OTHERKEY:
        spoil_key(c->s, c->name);
        break;
    case MAGIC_OTHERID:
        name_order_before(c);
        break;
    case MAGIC_BLANKID:
        spoil_id(c, " ");
        break;
    default: /* SPLIT, NOID: made so */
        break;
    }
}

static void create_by_magic(struct creation *c, const struct magic *m) {
    if (creation_make(c, m->kind == MAGIC_SPLIT ? m->count : 1, true, m->kind == MAGIC_NOID) &&
        !send_oddly(c->reply, m))
        answer_oddly(c, m);
}

/* Says that the order exists, as if an earlier POST had created it. */
static void say_exists(struct creation *c, struct tally_key *k) {
    if (k->first == TALLY_NONE && !creation_make(c, 1, false, false))
        return;
    creation_refuse(c, 409, "exists", "there is an order of this number");
}

static bool creates(enum magic_kind kind) {
    switch (kind) {
    case MAGIC_FAIL:
    case MAGIC_PAUSE:
    case MAGIC_BUSY:
    case MAGIC_DATE:
    case MAGIC_RATE:
    case MAGIC_FRACTION:
    case MAGIC_HANGUPNO:
    case MAGIC_REJECT:
    case MAGIC_REDIRECT:
    case MAGIC_HTML:
    case MAGIC_BLOCKED:
        return false;
    default:
        return true;
    }
}

/* From now on, for these credentials, the account has no balance left. */
static void spend_balance(struct creation *c) {
    struct caller *caller = c->s->callers[c->caller];
    if (!caller->has_trouble)
        caller->trouble = c->s->trouble;
    caller->has_trouble = true;
    caller->trouble.balance_spent = true;
    creation_refuse_balance(c);
}

bool magic_act(struct creation *c) {
    if (c->key == TALLY_NONE)
        return false;
    struct magic m = magic_parse(c->name);
    struct tally_key *k = &c->s->tally.keys[c->key];
    if (m.kind == MAGIC_NONE || k->magic >= m.times)
        return false;
    k->magic++;
    if (m.kind == MAGIC_DUP)
        say_exists(c, k);
    else if (m.kind == MAGIC_BROKE)
        spend_balance(c);
    else if (creates(m.kind))
        create_by_magic(c, &m);
    else
        refuse_by_magic(c, &m);
    return true;
}
