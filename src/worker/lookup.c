/* Look-ups: of an order whose outcome is unknown, page by page, and of its control (life_lookup.c says when).
 *
 * Happy path: the URL of the page → http_send → answer → outcome → decision → settlement. Each page, and the control,
 * passes the account's gate as any request: the order goes back to Redis in between. Failure modes: the order lacks
 * what the look-up needs (as if the answer had been unreadable); there is no control (settled as if it had not been found). */
#include "worker/lookup.h"

#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "dray/outcome.h"

#define CONTROL_SOON_MS 250 /* until Redis has told the account's controls, at the latest */

/* A target of its own per page: look-ups are rare, and their paths may hold the key. A POST's body lies with the
 * order: it is read when the connection is there. */
static struct http_call *start_lookup(struct order *o, const struct envelope *envelope, http_done_fn done) {
    struct worker *w = o->consumer->worker;
    const struct provider *p = o->account->provider;
    struct buf *path = &w->scratch.path;
    struct target_spec spec;
    struct account with;
    struct err err;
    buf_reset(path);
    buf_reset(&o->wire);
    if (provider_lookup_kind(o->account) == LOOKUP_NONE)
        return NULL; /* it was switched off since */
    if (p->build_lookup(o->account, envelope, &o->cursor, path) < 0 ||
        (p->build_lookup_body != NULL &&
         p->build_lookup_body(o->account, envelope, &o->cursor, &o->wire) < 0))
        return NULL;
    const char *url = buf_cstr(path);
    const char *query = strchr(url, '?');
    if (query != NULL)
        path->data[query - url] = '\0';
    struct http_call *call = NULL;
    enum http_method method = p->build_lookup_body != NULL ? HTTP_POST : HTTP_GET;
    if (target_spec_init(&spec, grant_account(o->runtime, &with), method, url, &err) == 0) {
        struct http_target *target = http_target_new(w->http, &spec.options, &err);
        struct http_request request = {.query = query != NULL ? query + 1 : NULL,
                                       .body = buf_span(&o->wire),
                                       .may_send = order_may_send};
        if (target != NULL)
            call = http_send(w->http, target, &request, done, o);
        http_target_unref(target);
    }
    target_spec_deinit(&spec);
    return call;
}

static void settle_lookup(struct order *o, const struct outcome *outcome, struct span answer, uint64_t ms) {
    struct worker *w = o->consumer->worker;
    struct decision d;
    life_looked_up(&o->header, o->account, life_max_attempts(o->account, &o->envelope), outcome,
                   clock_unix_ms(), &w->rng, &d);
    order_credentials_refused(o, &d);
    log_attempt(o, outcome, &d, ms);
    settle(o, &(struct settle_context){
                  .decision = &d, .outcome = outcome, .answer = answer, .ms = ms, .attempt = true});
}

/* The look-up could not even be asked: as if it had been unreadable. */
static void lookup_impossible(struct order *o) {
    struct outcome outcome = {.verdict = VERDICT_UNKNOWN};
    strcpy(outcome.code, "lookup_impossible");
    strcpy(outcome.message, "the order lacks what the provider's look-up needs");
    settle_lookup(o, &outcome, SPAN_LIT(""), 0);
}

/* The look-up says nothing: it was never asked, and the order is handed back; or its token was too old, and it is asked again. */
static bool asked_again(struct order *o, const struct http_exchange *x) {
    bool back = x->cancelled || x->guard_refused;
    if (o->trace.on && (back || (o->runtime->grant != NULL && x->status == 401)))
        trace_answered(o, x, NULL);
    if (back)
        order_hand_back(o, true);
    return back || (x->answered && x->status == 401 && grant_renew(o));
}

static void on_lookup_answer(void *arg, const struct http_exchange *x) {
    struct order *o = arg;
    struct worker *w = o->consumer->worker;
    struct outcome outcome;
    o->call = NULL;
    if (asked_again(o, x))
        return;
    bool more =
        classify_lookup(o->account, &o->envelope, x, clock_unix_ms(), &w->scratch.doc, &o->cursor, &outcome);
    if (o->trace.on)
        trace_answered(o, x, more ? NULL : &outcome);
    if (more) {
        struct decision d;
        life_next_page(&o->header, o->cursor.page, o->cursor.seen, o->cursor.window_to_ms, &d);
        settle(o, &(struct settle_context){.decision = &d});
        return;
    }
    stats_answered(o, outcome.verdict, x->duration_us);
    if (outcome.verdict == VERDICT_CREATED)
        control_remember(o, clock_unix_ms());
    else if (outcome.verdict == VERDICT_ABSENT && o->header.absent_ms == 0)
        controls_read(o->consumer, o->runtime); /* in time for when one is needed */
    settle_lookup(o, &outcome, x->body, x->duration_us / 1000);
}

static void settle_control(struct order *o, struct outcome *outcome, struct span answer, uint64_t ms) {
    struct worker *w = o->consumer->worker;
    struct decision d;
    life_controlled(&o->header, o->account, life_max_attempts(o->account, &o->envelope), outcome,
                    clock_unix_ms(), &w->rng, &d);
    order_credentials_refused(o, &d);
    log_attempt(o, outcome, &d, ms);
    settle(o, &(struct settle_context){.decision = &d,
                                       .outcome = outcome,
                                       .answer = answer,
                                       .ms = ms,
                                       .attempt = true,
                                       .control = true});
}

