/* KaKaClo custom products, POST /openapi/v1/product/custom/order; withdrawn from KaKaClo's pages in
 * 2024. The look-up, POST …/orders/search, went with them: it is asked only where the account says so. */
#include "provider/kakaclo.h"

static const struct field address[] = {
    {FIELD("country"), .type = FIELD_STRING, .flags = REQUIRED, .max = 50, .note = "Receiving country"},
    {FIELD("city"), .type = FIELD_STRING, .flags = REQUIRED, .max = 100, .note = "Receiving city"},
    {FIELD("phone"), .type = FIELD_STRING_OR_INTEGER, .flags = REQUIRED, .max = 32,
     .note = "int[32], but the sample is 07 82 24 67 93: either is taken"},
    {FIELD("recipient"), .type = FIELD_STRING, .flags = REQUIRED, .max = 100, .note = "recipient"},
    {FIELD("street1"), .type = FIELD_STRING, .flags = REQUIRED, .max = 100, .note = "street1"},
    {FIELD("street2"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100, .note = ""},
    {FIELD("province"), .type = FIELD_STRING, .flags = REQUIRED, .max = 50, .note = "Receiving province"},
    {FIELD("zip"), .type = FIELD_STRING, .flags = REQUIRED, .max = 50, .note = "post code"},
};

static const struct field item[] = {
    {FIELD("customSku"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 32,
     .note = "Your product's unique identifier"},
    {FIELD("quantity"), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, QUANTITY,
     .note = "int[16]; Order stock"},
    {FIELD("importImage"), .type = FIELD_STRING_ARRAY, .flags = REQUIRED,
     .note = "string[100] Array, but the sample's URL has 107 characters: no maximum"},
    {FIELD("remark"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100, .note = "Order remark"},
    {FIELD("color"), .type = FIELD_STRING, .flags = REQUIRED, .max = 50, .note = "Specific color"},
    {FIELD("size"), .type = FIELD_STRING, .flags = REQUIRED, .max = 50, .note = "Specific size"},
    {FIELD("print"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100, .note = "Printing content"},
    {FIELD("material"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100,
     .note = "Specific material name"},
    {FIELD("printUniQueCode"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100,
     .note = "Print content ('##' separated)"},
    {FIELD("customerBarcode"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100, .note = "Unique code"},
    {FIELD("uniqueCodeType"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 100,
     .note = "1-barcode 2-QR code 3-double code 4-plain text; not enforced"},
};

static const struct field order[] = {
    {FIELD("productName"), .type = FIELD_STRING, .flags = REQUIRED, .max = 200, .note = "Product name"},
    {FIELD("mainImageUrl"), .type = FIELD_STRING, .flags = REQUIRED, .max = 200, .note = "product image url"},
    {FIELD("customOrderId"), .type = FIELD_STRING, .flags = OPTIONAL | FIELD_ORDER_KEY, .max = 40,
     .note = "custom order id"},
    {FIELD("channelType"), .type = FIELD_STRING, .flags = OPTIONAL, .max = 20,
     .note = "Logistics type, for example: standard,express, expedited; examples, so not enforced"},
    {FIELD("orderAddresses"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, MEMBERS(address),
     .note = "Order address information"},
    {FIELD("orderItemsList"), .type = FIELD_ARRAY, .flags = REQUIRED, MEMBERS(item),
     .note = "Order item array"},
};

const struct provider provider_kakaclo_custom = {
    .name = "kakaclo-custom",
    .title = "KaKaClo custom products (withdrawn from KaKaClo's pages in 2024)",
    .seed = "000_a299d2da2417fc34.txt",
    .path = "/openapi/v1/product/custom/order",
    .default_base_url = KAKACLO_URL,
    .auth = AUTH_BEARER,
    .fields = order,
    .field_count = COUNT(order),
    .order_key_pointer = "/customOrderId",
    .lookup = LOOKUP_SCAN,
    .lookup_withdrawn = true,
    .default_rate = KAKACLO_RATE,
    .default_burst = KAKACLO_BURST,
    .default_on_absent = ON_ABSENT_HOLD,
    .default_lookup_delay_ms = KAKACLO_LAG_MS,
    .check_account = require_token,
    .read_success = kakaclo_read_success,
    .build_lookup = kakaclo_custom_build_lookup,
    .build_lookup_body = kakaclo_custom_build_lookup_body,
    .read_lookup = kakaclo_custom_read_lookup,
};
