/* The generic provider: any endpoint that takes an order as a JSON body and answers in JSON. Path,
 * authentication, success test and ids are JSON Pointers of the account's configuration. */
#include "provider/module.h"

#include <string.h>

/* `doc` may be NULL: no JSON. */
static uint32_t at(const struct json_doc *doc, uint32_t node, const char *pointer) {
    return doc != NULL && pointer != NULL && node != JSON_NONE ? json_pointer(doc, node, pointer) : JSON_NONE;
}

static void read_error(const struct account *account, const struct json_doc *answer, struct outcome *out) {
    /* what most APIs call them */
    static const char *const words[] = {"message", "error", "errors", "detail"};
    const struct http_json_options *o = &account->http_json;
    struct span code = json_scalar(answer, at(answer, 0, o->code_pointer));
    for (code_list p = o->error_code_pointers; code.len == 0 && p != NULL && *p != NULL; p++)
        code = json_scalar(answer, at(answer, 0, *p));
    if (code.len > 0)
        outcome_code(out, code);
    for (code_list p = o->message_pointers; out->message[0] == '\0' && p != NULL && *p != NULL; p++)
        outcome_message_node(out, answer, at(answer, 0, *p));
    for (size_t i = 0; o->message_pointers == NULL && i < COUNT(words) && out->message[0] == '\0'; i++)
        outcome_message_node(out, answer,
                             json_type(answer, 0) == JSON_OBJECT ? json_get(answer, 0, words[i]) : JSON_NONE);
}

/* Is there something that means yes? */
static bool holds(const struct json_doc *doc, uint32_t node) {
    if (node == JSON_NONE)
        return false;
    struct span raw = json_raw(doc, node);
    switch (json_type(doc, node)) {
    case JSON_NULL:
        return false;
    case JSON_STRING:
        return json_inner(doc, node).len > 0;
    case JSON_ARRAY:
    case JSON_OBJECT:
        return json_first(doc, node) != JSON_NONE;
    default:
        return !span_is(raw, "false") && !span_is(raw, "0");
    }
}

static bool refuses(const struct http_json_options *o, const struct json_doc *answer) {
    for (code_list p = o->reject_pointers; answer != NULL && p != NULL && *p != NULL; p++)
        if (holds(answer, at(answer, 0, *p)))
            return true;
    return false;
}

enum success { SUCCEEDED, REFUSED, UNREADABLE };

/* Where a success test is configured but its field is missing, the answer is unreadable, not a no. */
static enum success succeeded(const struct http_json_options *o, const struct json_doc *answer) {
    if (o->success_pointer == NULL)
        return SUCCEEDED;
    uint32_t node = at(answer, 0, o->success_pointer);
    if (o->success_value == NULL)
        return node != JSON_NONE && json_type(answer, node) != JSON_NULL ? SUCCEEDED : UNREADABLE;
    struct span seen = json_scalar(answer, node);
    if (seen.ptr == NULL)
        return UNREADABLE;
    return span_is(seen, o->success_value) ? SUCCEEDED : REFUSED;
}

static bool echoes_key(const struct account *account, const struct envelope *envelope,
                       const struct json_doc *answer, struct outcome *out) {
    const struct http_json_options *o = &account->http_json;
    struct span key = envelope->provider_key.ptr != NULL ? envelope->provider_key : envelope->order_key;
    if (o->answer_key_pointer == NULL || node_is(answer, at(answer, 0, o->answer_key_pointer), key))
        return true;
    outcome_other_order(out, answer, at(answer, 0, o->id_pointer), "the order key");
    return false;
}

static void read_success(const struct account *account, const struct envelope *envelope,
                         const struct json_doc *answer, struct outcome *out) {
    const struct http_json_options *o = &account->http_json;
    enum success success = succeeded(o, answer);
    if (refuses(o, answer)) {
        bool yes = success == SUCCEEDED && o->success_pointer != NULL;
        if (yes || holds(answer, at(answer, 0, o->id_pointer))) {
            outcome_set(out, VERDICT_UNKNOWN, "contradictory_answer",
                        "the answer says no (reject_pointer), and yes or an order id");
            return;
        }
        success = REFUSED;
    }
    switch (success) {
    case REFUSED:
        outcome_set(out, VERDICT_REJECTED, "refused", "");
        read_error(account, answer, out);
        out->contradicts = holds(answer, at(answer, 0, o->id_pointer));
        return;
    case UNREADABLE:
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer",
                    "the answer does not have what success_pointer names");
        return;
    case SUCCEEDED:
        break;
    }
    if (o->id_pointer != NULL && !outcome_add_ids(out, answer, at(answer, 0, o->id_pointer))) {
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the answer does not have what id_pointer names");
        return;
    }
    if (!echoes_key(account, envelope, answer, out))
        return;
    outcome_set(out, VERDICT_CREATED, "created", "");
    uint32_t order_node = at(answer, 0, o->order_pointer);
    if (order_node != JSON_NONE)
        out->order = json_raw(answer, order_node);
}

