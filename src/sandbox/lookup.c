/* Look-ups: what a caller sees of the orders it created.
 *
 * Lists read an index that lags behind by `index_lag`; the exact look-ups (VU's, and by id) do not.
 * A list walks over the orders one by one, which takes milliseconds when a million are remembered.
 */
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"
#include "sandbox/internal.h"

struct lookup {
    struct sandbox *s;
    const struct request *r;
    struct reply *reply;
    uint16_t endpoint, caller;
    uint64_t visible_until_ms; /* orders created later are not in the index yet */
};

/* One page of a list. */
struct page {
    uint64_t skip, limit, seen; /* `seen` counts all matches */
};

static uint64_t number_of(const struct request *r, const char *name, uint64_t otherwise) {
    const char *text = query_value(r, name);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return otherwise;
    unsigned long long n = strtoull(text, &end, 10);
    return *end == '\0' ? n : otherwise;
}

static void fail(struct lookup *l, unsigned status, const char *message) {
    reply_error(l->s, l->endpoint, l->reply, status, "status", message);
}

/* True if this match belongs on the page. */
static bool on_page(struct page *p) {
    uint64_t n = p->seen++;
    return n >= p->skip && n - p->skip < p->limit;
}

static struct span order_name(const struct tally *tally, uint32_t order) {
    uint32_t key = tally->orders[order].key;
    if (key == TALLY_NONE)
        return (struct span){NULL, 0};
    return (struct span){tally->keys[key].name, tally->keys[key].name_len};
}

/* Writes the whole order in the form of its create answer. */
static void write_order(struct lookup *l, uint32_t order) {
    struct sandbox *s = l->s;
    const struct tally_order *o = &s->tally.orders[order];
    struct err err;
    if (json_parse(&s->stored_doc, o->body, o->body_len, &err) != 0)
        return; /* it was parsed when it came; only memory can be short now */
    const struct created c = {
        .serial = tally_serial(&s->tally, order),
        .count = 1,
        .created_ms = o->created_ms,
        .order = &s->stored_doc,
        .organization = span_str(header_value(l->r, "X-S2-Organization")),
    };
    endpoints[l->endpoint].write_created(&s->out, &c);
}

static bool time_of(const struct request *r, const char *name, uint64_t *ms) {
    const char *text = query_value(r, name);
    return text == NULL || rfc3339_parse(span_str(text), ms) == 0;
}

