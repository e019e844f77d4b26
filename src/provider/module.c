/* Small readers and checks that the modules share. */
#include "provider/module.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Whether the token goes into a header as it is. */
static bool sent_bare(const struct account *account) {
    const struct http_json_options *o = &account->http_json;
    return account->provider->auth == AUTH_CONFIGURED && o->auth != NULL && strcmp(o->auth, "header") == 0;
}

int require_token(const struct account *account, struct err *err) {
    if (account->token != NULL && strncasecmp(account->token, "Bearer ", 7) == 0 && !sent_bare(account))
        return err_set(
            err,
            "account %s: the token begins with `Bearer `, which dray puts before it: give what comes behind",
            account->name);
    if (account->token != NULL || account->token_file != NULL)
        return 0;
    return err_set(err, "account %s: %s needs token or token_file", account->name, account->provider->name);
}

int require_key_and_secret(const struct account *account, struct err *err) {
    if ((account->key != NULL || account->key_file != NULL) &&
        (account->secret != NULL || account->secret_file != NULL))
        return 0;
    return err_set(err, "account %s: %s needs key and secret (or key_file and secret_file)", account->name,
                   account->provider->name);
}

static bool blank(uint32_t c) {
    return c == ' ' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200f) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x2060 || c == 0x3000 || c == 0xfeff;
}

/* Whether the text is no id: it holds nothing but blanks, or a control character. `text` is valid UTF-8. */
static bool is_no_id(struct span text) {
    bool seen = false;
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint32_t code = n == 1 ? c : c & (0x7fu >> n);
        for (size_t k = 1; k < n && i + k < text.len; k++)
            code = code << 6 | ((unsigned char)text.ptr[i + k] & 0x3f);
        if (code < 0x20 || (code >= 0x7f && code <= 0x9f))
            return true;
        seen = seen || !blank(code);
        i += n;
    }
    return !seen;
}

static bool text_is_no_id(const struct json_doc *doc, uint32_t node) {
    struct buf decoded;
    if (!doc->nodes[node].escaped)
        return is_no_id(json_inner(doc, node));
    buf_init(&decoded, HTTP_ANSWER_MAX);
    bool none = json_decode(doc, node, &decoded) != 0 || is_no_id(buf_span(&decoded));
    buf_deinit(&decoded);
    return none;
}

static bool add_id(struct outcome *out, const struct json_doc *doc, uint32_t node) {
    struct span id = {NULL, 0};
    if (json_type(doc, node) == JSON_NUMBER)
        id = json_raw(doc, node);
    else if (json_type(doc, node) == JSON_STRING)
        id = text_is_no_id(doc, node) ? id : json_inner(doc, node);
    if (id.len == 0)
        return false;
    if (out->id_count < OUTCOME_MAX_IDS)
        out->ids[out->id_count++] = id;
    return true;
}

bool outcome_add_ids(struct outcome *out, const struct json_doc *doc, uint32_t node) {
    if (node == JSON_NONE)
        return false;
    if (json_type(doc, node) != JSON_ARRAY)
        return add_id(out, doc, node);
    uint32_t before = out->id_count;
    bool whole = doc->nodes[node].count > 0;
    for (uint32_t i = json_first(doc, node); whole && i != JSON_NONE; i = json_next(doc, node, i))
        whole = add_id(out, doc, i);
    if (!whole)
        out->id_count = before;
    return whole;
}

void outcome_other_order(struct outcome *out, const struct json_doc *doc, uint32_t id, const char *what) {
    struct span text = json_scalar(doc, id);
    int n = (int)(text.len < 100 ? text.len : 100);
    outcome_set(out, VERDICT_UNKNOWN, "other_order", "");
    snprintf(out->message, sizeof(out->message), "%s in the answer is not ours%s%.*s", what,
             n > 0 ? "; the id there is " : "", n, n > 0 ? text.ptr : "");
}

bool node_is(const struct json_doc *doc, uint32_t node, struct span text) {
    struct buf decoded;
    if (node == JSON_NONE || text.ptr == NULL)
        return false;
    if (json_type(doc, node) == JSON_NUMBER)
        return doc->nodes[node].integer && span_eq(json_raw(doc, node), text);
    if (json_type(doc, node) != JSON_STRING)
        return false;
    if (!doc->nodes[node].escaped)
        return span_eq(json_inner(doc, node), text);
    buf_init(&decoded, text.len);
    bool same = json_decode(doc, node, &decoded) == 0 && span_eq(buf_span(&decoded), text);
    buf_deinit(&decoded);
    return same;
}

void add_percent_encoded(struct buf *out, struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

bool lookup_next_page(struct lookup_cursor *cursor, uint32_t items, uint32_t page_size, uint64_t total,
                      struct outcome *out) {
    cursor->seen += items;
    if (items == 0 && total != UINT64_MAX && cursor->seen < total) {
        outcome_set(out, VERDICT_RETRY, "lookup_incomplete",
                    "the look-up's page is empty, yet it counts more orders");
        return false;
    }
    /* A short page is the last one only if no total is told: a server may cap its pages. */
    bool last = items == 0 || (total != UINT64_MAX ? cursor->seen >= total : items < page_size);
    if (last) {
        outcome_set(out, VERDICT_ABSENT, "not_found", "the look-up does not list the order");
        return false;
    }
    if (++cursor->page >= LOOKUP_PAGES_MAX) {
        outcome_set(out, VERDICT_UNKNOWN, "lookup_too_long", "the look-up has more pages than dray reads");
        return false;
    }
    return true;
}
