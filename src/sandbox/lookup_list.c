/* Look-ups in lists: KaKaClo's by time, S2's and /json/orders by a term. */
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"
#include "sandbox/lookup.h"

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

/* The order's id as a string, and its name, or null. */
static cJSON *kakaclo_item(struct lookup *l, uint32_t order) {
    static const char *const fixed[][2] = {{"status", "processing"},
                                           {"financialStatus", "paid"},
                                           {"fulfillmentStatus", "waiting_to_ship"},
                                           {"refundStatus", "NULL"}};
    const struct tally_order *of = &l->s->tally.orders[order];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemToObject(o, "id",
                          form_id(kakaclo_write_id, tally_serial(&l->s->tally, order), of->created_ms));
    tree_add_text(o, "customOrderId", order_name(&l->s->tally, order));
    cJSON_AddNullToObject(o, "remark");
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        cJSON_AddStringToObject(o, fixed[i][0], fixed[i][1]);
    form_time(o, "createDate", of->created_ms);
    form_time(o, "modifyDate", of->created_ms);
    return o;
}

/* Adds the item as its text: a key's magic may change it. */
static void add_item(struct lookup *l, cJSON *list, cJSON *item, uint32_t key) {
    reply_tree(l->s, item);
    mislead_disguise(l, key);
    cJSON_AddItemToArray(list, cJSON_CreateRaw(buf_cstr(&l->s->out)));
}

/* KaKaClo's answer around a list. */
static cJSON *kakaclo_answer(cJSON **data, cJSON **list) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "code", 10000);
    cJSON_AddStringToObject(o, "message", "success");
    *data = cJSON_AddObjectToObject(o, "data");
    *list = cJSON_AddArrayToObject(*data, "list");
    return o;
}

/* GET /openapi/v2/order/orders: the caller's orders of v1 and v2 in a window of creation times. */
void lookup_list_kakaclo(struct lookup *l) {
    struct sandbox *s = l->s;
    uint64_t from = 0, to = UINT64_MAX, size = number_of(l->r, "pageSize", 10);
    uint64_t number = number_of(l->r, "pageNumber", 1);
    const char *ids = query_value(l->r, "ids");
    if (!time_of(l->r, "createStartTime", &from) || !time_of(l->r, "createEndTime", &to)) {
        lookup_fail(l, 400, "createStartTime, createEndTime: must be a time such as 2016-01-18T23:41:00Z");
        return;
    }
    if (size < 1 || size > 250 || number < 1 || number > UINT32_MAX) {
        lookup_fail(l, 400, "pageSize must be 1 to 250, pageNumber at least 1");
        return;
    }
    if (mislead_by_time(l))
        return;
    struct page page = {.skip = (number - 1) * size, .limit = l->empty_page ? 0 : size};
    cJSON *data, *list, *root = kakaclo_answer(&data, &list);
    l->reply->status = 200;
    for (uint32_t i = 0; i < s->tally.order_count; i++) {
        const struct tally_order *o = &s->tally.orders[i];
        if (o->endpoint > ENDPOINT_KAKACLO_V1 || o->caller != l->caller || o->created_ms < from ||
            o->created_ms > to || o->created_ms > l->visible_until_ms ||
            (ids != NULL && !has_id(l, ids, i)) || mislead_hides(l, o->key) || !on_page(&page))
            continue;
        add_item(l, list, kakaclo_item(l, i), o->key);
    }
    tree_add_u64(data, "total", page.seen);
    tree_add_u64(data, "pageNumber", number);
    tree_add_u64(data, "pageSize", size);
    reply_tree(s, root);
}

static int64_t member(struct lookup *l, const char *name, int64_t otherwise) {
    int64_t value;
    uint32_t node = json_get(&l->s->doc, 0, name);
    return node != JSON_NONE && json_i64(&l->s->doc, node, &value) && value >= 0 ? value : otherwise;
}

static cJSON *custom_item(struct lookup *l, uint32_t order) {
    const struct tally_order *of = &l->s->tally.orders[order];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "id", order + 1);
    cJSON_AddItemToObject(
        o, "demandNo", form_id(kakaclo_custom_write_id, tally_serial(&l->s->tally, order), of->created_ms));
    cJSON_AddNumberToObject(o, "status", 2);
    tree_add_u64(o, "createDate", of->created_ms);
    tree_add_text(o, "customOrderId", order_name(&l->s->tally, order));
    return o;
}

void lookup_search_kakaclo(struct lookup *l) {
    struct sandbox *s = l->s;
    struct err err;
    if (json_parse(&s->doc, l->r->body.data, l->r->body.len, &err) != 0) {
        lookup_fail(l, 400, err.text);
        return;
    }
    int64_t number = member(l, "pageNumber", 1), size = member(l, "pageSize", 20);
    uint64_t from = (uint64_t)member(l, "createDateGe", 0),
             to = (uint64_t)member(l, "createDateLe", INT64_MAX);
    if (size < 1 || size > 100 || number < 1) {
        lookup_fail(l, 400, "pageSize must be 1 to 100, pageNumber at least 1");
        return;
    }
    struct page page = {.skip = (uint64_t)(number - 1) * (uint64_t)size, .limit = (uint64_t)size};
    l->reply->status = 200;
    cJSON *data, *list, *root = kakaclo_answer(&data, &list);
    for (uint32_t i = 0; i < s->tally.order_count; i++) {
        const struct tally_order *o = &s->tally.orders[i];
        if (o->endpoint != ENDPOINT_KAKACLO_CUSTOM || o->caller != l->caller || o->created_ms < from ||
            o->created_ms > to || o->created_ms > l->visible_until_ms || mislead_hides(l, o->key) ||
            !on_page(&page))
            continue;
        cJSON_AddItemToArray(list, custom_item(l, i));
    }
    tree_add_u64(data, "total", page.seen);
    reply_tree(s, root);
}

/* GET /order, GET /json/orders: `term` stands anywhere in the order's key; absent: all. */
void lookup_list_by_term(struct lookup *l, const char *term, bool exactly) {
    struct sandbox *s = l->s;
    uint64_t limit = number_of(l->r, "limit", 20);
    struct page page = {.skip = number_of(l->r, "offset", 0), .limit = limit};
    if (limit < 1 || limit > 100) {
        lookup_fail(l, 400, "limit must be 1 to 100");
        return;
    }
    if (mislead_by_name(l, term))
        return;
    if (l->empty_page)
        page.limit = 0;
    l->reply->status = 200;
    cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "items");
    for (uint32_t i = 0; i < s->tally.order_count; i++) {
        const struct tally_order *o = &s->tally.orders[i];
        struct span name = order_name(&s->tally, i);
        if (o->endpoint != l->endpoint || o->caller != l->caller || o->created_ms > l->visible_until_ms)
            continue;
        if (term != NULL &&
            (exactly ? !span_is(name, term) : memmem(name.ptr, name.len, term, strlen(term)) == NULL))
            continue;
        if (mislead_hides(l, o->key) || !on_page(&page))
            continue;
        add_item(l, list, lookup_order(l, i), o->key);
    }
    tree_add_u64(root, "total", page.seen);
    reply_tree(s, root);
}
