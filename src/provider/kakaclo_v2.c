/* KaKaClo v2, POST /openapi/v2/order/orders. The look-up is the order list, GET on the same path. */
#include "provider/kakaclo.h"

static const char *const channel_types[] = {"Standard", "Express", "Expedited", NULL};

static const struct field address[] = {
    {FIELD("country"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "shipping country shortcode required FR,US"},
    {FIELD("city"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 64, .note = "address city optional"},
    {FIELD("phone"), .type = FIELD_STRING, .flags = REQUIRED, .max = 64, .note = "address phone required"},
    {FIELD("recipient"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "address recipient required"},
    {FIELD("street1"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 64,
     .note = "address street1 optional"},
    {FIELD("street2"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 64,
     .note = "address street2 optional"},
    {FIELD("province"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "address province required"},
    {FIELD("zip"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32, .note = "address zip optional"},
    {FIELD("ioss"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32, .note = "address ioss optional"},
    {FIELD("vat"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32, .note = "address vat optional"},
};

static const struct field item[] = {
    {FIELD("sku"), .type = FIELD_STRING, .flags = REQUIRED, .max = 64,
     .note = "no mark in the document; an item without it names no product"},
    {FIELD("quantity"), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, QUANTITY,
     .note = "int[16]; quantity must be greater than 0"},
    {FIELD("channelCode"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32, .note = "It is not required"},
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
    {FIELD("salePlatform"), ALIAS("SalePlatform"), .type = FIELD_STRING, .flags = OPTIONAL | FIELD_BOTH_OK,
     .note = "Amazon, Wish, eBay, …; the example's KA is not in that list: not enforced"},
    {FIELD("customOrderId"), ALIAS("CustomOrderNumber"), .type = FIELD_STRING,
     .flags = OPTIONAL | FIELD_ORDER_KEY | FIELD_BOTH_OK, .note = "custom order number"},
    {FIELD("channelType"), .type = FIELD_STRING, .flags = OPTIONAL | FIELD_EMPTY_OK, .allowed = channel_types,
     .allowed_nocase = true,
     .note =
         "Standard, Express; starred, but documented with a default; Expedited by a release note of 2023"},
    {FIELD("channelCode"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "From Logistics channel API"},
};

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    (void)account;
    return kakaclo_build_lookup("/openapi/v2/order/orders", envelope, cursor, url);
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
    .default_lookup_delay_ms = KAKACLO_LAG_MS,
    .check_account = require_token,
    .read_success = kakaclo_read_success,
    .build_lookup = build_lookup,
    .read_lookup = kakaclo_read_lookup,
};
