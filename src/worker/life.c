/* What becomes of an order that was sent, or was to be; what look-ups teach: life_lookup.c. */
#include "worker/life_steps.h"

#include "policy/backoff.h"

static bool has_lookup(const struct account *a) {
    return provider_lookup_kind(a) != LOOKUP_NONE;
}

struct decision life_start(const struct record_header *header) {
    return (struct decision){.op = SETTLE_RETRY, .gate = '-', .header = *header};
}

void life_die(struct decision *d, const char *reason, const char *code, const char *message) {
    d->op = SETTLE_DEAD;
    d->counter = reason;
    d->reason = reason;
    d->code = code;
    d->message = message;
    d->result = RESULT_FAILED;
}

bool life_is_over(const struct decision *d, const struct account *a, uint64_t now_ms) {
    return now_ms + d->due_ms > d->header.first_ms + a->max_age_ms;
}

void life_send_again(struct decision *d, const struct account *a, uint32_t max_attempts, uint64_t floor_ms,
                     uint64_t now_ms, struct rng *rng) {
    struct record_header *header = &d->header;
    d->ledger = LEDGER_DROP;
    header->phase = PHASE_SEND;
    header->lookups = 0;
    header->sent_ms = 0;
    header->absent_ms = header->control_ms = 0;
    header->said = (struct span){NULL, 0};
    if (!d->free && header->attempts >= max_attempts) {
        life_die(d, "exhausted", "max_attempts", NULL);
        return;
    }
    /* What pauses the account says itself how long to wait; all else waits longer each time. */
    uint32_t failures = d->gate == 'p' && d->free ? 1 : header->attempts + header->waits;
    uint64_t delay = backoff_ms(a->backoff_base_ms, a->backoff_cap_ms, failures > 0 ? failures - 1 : 0, rng);
    d->due_ms = delay > floor_ms ? delay : floor_ms;
    if (life_is_over(d, a, now_ms)) {
        life_die(d, "exhausted", "max_age", NULL);
        return;
    }
    d->op = SETTLE_RETRY;
    d->counter = "retried";
}

static void look_up(struct decision *d, enum phase phase, struct span said, uint64_t delay_ms) {
    d->op = SETTLE_RETRY;
    d->counter = "lookups_scheduled";
    d->ledger = LEDGER_LOOKUP;
    d->header.phase = phase;
    d->header.lookups = 0;
    d->header.waits = 0;
    d->header.absent_ms = d->header.control_ms = 0;
    d->header.said = said;
    d->due_ms = delay_ms;
}

void life_unknown_for_good(struct decision *d, const char *code, const char *message) {
    life_die(d, "unknown_outcome", code, message);
    d->ledger = LEDGER_UNKNOWN;
}

/* Sent, and nobody knows whether the order exists. `quiet_ms`: how long a request that is still on its
 * way elsewhere may take to end. `said`: what came of it. A 2xx is never followed by another POST: the
 * provider said yes, if not clearly. */
static void unknown(struct decision *d, const struct account *a, uint32_t max_attempts, uint64_t quiet_ms,
                    const char *code, struct span said, uint64_t now_ms, struct rng *rng) {
    if (a->on_unknown == ON_UNKNOWN_RESEND && !d->header.yes)
        life_send_again(d, a, max_attempts, quiet_ms, now_ms, rng);
    else if (a->on_unknown != ON_UNKNOWN_HOLD && has_lookup(a))
        look_up(d, PHASE_LOOKUP, said, a->lookup_delay_ms + quiet_ms);
    else
        life_unknown_for_good(d, code, NULL);
}

uint32_t life_max_attempts(const struct account *a, const struct envelope *e) {
    if (e->max_attempts > 0 && e->max_attempts < a->max_attempts)
        return e->max_attempts;
    return a->max_attempts;
}

#define WORKER_DIED "the worker that sent this order died before it had an answer"

