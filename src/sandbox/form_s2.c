/* S2's answers: the whole order, as in its document's example. */
#include <stdio.h>
#include <string.h>

#include "sandbox/internal.h"

#define SINCE "2024-03-05T22:17:23.520948Z"

/* Ids look like UUIDs and end in the order's number. */
bool s2_serial(const char *id, uint64_t *serial) {
    unsigned long long n;
    int end = 0;
    if (strlen(id) != 36 || sscanf(id, "5a9db0c5-ae52-4b0a-8f0c-%12llx%n", &n, &end) != 1 || end != 36)
        return false;
    *serial = n;
    return true;
}

void s2_write_id(struct buf *out, uint64_t serial, uint64_t created_ms) {
    (void)created_ms;
    buf_addf(out, "5a9db0c5-ae52-4b0a-8f0c-%012llx", (unsigned long long)serial);
}

static void add_since(cJSON *o) {
    cJSON_AddStringToObject(o, "createdAt", SINCE);
    cJSON_AddStringToObject(o, "updatedAt", SINCE);
}

static void add_organization(cJSON *o, struct span id) {
    cJSON *organization = cJSON_AddObjectToObject(o, "organization");
    tree_add_text(organization, "id", id);
    cJSON_AddStringToObject(organization, "name", "sandbox");
    add_since(organization);
}

static void add_account(cJSON *o, const struct created *c) {
    cJSON *account = cJSON_AddObjectToObject(o, "account");
    form_member(account, "id", c->order, json_get(c->order, 0, "accountId"));
    add_organization(account, c->organization);
    cJSON_AddStringToObject(account, "name", "sandbox");
    cJSON_AddStringToObject(account, "type", "MARKETPLACE_GENERIC");
    cJSON_AddNullToObject(account, "autoAssignOrdersToWarehouse");
    add_since(account);
    cJSON_AddNullToObject(o, "accountSubChannel");
}

/* A member: its value as it stands in the answer, so that 1500.0 stays 1500.0. */
struct fixed {
    const char *name, *json;
};

static void add_fixed(cJSON *o, const struct fixed *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        cJSON_AddRawToObject(o, list[i].name, list[i].json);
}

static void add_product(cJSON *o, const struct created *c, uint32_t item) {
    static const struct fixed brand_is[] = {{"id", "\"e0cbbf33-cbea-4867-9fd9-5d72f22c2321\""},
                                            {"name", "\"Sandbox\""},
                                            {"nameNormalized", "\"sandbox\""},
                                            {"createdAt", "\"" SINCE "\""}};
    static const struct fixed is[] = {{"gtin", "\"7045557637838\""},
                                      {"name", "\"Sandbox Product\""},
                                      {"remarks", "\"\""},
                                      {"imageMain", "\"\""},
                                      {"packageLengthMm", "1500.0"},
                                      {"packageWidthMm", "260.0"},
                                      {"packageHeightMm", "810.0"},
                                      {"shippingWeightKg", "35.0"},
                                      {"caseUnit", "\"EACH\""},
                                      {"casePack", "1"},
                                      {"caseLengthMm", "0.0"},
                                      {"caseWidthMm", "0.0"},
                                      {"caseHeightMm", "0.0"},
                                      {"caseWeightKg", "0.0"},
                                      {"condition", "\"NEW\""},
                                      {"serialNumberRequired", "false"},
                                      {"expiryDateRequired", "false"},
                                      {"unknown", "false"}};
    cJSON *product = cJSON_AddObjectToObject(o, "product");
    form_member(product, "id", c->order, json_get(c->order, item, "productId"));
    add_organization(product, c->organization);
    cJSON_AddStringToObject(product, "sku", "SANDBOX");
    add_fixed(cJSON_AddObjectToObject(product, "brand"), brand_is, sizeof brand_is / sizeof brand_is[0]);
    add_fixed(product, is, sizeof is / sizeof is[0]);
    add_since(product);
    cJSON_AddArrayToObject(product, "otherIds");
}

