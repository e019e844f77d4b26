/* redis_options_parse: what is accepted has one place to connect to; a refusal shows nothing of the
 * URL but its scheme. */
#include <string.h>

#include "check.h"
#include "dray/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct redis_options o = {0};
    struct buf storage;
    struct err err = {""};
    char *url = malloc(size + 1);
    CHECK(url != NULL);
    memcpy(url, data, size);
    url[size] = '\0';
    buf_init(&storage, 16384);
    if (redis_options_parse(&o, url, &storage, &err) == 0) {
        CHECK((o.unix_path != NULL) != (o.host != NULL));
        CHECK(o.host == NULL || (o.host[0] != '\0' && o.port > 0));
        CHECK(o.unix_path == NULL || o.unix_path[0] != '\0');
    } else {
        CHECK(err.text[0] != '\0');
        char *scheme_end = strstr(url, "://");
        if (scheme_end != NULL)
            *scheme_end = '\0';
        CHECK(strstr(err.text, "S3cret") == NULL || strstr(url, "S3cret") != NULL);
    }
    buf_deinit(&storage);
    free(url);
    return 0;
}