/* A worker died after this job's request had begun. Its request may still be on its way. */
static void recovered(struct decision *d, const struct admission *a, struct rng *rng) {
    if (d->header.attempts == 0 || d->header.first_ms == 0)
        d->header.first_ms = a->now_ms;
    d->header.attempts++;
    if (d->header.sent_ms == 0)
        d->header.sent_ms = a->now_ms;
    if (d->header.recoveries >= POISON_RECOVERIES) {
        life_die(d, "poison", "recovered_too_often", "three workers died while they sent this order");
        d->ledger = LEDGER_UNKNOWN;
        return;
    }
    unknown(d, a->account, life_max_attempts(a->account, a->envelope), a->account->request_timeout_ms,
            "worker_died", SPAN_LIT(WORKER_DIED), a->now_ms, rng);
    if (d->op == SETTLE_DEAD && d->message == NULL)
        d->message = WORKER_DIED;
}

bool life_admit(const struct admission *a, struct rng *rng, struct decision *d) {
    *d = life_start(a->header);
    const struct envelope *e = a->envelope;
    if (a->header->phase == PHASE_RECOVERED && a->account != NULL) {
        recovered(d, a, rng);
        return false;
    }
    if (a->header->phase != PHASE_SEND && (a->faults > 0 || a->account == NULL)) {
        d->due_ms = ACCOUNT_MISSING_MS; /* its account went: an order that may exist waits for it */
        d->keep_header = true;
        d->counter = "account_missing";
        return false;
    }
    if (a->faults > 0 || a->account == NULL) {
        life_die(d, "invalid", "invalid", NULL);
        return false;
    }
    if (a->header->phase != PHASE_SEND && a->header->recoveries >= POISON_RECOVERIES) {
        life_die(d, "poison", "recovered_too_often",
                 "three workers died while they sent or looked up this order");
        d->ledger = LEDGER_UNKNOWN;
        return false;
    }
    if (a->header->phase != PHASE_SEND)
        return true;
    if (e->expires_at_ms > 0 && a->now_ms >= e->expires_at_ms) {
        life_die(d, "expired", "expires_at", "expires_at had passed before the order could be sent");
        return false;
    }
    if (e->not_before_ms > a->now_ms) {
        d->due_ms = e->not_before_ms - a->now_ms;
        d->keep_header = true;
        d->counter = "deferred";
        return false;
    }
    if (a->header->first_ms > 0 && a->now_ms > a->header->first_ms + a->account->max_age_ms) {
        life_die(d, "exhausted", "max_age", "the order was tried for max_age, and surely was not created");
        return false;
    }
    return true;
}

void life_refused(const struct record_header *header, char letter, struct rng *rng, struct decision *d) {
    *d = life_start(header);
    switch (letter) {
    case 'D': /* a look-up's own order was found by whom it was taken from */
        d->op = SETTLE_DONE;
        d->result = header->phase == PHASE_LOOKUP ? RESULT_CREATED : RESULT_DUPLICATE;
        d->counter = d->result == RESULT_CREATED ? "created" : "duplicate";
        return;
    case 'K':
        life_die(d, "rejected", "key_conflict",
                 "this order key was used for an order of other bytes (white space counts): `dray find` says "
                 "where they differ; use a new order key, or push the same text");
        return;
    case 'U':
        life_die(d, "unknown_outcome", "key_unknown",
                 "an earlier order with this key has an unknown outcome");
        return;
    default:
        d->due_ms = BUSY_DELAY_MS / 2 + rng_below(rng, BUSY_DELAY_MS);
        d->keep_header = true;
        d->counter = "busy";
    }
}

void life_next_page(const struct record_header *header, uint32_t page, uint64_t seen, uint64_t window_to_ms,
                    struct decision *d) {
    *d = life_start(header);
    d->op = SETTLE_WAIT;
    d->gate = 'l';
    d->counter = "lookup_pages";
    d->header.page = page;
    d->header.seen = seen;
    d->header.window_to_ms = window_to_ms;
}

