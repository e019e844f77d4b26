/* VU Custom, POST /api/v1/orders. The body has an outer `order` object, and so has the answer.
 *
 * The look-up, GET /api/v1/orders?order_number=X, is exact: the order or 404. (The list hides
 * orders that progressed and is not used.) */
#include "provider/module.h"

#include <string.h>

static const char *const sales_channels[] = {"b2b", "b2c", NULL};

static const struct field address[] = {
    {FIELD("account_number"), .type = FIELD_STRING, .flags = REQUIRED,
     .note = "Unique identifier for the sold-to account"},
    {FIELD("address_1"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Primary address line"},
    {FIELD("address_2"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "Secondary address line, can be empty"},
    {FIELD("city"), .type = FIELD_STRING, .flags = REQUIRED, .note = "City name"},
    {FIELD("company_name"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "Business or company name, can be empty"},
    {FIELD("country"), .type = FIELD_STRING, .flags = REQUIRED, .max = 2,
     .note = "Two-letter country code (ISO 3166-1 alpha-2)"},
    {FIELD("first_name"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Customer's first name"},
    {FIELD("last_name"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Customer's last name"},
    {FIELD("phone"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "Phone number with optional formatting"},
    {FIELD("postal_code"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Postal/ZIP code"},
    {FIELD("state_region"), .type = FIELD_STRING, .flags = REQUIRED, .note = "State/province/region code"},
};

static const struct field line[] = {
    {FIELD("custom_attributes"), .type = FIELD_OBJECT, .flags = OPTIONAL, .note = "Line item custom data"},
    {FIELD("customer_requested_date"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "Requested delivery date; the format is not documented"},
    {FIELD("factory_code"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "Manufacturing facility code"},
    {FIELD("line_reference"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "External reference"},
    {FIELD("price"), .type = FIELD_NUMBER, .flags = FIELD_REQUIRED,
     .note = "Unit price; Integer in the table, but VU's own answers show decimals"},
    {FIELD("product_description"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Product description"},
    {FIELD("quantity"), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, AT_LEAST(1),
     .note = "Order quantity"},
    {FIELD("recipe_token"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Customization reference"},
    {FIELD("sku"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Product SKU"},
    {FIELD("tags"), .type = FIELD_ARRAY, .flags = OPTIONAL, .note = "Line item tags. this array an be empty"},
    {FIELD("upc"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "Product UPC"},
};

static const struct field body[] = {
    {FIELD("currency"), .type = FIELD_STRING, .flags = REQUIRED,
     .note = "\"Unique identifier for the sold-to account\", a copy's error; the example is USD"},
    {FIELD("custom_attributes"), .type = FIELD_OBJECT, .flags = OPTIONAL,
     .note = "Key-value pairs of custom data. this can be empty"},
    {FIELD("note"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "Order notes. this can be empty"},
    {FIELD("order_date"), .type = FIELD_STRING, .flags = REQUIRED | FIELD_DATETIME | FIELD_ISO8601,
     .note = "ISO 8601 datetime"},
    {FIELD("order_lines"), .type = FIELD_ARRAY, .flags = REQUIRED, MEMBERS(line), .note = "Order line items"},
    {FIELD("order_number"), .type = FIELD_STRING, .flags = REQUIRED | FIELD_ORDER_KEY | FIELD_TRIMMED,
     .note = "Unique order identifier"},
    {FIELD("purchase_order_number"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "PO reference number. this can be empty"},
    {FIELD("sales_order_number"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "in the example only"},
    {FIELD("ship_method_carrier"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Carrier code"},
    {FIELD("ship_method_code"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Service level code"},
    {FIELD("ship_method_description"), .type = FIELD_STRING, .flags = REQUIRED,
     .note = "Service description"},
    {FIELD("sales_channel"), .type = FIELD_STRING, .flags = REQUIRED, .allowed = sales_channels,
     .note = "Channel type (b2b/b2c)"},
    {FIELD("ship_to"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, MEMBERS(address),
     .note = "Shipping details"},
    {FIELD("sold_to"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, MEMBERS(address),
     .note = "Billing details"},
    {FIELD("tags"), .type = FIELD_ARRAY, .flags = OPTIONAL, .note = "Order tags"},
    {FIELD("b2b"), .type = FIELD_OBJECT, .flags = OPTIONAL,
     .note = "required only for b2b: when sales_channel is b2b"},
};

static const struct field order[] = {
    {FIELD("order"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, MEMBERS(body),
     .missing = "VU's body is {\"order\":{…}}, in a job {\"order\":{\"order\":{…}}}",
     .note = "the outer object of the example"},
};

/* "B2B specific information. required only for b2b" */
static void validate(const struct json_doc *doc, uint32_t node, struct faults *faults) {
    uint32_t inner = json_get(doc, node, "order");
    uint32_t b2b = json_get(doc, inner, "b2b");
    if (!node_is(doc, json_get(doc, inner, "sales_channel"), SPAN_LIT("b2b")))
        return;
    if (b2b == JSON_NONE || json_type(doc, b2b) == JSON_NULL)
        faults_add(faults, "order.order.b2b", "is required when sales_channel is b2b");
}

/* Takes {"order":{"id":…}}; an order of another number is not ours. */
static void take_order(const struct envelope *envelope, const struct json_doc *answer, const char *code,
                       struct outcome *out) {
    uint32_t found = json_get(answer, 0, "order");
    uint32_t id = json_get(answer, found, "id");
    uint32_t number = json_get(answer, found, "order_number");
    if (number != JSON_NONE && !node_is(answer, number, envelope->provider_key)) {
        outcome_other_order(out, answer, id, "order_number");
    } else if (id == JSON_NONE || json_type(answer, id) == JSON_ARRAY || !outcome_add_ids(out, answer, id)) {
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the answer carries no order id");
    } else {
        outcome_set(out, VERDICT_CREATED, code, "");
        out->order = json_raw(answer, found);
    }
}

static void read_success(const struct account *account, const struct envelope *envelope,
                         const struct json_doc *answer, struct outcome *out) {
    (void)account;
    take_order(envelope, answer, "created", out);
}

/* The words for this are not documented ("has already been taken", "exists", …), so they only lead to a
 * look-up. */
static bool says_taken(const struct json_doc *answer, uint32_t node) {
    static const char *const words[] = {"taken", "already", "exists"};
    char text[256];
    if (json_copy(answer, node, text, sizeof(text)) < 0)
        return false;
    for (size_t i = 0; i < COUNT(words); i++)
        if (strcasestr(text, words[i]) != NULL)
            return true;
    return false;
}

/* 422 with {"errors":{"order_number":…}}, a text or a list of them. */
static void read_error(const struct account *account, const struct json_doc *answer, struct outcome *out) {
    (void)account;
    outcome_read_error(out, answer);
    uint32_t number = json_pointer(answer, 0, "/errors/order_number");
    if (out->http_status != 422 || number == JSON_NONE)
        return;
    bool taken = says_taken(answer, number);
    if (json_type(answer, number) == JSON_ARRAY)
        for (uint32_t i = json_first(answer, number); i != JSON_NONE; i = json_next(answer, number, i))
            taken = taken || says_taken(answer, i);
    if (!taken)
        return;
    out->verdict = VERDICT_LOOKUP;
    out->exists = true;
    outcome_code(out, SPAN_LIT("order_number_taken"));
}

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    (void)account, (void)cursor;
    if (envelope->provider_key.ptr == NULL)
        return -1;
    buf_add_str(url, "/api/v1/orders?order_number=");
    add_percent_encoded(url, envelope->provider_key);
    return buf_ok(url) ? 0 : -1;
}

static bool read_lookup(const struct account *account, const struct envelope *envelope, long http_status,
                        const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out) {
    (void)account, (void)cursor;
    uint32_t errors = answer != NULL ? json_get(answer, 0, "errors") : JSON_NONE;
    if (http_status == 404 && errors != JSON_NONE && json_type(answer, errors) != JSON_NULL)
        outcome_set(out, VERDICT_ABSENT, "not_found", "VU does not know the order");
    else if (http_status / 100 != 2 || answer == NULL)
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable", "the look-up's answer is no order");
    else
        take_order(envelope, answer, "found", out);
    return false;
}

const struct provider provider_vu = {
    .name = "vu",
    .title = "VU Custom orders",
    .seed = "004_0cdb3f2564921a3c.txt",
    .path = "/api/v1/orders",
    .default_base_url = "https://os.vucustom.com",
    .auth = AUTH_BASIC,
    .fields = order,
    .field_count = COUNT(order),
    .order_key_pointer = "/order/order_number",
    .lookup = LOOKUP_EXACT,
    .default_on_absent = ON_ABSENT_RETRY,
    .default_lookup_delay_ms = 5000,
    .validate = validate,
    .check_account = require_key_and_secret,
    .read_success = read_success,
    .read_error = read_error,
    .build_lookup = build_lookup,
    .read_lookup = read_lookup,
};
