/* KaKaClo's answers. Order ids are numbers beyond 2^31, as in its document. Its error codes are not
 * documented: the sandbox takes the HTTP status as the code, 20001 for an order it turns down, and
 * 20017 where the balance does not suffice. */
#include <string.h>

#include "dray/timefmt.h"
#include "sandbox/internal.h"

#define FIRST_ID 1000000371651u

void kakaclo_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_add_u64(out, FIRST_ID + serial);
}

static cJSON *success(void) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "code", 10000);
    cJSON_AddStringToObject(o, "message", "success");
    return o;
}

cJSON *kakaclo_created(const struct created *c) {
    cJSON *o = success();
    if (c->without_id)
        return o;
    if (c->count == 1) {
        tree_add_u64(o, "data", FIRST_ID + c->serial);
        return o;
    }
    cJSON *ids = cJSON_AddArrayToObject(o, "data");
    for (uint32_t i = 0; i < c->count; i++)
        cJSON_AddItemToArray(ids, cJSON_CreateNumber((double)(FIRST_ID + c->serial + i)));
    return o;
}

/* Custom orders have ids such as "C202401164058": the day and a number. */
void kakaclo_custom_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    char day[TIMEFMT_SIZE];
    rfc3339_format(created_ms, day);
    buf_addf(out, "C%.4s%.2s%.2s%04llu", day, day + 5, day + 8, (unsigned long long)serial + 1);
}

cJSON *kakaclo_custom_created(const struct created *c) {
    cJSON *o = success();
    if (!c->without_id)
        cJSON_AddItemToObject(o, "data", form_id(kakaclo_custom_write_id, c->serial, c->created_ms));
    return o;
}

cJSON *kakaclo_error(struct rng *rng, unsigned status, const char *code, const char *message) {
    cJSON *o = cJSON_CreateObject();
    (void)rng;
    cJSON_AddNumberToObject(o, "code",
                            strcmp(code, "rejected") == 0  ? 20001
                            : strcmp(code, "balance") == 0 ? 20017
                                                           : status);
    tree_add_text(o, "message", span_str(message));
    return o;
}
