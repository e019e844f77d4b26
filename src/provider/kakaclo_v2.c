/* KaKaClo v2, POST /openapi/v2/order/orders.
 *
 * The look-up is the order list, GET on the same path: it cannot be asked for a customOrderId, so a
 * window of creation times is read page by page and compared. Its index lags, and a split order
 * stands in it several times; not finding the order proves nothing. */
#include "provider/kakaclo.h"

#include "dray/timefmt.h"

#define PAGE_SIZE 250              /* "maximum: 250" */
#define SLACK_MS  (10 * 60 * 1000) /* KaKaClo's clock and ours may differ by so much */

static const char *const channel_types[] = {"Standard", "Express", "Expedited", NULL};

static const struct field address[] = {
    {FIELD("country"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "shipping country shortcode required FR,US"},
    {FIELD("city"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 64,
     .note = "address city optional"},
    {FIELD("phone"), .type = FIELD_STRING, .flags = REQUIRED, .max = 64,
     .note = "address phone required"},
    {FIELD("recipient"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "address recipient required"},
    {FIELD("street1"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 64,
     .note = "address street1 optional"},
    {FIELD("street2"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 64,
     .note = "address street2 optional"},
    {FIELD("province"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "address province required"},
    {FIELD("zip"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32,
     .note = "address zip optional"},
    {FIELD("ioss"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32,
     .note = "address ioss optional"},
    {FIELD("vat"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32,
     .note = "address vat optional"},
};

static const struct field item[] = {
    {FIELD("sku"), .type = FIELD_STRING, .flags = REQUIRED, .max = 64,
     .note = "no mark in the document; an item without it names no product"},
    {FIELD("quantity"), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, QUANTITY,
     .note = "int[16]; quantity must be greater than 0"},
    {FIELD("channelCode"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32,
     .note = "It is not required"},
    {FIELD("warehouseCode"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32,
     .note = "it is not required"},
    {FIELD("channelType"), .type = FIELD_STRING, .flags = OPTIONAL | FIELD_EMPTY_OK, .max = 16,
     .allowed = channel_types, .allowed_nocase = true,
     .note = "defaults to 'Standard'; faster: 'Express'; Expedited by a release note of 2023"},
};

static const struct field order[] = {
    {FIELD("orderAddresses"), ALIAS("orderAddress"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED,
     MEMBERS(address), .note = "the table says orderAddress, the example orderAddresses"},
    {FIELD("remark"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "order notes"},
    {FIELD("orderItemsList"), .type = FIELD_ARRAY, .flags = REQUIRED, MEMBERS(item),
     .note = "Order Items Properties"},
    {FIELD("salePlatform"), ALIAS("SalePlatform"), .type = FIELD_STRING,
     .flags = OPTIONAL | FIELD_BOTH_OK,
     .note = "Amazon, Wish, eBay, …; the example's KA is not in that list: not enforced"},
    {FIELD("customOrderId"), ALIAS("CustomOrderNumber"), .type = FIELD_STRING,
     .flags = OPTIONAL | FIELD_ORDER_KEY | FIELD_BOTH_OK, .note = "custom order number"},
    {FIELD("channelType"), .type = FIELD_STRING, .flags = OPTIONAL | FIELD_EMPTY_OK,
     .allowed = channel_types, .allowed_nocase = true,
     .note = "Standard, Express; starred, but documented with a default; Expedited by a release note of 2023"},
    {FIELD("channelCode"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "From Logistics channel API"},
};

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    char from[TIMEFMT_SIZE], to[TIMEFMT_SIZE];
    (void)account;
    if (envelope->provider_key.ptr == NULL || cursor->window_from_ms < SLACK_MS ||
        cursor->window_to_ms < cursor->window_from_ms)
        return -1;
    /* whole seconds, as in the document's 2016-01-18T23:41:00Z, and none of the window lost */
    rfc3339_format((cursor->window_from_ms - SLACK_MS) / 1000 * 1000, from);
    rfc3339_format((cursor->window_to_ms + SLACK_MS + 999) / 1000 * 1000, to);
    buf_addf(url,
             "/openapi/v2/order/orders?createStartTime=%.19sZ&createEndTime=%.19sZ"
             "&pageNumber=%u&pageSize=%d",
             from, to, cursor->page + 1, PAGE_SIZE);
    return buf_ok(url) ? 0 : -1;
}

/* Takes the ids of every item of the page whose customOrderId is ours: a split order has several.
 */
static bool collect(const struct envelope *envelope, const struct json_doc *answer, uint32_t list,
                    struct outcome *out) {
    bool found = false;
    for (uint32_t i = json_first(answer, list); i != JSON_NONE; i = json_next(answer, list, i)) {
        if (!node_is(answer, json_get(answer, i, "customOrderId"), envelope->provider_key))
            continue;
        found = true;
        outcome_add_ids(out, answer, json_get(answer, i, "id"));
    }
    return found;
}

static bool read_lookup(const struct account *account, const struct envelope *envelope,
                        long http_status, const struct json_doc *answer,
                        struct lookup_cursor *cursor, struct outcome *out) {
    (void)account;
    uint32_t list = JSON_NONE, data = JSON_NONE;
    if (http_status / 100 == 2 && answer != NULL && kakaclo_succeeded(answer)) {
        data = json_get(answer, 0, "data");
        list = json_get(answer, data, "list");
    }
    if (list == JSON_NONE || json_type(answer, list) != JSON_ARRAY) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable",
                    "the look-up's answer is no order list");
        return false;
    }
    if (collect(envelope, answer, list, out)) {
        if (out->id_count > 0)
            outcome_set(out, VERDICT_CREATED, "found", "");
        else
            outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the order found has no id");
        return false;
    }
    int64_t total;
    bool told = json_i64(answer, json_get(answer, data, "total"), &total) && total >= 0;
    return lookup_next_page(cursor, answer->nodes[list].count, PAGE_SIZE,
                            told ? (uint64_t)total : UINT64_MAX, out);
}

const struct provider provider_kakaclo_v2 = {
    .name = "kakaclo-v2",
    .title = "KaKaClo orders, version 2",
    .seed = "002_43e69689fde5fe8d.txt",
    .path = "/openapi/v2/order/orders",
    .default_base_url = KAKACLO_URL,
    .auth = AUTH_BEARER,
    .fields = order,
    .field_count = COUNT(order),
    .order_key_pointer = "/customOrderId",
    .order_key_alias = "/CustomOrderNumber",
    .lookup = LOOKUP_SCAN,
    .default_rate = KAKACLO_RATE,
    .default_burst = KAKACLO_BURST,
    .default_on_absent = ON_ABSENT_HOLD,
    .default_lookup_delay_ms = 10 * 60 * 1000, /* queries lag by up to ten minutes */
    .check_account = require_token,
    .read_success = kakaclo_read_success,
    .build_lookup = build_lookup,
    .read_lookup = read_lookup,
};
