/* A claimed record becomes an order: read, checked, and put into the next begin batch, or settled at
 * once (invalid, expired, too early, …). */
#include "worker/share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/order_hash.h"
#include "queue/turn.h"

/* `arg` is the order, which keeps what is found. */
static const struct account *find_account(void *arg, const char *name) {
    struct order *o = arg;
    struct port *port = name == NULL ? o->lane->default_port : lane_port(o->lane, name);
    if (port == NULL)
        return NULL;
    port_unref(o->port);
    port_ref(port);
    o->port = port;
    return port->account;
}

static void read_envelope(struct order *o, struct span raw) {
    struct lane *lane = o->lane;
    struct worker *w = lane->worker;
    memset(&o->envelope, 0, sizeof(o->envelope));
    o->envelope.raw = raw;
    if (raw.len > lane->config->max_job_bytes) {
        faults_add(&w->faults, "", "must be at most %llu bytes (max_job_bytes), is %zu",
                   (unsigned long long)lane->config->max_job_bytes, raw.len);
        return;
    }
    uint32_t faults = envelope_parse(&o->envelope, &w->doc, raw, find_account, o, lane->keys.hash_tag,
                                     &o->decoded, &w->faults, &w->warnings, &o->account);
    buf_add_span(&o->warnings, buf_span(&w->warnings.list));
    o->envelope.raw = raw;
    if (o->envelope.reply_to.ptr != NULL && queue_keys_owns(&lane->keys, o->envelope.reply_to)) {
        faults_add(&w->faults, "reply_to", "must not be one of the queue's own keys");
        o->envelope.reply_to = (struct span){NULL, 0}; /* the fault itself goes to results */
        return;
    }
    if (faults > 0 || o->account == NULL)
        return;
    order_hash(o->envelope.order, o->hash);
    queue_keys_order(&lane->keys, span_str(o->account->name), o->envelope.order_key, &o->ledger_key);
}

static void begin(struct order *o) {
    struct lane *lane = o->lane;
    o->looking_up = o->past.phase != PHASE_SEND;
    if (o->trace.on)
        trace_begins(o);
    struct batch *b = lane_batch(lane, BATCH_BEGIN);
    struct beginning beginning = {.token = o->token,
                                  .kind = o->looking_up ? 'L' : 'P',
                                  .account = o->account->name,
                                  .limits = buf_span(&o->port->limits),
                                  .hash = o->hash,
                                  .worker = lane->keys.worker,
                                  .ledger_key = buf_span(&o->ledger_key),
                                  .bundle = o->bundle,
                                  .which = bundle_which(o)};
    if (b != NULL && batch_add_begin(b, o, &beginning)) {
        bundle_set_add(&b->bundles, o->bundle); /* it may have to wait */
        o->claim = CLAIM_UNSURE;                /* until it is answered */
        order_move(o, ORDER_BEGINNING);
        return;
    }
    struct decision d;
    life_hand_back(&o->past, false, &d);
    settle(o, &(struct settle_context){.decision = &d});
}

static void wait_for_slot(struct order *o, uint64_t ms) {
    struct decision d;
    life_hand_back(&o->past, false, &d);
    d.op = SETTLE_WAIT;
    d.due_ms = ms;
    d.keep_header = true;
    d.counter = "slot_waits";
    settle(o, &(struct settle_context){.decision = &d});
}

static void set_token(struct order *o, struct span token) {
    memcpy(o->token, token.ptr, token.len);
    o->token[token.len] = '\0';
    o->claim = CLAIM_HELD;
    uint64_t number = strtoull(o->token, NULL, 10);
    if (number > o->lane->highest_token)
        o->lane->highest_token = number;
}

/* Reads the record into `o`; true: nothing stands against beginning it, else `d` says what to do. */
static bool read_record(struct order *o, struct span token, struct span record, struct decision *d) {
    struct worker *w = o->lane->worker;
    struct span raw = {NULL, 0};
    set_token(o, token);
    buf_add_span(&o->record, record);
    faults_reset(&w->faults);
    faults_reset(&w->warnings);
    if (!buf_ok(&o->record) || past_parse(&o->past, token, buf_span(&o->record), &w->doc, &raw) < 0) {
        /* No record of ours, or no memory for it: the text stays as it is, for a person to look at. */
        raw = buf_span(&o->record);
        faults_add(&w->faults, "", "is no record of dray's");
        memset(&o->envelope, 0, sizeof(o->envelope));
        o->envelope.raw = raw;
    } else {
        read_envelope(o, raw);
    }
    if (w->tracer != NULL)
        trace_claimed(o);
    struct admission a = {.past = &o->past,
                          .envelope = &o->envelope,
                          .account = o->account,
                          .faults = w->faults.count,
                          .now_ms = clock_unix_ms()};
    o->begun_unix_ms = a.now_ms;
    bool goes = life_admit(&a, &w->rng, d);
    if (goes && o->warnings.len > 0 && o->past.attempts == 0 && o->past.phase == PHASE_SEND)
        log_warnings(o); /* not again with each retry */
    return goes;
}

