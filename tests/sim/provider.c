/* The providers' side: counts exactly what it created per order key, and may answer anything. An
 * answer that promises that nothing was created keeps that promise: a 4xx that dray does not take for
 * unknown, and a 503 where there is no exact look-up. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "dray/provider.h"

static const struct account *account_of(const struct http_call *c) {
    return world.config->accounts[c->account];
}

static bool is(const struct http_call *c, const char *provider) {
    return strcmp(account_of(c)->provider->name, provider) == 0;
}

static struct made_order *made_of(const struct http_call *c) {
    return &world.made[c->account][c->key];
}

void provider_creates(struct http_call *c) {
    struct made_order *m = made_of(c);
    if (m->count++ == 0) {
        m->visible_ns = world.now_ns + draw(world.index_lag_ns[c->account] + 1);
        m->unix_ms = START_UNIX_MS + world.now_ns / MS;
    }
    note("h%u CREATES a%u key-%u (%u)", c->number, c->account, c->key, m->count);
    if (m->count > 1 && !world.resend_ok[c->account] && !world.forgot)
        sim_fail("G2: order a%u key-%u was created %u times", c->account, c->key, m->count);
}

static void answer(struct http_call *c, long status) {
    c->state = CALL_ANSWERED;
    c->status = status;
}

static void answer_created(struct http_call *c) {
    answer(c, 200);
    unsigned id = 9000 + c->account * 100 + c->key;
    if (is(c, "kakaclo-v2") || is(c, "kakaclo-custom"))
        buf_addf(&c->answer, "{\"code\":10000,\"message\":\"success\",\"data\":%u}", id);
    else if (is(c, "vu"))
        buf_addf(&c->answer, "{\"order\":{\"id\":%u,\"order_number\":\"key-%u\"}}", id, c->key);
    else if (is(c, "s2"))
        buf_addf(&c->answer, "{\"id\":\"%u\",\"channelOrderId\":\"key-%u\"}", id, c->key);
    else
        buf_addf(&c->answer, "{\"id\":%u,\"ref\":\"key-%u\"}", id, c->key);
}

static void retry_after(struct http_call *c) {
    snprintf(c->retry_after, sizeof(c->retry_after), "%u", (unsigned)(1 + draw(3)));
}

static bool exact(const struct http_call *c) {
    return provider_lookup_kind(account_of(c)) == LOOKUP_EXACT;
}

/* What may go wrong for one order. */
static void trouble(struct http_call *c) {
    static const long failures[] = {500, 502, 504, 520, 408, 499, 303, 503};
    static const long not_through[] = {521, 421, 407, 511};
    switch (draw(14)) {
    case 0:
        answer(c, failures[draw(8)]);
        return;
    case 1: /* the order was made, and then something failed */
        answer(c, failures[draw(exact(c) ? 8 : 7)]);
        provider_creates(c);
        return;
    case 11: /* a gateway gave up; the provider behind it may still make the order */
        if (c->owner != NULL)
            call_repeat_late(c);
        answer(c, 504);
        return;
    case 12:
        answer(c, not_through[draw(4)]);
        return;
    case 13: /* yes, says somebody */
        if (chance(50))
            provider_creates(c);
        answer(c, chance(50) ? 202 : 200);
        return;
    case 2:
        answer(c, 429);
        retry_after(c);
        return;
    case 3:
        answer(c, 503);
        retry_after(c);
        return;
    case 4:
        answer(c, chance(50) ? 401 : 403);
        return;
    case 5:
        answer(c, 422);
        buf_add_str(&c->answer, "{\"message\":\"no\"}");
        return;
    case 6:
        answer(c, 200);
        if (is(c, "kakaclo-v2"))
            buf_add_str(&c->answer, "{\"code\":40001,\"message\":\"no\"}");
        else
            provider_creates(c), buf_add_str(&c->answer, "<html>");
        return;
    case 7:
        provider_creates(c);
        c->state = CALL_BROKEN;
        return;
    case 8:
        c->state = CALL_BROKEN;
        return;
    case 9:
        provider_creates(c);
        answer(c, 200);
        buf_add_str(&c->answer, "{\"cut");
        return;
    default:
        answer(c, 404);
    }
}

