/* Reading a dead letter, and making a record of it again. */
#include "queue/letter.h"

#include <string.h>

#include "queue/order_hash.h"

#define TEXT_MAX    (512u << 20)
#define HISTORY_MAX (64u << 10) /* bytes of old attempts that a retried job carries; the last ones stay */

void letter_init(struct letter *l) {
    memset(l, 0, sizeof(*l));
    json_init(&l->doc, UINT32_MAX);
    json_init(&l->job_doc, UINT32_MAX);
    buf_init(&l->text, TEXT_MAX);
}

void letter_deinit(struct letter *l) {
    json_deinit(&l->doc);
    json_deinit(&l->job_doc);
    buf_deinit(&l->text);
}

/* Decoded texts lie in l->text, which was reserved for all of them, so that spans stay valid. */
static struct span text_at(struct letter *l, uint32_t node) {
    if (node == JSON_NONE || json_type(&l->doc, node) != JSON_STRING)
        return (struct span){NULL, 0};
    size_t at = l->text.len;
    if (json_decode(&l->doc, node, &l->text) < 0)
        return (struct span){NULL, 0};
    return (struct span){l->text.data + at, l->text.len - at};
}

static void read_attempts(struct letter *l) {
    uint32_t list = json_get(&l->doc, 0, "attempts"), last = JSON_NONE;
    l->attempts = SPAN_LIT("");
    if (list == JSON_NONE || json_type(&l->doc, list) != JSON_ARRAY)
        return;
    struct span raw = json_raw(&l->doc, list);
    l->attempts = (struct span){raw.ptr + 1, raw.len - 2};
    for (uint32_t i = json_first(&l->doc, list); i != JSON_NONE; i = json_next(&l->doc, list, i)) {
        last = i;
        l->attempt_count++;
    }
    uint32_t status = json_get(&l->doc, last, "http_status");
    if (status != JSON_NONE)
        json_i64(&l->doc, status, &l->http_status);
}

void letter_read(struct letter *l, struct span id, struct span raw) {
    struct json_doc doc = l->doc, job_doc = l->job_doc;
    struct buf text = l->text;
    *l = (struct letter){.doc = doc, .job_doc = job_doc, .text = text, .id = id, .raw = raw};
    buf_reset(&l->text);
    l->readable = json_parse(&l->doc, raw.ptr, raw.len, NULL) == 0 && json_type(&l->doc, 0) == JSON_OBJECT &&
                  buf_reserve(&l->text, raw.len + 16);
    if (!l->readable)
        return;
    uint32_t error = json_get(&l->doc, 0, "error"), died = json_get(&l->doc, 0, "died_at");
    uint32_t job_id = json_get(&l->doc, 0, "id");
    l->reason = text_at(l, json_get(&l->doc, 0, "reason"));
    l->account = text_at(l, json_get(&l->doc, 0, "account"));
    l->order_key = text_at(l, json_get(&l->doc, 0, "order_key"));
    l->job = text_at(l, json_get(&l->doc, 0, "job"));
    l->code = text_at(l, json_get(&l->doc, error, "code"));
    l->message = text_at(l, json_get(&l->doc, error, "message"));
    if (job_id != JSON_NONE && json_type(&l->doc, job_id) == JSON_STRING)
        l->job_id = json_inner(&l->doc, job_id);
    if (died != JSON_NONE)
        json_i64(&l->doc, died, &l->died_at);
    read_attempts(l);
}

bool letter_is_unknown(const struct letter *l) {
    if (span_is(l->reason, "poison"))
        return true;
    return span_is(l->reason, "unknown_outcome") && !(l->code.ptr != NULL && span_is(l->code, "key_unknown"));
}

/* The last attempts that fit into HISTORY_MAX. */
static struct span kept_attempts(const struct letter *l) {
    struct span all = l->attempts;
    if (memchr(all.ptr, '\n', all.len) != NULL)
        return SPAN_LIT(""); /* not written by dray; a line feed would end the header */
    if (all.len <= HISTORY_MAX)
        return all;
    uint32_t list = json_get(&l->doc, 0, "attempts");
    for (uint32_t i = json_first(&l->doc, list); i != JSON_NONE; i = json_next(&l->doc, list, i)) {
        const char *from = json_raw(&l->doc, i).ptr;
        if ((size_t)(all.ptr + all.len - from) <= HISTORY_MAX)
            return (struct span){from, (size_t)(all.ptr + all.len - from)};
    }
    return SPAN_LIT("");
}

void letter_record(const struct letter *l, struct span job, struct buf *out) {
    buf_add_str(out, "0N {\"n\":0,\"l\":0,\"f\":0,\"s\":0,\"h\":[");
    buf_add_span(out, kept_attempts(l));
    buf_add_str(out, "]}\n");
    buf_add_span(out, job);
}

void letter_ledger_key(const struct queue_keys *keys, const struct letter *l, struct buf *out) {
    if (l->account.ptr != NULL && l->order_key.ptr != NULL)
        queue_keys_order(keys, l->account, l->order_key, out);
    else
        buf_add_span(out, keys->key[KEY_DEAD]);
}

struct span letter_order(struct letter *l) {
    uint32_t order = JSON_NONE;
    if (l->job.ptr != NULL && json_parse(&l->job_doc, l->job.ptr, l->job.len, NULL) == 0)
        order = json_get(&l->job_doc, 0, "order");
    if (order == JSON_NONE || json_type(&l->job_doc, order) != JSON_OBJECT)
        return (struct span){NULL, 0};
    return json_raw(&l->job_doc, order);
}

bool letter_order_hash(struct letter *l, char out[static 33]) {
    struct span order = letter_order(l);
    if (order.ptr != NULL)
        order_hash(order, out);
    return order.ptr != NULL;
}

int letter_put_order(struct letter *l, struct span order, struct buf *job) {
    uint32_t node = JSON_NONE;
    if (l->job.ptr != NULL && json_parse(&l->job_doc, l->job.ptr, l->job.len, NULL) == 0)
        node = json_get(&l->job_doc, 0, "order");
    if (node == JSON_NONE)
        return -1;
    struct span old = json_raw(&l->job_doc, node);
    const char *end = old.ptr + old.len;
    buf_add(job, l->job.ptr, (size_t)(old.ptr - l->job.ptr));
    buf_add_span(job, order);
    buf_add(job, end, (size_t)(l->job.ptr + l->job.len - end));
    return 0;
}
