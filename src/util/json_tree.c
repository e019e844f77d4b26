/* Leaves of cJSON trees that cJSON itself cannot make. */
#include "util/json_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/json.h"

#define TEXT_MAX (1u << 30)

/* With what stands before and after it. */
static cJSON *raw_between(const char *before, struct span s, const char *after) {
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_add_str(&text, before);
    buf_add_span(&text, s);
    buf_add_str(&text, after);
    cJSON *raw = buf_ok(&text) ? cJSON_CreateRaw(buf_cstr(&text)) : NULL;
    buf_deinit(&text);
    return raw;
}

cJSON *tree_text(struct span s) {
    struct buf text;
    if (s.ptr == NULL)
        return cJSON_CreateNull();
    buf_init(&text, TEXT_MAX);
    bool plain = utf8_valid(s.ptr, s.len) && memchr(s.ptr, '\0', s.len) == NULL;
    if (plain)
        buf_add_span(&text, s);
    else
        buf_add_json_str(&text, s);
    cJSON *item = !buf_ok(&text) ? NULL
                  : plain        ? cJSON_CreateString(buf_cstr(&text))
                                 : cJSON_CreateRaw(buf_cstr(&text));
    buf_deinit(&text);
    return item;
}

/* A parent that found no memory takes nothing. */
static void add(cJSON *object, const char *name, cJSON *item) {
    if (!cJSON_AddItemToObject(object, name, item))
        cJSON_Delete(item);
}

void tree_add_text(cJSON *object, const char *name, struct span s) {
    add(object, name, tree_text(s));
}

void tree_add_i64(cJSON *object, const char *name, int64_t v) {
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, v);
    cJSON_AddRawToObject(object, name, digits);
}

void tree_add_u64(cJSON *object, const char *name, uint64_t v) {
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, v);
    cJSON_AddRawToObject(object, name, digits);
}

void tree_add_raw(cJSON *object, const char *name, struct span json) {
    add(object, name, raw_between("", json, ""));
}

void tree_add_elements(cJSON *object, const char *name, struct span elements) {
    add(object, name, raw_between("[", elements, "]"));
}

bool tree_print(cJSON *tree, struct buf *out) {
    char *text = tree != NULL ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    if (text != NULL)
        buf_add_str(out, text);
    else
        out->failed = true;
    cJSON_free(text);
    return buf_ok(out);
}
