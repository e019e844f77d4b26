/* Doubt: an answer that may be another order's.
 *
 * Bytes on a connection that nobody was waiting on are told and counted for the account that had used it last; the
 * HTTP client has closed it. An order id that the host has given to another order a short time ago is believed for
 * neither: the order is unknown, and the connection goes, since behind a shifted answer comes the next one: only
 * the first of a chain repeats an id.
 *
 * The memory is one table for all hosts, of hashes; a newer id takes the place of the oldest of a few. What is forgotten,
 * or was told by another worker, is not seen. A host that has given one and the same id ever since the first, to
 * orders that were under way at the same time on new connections, is no provider but a stand-in for one: answers
 * cannot have been shifted there, and its id is believed. */
#include "worker/answer_owner.h"

#include "dray/outcome.h"

#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

#define TOLD_IDS   4096
#define TOLD_WAYS  8 /* places that an id may lie in; TOLD_IDS / this is a power of two */
#define TOLD_MS    600000
#define TOLD_HOSTS 64 /* a power of two */
#define QUIET_NS   1000000000ull

struct told_id {
    uint64_t id, order; /* hashes: of host and id; of account and key */
    uint64_t at_ms;     /* Unix; 0: none */
};

struct told_host {
    uint64_t host, id; /* hashes: its first id */
    uint64_t at_ms;    /* when that came, Unix */
    bool several;      /* it has given another one */
    bool repeats;      /* it gives the same to everyone */
};

struct told {
    struct told_id ids[TOLD_IDS];
    struct told_host hosts[TOLD_HOSTS];
};

static void on_counted(void *arg, const redisReply *reply, const char *error) {
    (void)arg, (void)reply, (void)error; /* a counter of status: the next one counts */
}

/* For `dray status`, which sees all workers. */
static void count(struct consumer *consumer, const char *what, const char *account) {
    char field[32 + NAME_MAX_LEN];
    snprintf(field, sizeof(field), "%s:%s", what, account);
    if (consumer_is_up(consumer))
        redis_router_command(consumer->worker->redis.router, consumer->keys.slot, on_counted, NULL,
                             "HINCRBY %b %s 1", consumer->keys.key[KEY_STATS].ptr,
                             consumer->keys.key[KEY_STATS].len, field);
}

static bool log_now(struct worker *w) {
    uint64_t now = clock_boot_ns();
    if (w->logs.answer_ns != 0 && now - w->logs.answer_ns < QUIET_NS) {
        w->logs.answers_left_out++;
        return false;
    }
    w->logs.answer_ns = now;
    return true;
}

static void log_left_out(struct worker *w, struct log_line *l) {
    if (w->logs.answers_left_out > 0)
        log_u64(l, "left_out", w->logs.answers_left_out);
    w->logs.answers_left_out = 0;
}

void answer_owner_stray(void *worker, const char *account, const char *host, size_t bytes) {
    struct worker *w = worker;
    struct consumer *consumer = NULL;
    struct log_line l;
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        struct account_runtime *runtime = consumer_account(w->consumers[i], account);
        if (runtime == NULL)
            continue;
        consumer = w->consumers[i];
        runtime->stats.strays++;
        count(consumer, "stray_answers", account);
        break;
    }
    if (!log_now(w) || !log_begin(&l, LOG_WARN, "stray_answer"))
        return;
    if (consumer != NULL)
        log_str(&l, "queue", consumer->config->name);
    log_str(&l, "account", account);
    log_str(&l, "host", host);
    log_u64(&l, "bytes", bytes);
    log_left_out(w, &l);
    log_str(&l, "message", "the provider sent an answer that nobody had asked for; the connection is closed");
    log_end(&l);
}

static void log_repeated(const struct order *o, struct span id, uint64_t ago_ms) {
    struct worker *w = o->consumer->worker;
    struct log_line l;
    if (!log_now(w) || !log_begin(&l, LOG_ERROR, "repeated_order_id"))
        return;
    log_str(&l, "queue", o->consumer->config->name);
    log_str(&l, "account", o->account->name);
    log_span(&l, "id", o->envelope.id);
    log_span(&l, "order_id", id);
    log_u64(&l, "told_ms_ago", ago_ms);
    log_left_out(w, &l);
    log_str(&l, "message",
            "the provider gave this order id to another order before: whose it is, is unknown");
    log_end(&l);
}

