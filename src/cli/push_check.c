/* One line of `dray push`: an envelope as it is, or (--orders) an order that becomes one. */
#include "cli/push.h"

#include <inttypes.h>
#include <string.h>

#include "dray/provider.h"

#define WRAPPING_MAX 4096 /* bytes that --orders may add to a line */

void checker_init(struct checker *c, const struct config *config, const struct queue_config *queue,
                  bool orders, const char *account) {
    *c = (struct checker){.config = config, .queue = queue, .orders = orders, .account = account};
    snprintf(c->hash_tag, sizeof(c->hash_tag), "{%s}", queue->name);
    json_init(&c->doc, UINT32_MAX);
    faults_init(&c->faults);
    faults_init(&c->warnings);
    buf_init(&c->decoded, queue->max_job_bytes + 1);
    buf_init(&c->wrapped, queue->max_job_bytes + WRAPPING_MAX);
}

void checker_deinit(struct checker *c) {
    buf_deinit(&c->wrapped);
    buf_deinit(&c->decoded);
    faults_deinit(&c->faults);
    faults_deinit(&c->warnings);
    json_deinit(&c->doc);
}

static const struct account *find_account(void *arg, const char *name) {
    const struct checker *c = arg;
    if (name == NULL)
        return c->queue->default_account;
    const struct account *a = config_account(c->config, name);
    return a != NULL && strcmp(a->queue, c->queue->name) == 0 ? a : NULL;
}

bool checker_knows_account(const struct checker *c) {
    const struct account *a = config_account(c->config, c->account);
    return a != NULL && strcmp(a->queue, c->queue->name) == 0;
}

/* {"id":KEY,"account":…,"enqueued_at":…,"order":…}: the order's own key is the job's id. False: a
 * fault was added. */
static bool wrap_order(struct checker *c, struct span order, uint64_t now_unix_ms) {
    struct err err = {""};
    const struct account *a = find_account(c, c->account);
    const char *pointer = NULL;
    if (json_parse(&c->doc, order.ptr, order.len, &err) != 0) {
        faults_add_not_json(&c->faults, "order", order, &err);
        return false;
    }
    uint32_t node = a != NULL ? provider_order_key(a->provider, a, &c->doc, 0, &pointer) : JSON_NONE;
    bool string = node != JSON_NONE && json_type(&c->doc, node) == JSON_STRING;
    if (!string && (node == JSON_NONE || !c->doc.nodes[node].integer)) {
        faults_add(&c->faults, "id", "the order has no key of its own%s%s, which --orders takes for the id",
                   pointer != NULL ? " at " : "", pointer != NULL ? pointer : "");
        return false;
    }
    buf_reset(&c->wrapped);
    buf_add_str(&c->wrapped, "{\"id\":\"");
    buf_add_span(&c->wrapped, string ? json_inner(&c->doc, node) : json_raw(&c->doc, node));
    buf_add_char(&c->wrapped, '"');
    if (c->account != NULL)
        buf_addf(&c->wrapped, ",\"account\":\"%s\"", c->account);
    buf_addf(&c->wrapped, ",\"enqueued_at\":%" PRIu64 ",\"order\":", now_unix_ms);
    buf_add_span(&c->wrapped, order);
    buf_add_char(&c->wrapped, '}');
    return true;
}

bool checker_line(struct checker *c, enum line_kind kind, struct span text, uint64_t now_unix_ms,
                  struct span *job) {
    struct envelope envelope;
    const struct account *account = NULL;
    faults_reset(&c->faults);
    faults_reset(&c->warnings);
    *job = text;
    if (kind == LINE_TEXT && c->orders) {
        if (!wrap_order(c, text, now_unix_ms))
            return false;
        *job = buf_span(&c->wrapped);
        if (!buf_ok(&c->wrapped))
            kind = LINE_TOO_LONG;
    }
    if (kind == LINE_TOO_LONG || job->len > c->queue->max_job_bytes) {
        faults_add(&c->faults, "", "must be at most %" PRIu64 " bytes (max_job_bytes)",
                   c->queue->max_job_bytes);
        return false;
    }
    envelope_parse(&envelope, &c->doc, *job, find_account, c, c->hash_tag, &c->decoded, &c->faults,
                   &c->warnings, &account);
    if (account != NULL && envelope.order.ptr != NULL)
        provider_look_alikes(account->provider, account, &c->doc, json_get(&c->doc, 0, "order"),
                             &c->warnings);
    return c->faults.count == 0;
}
