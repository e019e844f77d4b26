/* The answers of the endpoint for the generic provider: every outcome has a "status" to test. */
#include "sandbox/internal.h"

void json_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_addf(out, "J%llu", (unsigned long long)serial + 1000001);
}

static void add_id(cJSON *o, const struct created *c) {
    if (!c->without_id)
        cJSON_AddItemToObject(o, "id", form_id(json_write_id, c->serial, c->created_ms));
}

cJSON *json_created(const struct created *c) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "status", "ok");
    add_id(o, c);
    cJSON *order = cJSON_AddObjectToObject(o, "order");
    add_id(order, c);
    form_time(order, "created_at", c->created_ms);
    form_member(order, "reference", c->order, json_get(c->order, 0, "reference"));
    form_member(order, "request", c->order, 0);
    return o;
}

cJSON *json_error(struct rng *rng, unsigned status, const char *code, const char *message) {
    cJSON *o = cJSON_CreateObject();
    (void)rng, (void)status;
    cJSON_AddStringToObject(o, "status", "error");
    cJSON_AddStringToObject(o, "code", code);
    tree_add_text(o, "message", span_str(message));
    return o;
}
