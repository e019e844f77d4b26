/* KaKaClo's answers: {"code":10000,"message":…,"data":<order id>}. The message varies ("success",
 * "Success!", "ok") and decides nothing. */
#include "provider/kakaclo.h"

bool kakaclo_succeeded(const struct json_doc *answer) {
    uint32_t code = json_get(answer, 0, "code");
    int64_t number;
    double value;
    if (code == JSON_NONE)
        return false;
    if (json_i64(answer, code, &number))
        return number == 10000;
    if (json_type(answer, code) == JSON_STRING)
        return span_is(json_inner(answer, code), "10000");
    return json_double(answer, code, &value) && value >= 10000.0 && value <= 10000.0;
}

void kakaclo_add_part(const struct json_doc *answer, uint32_t order, uint32_t id, struct outcome *out) {
    uint32_t before = out->id_count;
    if (json_type(answer, order) != JSON_OBJECT || id == JSON_NONE || json_type(answer, id) == JSON_ARRAY)
        return;
    if (outcome_add_ids(out, answer, id) && out->id_count > before && out->part_count == before)
        out->parts[out->part_count++] = json_raw(answer, order);
}

/* Reads a list of objects, one for each order that the provider made: all of them or none. */
static bool read_parts(const struct json_doc *answer, uint32_t data, struct outcome *out) {
    for (uint32_t i = json_first(answer, data); i != JSON_NONE; i = json_next(answer, data, i)) {
        uint32_t before = out->id_count, id = json_get(answer, i, "kkOrderId");
        kakaclo_add_part(answer, i, id != JSON_NONE ? id : json_get(answer, i, "id"), out);
        if (out->id_count == before && before < OUTCOME_MAX_IDS)
            return false;
    }
    return out->id_count > 0;
}

/* `data` is a number, a string, an array of them or of objects, or {"kkOrderIds":…} (a 2022 page; v1's
 * table says kkOrderId). */
static bool read_ids(const struct json_doc *answer, uint32_t data, struct outcome *out) {
    uint32_t first =
        data != JSON_NONE && json_type(answer, data) == JSON_ARRAY ? json_first(answer, data) : JSON_NONE;
    if (first != JSON_NONE && json_type(answer, first) == JSON_OBJECT)
        return read_parts(answer, data, out);
    if (data != JSON_NONE && json_type(answer, data) == JSON_OBJECT) {
        uint32_t ids = json_get(answer, data, "kkOrderIds");
        return outcome_add_ids(out, answer, ids != JSON_NONE ? ids : json_get(answer, data, "kkOrderId"));
    }
    return outcome_add_ids(out, answer, data);
}

void kakaclo_read_success(const struct account *account, const struct envelope *envelope,
                          const struct json_doc *answer, struct outcome *out) {
    (void)account, (void)envelope;
    struct span code = json_scalar(answer, json_get(answer, 0, "code"));
    if (code.ptr == NULL) {
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer", "the answer has no code");
        return;
    }
    if (!kakaclo_succeeded(answer)) {
        out->verdict = VERDICT_REJECTED;
        outcome_code(out, code);
        outcome_message_node(out, answer, json_get(answer, 0, "message"));
        return;
    }
    if (read_ids(answer, json_get(answer, 0, "data"), out))
        outcome_set(out, VERDICT_CREATED, "10000", "");
    else
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id",
                    "the answer's code is 10000 but its data holds no order id");
}