static void copy_member(cJSON *o, const struct created *c, uint32_t node, const char *name) {
    form_member(o, name, c->order, json_get(c->order, node, name));
}

static void add_items(cJSON *o, const struct created *c) {
    uint32_t items = json_get(c->order, 0, "items");
    if (items == JSON_NONE)
        items = json_get(c->order, 0, "item"); /* the document's table calls it so */
    cJSON *list = cJSON_AddArrayToObject(o, "items");
    for (uint32_t i = json_first(c->order, items); i != JSON_NONE; i = json_next(c->order, items, i)) {
        cJSON *item = cJSON_CreateObject();
        copy_member(item, c, i, "channelOrderItemId");
        add_product(item, c, i);
        copy_member(item, c, i, "quantity");
        copy_member(item, c, i, "unitPrice");
        copy_member(item, c, i, "meta");
        cJSON_AddItemToArray(list, item);
    }
}

static void add_times(cJSON *o, const struct created *c) {
    form_time(o, "createdAt", c->created_ms);
    form_time(o, "updatedAt", c->created_ms);
}

static void add_attachments(cJSON *o, const struct created *c) {
    static const char *const own[] = {"id", "createdAt", "updatedAt", NULL};
    uint32_t list = json_get(c->order, 0, "attachments");
    cJSON *all = cJSON_AddArrayToObject(o, "attachments");
    unsigned n = 0;
    for (uint32_t i = json_first(c->order, list); i != JSON_NONE; i = json_next(c->order, list, i)) {
        cJSON *one = cJSON_CreateObject();
        char id[64];
        snprintf(id, sizeof id, "5eaf0698-d805-4318-%04x-%012llx", ++n & 0xffff,
                 (unsigned long long)c->serial);
        cJSON_AddStringToObject(one, "id", id);
        form_copy(one, c->order, i, own);
        add_times(one, c);
        cJSON_AddItemToArray(all, one);
    }
}

cJSON *s2_created(const struct created *c) {
    static const char *const first[] = {"channelOrderId", "channelOrderIdAlt", "channelOrderIdAlt2",
                                        "channelShippingMethod", "shippingAddress"};
    cJSON *o = cJSON_CreateObject();
    if (!c->without_id)
        cJSON_AddItemToObject(o, "id", form_id(s2_write_id, c->serial, c->created_ms));
    add_organization(o, c->organization);
    add_account(o, c);
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        copy_member(o, c, 0, first[i]);
    cJSON_AddNullToObject(o, "shippingOverrideAddress");
    copy_member(o, c, 0, "billingAddress");
    copy_member(o, c, 0, "meta");
    copy_member(o, c, 0, "channelOrderDate");
    cJSON_AddStringToObject(o, "status", "UNFULFILLED");
    cJSON_AddStringToObject(o, "assignStatus", "PENDING");
    cJSON_AddFalseToObject(o, "archived");
    copy_member(o, c, 0, "currencyId");
    add_items(o, c);
    add_attachments(o, c);
    cJSON_AddArrayToObject(o, "fulfillments");
    add_times(o, c);
    cJSON_AddNullToObject(o, "shipByDate");
    cJSON_AddNullToObject(o, "deliverByDate");
    cJSON_AddNullToObject(o, "customerNote");
    return o;
}

cJSON *s2_error(struct rng *rng, unsigned status, const char *code, const char *message) {
    cJSON *o = cJSON_CreateObject();
    struct buf text;
    (void)status;
    if (strcmp(code, "exists") == 0)
        cJSON_AddStringToObject(o, "code", "ALREADY_EXISTS");
    buf_init(&text, 4096);
    buf_addf(&text, "%s (reference ID %016llx)", message, (unsigned long long)rng_u64(rng));
    tree_add_text(o, "message", buf_span(&text));
    buf_deinit(&text);
    return o;
}
