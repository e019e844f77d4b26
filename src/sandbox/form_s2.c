/* S2's answers: the whole order, as in its document's example. */
#include <stdio.h>
#include <string.h>

#include "sandbox/internal.h"

#define SINCE "2024-03-05T22:17:23.520948Z"

/* Ids look like UUIDs and end in the order's number. */
bool s2_serial(const char *id, uint64_t *serial) {
    unsigned long long n;
    int end = 0;
    if (strlen(id) != 36 || sscanf(id, "5a9db0c5-ae52-4b0a-8f0c-%12llx%n", &n, &end) != 1 ||
        end != 36)
        return false;
    *serial = n;
    return true;
}

void s2_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_addf(out, "5a9db0c5-ae52-4b0a-8f0c-%012llx", (unsigned long long)serial);
}

static void write_organization(struct buf *out, struct span id) {
    buf_add_str(out, "\"organization\":{\"id\":");
    buf_add_json_str(out, id);
    buf_add_str(out,
                ",\"name\":\"sandbox\",\"createdAt\":\"" SINCE "\",\"updatedAt\":\"" SINCE "\"},");
}

static void write_account(struct buf *out, const struct created *c) {
    buf_add_str(out, "\"account\":{");
    form_member(out, "id", c->order, json_get(c->order, 0, "accountId"));
    buf_add_char(out, ',');
    write_organization(out, c->organization);
    buf_add_str(out, "\"name\":\"sandbox\",\"type\":\"MARKETPLACE_GENERIC\","
                     "\"autoAssignOrdersToWarehouse\":null,\"createdAt\":\"" SINCE
                     "\",\"updatedAt\":\"" SINCE "\"},\"accountSubChannel\":null,");
}

static void write_product(struct buf *out, const struct created *c, uint32_t item) {
    buf_add_str(out, "\"product\":{");
    form_member(out, "id", c->order, json_get(c->order, item, "productId"));
    buf_add_char(out, ',');
    write_organization(out, c->organization);
    buf_add_str(out,
                "\"sku\":\"SANDBOX\",\"brand\":{\"id\":\"e0cbbf33-cbea-4867-9fd9-5d72f22c2321\","
                "\"name\":\"Sandbox\",\"nameNormalized\":\"sandbox\",\"createdAt\":\"" SINCE
                "\"},\"gtin\":\"7045557637838\",\"name\":\"Sandbox Product\",\"remarks\":\"\","
                "\"imageMain\":\"\",\"packageLengthMm\":1500.0,\"packageWidthMm\":260.0,"
                "\"packageHeightMm\":810.0,\"shippingWeightKg\":35.0,\"caseUnit\":\"EACH\","
                "\"casePack\":1,\"caseLengthMm\":0.0,\"caseWidthMm\":0.0,\"caseHeightMm\":0.0,"
                "\"caseWeightKg\":0.0,\"condition\":\"NEW\",\"serialNumberRequired\":false,"
                "\"expiryDateRequired\":false,\"unknown\":false,\"createdAt\":\"" SINCE
                "\",\"updatedAt\":\"" SINCE "\",\"otherIds\":[]},");
}

static void write_items(struct buf *out, const struct created *c) {
    uint32_t items = json_get(c->order, 0, "items");
    if (items == JSON_NONE)
        items = json_get(c->order, 0, "item"); /* the document's table calls it so */
    unsigned n = 0;
    buf_add_str(out, "\"items\":[");
    for (uint32_t i = json_first(c->order, items); i != JSON_NONE;
         i = json_next(c->order, items, i)) {
        buf_add_str(out, n++ > 0 ? ",{" : "{");
        form_member(out, "channelOrderItemId", c->order,
                    json_get(c->order, i, "channelOrderItemId"));
        buf_add_char(out, ',');
        write_product(out, c, i);
        form_member(out, "quantity", c->order, json_get(c->order, i, "quantity"));
        buf_add_char(out, ',');
        form_member(out, "unitPrice", c->order, json_get(c->order, i, "unitPrice"));
        buf_add_char(out, ',');
        form_member(out, "meta", c->order, json_get(c->order, i, "meta"));
        buf_add_char(out, '}');
    }
    buf_add_str(out, "],");
}

static void write_attachments(struct buf *out, const struct created *c) {
    static const char *const own[] = {"id", "createdAt", "updatedAt", NULL};
    uint32_t list = json_get(c->order, 0, "attachments");
    unsigned n = 0;
    buf_add_str(out, "\"attachments\":[");
    for (uint32_t i = json_first(c->order, list); i != JSON_NONE;
         i = json_next(c->order, list, i)) {
        buf_add_str(out, n > 0 ? ",{" : "{");
        buf_addf(out, "\"id\":\"5eaf0698-d805-4318-%04x-%012llx\",", ++n & 0xffff,
                 (unsigned long long)c->serial);
        form_copy(out, c->order, i, own);
        form_time(out, "createdAt", c->created_ms);
        buf_add_char(out, ',');
        form_time(out, "updatedAt", c->created_ms);
        buf_add_char(out, '}');
    }
    buf_add_str(out, "],");
}

static void copy_member(struct buf *out, const struct created *c, const char *name) {
    form_member(out, name, c->order, json_get(c->order, 0, name));
    buf_add_char(out, ',');
}

void s2_write_created(struct buf *out, const struct created *c) {
    static const char *const first[] = {"channelOrderId", "channelOrderIdAlt", "channelOrderIdAlt2",
                                        "channelShippingMethod", "shippingAddress"};
    buf_add_char(out, '{');
    if (!c->without_id) {
        buf_add_str(out, "\"id\":\"");
        s2_write_id(out, c->serial, c->created_ms);
        buf_add_str(out, "\",");
    }
    write_organization(out, c->organization);
    write_account(out, c);
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        copy_member(out, c, first[i]);
    buf_add_str(out, "\"shippingOverrideAddress\":null,");
    copy_member(out, c, "billingAddress");
    copy_member(out, c, "meta");
    copy_member(out, c, "channelOrderDate");
    buf_add_str(out, "\"status\":\"UNFULFILLED\",\"assignStatus\":\"PENDING\",\"archived\":false,");
    copy_member(out, c, "currencyId");
    write_items(out, c);
    write_attachments(out, c);
    buf_add_str(out, "\"fulfillments\":[],");
    form_time(out, "createdAt", c->created_ms);
    buf_add_char(out, ',');
    form_time(out, "updatedAt", c->created_ms);
    buf_add_str(out, ",\"shipByDate\":null,\"deliverByDate\":null,\"customerNote\":null}");
}

void s2_write_error(struct buf *out, struct rng *rng, unsigned status, const char *code,
                    const char *message) {
    (void)status;
    buf_add_char(out, '{');
    if (strcmp(code, "exists") == 0)
        buf_add_str(out, "\"code\":\"ALREADY_EXISTS\",");
    buf_add_str(out, "\"message\":");
    struct buf text;
    buf_init(&text, 4096);
    buf_addf(&text, "%s (reference ID %016llx)", message, (unsigned long long)rng_u64(rng));
    buf_add_json_str(out, buf_span(&text));
    buf_deinit(&text);
    buf_add_char(out, '}');
}
