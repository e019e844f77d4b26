/* What the answers of several providers are made of. */
#include <string.h>

#include "dray/timefmt.h"
#include "sandbox/internal.h"

void form_member(cJSON *o, const char *name, const struct json_doc *doc, uint32_t node) {
    tree_add_raw(o, name, node != JSON_NONE ? json_raw(doc, node) : SPAN_LIT("null"));
}

void form_time(cJSON *o, const char *name, uint64_t unix_ms) {
    char text[TIMEFMT_SIZE];
    rfc3339_format(unix_ms, text);
    cJSON_AddStringToObject(o, name, text);
}

cJSON *form_id(write_id_fn write_id, uint64_t serial, uint64_t created_ms) {
    struct buf id;
    buf_init(&id, 64);
    write_id(&id, serial, created_ms);
    cJSON *item = cJSON_CreateString(buf_cstr(&id));
    buf_deinit(&id);
    return item;
}

static bool is_one_of(struct span name, const char *const *list) {
    for (; *list != NULL; list++)
        if (span_is(name, *list))
            return true;
    return false;
}

void form_copy(cJSON *o, const struct json_doc *doc, uint32_t node, const char *const *but) {
    struct buf name;
    buf_init(&name, BODY_MAX);
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k)) {
        buf_reset(&name);
        if (!is_one_of(json_inner(doc, k), but) && json_decode(doc, k, &name) == 0)
            form_member(o, buf_cstr(&name), doc, k + 1);
    }
    buf_deinit(&name);
}
