/* KaKaClo's look-ups. None can be asked for an order's key: they read a window of creation times page by page
 * and compare. The index lags, so not finding the order proves nothing.
 *
 * v1 and v2: GET …/orders?createStartTime&createEndTime&pageNumber&pageSize. The document calls pageNumber the
 * "limit per page, maximum 250" and gives pageSize the default 1, as if the two were swapped; its answer has
 * {"pageNumber":1,"pageSize":10}. We take the names at their word. If the answer shows that the server reads
 * them the other way round, the look-up begins anew that way. Custom orders: POST …/search with a body of JSON. */
#include "provider/kakaclo.h"

#include "dray/timefmt.h"

#define PAGE_SIZE        250              /* "maximum: 250" */
#define CUSTOM_PAGE_SIZE 100              /* "Each page can retrieve up to 100" */
#define SLACK_MS         (10 * 60 * 1000) /* KaKaClo's clock and ours may differ by so much */
#define SWAPPED          0x10000u         /* in cursor.page: pageNumber is the size */

static bool can_ask(const struct envelope *envelope, const struct lookup_cursor *cursor) {
    return envelope->provider_key.ptr != NULL && cursor->window_from_ms >= SLACK_MS &&
           cursor->window_to_ms >= cursor->window_from_ms;
}

int kakaclo_build_lookup(const char *path, const struct envelope *envelope,
                         const struct lookup_cursor *cursor, struct buf *url) {
    char from[TIMEFMT_SIZE], to[TIMEFMT_SIZE];
    unsigned page = (cursor->page & ~SWAPPED) + 1;
    bool swapped = (cursor->page & SWAPPED) != 0;
    if (!can_ask(envelope, cursor))
        return -1;
    /* whole seconds, as in the document's 2016-01-18T23:41:00Z, and none of the window lost */
    rfc3339_format((cursor->window_from_ms - SLACK_MS) / 1000 * 1000, from);
    rfc3339_format((cursor->window_to_ms + SLACK_MS + 999) / 1000 * 1000, to);
    buf_addf(url, "%s?createStartTime=%.19sZ&createEndTime=%.19sZ&pageNumber=%u&pageSize=%u", path, from, to,
             swapped ? PAGE_SIZE : page, swapped ? page : PAGE_SIZE);
    return buf_ok(url) ? 0 : -1;
}

/* The list of a page and its total (UINT64_MAX: not told). JSON_NONE: no page; `out` says so. */
static uint32_t read_list(long http_status, const struct json_doc *answer, uint64_t *total,
                          struct outcome *out) {
    uint32_t list = JSON_NONE, data = JSON_NONE;
    int64_t told;
    if (http_status / 100 == 2 && answer != NULL && kakaclo_succeeded(answer)) {
        data = json_get(answer, 0, "data");
        list = json_get(answer, data, "list");
    }
    if (list == JSON_NONE || json_type(answer, list) != JSON_ARRAY) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable", "the look-up's answer is no order list");
        return JSON_NONE;
    }
    uint32_t node = json_get(answer, data, "total");
    *total = node != JSON_NONE && json_i64(answer, node, &told) && told >= 0 ? (uint64_t)told : UINT64_MAX;
    return list;
}

/* Takes every order of the page that has our key: an order that was split has several. False: there is none. */
static bool collect(const struct envelope *envelope, const struct json_doc *answer, uint32_t list,
                    const char *id, struct outcome *out) {
    bool found = false;
    for (uint32_t i = json_first(answer, list); i != JSON_NONE; i = json_next(answer, list, i)) {
        if (!node_is(answer, json_get(answer, i, "customOrderId"), envelope->provider_key) &&
            !node_is(answer, json_get(answer, i, "CustomOrderNumber"), envelope->provider_key))
            continue;
        found = true;
        kakaclo_add_part(answer, i, json_get(answer, i, id), out);
    }
    if (found && out->id_count > 0)
        outcome_set(out, VERDICT_CREATED, "found", "");
    else if (found)
        outcome_set(out, VERDICT_UNKNOWN, "no_order_id", "the order found has no id");
    return found;
}

