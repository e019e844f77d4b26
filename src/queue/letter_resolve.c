/* The call that ends a dead letter as created: its result and the ledger's entry. */
#include <string.h>

#include "dray/redis.h"
#include "queue/call.h"
#include "queue/letter.h"

#define RESULT_MAX (64u << 20)

static void add_text(struct buf *out, const char *name, struct span s) {
    buf_addf(out, ",\"%s\":", name);
    if (s.ptr != NULL)
        buf_add_json_str(out, s);
    else
        buf_add_str(out, "null");
}

static struct span job_raw(const struct letter *l, const char *name) {
    uint32_t node = l->job_doc.count > 0 ? json_get(&l->job_doc, 0, name) : JSON_NONE;
    return node != JSON_NONE ? json_raw(&l->job_doc, node) : SPAN_LIT("null");
}

/* The result envelope, as worker/render.c writes one. */
static void write_result(const struct letter *l, const struct queue_keys *keys, const char *provider,
                         struct span id, uint64_t now, struct buf *out) {
    buf_add_str(out, "{\"id\":\"");
    buf_add_span(out, l->job_id);
    buf_add_str(out, "\",\"status\":\"created\"");
    add_text(out, "provider", span_str(provider));
    add_text(out, "account", l->account);
    add_text(out, "queue", span_str(keys->queue));
    add_text(out, "order_key", l->order_key);
    add_text(out, "order_id", id);
    buf_add_str(out, ",\"order_ids\":[");
    buf_add_json_str(out, id);
    buf_addf(out,
             "],\"order\":null,\"parts\":[],\"error\":null,\"warnings\":[],\"attempts\":%u,\"http_status\":"
             "null,\"enqueued_at\":",
             l->attempt_count);
    struct span enqueued = job_raw(l, "enqueued_at");
    buf_add_span(out, enqueued.len > 0 && enqueued.ptr[0] != '"' ? enqueued : SPAN_LIT("null"));
    buf_addf(out, ",\"finished_at\":%llu,\"duration_ms\":0,\"meta\":", (unsigned long long)now);
    buf_add_span(out, job_raw(l, "meta"));
    buf_add_char(out, '}');
}

/* The job's own results list, if it names one that it may. */
static void add_results_key(const struct letter *l, const struct queue_keys *keys, struct buf *cmd) {
    struct buf key;
    buf_init(&key, 4096);
    uint32_t node = l->job_doc.count > 0 ? json_get(&l->job_doc, 0, "reply_to") : JSON_NONE;
    bool own = node != JSON_NONE && json_decode(&l->job_doc, node, &key) == 0 &&
               strstr(buf_cstr(&key), keys->hash_tag) != NULL && !queue_keys_owns(keys, buf_span(&key));
    redis_resp_arg(cmd, own ? buf_span(&key) : keys->key[KEY_RESULTS]);
    buf_deinit(&key);
}

void letter_resolve(struct letter *l, const struct queue_keys *keys, const char *provider,
                    struct span order_id, uint64_t now_ms, struct buf *cmd) {
    static const enum queue_key fixed[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS, KEY_LIMITS, KEY_RESULTS};
    struct buf text;
    char hash[33];
    bool hashed = letter_order_hash(l, hash);
    buf_init(&text, RESULT_MAX);
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_DEAD_RESOLVE, 7, 4);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        queue_cmd_key(cmd, keys, fixed[i]);
    add_results_key(l, keys, cmd);
    if (hashed)
        letter_ledger_key(keys, l, &text);
    redis_resp_arg(cmd, hashed ? buf_span(&text) : keys->key[KEY_DEAD]);
    redis_resp_arg(cmd, l->id);
    redis_resp_arg(cmd, l->account.ptr != NULL ? l->account : SPAN_LIT(""));
    buf_reset(&text);
    if (hashed) {
        buf_addf(&text, "C %s %llu [", hash, (unsigned long long)now_ms);
        buf_add_json_str(&text, order_id);
        buf_add_char(&text, ']');
    }
    redis_resp_arg(cmd, buf_span(&text));
    buf_reset(&text);
    if (l->job_id.ptr != NULL)
        write_result(l, keys, provider, order_id, now_ms, &text);
    if (!buf_ok(&text))
        cmd->failed = true;
    redis_resp_arg(cmd, buf_span(&text));
    buf_deinit(&text);
}
