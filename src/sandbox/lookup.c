/* Look-ups: what a caller sees of the orders it created.
 *
 * Lists read an index that lags behind by `index_lag`; the exact look-ups (VU's, and by id) do not.
 * A list walks over the orders one by one, which takes milliseconds when a million are remembered.
 */
#include <string.h>

#include "sandbox/lookup.h"

static void one_by_key(struct lookup *l, const char *name) {
    if (mislead_by_name(l, name))
        return;
    uint32_t key = tally_find(&l->s->tally, l->caller, l->endpoint, span_str(name));
    if (key == TALLY_NONE || l->s->tally.keys[key].first == TALLY_NONE || mislead_hides(l, key)) {
        lookup_fail(l, 404, "there is no such order");
        return;
    }
    l->reply->status = 200;
    reply_tree(l->s, lookup_order(l, l->s->tally.keys[key].first));
    mislead_disguise(l, key);
}

static void s2_one(struct lookup *l, const char *id) {
    uint64_t serial;
    uint32_t order = s2_serial(id, &serial) ? tally_by_serial(&l->s->tally, serial) : TALLY_NONE;
    if (order == TALLY_NONE || l->s->tally.orders[order].endpoint != ENDPOINT_S2 ||
        l->s->tally.orders[order].caller != l->caller) {
        lookup_fail(l, 404, "there is no such order");
        return;
    }
    l->reply->status = 200;
    reply_tree(l->s, lookup_order(l, order));
}

static void vu_one(struct lookup *l) {
    const char *number = query_value(l->r, "order_number");
    if (number == NULL) {
        lookup_fail(l, 422, "order_number is required: the sandbox plays no list of orders");
        return;
    }
    one_by_key(l, number);
}

static const char *below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && path[n + 1] != '\0' ? path + n + 1 : NULL;
}

bool lookup_is_search(const char *path) {
    return strcmp(path, "/openapi/v1/product/custom/orders/search") == 0;
}

/* The endpoint that a look-up belongs to; endpoint_count: none. */
static uint16_t endpoint_of(const char *path) {
    static const uint16_t with_lookup[] = {ENDPOINT_KAKACLO_V2, ENDPOINT_S2, ENDPOINT_VU, ENDPOINT_JSON};
    if (lookup_is_search(path))
        return ENDPOINT_KAKACLO_CUSTOM;
    if (strcmp(path, "/openapi/v1/order/orders") == 0)
        return ENDPOINT_KAKACLO_V1;
    for (size_t i = 0; i < sizeof with_lookup / sizeof with_lookup[0]; i++) {
        uint16_t e = with_lookup[i];
        if (strcmp(path, endpoints[e].path) == 0)
            return e;
        if ((e == ENDPOINT_S2 || e == ENDPOINT_JSON) && below(path, endpoints[e].path) != NULL)
            return e;
    }
    return endpoint_count;
}

static void answer(struct lookup *l) {
    const char *name = below(l->r->path, endpoints[l->endpoint].path);
    if (l->endpoint == ENDPOINT_KAKACLO_CUSTOM)
        lookup_search_kakaclo(l);
    else if (l->endpoint <= ENDPOINT_KAKACLO_V1)
        lookup_list_kakaclo(l);
    else if (l->endpoint == ENDPOINT_VU)
        vu_one(l);
    else if (l->endpoint == ENDPOINT_S2 && name != NULL)
        s2_one(l, name);
    else if (l->endpoint == ENDPOINT_S2)
        lookup_list_by_term(l, query_value(l->r, "term"), false);
    else if (name != NULL)
        one_by_key(l, name);
    else
        lookup_list_by_term(l, query_value(l->r, "reference"), true);
}

void lookup_handle(struct sandbox *s, struct request *r, struct reply *reply) {
    struct lookup l = {.s = s, .r = r, .reply = reply, .endpoint = endpoint_of(r->path)};
    unsigned status;
    const char *why;
    if (l.endpoint == endpoint_count) {
        reply_nowhere(s, reply);
        return;
    }
    s->tally.totals.lookups++;
    if (!caller_read(s, r, endpoints[l.endpoint].auth, &l.caller, &status, &why)) {
        reply_error(s, l.endpoint, reply, status, "unauthorized", why);
        return;
    }
    const struct sandbox_trouble *t = caller_trouble(s, l.caller);
    uint64_t now_ms = clock_unix_ms();
    l.visible_until_ms = now_ms > t->index_lag_ms ? now_ms - t->index_lag_ms : 0;
    reply->delay_ms = trouble_latency_ms(t, &s->rng);
    if (!reply_down(s, l.endpoint, l.caller, reply))
        answer(&l);
}
