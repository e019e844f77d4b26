/* The answers of the endpoint for the generic provider: every outcome has a "status" to test. */
#include "sandbox/internal.h"

void json_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_addf(out, "J%llu", (unsigned long long)serial + 1000001);
}

static void write_id_member(struct buf *out, const struct created *c) {
    buf_add_str(out, "\"id\":\"");
    json_write_id(out, c->serial, c->created_ms);
    buf_add_str(out, "\",");
}

void json_write_created(struct buf *out, const struct created *c) {
    buf_add_str(out, "{\"status\":\"ok\",");
    if (!c->without_id)
        write_id_member(out, c);
    buf_add_str(out, "\"order\":{");
    if (!c->without_id)
        write_id_member(out, c);
    form_time(out, "created_at", c->created_ms);
    buf_add_char(out, ',');
    form_member(out, "reference", c->order, json_get(c->order, 0, "reference"));
    buf_add_char(out, ',');
    form_member(out, "request", c->order, 0);
    buf_add_str(out, "}}");
}

void json_write_error(struct buf *out, struct rng *rng, unsigned status, const char *code,
                      const char *message) {
    (void)rng, (void)status;
    buf_add_str(out, "{\"status\":\"error\",");
    form_text(out, "code", code);
    buf_add_char(out, ',');
    form_text(out, "message", message);
    buf_add_char(out, '}');
}
