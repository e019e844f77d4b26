/* One dead letter in a list: whether the filter lets it pass, and what is shown of it. */
#include "admin/dead_list.h"

#include <string.h>

#include "admin/api.h"

#define ENTRY_OUT_MAX 400 /* bytes of a message */

static bool text_is(const struct json_doc *doc, uint32_t node, const char *wanted) {
    char text[128];
    return wanted[0] == '\0' || (json_copy(doc, node, text, sizeof(text)) >= 0 && strcmp(text, wanted) == 0);
}

static int64_t last_status(const struct json_doc *doc) {
    uint32_t attempts = json_get(doc, 0, "attempts"), last = JSON_NONE;
    int64_t status = 0;
    if (attempts == JSON_NONE || json_type(doc, attempts) != JSON_ARRAY)
        return 0;
    for (uint32_t i = json_first(doc, attempts); i != JSON_NONE; i = json_next(doc, attempts, i))
        last = i;
    uint32_t node = json_get(doc, last, "http_status");
    return node != JSON_NONE && json_i64(doc, node, &status) ? status : 0;
}

bool dead_entry_matches(struct dead_walk *k, const redisReply *entry, uint64_t died_ms) {
    const struct dead_filter *f = &k->filter;
    const struct json_doc *doc = &k->doc;
    if (f->until_ms > 0 && died_ms > f->until_ms)
        return false;
    if (f->text[0] != '\0' && strcasestr(entry->str, f->text) == NULL)
        return false;
    if (json_parse(&k->doc, entry->str, entry->len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return f->reason[0] == '\0' && f->account[0] == '\0' && f->code[0] == '\0' && f->http_status == 0;
    return text_is(doc, json_get(doc, 0, "reason"), f->reason) &&
           text_is(doc, json_get(doc, 0, "account"), f->account) &&
           text_is(doc, json_pointer(doc, 0, "/error/code"), f->code) &&
           (f->http_status == 0 || last_status(doc) == (int64_t)f->http_status);
}

/* Adds a member of the letter with its bytes as they stand. */
static void add_member(cJSON *o, const struct json_doc *doc, const char *name, uint32_t node) {
    if (node == JSON_NONE)
        cJSON_AddNullToObject(o, name);
    else
        tree_add_raw(o, name, json_raw(doc, node));
}

/* Adds the provider's message. It may hold personal data, and be long. */
static void add_message(struct dead_walk *k, cJSON *o, uint32_t node) {
    char text[2048];
    int n = node != JSON_NONE && k->messages ? json_copy(&k->doc, node, text, sizeof(text)) : -1;
    if (n >= ENTRY_OUT_MAX)
        n = ENTRY_OUT_MAX;
    tree_add_text(o, "message", n < 0 ? span_str(NULL) : (struct span){text, (size_t)n});
}

void dead_entry_list(struct dead_walk *k, const char *id, uint64_t died_ms) {
    static const char *const members[] = {"reason", "account", "id", "order_key"};
    const struct json_doc *doc = &k->doc;
    bool readable = doc->count > 0 && json_type(doc, 0) == JSON_OBJECT;
    uint32_t attempts = readable ? json_get(doc, 0, "attempts") : JSON_NONE;
    cJSON *o = api_element(k->letters);
    k->listed++;
    tree_add_text(o, "dead_id", span_str(id));
    tree_add_u64(o, "died_at", died_ms);
    tree_add_u64(o, "attempts", attempts != JSON_NONE ? doc->nodes[attempts].count : 0);
    tree_add_i64(o, "http_status", readable ? last_status(doc) : 0);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        add_member(o, doc, members[i], readable ? json_get(doc, 0, members[i]) : JSON_NONE);
    add_member(o, doc, "code", readable ? json_pointer(doc, 0, "/error/code") : JSON_NONE);
    add_message(k, o, readable ? json_pointer(doc, 0, "/error/message") : JSON_NONE);
}
