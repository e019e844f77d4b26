/* Durations, sizes, rates and dates: what is read, written and read again is the same. */
#include <string.h>

#include "check.h"
#include "dray/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = {(const char *)data, size};
    char out[TIMEFMT_SIZE];
    uint64_t v, again;
    double rate;
    if (duration_parse(text, &v) == 0) {
        duration_format(v, out);
        CHECK(duration_parse(span_str(out), &again) == 0 && again == v);
    }
    if (size_parse(text, &v) == 0)
        CHECK(size > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9');
    if (rate_parse(text, &rate) == 0)
        CHECK(rate >= 0 && (rate > 0 || memchr(data, '/', size) == NULL));
    if (rfc3339_parse(text, &v) == 0 || http_date_parse(text, &v) == 0) {
        rfc3339_format(v, out);
        CHECK(rfc3339_parse(span_str(out), &again) == 0 && again == v);
    }
    if (retry_after_parse(text, 1700000000000, &v) == 0)
        CHECK(v <= 253402300799999);
    return 0;
}
