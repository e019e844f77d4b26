/* What a look-up says of an order that may exist, and what is done then. */
#include "worker/life_steps.h"

#include "policy/backoff.h"

static bool proves_absence(const struct account *a) {
    return provider_lookup_kind(a) == LOOKUP_EXACT;
}

static void found(struct decision *d) {
    d->op = SETTLE_DONE;
    d->ledger = LEDGER_CREATED;
    d->result = d->past.phase == PHASE_LOOKUP_DUPLICATE ? RESULT_DUPLICATE : RESULT_CREATED;
    d->counter = d->result == RESULT_CREATED ? "created" : "duplicate";
}

/* Dead, with what the provider said when the order was sent behind the message. */
static void give_up(struct decision *d, const char *code, const char *message) {
    life_unknown_for_good(d, code, message);
    d->tell_said = true;
}

/* Not there, and the look-up proves it (or the configuration says to take it so). */
static void absent(struct decision *d, const struct account *a, uint32_t max_attempts, bool proven,
                   uint64_t now_ms, struct rng *rng) {
    if (d->past.phase == PHASE_LOOKUP_DUPLICATE && !proven) {
        life_unknown_for_good(d, "conflict", "the provider says the order exists, its look-up does not show it");
    } else if (d->past.phase == PHASE_LOOKUP_DUPLICATE) {
        life_die(d, "rejected", "conflict", "the provider refused the order as existing, yet it does not exist");
        d->ledger = LEDGER_DROP;
    } else if (a->on_absent == ON_ABSENT_HOLD) {
        give_up(d, "lookup_absent", "a look-up does not show the order; on_absent = hold. To the order itself");
    } else {
        life_send_again(d, a, max_attempts, 0, now_ms, rng);
    }
}

/* The look-up said nothing that counts. */
static void again(struct decision *d, const struct account *a, struct rng *rng) {
    uint32_t failures = d->past.lookups + d->past.waits;
    d->due_ms = backoff_ms(a->backoff_base_ms, a->backoff_cap_ms, failures > 0 ? failures - 1 : 0, rng);
    if (d->due_ms < d->gate_ms)
        d->due_ms = d->gate_ms;
    d->counter = "lookups_again";
}

static void used_up(struct decision *d, const struct account *a, uint32_t max_attempts, const struct outcome *o,
                    uint64_t now_ms, struct rng *rng) {
    if (d->past.yes)
        give_up(d, "lookup_absent", "the provider took the order, if not clearly, and no look-up shows it. It said");
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
    } else if (o->verdict != VERDICT_ABSENT) {
        d->gate = 't';
    }
}

void life_looked_up(const struct past *past, const struct account *a, uint32_t max_attempts,
                    const struct outcome *o, uint64_t now_ms, struct rng *rng, struct decision *d) {
    *d = life_start(past);
    d->gate = 's';
    if (o->verdict == VERDICT_CREATED) {
        d->past.lookups++;
        found(d);
        return;
    }
    if (o->verdict == VERDICT_HOLD) {
        d->op = SETTLE_WAIT;
        d->gate = 'h';
        d->free = true;
        d->counter = "held";
        return;
    }
    learn(d, o);
    d->free = o->free || o->verdict == VERDICT_PAUSE;
    d->past.page = 0;
    if (d->free)
        d->past.waits++;
    else
        d->past.lookups++;
    if (o->verdict == VERDICT_ABSENT && proves_absence(a) && !d->past.yes) {
        absent(d, a, max_attempts, true, now_ms, rng);
        return;
    }
    again(d, a, rng);
    if (d->free ? life_is_over(d, a, now_ms) : d->past.lookups >= a->lookup_attempts)
        used_up(d, a, max_attempts, o, now_ms, rng);
}
