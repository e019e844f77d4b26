/* Every provider dray knows. A new one is one line here, its file, and its line in meson.build. */
#include "provider/module.h"

#include <string.h>

const struct provider *const providers[] = {
    &provider_kakaclo_v2,
    &provider_kakaclo_v1,
    &provider_kakaclo_custom,
    &provider_s2,
    &provider_vu,
    &provider_http_json,
    NULL,
};

const struct provider *provider_find(const char *name) {
    for (size_t i = 0; providers[i] != NULL; i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}

enum lookup_kind provider_lookup_kind(const struct account *account) {
    const struct provider *p = account->provider;
    if (account->lookup == LOOKUP_NO || (p->lookup_withdrawn && account->lookup != LOOKUP_YES))
        return LOOKUP_NONE;
    if (p != &provider_http_json)
        return p->lookup;
    if (account->http_json.lookup_path == NULL)
        return LOOKUP_NONE;
    return account->http_json.lookup_exact ? LOOKUP_EXACT : LOOKUP_SCAN;
}