/* A page without an order, though there are some: the server did not understand which page was meant. */
static void page_is_empty(struct outcome *out) {
    outcome_set(out, VERDICT_RETRY, "lookup_empty_page",
                "a page of the look-up is empty, though there are orders");
}

static bool says(const struct json_doc *answer, const char *pointer, int64_t value) {
    int64_t seen;
    uint32_t node = json_pointer(answer, 0, pointer);
    return node != JSON_NONE && json_i64(answer, node, &seen) && seen == value;
}

/* Whether the answer shows that pageNumber was taken for the size: it says so, or a first page has none of the
 * orders that it counts. */
static bool reads_swapped(const struct lookup_cursor *cursor, const struct json_doc *answer, uint32_t items,
                          uint64_t total) {
    if ((cursor->page & SWAPPED) != 0)
        return false;
    if (says(answer, "/data/pageNumber", PAGE_SIZE) && says(answer, "/data/pageSize", cursor->page + 1))
        return true;
    return cursor->page == 0 && items == 0 && total != UINT64_MAX && total > 0;
}

bool kakaclo_read_lookup(const struct account *account, const struct envelope *envelope, long http_status,
                         const struct json_doc *answer, struct lookup_cursor *cursor, struct outcome *out) {
    uint64_t total;
    (void)account;
    uint32_t list = read_list(http_status, answer, &total, out);
    if (list == JSON_NONE || collect(envelope, answer, list, "id", out))
        return false;
    uint32_t items = answer->nodes[list].count;
    if (reads_swapped(cursor, answer, items, total)) {
        cursor->page = SWAPPED;
        cursor->seen = 0;
        return true;
    }
    if (items == 0 && total != UINT64_MAX && cursor->seen < total) {
        page_is_empty(out);
        return false;
    }
    uint32_t swapped = cursor->page & SWAPPED;
    cursor->page &= ~SWAPPED;
    bool more = lookup_next_page(cursor, items, PAGE_SIZE, total, out);
    cursor->page |= swapped;
    return more;
}

int kakaclo_custom_build_lookup(const struct account *account, const struct envelope *envelope,
                                const struct lookup_cursor *cursor, struct buf *url) {
    (void)account;
    if (!can_ask(envelope, cursor))
        return -1;
    buf_add_str(url, "/openapi/v1/product/custom/orders/search");
    return buf_ok(url) ? 0 : -1;
}

int kakaclo_custom_build_lookup_body(const struct account *account, const struct envelope *envelope,
                                     const struct lookup_cursor *cursor, struct buf *body) {
    (void)account, (void)envelope;
    buf_addf(body, "{\"createDateGe\":%llu,\"createDateLe\":%llu,\"pageNumber\":%u,\"pageSize\":%d}",
             (unsigned long long)(cursor->window_from_ms - SLACK_MS),
             (unsigned long long)(cursor->window_to_ms + SLACK_MS), cursor->page + 1, CUSTOM_PAGE_SIZE);
    return buf_ok(body) ? 0 : -1;
}

bool kakaclo_custom_read_lookup(const struct account *account, const struct envelope *envelope,
                                long http_status, const struct json_doc *answer, struct lookup_cursor *cursor,
                                struct outcome *out) {
    uint64_t total;
    (void)account;
    uint32_t list = read_list(http_status, answer, &total, out);
    if (list == JSON_NONE || collect(envelope, answer, list, "demandNo", out))
        return false;
    if (answer->nodes[list].count == 0 && total != UINT64_MAX && cursor->seen < total) {
        page_is_empty(out);
        return false;
    }
    return lookup_next_page(cursor, answer->nodes[list].count, CUSTOM_PAGE_SIZE, total, out);
}