/* The order's envelope with the control's key in it: all that an exact look-up asks with. */
static struct envelope control_envelope(const struct order *o) {
    struct envelope e = o->envelope;
    e.provider_key = e.order_key = buf_span(&o->control);
    return e;
}

/* A page of a control is the next one of the same order's only. */
static uint64_t control_id(struct span key) {
    return XXH3_64bits(key.ptr, key.len) & INT64_MAX;
}

static void next_control_page(struct order *o) {
    struct decision d;
    o->header.control_id = control_id(buf_span(&o->control));
    life_next_page(&o->header, o->cursor.page, o->cursor.seen, 0, &d);
    settle(o, &(struct settle_context){.decision = &d});
}

static void on_control_answer(void *arg, const struct http_exchange *x) {
    struct order *o = arg;
    struct worker *w = o->consumer->worker;
    struct outcome outcome;
    struct envelope e = control_envelope(o);
    struct span answer = x->body, key = e.provider_key;
    o->call = NULL;
    if (asked_again(o, x))
        return;
    bool more = classify_lookup(o->account, &e, x, clock_unix_ms(), &w->scratch.doc, &o->cursor, &outcome);
    bool goes_on = more && life_control_in_time(&o->header, o->account, clock_unix_ms());
    if (o->trace.on)
        trace_answered(o, x, goes_on ? NULL : &outcome);
    if (goes_on) {
        next_control_page(o);
        return;
    }
    if (more)
        outcome_set(&outcome, VERDICT_RETRY, "control_too_slow",
                    "the control's look-up has more pages than could be read in time");
    stats_answered(o, outcome.verdict, x->duration_us);
    if (outcome.verdict == VERDICT_CREATED) {
        answer = SPAN_LIT(""); /* another customer's order */
        outcome_code(&outcome, SPAN_LIT("control_found"));
        snprintf(outcome.message, sizeof(outcome.message), "the same look-up finds order %.*s", (int)key.len,
                 key.ptr);
    } else if (outcome.verdict == VERDICT_ABSENT) {
        control_distrust(o, key);
        outcome_code(&outcome, SPAN_LIT("control_not_found"));
        snprintf(outcome.message, sizeof(outcome.message),
                 "the same look-up does not find order %.*s, which exists", (int)key.len, key.ptr);
    }
    outcome.id_count = 0;
    outcome.order = (struct span){NULL, 0};
    settle_control(o, &outcome, answer, x->duration_us / 1000);
}

static void no_control(struct order *o) {
    struct outcome outcome;
    outcome_clear(&outcome, 0);
    outcome_set(&outcome, VERDICT_ABSENT, "no_control",
                "no other order of this account is known whose look-up would show that \"not found\" can be "
                "believed");
    settle_control(o, &outcome, SPAN_LIT(""), 0);
}

void order_look_up_now(struct order *o) {
    struct envelope e = o->envelope;
    char traced[TRACEPARENT_SIZE];
    bool control = o->header.control_ms > 0;
    if (control)
        e = control_envelope(o);
    if (o->trace.on)
        trace_sends(o, traced);
    o->call = start_lookup(o, &e, control ? on_control_answer : on_lookup_answer);
    if (o->call == NULL && control)
        no_control(o);
    else if (o->call == NULL)
        lookup_impossible(o);
}

static void go(struct order *o) {
    o->consumer->stats.lookups++;
    if (o->runtime->grant == NULL || grant_ready(o))
        order_look_up_now(o);
}

static void look_up(struct order *o) {
    o->cursor.window_from_ms = o->header.sent_ms;
    o->cursor.window_to_ms = o->begun_unix_ms;
    if (o->header.page > 0) {
        o->cursor.page = o->header.page;
        o->cursor.seen = o->header.seen;
        o->cursor.window_to_ms = o->header.window_to_ms;
    }
    go(o);
}

static void look_control_up(struct order *o) {
    struct span key;
    struct decision d;
    switch (control_of(o, o->begun_unix_ms, &key)) {
    case CONTROL_COMING:
        life_control_later(&o->header, CONTROL_SOON_MS, &d);
        settle(o, &(struct settle_context){.decision = &d});
        return;
    case CONTROL_MISSING:
        no_control(o);
        return;
    case CONTROL_READY:
        break;
    }
    if (o->header.page > 0 && o->header.control_id == control_id(key)) {
        o->cursor.page = o->header.page;
        o->cursor.seen = o->header.seen;
    }
    buf_reset(&o->control);
    buf_add_span(&o->control, key);
    if (!buf_ok(&o->control))
        no_control(o);
    else
        go(o);
}

void order_not_looked_up(struct order *o, struct outcome *outcome) {
    if (o->header.control_ms > 0)
        settle_control(o, outcome, SPAN_LIT(""), 0);
    else
        settle_lookup(o, outcome, SPAN_LIT(""), 0);
}

void order_look_up(struct order *o) {
    o->begun_unix_ms = clock_unix_ms();
    memset(&o->cursor, 0, sizeof(o->cursor));
    order_move(o, ORDER_SENDING);
    if (o->header.control_ms > 0)
        look_control_up(o);
    else
        look_up(o);
}
