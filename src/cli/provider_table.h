/* A provider's facts and field table, written for people, for documents, and for programs. */
#ifndef DRAY_CLI_PROVIDER_TABLE_H
#define DRAY_CLI_PROVIDER_TABLE_H

#include <cjson/cJSON.h>

#include "dray/provider.h"

void provider_write_text(const struct provider *p, struct buf *out);
void provider_write_markdown(const struct provider *p, struct buf *out);
cJSON *provider_json(const struct provider *p);
const char *provider_auth_words(const struct provider *p);
const char *provider_lookup_words(const struct provider *p);

#endif
