/* Ventmere S2, POST /order. Success is a 2xx answer with a non-empty id and our channelOrderId.
 *
 * The look-up is the order list with `term`. Whether a term matches a channelOrderId is not documented, so not
 * finding the order proves nothing. */
#include "provider/module.h"

#define PAGE_SIZE 100 /* limit ≤ 100 */

#define TEXT "All fields of the address are required. Pass an empty string if there is no value"
#define ITEM "All fields of each item node in array are required"

static const struct field address[] = {
    {FIELD("name"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("company"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("address1"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("address2"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("city"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("state"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("postalCode"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("countryId"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .max = 2,
     .note = "Country code in ISO 3166-1 alpha-2 format; may be empty"},
    {FIELD("phone"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
    {FIELD("email"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = TEXT},
};

/* The document has no table for the request's items; these are the example's members, typed by the
 * response's Order Item Object. */
static const struct field item[] = {
    {FIELD("channelOrderItemId"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = ITEM},
    {FIELD("productId"), .type = FIELD_STRING, .flags = FIELD_REQUIRED, .note = ITEM},
    {FIELD("quantity"), .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, AT_LEAST(0),
     .note = "integer; 0 if there is no value"},
    {FIELD("unitPrice"), .type = FIELD_NUMBER, .flags = FIELD_REQUIRED,
     .note = "number; 0 if there is no value"},
    {FIELD("meta"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED,
     .note = "an empty object {} if there is no value"},
};

static const struct field attachment[] = {
    {FIELD("fileName"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "in the example only"},
    {FIELD("path"), .type = FIELD_STRING, .flags = OPTIONAL, .note = "in the example only"},
};

static const struct field order[] = {
    {FIELD("accountId"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Get it from List Account API."},
    {FIELD("channelOrderId"), .type = FIELD_STRING, .flags = REQUIRED | FIELD_ORDER_KEY | FIELD_TRIMMED,
     .note = "Channel Order Id"},
    {FIELD("channelOrderIdAlt"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "Channel Order Id Alt, Optional."},
    {FIELD("channelOrderIdAlt2"), .type = FIELD_STRING, .flags = OPTIONAL,
     .note = "Channel Order Id Alt 2, Optional."},
    {FIELD("channelShippingMethod"), .type = FIELD_STRING, .flags = FIELD_REQUIRED,
     .note = "Should be an empty string if there is no value. Do not use null."},
    {FIELD("shippingAddress"), .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, MEMBERS(address),
     .note = "All fields of the address are required"},
    {FIELD("billingAddress"), .type = FIELD_OBJECT, .flags = OPTIONAL, MEMBERS(address),
     .note = "Optional. Pass null if there is no value."},
    {FIELD("meta"), .type = FIELD_OBJECT_OR_ARRAY, .flags = FIELD_REQUIRED,
     .note = "Pass an empty object {} or an empty array [] if there is no value."},
    {FIELD("channelOrderDate"), .type = FIELD_STRING, .flags = REQUIRED | FIELD_DATETIME | FIELD_UTC,
     .note = "OffsetDateTime string, Must be in UTC time."},
    {FIELD("currencyId"), .type = FIELD_STRING, .flags = REQUIRED, .note = "Currency time."},
    {FIELD("items"), ALIAS("item"), .type = FIELD_ARRAY, .flags = REQUIRED, MEMBERS(item),
     .note = "the table says item, the example items"},
    {FIELD("attachments"), .type = FIELD_ARRAY, .flags = FIELD_REQUIRED, MEMBERS(attachment),
     .note = "Pass an empty array [] if there is no value."},
};

static int check_account(const struct account *account, struct err *err) {
    if (account->organization == NULL)
        return err_set(err, "account %s: s2 needs organization (its X-S2-Organization header)",
                       account->name);
    if (account->base_url == NULL)
        return err_set(err,
                       "account %s: s2 needs base_url (sandbox: https://api.s2sell.io; S2 tells you "
                       "the production host)",
                       account->name);
    return require_token(account, err);
}

/* With an id and our channelOrderId, the order exists. */
static bool is_our_order(const struct envelope *envelope, const struct json_doc *answer,
                         uint32_t order_node) {
    return node_is(answer, json_get(answer, order_node, "channelOrderId"), envelope->provider_key);
}

static bool take_order(const struct json_doc *answer, uint32_t order_node, struct outcome *out) {
    uint32_t id = json_get(answer, order_node, "id");
    if (id == JSON_NONE || json_type(answer, id) == JSON_ARRAY || !outcome_add_ids(out, answer, id))
        return false;
    out->order = json_raw(answer, order_node);
    return true;
}

static void read_success(const struct account *account, const struct envelope *envelope,
                         const struct json_doc *answer, struct outcome *out) {
    (void)account;
    uint32_t theirs = json_get(answer, 0, "channelOrderId");
    if (theirs != JSON_NONE && json_type(answer, theirs) != JSON_NULL && !is_our_order(envelope, answer, 0))
        outcome_other_order(out, answer, json_get(answer, 0, "id"), "channelOrderId");
    else if (!is_our_order(envelope, answer, 0))
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer",
                    "the answer does not carry the order's channelOrderId");
    else if (!take_order(answer, 0, out))
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the answer carries no order id");
    else
        outcome_set(out, VERDICT_CREATED, "created", "");
}

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    (void)account;
    if (envelope->provider_key.ptr == NULL)
        return -1;
    buf_addf(url, "/order?limit=%d&offset=%llu&term=", PAGE_SIZE, (unsigned long long)cursor->seen);
    add_percent_encoded(url, envelope->provider_key);
    return buf_ok(url) ? 0 : -1;
}

/* The first item of the page that is our order, or JSON_NONE. A channelOrderId is unique in its sales channel
 * only: an item that names another account is another shop's order. */
static uint32_t find_order(const struct envelope *envelope, const struct json_doc *answer, uint32_t items) {
    struct json_doc sent;
    uint32_t found = JSON_NONE;
    json_init(&sent, UINT32_MAX);
    bool readable = json_parse(&sent, envelope->order.ptr, envelope->order.len, NULL) == 0;
    uint32_t ours = readable ? json_get(&sent, 0, "accountId") : JSON_NONE;
    for (uint32_t i = json_first(answer, items); i != JSON_NONE && found == JSON_NONE;
         i = json_next(answer, items, i)) {
        uint32_t theirs = json_pointer(answer, i, "/account/id");
        bool other =
            ours != JSON_NONE && theirs != JSON_NONE && !node_is(answer, theirs, json_inner(&sent, ours));
        if (!other && is_our_order(envelope, answer, i))
            found = i;
    }
    json_deinit(&sent);
    return found;
}

static bool read_lookup(const struct account *account, const struct envelope *envelope, long http_status,
                        const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out) {
    (void)account;
    uint32_t items = JSON_NONE;
    if (http_status / 100 == 2 && answer != NULL)
        items = json_get(answer, 0, "items");
    if (items == JSON_NONE || json_type(answer, items) != JSON_ARRAY) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable", "the look-up's answer has no items");
        return false;
    }
    uint32_t found = find_order(envelope, answer, items);
    if (found != JSON_NONE) {
        if (take_order(answer, found, out))
            outcome_set(out, VERDICT_CREATED, "found", "");
        else
            outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the order found has no id");
        return false;
    }
    int64_t total;
    bool told = json_i64(answer, json_get(answer, 0, "total"), &total) && total >= 0;
    return lookup_next_page(cursor, answer->nodes[items].count, PAGE_SIZE,
                            told ? (uint64_t)total : UINT64_MAX, out);
}

const struct provider provider_s2 = {
    .name = "s2",
    .title = "Ventmere S2 orders",
    .seed = "003_ba773f35977701c2.txt",
    .path = "/order",
    .auth = AUTH_BEARER_ORGANIZATION,
    .fields = order,
    .field_count = COUNT(order),
    .order_key_pointer = "/channelOrderId",
    .lookup = LOOKUP_SCAN,
    .default_on_absent = ON_ABSENT_HOLD,
    .default_lookup_delay_ms = 5000,
    .check_account = check_account,
    .read_success = read_success,
    .build_lookup = build_lookup,
    .read_lookup = read_lookup,
};
