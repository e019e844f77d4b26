/* classify_create and classify_lookup, with each provider: whatever an answer says, the verdict is
 * one that may follow its status, spans lie in the answer, and texts end. */
#include <string.h>

#include "accounts.h"
#include "check.h"

static const struct envelope envelope = {
    .raw = {"{}", 2},
    .id = {"job-1", 5},
    .order = {"{}", 2},
    .order_key = {"KA-1", 4},
    .provider_key = {"KA-1", 4},
    .enqueued_at_ms = 1700000000000,
};

static void check_outcome(const struct outcome *out, struct span body) {
    CHECK(memchr(out->code, '\0', sizeof(out->code)) != NULL);
    CHECK(memchr(out->message, '\0', sizeof(out->message)) != NULL);
    CHECK(utf8_valid(out->message, strlen(out->message)));
    for (const char *c = out->code; *c != '\0'; c++)
        CHECK(*c > ' ' && *c <= '~');
    CHECK(out->id_count <= OUTCOME_MAX_IDS);
    for (uint32_t i = 0; i < out->id_count; i++)
        CHECK(out->ids[i].ptr >= body.ptr && out->ids[i].ptr + out->ids[i].len <= body.ptr + body.len);
    CHECK(out->order.ptr == NULL ||
          (out->order.ptr >= body.ptr && out->order.ptr + out->order.len <= body.ptr + body.len));
    CHECK(out->verdict != VERDICT_PAUSE || out->retry_after_ms <= 3600000);
}

static struct http_exchange exchange_of(long status, struct span body) {
    struct http_exchange x = {
        .sent = true, .answered = true, .status = status, .body = body, .error = "", .phase = "done"};
    if (body.len > 40) /* any text may stand in the header */
        x.retry_after = (struct span){body.ptr, 31};
    return x;
}

static void try_create(const struct account *a, long status, struct span body) {
    struct json_doc doc;
    struct outcome out;
    struct http_exchange x = exchange_of(status, body);
    json_init(&doc, 20000);
    classify_create(a, &envelope, &x, 1700000000000, &doc, &out);
    check_outcome(&out, body);
    CHECK(out.verdict != VERDICT_ABSENT);
    CHECK(out.verdict != VERDICT_CREATED || (status >= 200 && status <= 299));
    CHECK(out.http_status == status);
    x.answered = false; /* the same bytes, cut off: surely not an answer */
    classify_create(a, &envelope, &x, 1700000000000, &doc, &out);
    CHECK(out.verdict == VERDICT_UNKNOWN);
    json_deinit(&doc);
}

static void try_lookup(const struct account *a, long status, struct span body) {
    struct json_doc doc;
    struct outcome out;
    struct http_exchange x = exchange_of(status, body);
    struct lookup_cursor cursor = {.window_from_ms = 1600000000000, .window_to_ms = 1700000000000};
    json_init(&doc, 20000);
    uint32_t page = cursor.page;
    bool more = classify_lookup(a, &envelope, &x, 1700000000000, &doc, &cursor, &out);
    check_outcome(&out, body);
    CHECK(!more || cursor.page > page);
    CHECK(out.verdict != VERDICT_REJECTED && out.verdict != VERDICT_LOOKUP);
    json_deinit(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const long statuses[] = {200, 201, 204, 302, 400, 401, 404, 409, 418, 429, 500, 503};
    struct span body = {(const char *)data, size};
    size_t sum = size;
    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    long other = statuses[sum % (sizeof(statuses) / sizeof(statuses[0]))];
    for (size_t i = 0; providers[i] != NULL; i++) {
        struct account a = fuzz_account(providers[i]);
        try_create(&a, 200, body);
        try_create(&a, other, body);
        if (provider_lookup_kind(&a) == LOOKUP_NONE)
            continue;
        try_lookup(&a, 200, body);
        try_lookup(&a, other, body);
    }
    return 0;
}
