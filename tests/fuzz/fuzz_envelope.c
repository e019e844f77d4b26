/* envelope_parse and provider_validate, with each provider: spans lie where they may, the list of
 * faults is JSON that quotes no value, and a job without faults has all that a worker needs. */
#include <string.h>

#include "accounts.h"
#include "check.h"

static struct account account;

static const struct account *find_account(void *arg, const char *name) {
    (void)arg;
    return name == NULL || strcmp(name, account.name) == 0 ? &account : NULL;
}

static bool within(struct span part, struct span whole) {
    return part.ptr == NULL || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_spans(const struct envelope *e, struct span scratch) {
    const struct span in_text[] = {e->id, e->order, e->account, e->meta};
    const struct span anywhere[] = {e->order_key, e->provider_key, e->reply_to, e->traceparent};
    for (size_t i = 0; i < 4; i++) {
        CHECK(within(in_text[i], e->raw));
        CHECK(within(anywhere[i], e->raw) || within(anywhere[i], scratch));
    }
}

static void check_faults(const struct faults *f, uint32_t count) {
    struct buf text;
    struct json_doc doc;
    CHECK(f->count == count);
    CHECK((count > 0) == (f->first.len > 0));
    buf_init(&text, SIZE_MAX);
    buf_addf(&text, "[");
    buf_add_span(&text, buf_span(&f->list));
    buf_addf(&text, "]");
    json_init(&doc, 1 << 20);
    CHECK(json_parse(&doc, text.data, text.len, NULL) == 0);
    CHECK(doc.nodes[0].count == (count < FAULTS_MAX ? count : FAULTS_MAX));
    json_deinit(&doc);
    buf_deinit(&text);
}

static void check_job(const struct envelope *e) {
    CHECK(e->id.ptr != NULL && e->id.len > 0);
    CHECK(e->order.ptr != NULL && e->order.ptr[0] == '{' && e->order.ptr[e->order.len - 1] == '}');
    CHECK(e->order_key.ptr != NULL && e->order_key.len > 0 && e->order_key.len <= ORDER_KEY_MAX);
    CHECK(e->meta.len <= META_MAX);
}

static void try_provider(const struct provider *p, struct span text) {
    struct envelope e;
    struct json_doc doc;
    struct buf scratch;
    struct faults faults;
    const struct account *found = NULL;
    account = fuzz_account(p);
    json_init(&doc, 20000);
    buf_init(&scratch, 1 << 20);
    faults_init(&faults);
    uint32_t count =
        envelope_parse(&e, &doc, text, find_account, NULL, "{orders}", &scratch, &faults, NULL, &found);
    CHECK(found == NULL || found == &account);
    check_spans(&e, buf_span(&scratch));
    check_faults(&faults, count);
    if (count == 0)
        check_job(&e);
    faults_deinit(&faults);
    buf_deinit(&scratch);
    json_deinit(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (size_t i = 0; providers[i] != NULL; i++)
        try_provider(providers[i], (struct span){(const char *)data, size});
    return 0;
}