void life_hand_back(const struct record_header *header, bool begun, struct decision *d) {
    *d = life_start(header);
    d->op = SETTLE_BACK;
    d->counter = "handed_back";
    if (begun && header->phase == PHASE_SEND)
        d->ledger = LEDGER_DROP;
}

/* What an exchange says of the account, for its gate. */
static void gate_of(const struct http_exchange *x, const struct outcome *o, struct decision *d) {
    switch (o->verdict) {
    case VERDICT_HOLD:
        d->gate = 'h';
        return;
    case VERDICT_PAUSE:
        d->gate = 'p';
        d->gate_ms = o->retry_after_told ? o->retry_after_ms : 0;
        return;
    case VERDICT_RETRY:
    case VERDICT_UNKNOWN:
        d->gate = x->answered ? 'f' : 't';
        return;
    case VERDICT_LOOKUP:
        d->gate = !x->answered ? 't' : o->exists ? 'l' : 'f';
        return;
    case VERDICT_REJECTED:
        d->gate = 'r';
        return;
    default:
        d->gate = 's';
    }
}

/* The account is refused; or it is this order that is (by a firewall, say), where others went through meanwhile. */
static void held(struct decision *d, const struct http_exchange *x, const struct outcome *o) {
    d->ledger = LEDGER_DROP;
    if (x->answered && o->http_status != 407 && ++d->header.refused >= REFUSALS_MAX) {
        life_die(d, "rejected",
                 o->http_status == 401   ? "http_401"
                 : o->http_status == 403 ? "http_403"
                                         : o->code,
                 NULL);
        d->gate = '-';
        return;
    }
    d->op = SETTLE_WAIT;
    d->counter = "held";
}

void life_answered(const struct record_header *header, const struct account *account, uint32_t max_attempts,
                   const struct http_exchange *x, const struct outcome *o, uint64_t now_ms, struct rng *rng,
                   struct decision *d) {
    if (!x->sent && (x->cancelled || x->guard_refused)) {
        life_hand_back(header, true, d);
        return;
    }
    *d = life_start(header);
    gate_of(x, o, d);
    d->free = o->free || o->verdict == VERDICT_HOLD;
    if (o->verdict == VERDICT_HOLD) {
        held(d, x, o);
        return;
    }
    if (d->header.first_ms == 0)
        d->header.first_ms = now_ms;
    if (!d->free)
        d->header.attempts++;
    else if (o->verdict == VERDICT_RETRY)
        d->header.waits++;
    d->header.sent_ms = now_ms;
    d->header.yes |= o->verdict == VERDICT_UNKNOWN && o->http_status / 100 == 2;
    switch (o->verdict) {
    case VERDICT_CREATED:
    case VERDICT_DUPLICATE:
        d->op = SETTLE_DONE;
        d->ledger = LEDGER_CREATED;
        d->result = o->verdict == VERDICT_CREATED ? RESULT_CREATED : RESULT_DUPLICATE;
        d->counter = verdict_name(o->verdict);
        return;
    case VERDICT_REJECTED:
        life_die(d, "rejected", o->code, NULL);
        d->ledger = LEDGER_DROP;
        return;
    case VERDICT_RETRY:
        life_send_again(d, account, max_attempts, 0, now_ms, rng);
        return;
    case VERDICT_PAUSE:
        if (!o->look_first)
            life_send_again(d, account, max_attempts, o->retry_after_ms, now_ms, rng);
        else
            look_up(d, PHASE_LOOKUP_RETRY, span_str(o->message),
                    o->retry_after_ms > account->lookup_delay_ms ? o->retry_after_ms
                                                                 : account->lookup_delay_ms);
        return;
    case VERDICT_LOOKUP:
        if (!has_lookup(account))
            life_unknown_for_good(d, o->code, NULL);
        else
            look_up(d, o->exists ? PHASE_LOOKUP_DUPLICATE : PHASE_LOOKUP_RETRY, span_str(o->message),
                    account->lookup_delay_ms);
        return;
    default:
        unknown(d, account, max_attempts, 0, o->code, span_str(o->message), now_ms, rng);
    }
}