static uint64_t hash_of(struct span s, uint64_t seed) {
    return XXH3_64bits_withSeed(s.ptr, s.len, seed);
}

/* When another order was told this id, Unix ms; 0: none was. Remembers it. */
static uint64_t told_before(struct worker *w, uint64_t id, uint64_t order, uint64_t now_ms) {
    struct told_id *set = &w->told->ids[(id & (TOLD_IDS / TOLD_WAYS - 1)) * TOLD_WAYS], *t = set;
    for (unsigned i = 0; i < TOLD_WAYS; i++) {
        if (set[i].at_ms > 0 && set[i].id == id) {
            t = &set[i];
            break;
        }
        if (set[i].at_ms < t->at_ms)
            t = &set[i];
    }
    if (t->id == id && t->order != order && t->at_ms > 0 && now_ms - t->at_ms < TOLD_MS)
        return t->at_ms;
    *t = (struct told_id){.id = id, .order = order, .at_ms = now_ms};
    return 0;
}

static void log_stand_in(const struct order *o) {
    log_msg(LOG_WARN, "stand_in",
            "account %s: its host answers every order with the same order id, and is believed; repeated_ids "
            "= yes says so",
            o->account->name);
}

/* Whether the host gives this id to everyone. `apart`: on a connection that nobody had used before. */
static bool is_stand_in(const struct order *o, uint64_t host, uint64_t id, bool apart, uint64_t now_ms) {
    struct told_host *h = &o->consumer->worker->told->hosts[host & (TOLD_HOSTS - 1)];
    if (h->host != host) {
        *h = (struct told_host){.host = host, .id = id, .at_ms = now_ms};
        return false;
    }
    if (h->id != id) {
        h->several = true;
        h->repeats = false;
    } else if (!h->several && !h->repeats && apart && o->begun_unix_ms <= h->at_ms) {
        h->repeats = true;
        log_stand_in(o);
    }
    return h->repeats;
}

static void disbelieve(struct order *o, struct outcome *outcome, struct span id, uint64_t ago_ms) {
    struct outcome was = *outcome;
    outcome_set(outcome, VERDICT_UNKNOWN, "repeated_order_id", "");
    outcome->http_status = was.http_status;
    outcome->id_count = 0;
    outcome->order = (struct span){NULL, 0};
    snprintf(outcome->message, sizeof(outcome->message),
             "answered with order id %.*s, which another order of this host was given %llu s before",
             (int)(id.len < 128 ? id.len : 128), id.ptr, (unsigned long long)(ago_ms / 1000));
    o->runtime->stats.repeated_ids++;
    count(o->consumer, "repeated_ids", o->account->name);
    log_repeated(o, id, ago_ms);
}

void answer_owner_check(struct order *o, struct http_call *call, const struct http_exchange *x,
                        struct outcome *outcome) {
    struct worker *w = o->consumer->worker;
    uint64_t now = clock_unix_ms();
    if (outcome->verdict == VERDICT_UNKNOWN && x->answered && x->status / 100 == 2)
        /* neither yes nor no: it may be another request's, and so may be what comes behind it */
        http_doubt(call);
    if (outcome->verdict != VERDICT_CREATED || o->account->repeated_ids || o->runtime == NULL)
        return;
    if (w->told == NULL && (w->told = calloc(1, sizeof(struct told))) == NULL)
        return;
    uint64_t host = hash_of(span_str(http_target_place(o->runtime->create)), 0);
    uint64_t order = hash_of(o->envelope.order_key, hash_of(span_str(o->account->name), host));
    for (uint32_t i = 0; i < outcome->id_count; i++) {
        struct span id = outcome->ids[i];
        uint64_t hash = hash_of(id, host);
        bool stand_in = is_stand_in(o, host, hash, !x->reused, now);
        uint64_t at = told_before(w, hash, order, now);
        if (at == 0 || stand_in)
            continue;
        http_doubt(call);
        disbelieve(o, outcome, id, now - at);
        return;
    }
}