/* A look-up that lies: it finds nothing at all, for a while or for good, as a router without a backend or an index that
 * was lost. Without the guard "control" it hides only orders that no ledger has as created: then the control proves nothing. */
static bool blind(const struct http_call *c, unsigned key) {
    return (world.blind[c->account] || world.now_ns < world.blind_until_ns[c->account]) &&
           !(mutated("control") && world.ledger[c->account][key] == 'C');
}

static void go_blind(const struct http_call *c) {
    world.blind_until_ns[c->account] = world.now_ns + draw(4 * account_of(c)->absent_window_ms + 1000) * MS;
    note("a%u finds nothing for a while", c->account);
}

static bool visible(const struct http_call *c, unsigned key) {
    const struct made_order *m = &world.made[c->account][key];
    if (m->preexisting)
        return true;
    if (m->count == 0 || world.now_ns < m->visible_ns)
        return false;
    return c->window_to_ms == 0 || (m->unix_ms >= c->window_from_ms && m->unix_ms <= c->window_to_ms);
}

static void list(struct http_call *c, const char *key_name) {
    unsigned n = 0;
    for (unsigned k = 0; k < KEYS_PER_ACCOUNT; k++)
        for (unsigned i = 0; visible(c, k) && i < (world.made[c->account][k].count > 1 ? 2 : 1); i++)
            buf_addf(&c->answer, "%s{\"id\":%u,\"%s\":\"key-%u\"}", n++ > 0 ? "," : "",
                     9000 + c->account * 100 + k, key_name, k);
    buf_addf(&c->answer, "],\"total\":%u}", n);
}

static void lookup(struct http_call *c) {
    if (is(c, "kakaclo-v2")) {
        buf_add_str(&c->answer, "{\"code\":10000,\"data\":{\"list\":[");
        list(c, "customOrderId");
        buf_add_str(&c->answer, "}");
        answer(c, 200);
    } else if (is(c, "s2")) {
        buf_add_str(&c->answer, "{\"items\":[");
        list(c, "channelOrderId");
        answer(c, 200);
    } else if (visible(c, c->key) && !blind(c, c->key)) {
        answer_created(c);
    } else {
        answer(c, 404);
        buf_add_str(&c->answer, "{\"errors\":\"not found\",\"message\":\"not found\"}");
    }
}

static void lookup_trouble(struct http_call *c) {
    static const long statuses[] = {500, 429, 401, 503, 200};
    if (chance(30)) {
        c->state = CALL_BROKEN;
        return;
    }
    answer(c, statuses[draw(5)]);
    if (c->status == 429)
        retry_after(c);
    if (c->status == 200)
        buf_add_str(&c->answer, "[\"not what was asked for");
}

static void refuse(struct http_call *c) {
    answer(c, world.refuses[c->account][c->key]);
    buf_add_str(&c->answer, "{\"message\":\"not this one\"}");
}

void provider_answer(struct http_call *c) {
    if (outage_answers(c))
        return;
    bool bad = !world.settling && world.fault[FAULT_PROVIDER] && chance(world.trouble[c->account]);
    if (!c->post && bad && chance(30))
        go_blind(c);
    world.looked_up[c->account] |= !c->post;
    if (!c->post && bad)
        lookup_trouble(c);
    else if (!c->post)
        lookup(c);
    else if (!world.mended && world.refuses[c->account][c->key] != 0)
        refuse(c);
    else if (made_of(c)->preexisting)
        answer(c, 409);
    else if (bad)
        trouble(c);
    else {
        provider_creates(c);
        answer_created(c);
    }
    if (c->state == CALL_ANSWERED)
        note("h%u provider says %ld", c->number, c->status);
    else
        note("h%u provider hangs up", c->number);
}