static int build_lookup(const struct account *account, const struct envelope *envelope,
                        const struct lookup_cursor *cursor, struct buf *url) {
    const struct http_json_options *o = &account->http_json;
    if (o->lookup_path == NULL || envelope->provider_key.ptr == NULL ||
        path_expand(o->lookup_path, account->name, envelope->provider_key, url) != 0)
        return -1;
    if (o->lookup_page_param != NULL) {
        buf_add_char(url, strchr(o->lookup_path, '?') != NULL ? '&' : '?');
        add_percent_encoded(url, span_str(o->lookup_page_param));
        buf_addf(url, "=%u", o->lookup_page_first + cursor->page);
    }
    return buf_ok(url) ? 0 : -1;
}

static bool take_found(const struct account *account, const struct envelope *envelope,
                       const struct json_doc *answer, uint32_t node, struct outcome *out) {
    const struct http_json_options *o = &account->http_json;
    if (!node_is(answer, at(answer, node, o->lookup_key_pointer), envelope->provider_key))
        return false;
    outcome_set(out, VERDICT_CREATED, "found", "");
    if (o->lookup_id_pointer != NULL && !outcome_add_ids(out, answer, at(answer, node, o->lookup_id_pointer)))
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id",
                    "the order found does not have what lookup_id_pointer names");
    else if (o->order_pointer != NULL && json_type(answer, node) == JSON_OBJECT)
        out->order = json_raw(answer, node);
    return true;
}

/* The page does not list the order. Returns true if the next one is to be read. */
static bool next_page(const struct http_json_options *o, const struct json_doc *answer, uint32_t items,
                      struct lookup_cursor *cursor, struct outcome *out) {
    bool more = o->lookup_next_pointer == NULL || holds(answer, at(answer, 0, o->lookup_next_pointer));
    if (o->lookup_page_param != NULL && more)
        return lookup_next_page(cursor, items, 0, UINT64_MAX, out);
    if (o->lookup_next_pointer != NULL && more)
        outcome_set(
            out, VERDICT_UNKNOWN, "lookup_more_pages",
            "the order is not on the first page, and the configuration does not say how to ask for the next");
    else
        outcome_set(out, VERDICT_ABSENT, "not_found", "the look-up does not list the order");
    return false;
}

/* Whether this is the provider's own "no such order", as the configuration describes it. */
static bool says_absent(const struct http_json_options *o, long http_status, const struct json_doc *answer) {
    if (o->lookup_absent_pointer == NULL || answer == NULL || http_status != (long)o->lookup_absent_status)
        return false;
    uint32_t node = at(answer, 0, o->lookup_absent_pointer);
    if (node == JSON_NONE || json_type(answer, node) == JSON_NULL)
        return false;
    return o->lookup_absent_value == NULL || span_is(json_scalar(answer, node), o->lookup_absent_value);
}

static bool read_lookup(const struct account *account, const struct envelope *envelope, long http_status,
                        const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out) {
    const char *items_pointer = account->http_json.lookup_items_pointer;
    uint32_t count = 0;
    if (says_absent(&account->http_json, http_status, answer)) {
        outcome_set(out, VERDICT_ABSENT, "not_found", "the provider says that it has no such order");
        return false;
    }
    uint32_t items = JSON_NONE;
    bool readable = http_status / 100 == 2 && answer != NULL;
    if (readable && items_pointer == NULL && take_found(account, envelope, answer, 0, out))
        return false;
    if (readable && items_pointer != NULL)
        items = at(answer, 0, items_pointer);
    if (items == JSON_NONE || json_type(answer, items) != JSON_ARRAY) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable",
                    "the look-up's answer does not hold what the configuration names");
        return false;
    }
    for (uint32_t i = json_first(answer, items); i != JSON_NONE; i = json_next(answer, items, i), count++)
        if (take_found(account, envelope, answer, i, out))
            return false;
    const struct http_json_options *o = &account->http_json;
    if (o->lookup_exact && count > 0 && o->lookup_page_param == NULL && o->lookup_next_pointer == NULL) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable",
                    "the look-up lists other orders than the one that was asked for");
        return false;
    }
    return next_page(o, answer, count, cursor, out);
}

const struct provider provider_http_json = {
    .name = "http-json",
    .title = "any endpoint that takes an order as JSON, by configuration",
    .seed = "none: docs/providers.md",
    .auth = AUTH_CONFIGURED,
    .lookup = LOOKUP_SCAN, /* or none, or exact: provider_lookup_kind() */
    .default_on_absent = ON_ABSENT_HOLD,
    .check_account = http_json_check,
    .read_success = read_success,
    .read_error = read_error,
    .build_lookup = build_lookup,
    .read_lookup = read_lookup,
};