void admit(struct lane *lane, struct span token, struct span record, uint8_t bundle) {
    struct order *o = order_get(lane);
    struct decision d;
    uint64_t wait_ms;
    if (o == NULL || token.len >= sizeof(o->token)) {
        settle_back(lane, token, SPAN_LIT("")); /* its bundle, if it has one, is never told to have ended */
        return;
    }
    o->bundle = bundle;
    if (!read_record(o, token, record, &d))
        settle(o, &(struct settle_context){.decision = &d, .faults = &lane->worker->faults});
    else if ((wait_ms = share_wait_ms(o->port)) > 0)
        wait_for_slot(o, wait_ms);
    else
        begin(o);
}

static void on_picked(void *arg, const redisReply *r, const char *error) {
    struct order *o = arg;
    struct lane *lane = o->lane;
    lane->claim_out = lane->picking = false;
    if (r == NULL) {
        /* else nobody gives it back: it must not get into the queue */
        lane->claim_lost = lane->worker->trial == NULL;
        order_move(o, ORDER_FREE);
        if (lane->worker->trial != NULL)
            trial_unanswered(lane->worker);
        return;
    }
    if (r->type != REDIS_REPLY_ARRAY || r->elements < 5 || r->element[0]->len >= sizeof(o->token) ||
        r->element[1]->type != REDIS_REPLY_STRING || r->element[4]->type != REDIS_REPLY_INTEGER) {
        if (r->type == REDIS_REPLY_ERROR)
            log_redis_error(lane, "pick", error);
        lane->look_now = true;
        if (lane->worker->trial != NULL)
            trial_not_picked(o);
        order_move(o, ORDER_FREE);
        return;
    }
    lane->stats.claimed++;
    lane_look(lane, r, 2);
    lane->more = r->element[4]->integer > 0; /* then it was not alone, however long the pick-up waited */
    set_token(o, (struct span){r->element[0]->str, r->element[0]->len});
    const redisReply *text = r->element[1]; /* the letter, then what is said beside it */
    lane_turn_answered(lane, o->turn);
    struct answer answer = {text->len > 0 ? text->str[0] : 'L',
                            {text->str + 1, text->len > 0 ? text->len - 1 : 0}};
    if (trial_waits_for_replicas(o, answer.letter == 'C' ? CLAIM_COUNTED : CLAIM_BEGUN))
        return;
    dispatch_one(o, &answer);
    lane_flush(lane);
}

bool admit_picked(struct lane *lane, struct span text) {
    static const enum queue_key keys[] = {KEY_WORKERS, KEY_INFLIGHT, KEY_CLAIMS,  KEY_PARKED,
                                          KEY_GATES,   KEY_ACCOUNTS, KEY_LIMITS,  KEY_PAUSES,
                                          KEY_STATS,   KEY_TAKEN,    KEY_DELAYED, KEY_JOBS};
    struct order *o = order_get(lane);
    struct decision d;
    if (o == NULL)
        return false;
    if (!read_record(o, SPAN_LIT("f"), text, &d) || share_wait_ms(o->port) > 0) {
        order_discard(o);
        return false;
    }
    struct buf *cmd = &lane->worker->text_cmd;
    size_t fixed = sizeof(keys) / sizeof(keys[0]);
    buf_reset(cmd);
    bool outside = lane->worker->trial != NULL;
    queue_cmd_begin(cmd, SCRIPT_PICK, fixed + 1, outside ? 8 : 7);
    for (size_t i = 0; i < fixed; i++)
        queue_cmd_key(cmd, &lane->keys, keys[i]);
    redis_resp_arg(cmd, buf_span(&o->ledger_key));
    redis_resp_str(cmd, lane->keys.worker);
    redis_resp_arg(cmd, text);
    redis_resp_str(cmd, o->account->name);
    redis_resp_arg(cmd, buf_span(&o->port->limits));
    redis_resp_str(cmd, lane->limits_version);
    redis_resp_str(cmd, o->hash);
    if (o->trace.on)
        trace_begins(o);
    o->turn = lane_next_turn(lane);
    redis_resp_head(cmd, 2 + 3 * 8);
    turn_pack_u16(cmd, lane->keys.order_prefix.len);
    turn_pack_double(cmd, (double)o->turn);
    turn_pack_double(cmd, (double)lane->turn_answered);
    turn_pack_double(cmd, (double)lane->highest_token);
    buf_add(cmd, "\r\n", 2);
    if (outside)
        redis_resp_str(cmd, "1");
    order_move(o, ORDER_BEGINNING);
    order_set_deadline(o, clock_boot_ns());
    lane->claim_out = lane->picking = true;
    queue_call(lane->worker->caller, lane->keys.slot, SCRIPT_PICK, cmd, on_picked, o);
    return true;
}
