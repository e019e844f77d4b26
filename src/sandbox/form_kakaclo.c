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

void kakaclo_write_created(struct buf *out, const struct created *c) {
    buf_add_str(out, "{\"code\":10000,\"message\":\"success\"");
    if (!c->without_id) {
        buf_add_str(out, c->count > 1 ? ",\"data\":[" : ",\"data\":");
        for (uint32_t i = 0; i < c->count; i++) {
            if (i > 0)
                buf_add_char(out, ',');
            kakaclo_write_id(out, c->serial + i, c->created_ms);
        }
        if (c->count > 1)
            buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
}

/* Custom orders have ids such as "C202401164058": the day and a number. */
void kakaclo_custom_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    char day[TIMEFMT_SIZE];
    rfc3339_format(created_ms, day);
    buf_addf(out, "C%.4s%.2s%.2s%04llu", day, day + 5, day + 8, (unsigned long long)serial + 1);
}

void kakaclo_custom_write_created(struct buf *out, const struct created *c) {
    buf_add_str(out, "{\"code\":10000,\"message\":\"success\"");
    if (!c->without_id) {
        buf_add_str(out, ",\"data\":\"");
        kakaclo_custom_write_id(out, c->serial, c->created_ms);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

void kakaclo_write_error(struct buf *out, struct rng *rng, unsigned status, const char *code,
                         const char *message) {
    (void)rng;
    buf_addf(out, "{\"code\":%u,",
             strcmp(code, "rejected") == 0  ? 20001
             : strcmp(code, "balance") == 0 ? 20017
                                            : status);
    form_text(out, "message", message);
    buf_add_char(out, '}');
}
