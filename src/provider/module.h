/* What the provider modules share: the words of a field table, account checks, and small readers of
 * answers. Private to src/provider. */
#ifndef DRAY_PROVIDER_MODULE_H
#define DRAY_PROVIDER_MODULE_H

#include "dray/outcome.h"
#include "dray/provider.h"

#define COUNT(table)   ((uint32_t)(sizeof(table) / sizeof((table)[0])))
#define FIELD(text)    .name = (text), .name_len = sizeof(text) - 1
#define ALIAS(text)    .alias = (text), .alias_len = sizeof(text) - 1
#define MEMBERS(table) .members = (table), .member_count = COUNT(table)
#define AT_LEAST(n)    .has_min = true, .min = (n)

/* An optional field may be null: no document forbids it, and the providers read it as "no value". */
#define OPTIONAL FIELD_NULLABLE
#define REQUIRED (FIELD_REQUIRED | FIELD_NONEMPTY)

#define LOOKUP_PAGES_MAX 200 /* pages of one look-up; more is inconclusive */

extern const struct provider provider_kakaclo_v1, provider_kakaclo_v2, provider_kakaclo_custom, provider_s2,
    provider_vu, provider_http_json;

/* check_account's parts: "account shop: token (or token_file) is required by kakaclo-v2". */
int require_token(const struct account *account, struct err *err);
int require_key_and_secret(const struct account *account, struct err *err);
/* http_json_check.c: all of http-json's check_account. */
int http_json_check(const struct account *account, struct err *err);

/* Adds an id: a number's digits or a non-empty string's inner bytes. An array gives each of its
 * elements. False where the node is neither, or an array holds something else. Ids past
 * OUTCOME_MAX_IDS are left out. */
bool outcome_add_ids(struct outcome *out, const struct json_doc *doc, uint32_t node);

/* Sets UNKNOWN, because the answer is that of an order with another `what` ("order_number"). The message tells
 * its id, if it has one. */
void outcome_other_order(struct outcome *out, const struct json_doc *doc, uint32_t id, const char *what);

/* Whether the node is a string whose decoded bytes, or an integer whose digits, are `text`. */
bool node_is(const struct json_doc *doc, uint32_t node, struct span text);

#define KEY_MARK     "{key}"
#define ACCOUNT_MARK "{account}"

/* Writes a configured path with its marks replaced, percent-encoded. -1: out of memory, no key where one is needed, or
 * one that would be a path segment of nothing but dots. */
int path_expand(const char *path, const char *account, struct span key, struct buf *out);

/* Percent-encodes all but RFC 3986's unreserved characters. */
void add_percent_encoded(struct buf *out, struct span text);

/* Call it when a page was read in full and did not hold the order. Returns whether there is another page, and
 * advances the cursor. Sets ABSENT at the end and UNKNOWN past LOOKUP_PAGES_MAX. `total` UINT64_MAX: the answer
 * does not tell. */
bool lookup_next_page(struct lookup_cursor *cursor, uint32_t items, uint32_t page_size, uint64_t total,
                      struct outcome *out);

#endif
