/* KaKaClo v1, POST /openapi/v1/order/order; KaKaClo marks it as outdated. The look-up is
 * the order list, GET /openapi/v1/order/orders. */
#include "provider/kakaclo.h"

static const struct field address[] = {
    {FIELD("country"), .type = FIELD_STRING, .flags = REQUIRED, .max = 32,
     .note = "Shipping country shortcode required FR,US"},
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
     .note = "int[16]; Quantity must be greater than 0"},
};

static const struct field order[] = {
    {FIELD("orderAddresses"), ALIAS("orderAddress"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED,
     MEMBERS(address), .note = "the table says orderAddress, the example orderAddresses"},
    {FIELD("remark"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "order notes"},
    {FIELD("orderItemsList"), .type = FIELD_ARRAY, .flags = REQUIRED, MEMBERS(item),
     .note = "Order Items Properties"},
    {FIELD("CustomOrderNumber"), ALIAS("customOrderId"), .type = FIELD_STRING,
     .flags = OPTIONAL | FIELD_ORDER_KEY | FIELD_BOTH_OK, .note = "in the example only"},
    {FIELD("SalePlatform"), ALIAS("salePlatform"), .type = FIELD_STRING, .flags = OPTIONAL | FIELD_BOTH_OK,
     .note = "in the example only"},
};

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    (void)account;
    return kakaclo_build_lookup("/openapi/v1/order/orders", envelope, cursor, url);
}

const struct provider provider_kakaclo_v1 = {
    .name = "kakaclo-v1",
    .title = "KaKaClo orders, version 1 (marked as outdated by KaKaClo)",
    .seed = "001_e7104eb08dc43b36.txt",
    .path = "/openapi/v1/order/order",
    .default_base_url = KAKACLO_URL,
    .auth = AUTH_BEARER,
    .fields = order,
    .field_count = COUNT(order),
    .order_key_pointer = "/CustomOrderNumber",
    .order_key_alias = "/customOrderId",
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
