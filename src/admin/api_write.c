/* Members of the API's JSON objects, and reading numbers of the query. */
#include <stdlib.h>
#include <string.h>

#include "admin/api.h"

void api_str(cJSON *object, const char *name, const char *value) {
    tree_add_text(object, name, span_str(value));
}

void api_ms(cJSON *object, const char *name, uint64_t value) {
    if (value > 0)
        tree_add_u64(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

void api_pause(cJSON *object, const char *name, const struct pause_view *p, uint64_t now_ms) {
    if (!pause_holds(p, now_ms)) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    cJSON *pause = cJSON_AddObjectToObject(object, name);
    api_ms(pause, "until", p->until_ms);
    api_str(pause, "reason", p->reason);
}

cJSON *api_element(cJSON *array) {
    cJSON *object = cJSON_CreateObject();
    if (cJSON_AddItemToArray(array, object))
        return object;
    cJSON_Delete(object);
    return NULL;
}

bool query_number(struct request *r, const char *name, uint64_t otherwise, uint64_t most, uint64_t *value) {
    const char *text = request_query(r, name);
    *value = otherwise;
    if (text == NULL || text[0] == '\0')
        return true;
    size_t n = strlen(text);
    if (n <= 15 && strspn(text, "0123456789") == n && strtoull(text, NULL, 10) <= most) {
        *value = strtoull(text, NULL, 10);
        return true;
    }
    answer_error(r, 400, "bad_query", "%s must be a number, at most %llu", name, (unsigned long long)most);
    return false;
}
