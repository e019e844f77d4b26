/* What a look-up says of an order that may exist, and what is done then.
 *
 * That it does not exist is proved by all of these: the look-up is documented as exact; the provider says so in its own
 * words, twice, absent_window apart; the order was not answered 2xx; and at the same time the same look-up finds another
 * order of the account that is known to exist, the control. */
#include "worker/life_steps.h"

#include "policy/backoff.h"

static bool proves_absence(const struct account *a) {
    return provider_lookup_kind(a) == LOOKUP_EXACT;
}

static void found(struct decision *d) {
    d->op = SETTLE_DONE;
    d->ledger = LEDGER_CREATED;
    d->result = d->header.phase == PHASE_LOOKUP_DUPLICATE ? RESULT_DUPLICATE : RESULT_CREATED;
    d->counter = d->result == RESULT_CREATED ? "created" : "duplicate";
}

/* Dead, with what the provider said when the order was sent behind the message. */
static void give_up(struct decision *d, const char *code, const char *message) {
    life_unknown_for_good(d, code, message);
    d->tell_said = true;
}

/* Not there, and that is proved, or the configuration takes an inexact look-up's word for it. */
static void absent(struct decision *d, const struct account *a, uint32_t max_attempts, bool proven,
                   uint64_t now_ms, struct rng *rng) {
    if (d->header.phase == PHASE_LOOKUP_DUPLICATE && !proven) {
        life_unknown_for_good(d, "conflict",
                              "the provider says the order exists, its look-up does not show it");
    } else if (d->header.phase == PHASE_LOOKUP_DUPLICATE) {
        life_die(d, "rejected", "conflict",
                 "the provider refused the order as existing, yet it does not exist");
        d->ledger = LEDGER_DROP;
    } else if (a->on_absent == ON_ABSENT_HOLD) {
        give_up(d, "lookup_absent",
                "a look-up does not show the order; on_absent = hold. To the order itself");
    } else {
        life_send_again(d, a, max_attempts, 0, now_ms, rng);
    }
}

/* The look-up said nothing that counts. */
static void again(struct decision *d, const struct account *a, struct rng *rng) {
    uint32_t failures = d->header.lookups + d->header.waits;
    d->due_ms = backoff_ms(a->backoff_base_ms, a->backoff_cap_ms, failures > 0 ? failures - 1 : 0, rng);
    if (d->due_ms < d->gate_ms)
        d->due_ms = d->gate_ms;
    d->counter = "lookups_again";
}

static void used_up(struct decision *d, const struct account *a, uint32_t max_attempts,
                    const struct outcome *o, uint64_t now_ms, struct rng *rng) {
    if (d->header.yes)
        give_up(d, "lookup_absent",
                "the provider took the order, if not clearly, and no look-up shows it. It said");
    else if (o->verdict == VERDICT_ABSENT)
        absent(d, a, max_attempts, false, now_ms, rng);
    else
        give_up(d, "lookup_failed", "the order may exist and could not be looked up. To the order itself");
}

static void learn(struct decision *d, const struct outcome *o) {
    d->gate = 'l';
    if (o->verdict == VERDICT_PAUSE) {
        d->gate = 'p';
        d->gate_ms = o->retry_after_told ? o->retry_after_ms : 0;
    } else if (o->verdict != VERDICT_ABSENT && o->verdict != VERDICT_CREATED) {
        d->gate = 't';
    }
}

/* The account is refused: asked again, burning nothing, when that is over. */
static void held(struct decision *d) {
    d->op = SETTLE_WAIT;
    d->gate = 'h';
    d->free = true;
    d->counter = "held";
}

/* What counts burns a look-up; what nobody looked up only makes the next wait longer. */
static void burn(struct decision *d, const struct outcome *o) {
    d->free = o->free || o->verdict == VERDICT_PAUSE;
    if (d->free)
        d->header.waits++;
    else
        d->header.lookups++;
}

/* "No such order", in the provider's own words, of a look-up that is exact. */
static void said_absent(struct decision *d, const struct account *a, uint32_t max_attempts, uint64_t now_ms,
                        struct rng *rng) {
    struct record_header *header = &d->header;
    d->counter = "lookups_again";
    bool first = header->absent_ms == 0;
    if (first)
        header->absent_ms = now_ms;
    uint64_t second_ms = header->absent_ms + a->absent_window_ms;
    if (first || now_ms < second_ms) {
        d->due_ms = second_ms > now_ms ? second_ms - now_ms : 1;
        return;
    }
    if (a->on_absent == ON_ABSENT_HOLD) {
        absent(d, a, max_attempts, false, now_ms, rng);
        return;
    }
    d->op = SETTLE_WAIT; /* the control passes the account's gate as any request */
    d->counter = "lookup_controls";
    header->control_ms = now_ms;
}

void life_looked_up(const struct record_header *header, const struct account *a, uint32_t max_attempts,
                    const struct outcome *o, uint64_t now_ms, struct rng *rng, struct decision *d) {
    *d = life_start(header);
    learn(d, o);
    if (o->verdict == VERDICT_CREATED) {
        d->gate = 's';
        d->header.lookups++;
        found(d);
        return;
    }
    if (o->verdict == VERDICT_HOLD) {
        held(d);
        return;
    }
    d->header.page = 0;
    if (o->verdict == VERDICT_ABSENT && proves_absence(a) && !d->header.yes) {
        said_absent(d, a, max_attempts, now_ms, rng);
        return;
    }
    burn(d, o);
    again(d, a, rng);
    if (d->free ? life_is_over(d, a, now_ms) : d->header.lookups >= a->lookup_attempts)
        used_up(d, a, max_attempts, o, now_ms, rng);
}

/* How far apart the second "no such order" and the control may be, to count as said at the same time. */
bool life_control_in_time(const struct record_header *header, const struct account *a, uint64_t now_ms) {
    uint64_t same_ms = a->absent_window_ms > CONTROL_TIME_MS ? a->absent_window_ms : CONTROL_TIME_MS;
    return now_ms <= header->control_ms + same_ms;
}

void life_controlled(const struct record_header *header, const struct account *a, uint32_t max_attempts,
                     const struct outcome *o, uint64_t now_ms, struct rng *rng, struct decision *d) {
    *d = life_start(header);
    learn(d, o);
    if (o->verdict == VERDICT_HOLD) {
        held(d);
        return;
    }
    bool timely = life_control_in_time(header, a, now_ms);
    d->header.control_ms = 0;
    d->header.page = 0;
    if (o->verdict == VERDICT_CREATED && timely) {
        absent(d, a, max_attempts, true, now_ms, rng);
        return;
    }
    burn(d, o);
    again(d, a, rng);
    if (!d->free && o->verdict != VERDICT_CREATED && d->due_ms < a->absent_window_ms)
        d->due_ms = a->absent_window_ms; /* until then there may be a control, or a better one */
    if (d->free ? life_is_over(d, a, now_ms) : d->header.lookups >= a->lookup_attempts)
        give_up(
            d, "lookup_absent",
            d->header.phase == PHASE_LOOKUP_DUPLICATE
                ? "the provider says the order exists, its look-up does not show it. It said"
                : "a look-up does not show the order, and no control proves it right. To the order itself");
}

void life_control_later(const struct record_header *header, uint64_t due_ms, struct decision *d) {
    *d = life_start(header);
    d->counter = "lookup_controls";
    d->due_ms = due_ms;
}
