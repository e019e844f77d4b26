/* VU Custom's answers: {"order": …}, with the request's own values. */
#include <string.h>

#include "sandbox/internal.h"

#define FIRST_ID 12345000001u /* beyond 2^31 */

void vu_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_add_u64(out, FIRST_ID + serial);
}

static void write_times(struct buf *out, const struct created *c) {
    form_time(out, "created_at", c->created_ms);
    buf_add_char(out, ',');
    form_time(out, "updated_at", c->created_ms);
}

static void write_address(struct buf *out, const struct created *c, const char *name,
                          uint32_t node) {
    static const char *const own[] = {"id", "created_at", "updated_at", NULL};
    buf_addf(out, "\"%s\":{", name);
    form_copy(out, c->order, node, own);
    buf_addf(out, "\"id\":%llu,", (unsigned long long)(FIRST_ID + c->serial));
    write_times(out, c);
    buf_add_str(out, "},");
}

static void write_lines(struct buf *out, const struct created *c, uint32_t lines) {
    static const char *const own[] = {
        "id",           "product_id", "status", "estimated_arrival_date", "ex_factory_date",
        "fulfillments", NULL};
    unsigned n = 0;
    buf_add_str(out, "\"order_lines\":[");
    for (uint32_t i = json_first(c->order, lines); i != JSON_NONE;
         i = json_next(c->order, lines, i)) {
        buf_add_str(out, n++ > 0 ? ",{" : "{");
        form_copy(out, c->order, i, own);
        buf_addf(out,
                 "\"id\":%llu,\"product_id\":12345,\"status\":\"new_order\","
                 "\"estimated_arrival_date\":null,\"ex_factory_date\":{\"current\":null,"
                 "\"changes\":[]},\"fulfillments\":[]}",
                 (unsigned long long)(FIRST_ID + c->serial) * 100 + n);
    }
    buf_add_str(out, "],");
}

void vu_write_created(struct buf *out, const struct created *c) {
    static const char *const own[] = {"id",      "created_at", "updated_at", "order_lines",
                                      "ship_to", "sold_to",    NULL};
    uint32_t order = json_get(c->order, 0, "order");
    buf_add_str(out, "{\"order\":{");
    form_copy(out, c->order, order, own);
    if (!c->without_id)
        buf_addf(out, "\"id\":%llu,", (unsigned long long)(FIRST_ID + c->serial));
    write_lines(out, c, json_get(c->order, order, "order_lines"));
    write_address(out, c, "ship_to", json_get(c->order, order, "ship_to"));
    write_address(out, c, "sold_to", json_get(c->order, order, "sold_to"));
    write_times(out, c);
    buf_add_str(out, "}}");
}

void vu_write_error(struct buf *out, struct rng *rng, unsigned status, const char *code,
                    const char *message) {
    (void)rng;
    if (status == 422 && strcmp(code, "exists") == 0) {
        buf_add_str(out, "{\"errors\":{\"order_number\":[\"has already been taken\"]}}");
        return;
    }
    buf_add_char(out, '{');
    form_text(out, "errors",
              status == 401
                  ? "[API] Invalid API key or secret (unrecognized login or wrong password)"
                  : message);
    buf_add_char(out, '}');
}