/* Whether the order's id is in a list such as "1000000065617,1000000065618". */
static bool has_id(struct lookup *l, const char *ids, uint32_t order) {
    buf_reset(&l->s->scratch);
    kakaclo_write_id(&l->s->scratch, tally_serial(&l->s->tally, order), 0);
    const char *id = buf_cstr(&l->s->scratch);
    size_t n = l->s->scratch.len;
    for (const char *p = ids; p != NULL; p = strchr(p, ','), p = p == NULL ? NULL : p + 1)
        if (strncmp(p, id, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

static void kakaclo_write_item(struct lookup *l, uint32_t order) {
    struct buf *out = &l->s->out;
    const struct tally_order *o = &l->s->tally.orders[order];
    struct span name = order_name(&l->s->tally, order);
    buf_add_str(out, "{\"id\":\"");
    kakaclo_write_id(out, tally_serial(&l->s->tally, order), o->created_ms);
    buf_add_str(out, "\",\"customOrderId\":");
    if (name.ptr == NULL)
        buf_add_str(out, "null");
    else
        buf_add_json_str(out, name);
    buf_add_str(out, ",\"remark\":null,\"status\":\"processing\",\"financialStatus\":\"paid\","
                     "\"fulfillmentStatus\":\"waiting_to_ship\",\"refundStatus\":\"NULL\",");
    form_time(out, "createDate", o->created_ms);
    buf_add_char(out, ',');
    form_time(out, "modifyDate", o->created_ms);
    buf_add_char(out, '}');
}

/* GET /openapi/v2/order/orders: the caller's orders of v1 and v2 in a window of creation times. */
static void kakaclo_list(struct lookup *l) {
    struct sandbox *s = l->s;
    uint64_t from = 0, to = UINT64_MAX, size = number_of(l->r, "pageSize", 10);
    uint64_t number = number_of(l->r, "pageNumber", 1);
    const char *ids = query_value(l->r, "ids");
    if (!time_of(l->r, "createStartTime", &from) || !time_of(l->r, "createEndTime", &to)) {
        fail(l, 400, "createStartTime, createEndTime: must be a time such as 2016-01-18T23:41:00Z");
        return;
    }
    if (size < 1 || size > 250 || number < 1 || number > UINT32_MAX) {
        fail(l, 400, "pageSize must be 1 to 250, pageNumber at least 1");
        return;
    }
    struct page page = {.skip = (number - 1) * size, .limit = size};
    l->reply->status = 200;
    buf_add_str(&s->out, "{\"code\":10000,\"message\":\"success\",\"data\":{\"list\":[");
    for (uint32_t i = 0; i < s->tally.order_count; i++) {
        const struct tally_order *o = &s->tally.orders[i];
        if (o->endpoint > ENDPOINT_KAKACLO_V1 || o->caller != l->caller || o->created_ms < from ||
            o->created_ms > to || o->created_ms > l->visible_until_ms ||
            (ids != NULL && !has_id(l, ids, i)) || !on_page(&page))
            continue;
        if (page.seen - 1 > page.skip)
            buf_add_char(&s->out, ',');
        kakaclo_write_item(l, i);
    }
    buf_addf(&s->out, "],\"total\":%llu,\"pageNumber\":%llu,\"pageSize\":%llu}}",
             (unsigned long long)page.seen, (unsigned long long)number, (unsigned long long)size);
}

/* GET /order, GET /json/orders: `term` stands anywhere in the order's key; absent: all. */
static void list_by_term(struct lookup *l, const char *term, bool exactly) {
    struct sandbox *s = l->s;
    uint64_t limit = number_of(l->r, "limit", 20);
    struct page page = {.skip = number_of(l->r, "offset", 0), .limit = limit};
    if (limit < 1 || limit > 100) {
        fail(l, 400, "limit must be 1 to 100");
        return;
    }
    l->reply->status = 200;
    buf_add_str(&s->out, "{\"items\":[");
    for (uint32_t i = 0; i < s->tally.order_count; i++) {
        const struct tally_order *o = &s->tally.orders[i];
        struct span name = order_name(&s->tally, i);
        if (o->endpoint != l->endpoint || o->caller != l->caller ||
            o->created_ms > l->visible_until_ms)
            continue;
        if (term != NULL && (exactly ? !span_is(name, term)
                                     : memmem(name.ptr, name.len, term, strlen(term)) == NULL))
            continue;
        if (!on_page(&page))
            continue;
        if (page.seen - 1 > page.skip)
            buf_add_char(&s->out, ',');
        write_order(l, i);
    }
    buf_addf(&s->out, "],\"total\":%llu}", (unsigned long long)page.seen);
}

static void one_by_key(struct lookup *l, const char *name) {
    uint32_t key = tally_find(&l->s->tally, l->caller, l->endpoint, span_str(name));
    if (key == TALLY_NONE || l->s->tally.keys[key].first == TALLY_NONE) {
        fail(l, 404, "there is no such order");
        return;
    }
    l->reply->status = 200;
    write_order(l, l->s->tally.keys[key].first);
}

static void s2_one(struct lookup *l, const char *id) {
    uint64_t serial;
    uint32_t order = s2_serial(id, &serial) ? tally_by_serial(&l->s->tally, serial) : TALLY_NONE;
    if (order == TALLY_NONE || l->s->tally.orders[order].endpoint != ENDPOINT_S2 ||
        l->s->tally.orders[order].caller != l->caller) {
        fail(l, 404, "there is no such order");
        return;
    }
    l->reply->status = 200;
    write_order(l, order);
}

static void vu_one(struct lookup *l) {
    const char *number = query_value(l->r, "order_number");
    if (number == NULL) {
        fail(l, 422, "order_number is required: the sandbox plays no list of orders");
        return;
    }
    one_by_key(l, number);
}

static const char *below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && path[n + 1] != '\0' ? path + n + 1
                                                                                  : NULL;
}

/* The endpoint that a GET belongs to; endpoint_count: none. */
static uint16_t endpoint_of(const char *path) {
    static const uint16_t with_lookup[] = {ENDPOINT_KAKACLO_V2, ENDPOINT_S2, ENDPOINT_VU,
                                           ENDPOINT_JSON};
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
    if (l->endpoint == ENDPOINT_KAKACLO_V2)
        kakaclo_list(l);
    else if (l->endpoint == ENDPOINT_VU)
        vu_one(l);
    else if (l->endpoint == ENDPOINT_S2 && name != NULL)
        s2_one(l, name);
    else if (l->endpoint == ENDPOINT_S2)
        list_by_term(l, query_value(l->r, "term"), false);
    else if (name != NULL)
        one_by_key(l, name);
    else
        list_by_term(l, query_value(l->r, "reference"), true);
}

void lookup_handle(struct sandbox *s, struct request *r, struct reply *reply) {
    struct lookup l = {.s = s, .r = r, .reply = reply, .endpoint = endpoint_of(r->path)};
    unsigned status;
    const char *why;
    if (l.endpoint == endpoint_count) {
        reply->status = 404;
        buf_add_str(&s->out,
                    "{\"message\":\"no provider has this path; GET /_sandbox lists them\"}");
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
