/* VU Custom's answers: {"order": …}, with the request's own values. */
#include <string.h>

#include "sandbox/internal.h"

#define FIRST_ID 12345000001u /* beyond 2^31 */

void vu_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_add_u64(out, FIRST_ID + serial);
}

static void add_times(cJSON *o, const struct created *c) {
    form_time(o, "created_at", c->created_ms);
    form_time(o, "updated_at", c->created_ms);
}

static void add_address(cJSON *o, const struct created *c, const char *name, uint32_t node) {
    static const char *const own[] = {"id", "created_at", "updated_at", NULL};
    cJSON *address = cJSON_AddObjectToObject(o, name);
    form_copy(address, c->order, node, own);
    tree_add_u64(address, "id", FIRST_ID + c->serial);
    add_times(address, c);
}

static cJSON *line_of(const struct created *c, uint32_t node, uint64_t n) {
    static const char *const own[] = {
        "id", "product_id", "status", "estimated_arrival_date", "ex_factory_date", "fulfillments", NULL};
    cJSON *o = cJSON_CreateObject();
    form_copy(o, c->order, node, own);
    tree_add_u64(o, "id", (FIRST_ID + c->serial) * 100 + n);
    cJSON_AddNumberToObject(o, "product_id", 12345);
    cJSON_AddStringToObject(o, "status", "new_order");
    cJSON_AddNullToObject(o, "estimated_arrival_date");
    cJSON *date = cJSON_AddObjectToObject(o, "ex_factory_date");
    cJSON_AddNullToObject(date, "current");
    cJSON_AddArrayToObject(date, "changes");
    cJSON_AddArrayToObject(o, "fulfillments");
    return o;
}

static void add_lines(cJSON *o, const struct created *c, uint32_t lines) {
    cJSON *list = cJSON_AddArrayToObject(o, "order_lines");
    unsigned n = 0;
    for (uint32_t i = json_first(c->order, lines); i != JSON_NONE; i = json_next(c->order, lines, i))
        cJSON_AddItemToArray(list, line_of(c, i, ++n));
}

cJSON *vu_created(const struct created *c) {
    static const char *const own[] = {"id",      "created_at", "updated_at", "order_lines",
                                      "ship_to", "sold_to",    NULL};
    uint32_t node = json_get(c->order, 0, "order");
    cJSON *o = cJSON_CreateObject(), *order = cJSON_AddObjectToObject(o, "order");
    form_copy(order, c->order, node, own);
    if (!c->without_id)
        tree_add_u64(order, "id", FIRST_ID + c->serial);
    add_lines(order, c, json_get(c->order, node, "order_lines"));
    add_address(order, c, "ship_to", json_get(c->order, node, "ship_to"));
    add_address(order, c, "sold_to", json_get(c->order, node, "sold_to"));
    add_times(order, c);
    return o;
}

cJSON *vu_error(struct rng *rng, unsigned status, const char *code, const char *message) {
    static const char *const taken[] = {"has already been taken"};
    cJSON *o = cJSON_CreateObject();
    (void)rng;
    if (status == 422 && strcmp(code, "exists") == 0)
        cJSON_AddItemToObject(cJSON_AddObjectToObject(o, "errors"), "order_number",
                              cJSON_CreateStringArray(taken, 1));
    else
        tree_add_text(o, "errors",
                      span_str(status == 401
                                   ? "[API] Invalid API key or secret (unrecognized login or wrong password)"
                                   : message));
    return o;
}
