/* Reads what find.lua found. A text is only what somebody pushed: where it cannot be read as a job, the object says so
 * by `id` null. Numbers of others are never read as doubles: they go on as raw JSON. */
#include "worker/find.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/outcome.h"
#include "dray/provider.h"
#include "queue/call.h"
#include "queue/order_hash.h"
#include "util/json_tree.h"
#include "worker/order.h"

#define PARTS     4 /* of the reply, a piece: place, name, detail, text */
#define HEAD      2
#define TEXT_MAX  (512u << 20)
#define NODES_MAX (1u << 20)

void find_write(struct buf *cmd, const struct queue_keys *keys, const redisReply *workers,
                const struct find_query *q) {
    static const enum queue_key fixed[] = {KEY_JOBS,   KEY_TAKEN, KEY_DELAYED,      KEY_WAITING,
                                           KEY_PARKED, KEY_DEAD,  KEY_DEAD_ENTRIES, KEY_RESULTS};
    struct buf name;
    buf_init(&name, 4096);
    buf_reset(cmd);
    queue_cmd_begin(cmd, SCRIPT_FIND, 8 + workers->elements, 6 + workers->elements);
    for (size_t i = 0; i < 8; i++)
        queue_cmd_key(cmd, keys, fixed[i]);
    for (size_t i = 0; i < workers->elements; i++) {
        buf_reset(&name);
        queue_keys_claims(keys, (struct span){workers->element[i]->str, workers->element[i]->len}, &name);
        redis_resp_arg(cmd, buf_span(&name));
    }
    redis_resp_arg(cmd, q->needle);
    redis_resp_str(cmd, q->places);
    redis_resp_str(cmd, q->cursor);
    redis_resp_u64(cmd, q->most);
    redis_resp_u64(cmd, FIND_BUDGET);
    redis_resp_u64(cmd, FIND_BYTES);
    for (size_t i = 0; i < workers->elements; i++)
        redis_resp_arg(cmd, (struct span){workers->element[i]->str, workers->element[i]->len});
    cmd->failed |= name.failed;
    buf_deinit(&name);
}

void find_init(struct find_reader *r, const struct config *config, const char *queue) {
    *r = (struct find_reader){.config = config, .queue = queue};
    snprintf(r->hash_tag, sizeof(r->hash_tag), "{%s}", queue);
    json_init(&r->doc, NODES_MAX);
    json_init(&r->header, NODES_MAX);
    faults_init(&r->faults);
    buf_init(&r->text, TEXT_MAX);
    buf_init(&r->quoted, TEXT_MAX);
    letter_init(&r->letter);
}

void find_deinit(struct find_reader *r) {
    letter_deinit(&r->letter);
    buf_deinit(&r->quoted);
    buf_deinit(&r->text);
    faults_deinit(&r->faults);
    json_deinit(&r->header);
    json_deinit(&r->doc);
}

bool find_read(const redisReply *reply, char cursor[static 64], uint64_t *looked) {
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements < HEAD ||
        (reply->elements - HEAD) % PARTS != 0 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    snprintf(cursor, 64, "%s", reply->element[0]->str);
    *looked = (uint64_t)reply->element[1]->integer;
    return true;
}

size_t find_count(const redisReply *reply) {
    return (reply->elements - HEAD) / PARTS;
}

/* ---- one piece ---- */

/* Inner bytes of a JSON string, as they stand. */
static void add_inner(cJSON *o, const char *name, struct span s) {
    char *raw = NULL;
    if (s.ptr != NULL && asprintf(&raw, "\"%.*s\"", (int)s.len, s.ptr) < 0)
        raw = NULL;
    if (raw != NULL)
        cJSON_AddRawToObject(o, name, raw);
    else
        cJSON_AddNullToObject(o, name);
    free(raw);
}

static void add_ms(cJSON *o, const char *name, uint64_t ms) {
    if (ms > 0)
        cJSON_AddNumberToObject(o, name, (double)ms);
    else
        cJSON_AddNullToObject(o, name);
}

static const struct account *find_account(void *arg, const char *name) {
    const struct find_reader *r = arg;
    const struct queue_config *queue = config_queue(r->config, r->queue);
    if (name == NULL)
        return queue != NULL ? queue->default_account : NULL;
    const struct account *a = config_account(r->config, name);
    return a != NULL && strcmp(a->queue, r->queue) == 0 ? a : NULL;
}

/* `id` are a JSON string's inner bytes: PHP writes "shop-7\/1001". */
static bool inner_is(struct find_reader *r, struct span id, const char *wanted) {
    char text[4 * JOB_ID_MAX + 1];
    if (id.ptr == NULL || memchr(id.ptr, '\\', id.len) == NULL)
        return id.ptr != NULL && span_is(id, wanted);
    buf_reset(&r->quoted);
    buf_add_char(&r->quoted, '"');
    buf_add_span(&r->quoted, id);
    buf_add_char(&r->quoted, '"');
    return buf_ok(&r->quoted) && json_parse(&r->header, r->quoted.data, r->quoted.len, NULL) == 0 &&
           json_copy(&r->header, 0, text, sizeof(text)) >= 0 && strcmp(text, wanted) == 0;
}

static bool is_wanted(struct find_reader *r, const char *wanted, struct span id, struct span key) {
    return wanted == NULL || inner_is(r, id, wanted) || (key.ptr != NULL && span_is(key, wanted));
}

/* The longest run of characters that no JSON writer escapes. */
struct span find_needle(const char *wanted) {
    struct span best = {wanted, 0};
    for (const char *p = wanted; *p != '\0';) {
        size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-:#@");
        if (n > best.len)
            best = (struct span){p, n};
        p += n > 0 ? n : 1;
    }
    return best;
}

static void add_order(struct find_reader *r, cJSON *o, struct span order) {
    char hash[33];
    r->order = order;
    if (order.ptr != NULL)
        order_hash(order, hash);
    tree_add_text(o, "order_hash", order.ptr != NULL ? span_str(hash) : order);
}

/* The job's own words. False: it is not the one. */
static bool add_job(struct find_reader *r, cJSON *o, struct span raw, const char *wanted) {
    struct envelope e;
    const struct account *account = NULL;
    faults_reset(&r->faults);
    envelope_parse(&e, &r->doc, raw, find_account, r, r->hash_tag, &r->text, &r->faults, NULL, &account);
    if (!is_wanted(r, wanted, e.id, e.order_key))
        return false;
    add_inner(o, "id", e.id);
    tree_add_text(o, "order_key", e.order_key);
    add_order(r, o, e.order);
    if (account != NULL)
        cJSON_AddStringToObject(o, "account", account->name);
    else
        add_inner(o, "account", e.account);
    add_ms(o, "enqueued_at", e.enqueued_at_ms);
    add_ms(o, "not_before", e.not_before_ms);
    return true;
}

static const char *phase_name(enum phase phase) {
    switch (phase) {
    case PHASE_SEND:
        return "to_send";
    case PHASE_RECOVERED:
        return "recovered";
    default:
        return "to_look_up";
    }
}

/* A record: what dray knows of the job, and the job. */
static bool add_record(struct find_reader *r, cJSON *o, struct span record, const char *wanted,
                       bool contents) {
    struct record_header header;
    struct span raw;
    char *history = NULL;
    if (record_header_parse(&header, false, record, &r->doc, &raw) < 0) /* its spans point into the record */
        return wanted == NULL;
    if (!add_job(r, o, raw, wanted))
        return false;
    cJSON_AddStringToObject(o, "next", phase_name(header.phase));
    cJSON_AddNumberToObject(o, "attempts", header.attempts);
    cJSON_AddNumberToObject(o, "lookups", header.lookups);
    cJSON_AddNumberToObject(o, "recoveries", header.recoveries);
    add_ms(o, "first_attempt_at", header.first_ms);
    if (contents && asprintf(&history, "[%.*s]", (int)header.history.len, header.history.ptr) >= 0)
        cJSON_AddRawToObject(o, "history", history);
    free(history);
    return true;
}

static bool add_letter(struct find_reader *r, cJSON *o, struct span id, struct span text, const char *wanted,
                       bool contents) {
    struct letter *l = &r->letter;
    char *history = NULL;
    letter_read(l, id, text);
    if (!is_wanted(r, wanted, l->job_id, l->order_key))
        return false;
    tree_add_text(o, "dead_id", id);
    add_inner(o, "id", l->job_id);
    tree_add_text(o, "order_key", l->order_key);
    add_order(r, o, letter_order(l));
    tree_add_text(o, "account", l->account);
    add_ms(o, "died_at", l->died_at > 0 ? (uint64_t)l->died_at : 0);
    tree_add_text(o, "reason", l->reason);
    tree_add_text(o, "code", l->code);
    cJSON_AddNumberToObject(o, "attempts", l->attempt_count);
    if (contents)
        tree_add_text(o, "message", l->message);
    if (contents && l->attempts.ptr != NULL &&
        asprintf(&history, "[%.*s]", (int)l->attempts.len, l->attempts.ptr) >= 0)
        cJSON_AddRawToObject(o, "history", history);
    free(history);
    return true;
}

static bool add_result(struct find_reader *r, cJSON *o, struct span text, const char *wanted) {
    static const char *const members[] = {"account", "status", "order_id", "finished_at"};
    char key[ORDER_KEY_MAX + 1];
    if (json_parse(&r->doc, text.ptr, text.len, NULL) < 0 || json_type(&r->doc, 0) != JSON_OBJECT)
        return wanted == NULL;
    uint32_t id = json_get(&r->doc, 0, "id"), key_node = json_get(&r->doc, 0, "order_key");
    int n = key_node != JSON_NONE ? json_copy(&r->doc, key_node, key, sizeof(key)) : -1;
    struct span id_span = json_scalar(&r->doc, id), key_span = {n >= 0 ? key : NULL, n >= 0 ? (size_t)n : 0};
    if (!is_wanted(r, wanted, id_span, key_span))
        return false;
    add_inner(o, "id", id_span);
    tree_add_text(o, "order_key", key_span);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        uint32_t node = json_get(&r->doc, 0, members[i]);
        struct span raw = node != JSON_NONE ? json_raw(&r->doc, node) : SPAN_LIT("null");
        char *copy = strndup(raw.ptr, raw.len);
        if (copy != NULL)
            cJSON_AddRawToObject(o, members[i], copy);
        free(copy);
    }
    return true;
}

/* detail: "<claim's letter, or -> <worker>" */
static void add_claim(cJSON *o, struct span token, struct span detail) {
    char letter = detail.len > 0 ? detail.ptr[0] : '-';
    bool lookup = letter == 'l' || letter == 'L';
    cJSON_AddStringToObject(o, "doing", letter == '-' ? "claimed" : lookup ? "looking_up" : "sending");
    tree_add_text(o, "worker",
                  detail.len > 2 ? (struct span){detail.ptr + 2, detail.len - 2} : (struct span){NULL, 0});
    tree_add_text(o, "claim", token);
}

static struct span part(const redisReply *reply, size_t i, size_t k) {
    const redisReply *r = reply->element[HEAD + PARTS * i + k];
    return r->type == REDIS_REPLY_STRING ? (struct span){r->str, r->len} : SPAN_LIT("");
}

static bool fill(struct find_reader *r, cJSON *o, const redisReply *reply, size_t i, const char *wanted,
                 bool contents) {
    struct span place = part(reply, i, 0), name = part(reply, i, 1), detail = part(reply, i, 2),
                text = part(reply, i, 3);
    switch (place.len > 0 ? place.ptr[0] : '\0') {
    case 'j':
    case 't':
        cJSON_AddStringToObject(o, "place", "queued");
        return add_job(r, o, text, wanted);
    case 'i':
        cJSON_AddStringToObject(o, "place", "in_flight");
        add_claim(o, name, detail);
        return add_record(r, o, text, wanted, contents);
    case 'd':
        cJSON_AddStringToObject(o, "place", "delayed");
        tree_add_text(o, "ticket", name);
        add_ms(o, "due_at", strtoull(detail.ptr, NULL, 10));
        return add_record(r, o, text, wanted, contents);
    case 'w':
        cJSON_AddStringToObject(o, "place", "waiting");
        tree_add_text(o, "ticket", name);
        return add_record(r, o, text, wanted, contents);
    case 'x':
        cJSON_AddStringToObject(o, "place", "dead");
        return add_letter(r, o, name, text, wanted, contents);
    case 'r':
        cJSON_AddStringToObject(o, "place", "result");
        return add_result(r, o, text, wanted);
    default:
        return false;
    }
}

cJSON *find_item(struct find_reader *r, const redisReply *reply, size_t i, const char *wanted,
                 bool contents) {
    cJSON *o = cJSON_CreateObject();
    r->order = (struct span){NULL, 0};
    if (o != NULL && fill(r, o, reply, i, wanted, contents))
        return o;
    cJSON_Delete(o);
    return NULL;
}

/* ---- the ledger ---- */

/* The next word of `s`, which is cut behind it. */
static struct span word(struct span *s) {
    const char *space = memchr(s->ptr, ' ', s->len);
    struct span w = {s->ptr, space != NULL ? (size_t)(space - s->ptr) : s->len};
    size_t gone = w.len + (space != NULL);
    *s = (struct span){s->ptr + gone, s->len - gone};
    return w;
}

static void add_rest(cJSON *o, char letter, struct span rest) {
    char digits[24] = "";
    if (letter == 'S') {
        tree_add_text(o, "worker", word(&rest));
        return;
    }
    struct span at = word(&rest);
    snprintf(digits, sizeof(digits), "%.*s", (int)(at.len < 20 ? at.len : 20), at.ptr);
    add_ms(o, "at", strtoull(digits, NULL, 10));
    if (letter == 'U')
        tree_add_text(o, "dead_id", rest);
    else if (letter == 'C' && rest.len > 0 && rest.ptr[0] == '[') {
        char *ids = strndup(rest.ptr, rest.len);
        if (ids != NULL)
            cJSON_AddRawToObject(o, "order_ids", ids);
        free(ids);
    }
}

cJSON *find_ledger_entry(const char *account, const char *key, struct span entry) {
    char letter = entry.len > 2 && entry.ptr[1] == ' ' ? entry.ptr[0] : '\0';
    const char *state = letter == 'S'   ? "sending"
                        : letter == 'L' ? "looked_up"
                        : letter == 'C' ? "created"
                        : letter == 'U' ? "unknown"
                                        : NULL;
    cJSON *o = state != NULL ? cJSON_CreateObject() : NULL;
    if (o == NULL)
        return NULL;
    struct span rest = {entry.ptr + 2, entry.len - 2};
    cJSON_AddStringToObject(o, "account", account);
    tree_add_text(o, "key", span_str(key));
    cJSON_AddStringToObject(o, "state", state);
    tree_add_text(o, "order_hash", word(&rest));
    add_rest(o, letter, rest);
    return o;
}
