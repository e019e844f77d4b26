/* Reads a job envelope (docs/protocol.md, "Job"). Every fault is listed; what could be read is kept
 * even then, so that a dead letter can name its job. */
#include "dray/provider.h"

#include <stdio.h>
#include <string.h>

#include "dray/timefmt.h"
#include "provider/envelope_parts.h"

#define REPLY_TO_MAX 512               /* bytes */
#define UNIX_MS_MAX  253402300799999LL /* the end of year 9999 */
#define UNIX_MS_MIN  100000000000LL    /* 1973; below it somebody means seconds */

static bool has_control(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f))
            return true;
    }
    return false;
}

static enum envelope_part part_of(const struct json_doc *doc, uint32_t name, uint32_t first) {
    char text[32];
    struct span inner = json_inner(doc, name);
    if (doc->nodes[name].escaped) {
        int n = json_copy(doc, name, text, sizeof(text));
        inner = (struct span){text, n > 0 ? (size_t)n : 0};
    }
    for (uint32_t i = 0; i < ENVELOPE_PARTS; i++) {
        uint32_t part = (first + i) % ENVELOPE_PARTS;
        if (span_eq(inner, envelope_part_name(part)))
            return (enum envelope_part)part;
    }
    return ENVELOPE_PARTS;
}

/* A name may be shown, but it may be as long as the job: it is cut, between two characters. */
static void fault_unknown(const struct envelope_reader *r, uint32_t name) {
    char path[65];
    struct span inner = json_inner(r->doc, name);
    size_t len = inner.len < sizeof(path) - 1 ? inner.len : sizeof(path) - 1;
    while (len > 0 && len < inner.len && ((unsigned char)inner.ptr[len] & 0xc0) == 0x80)
        len--;
    memcpy(path, inner.ptr, len);
    path[len] = '\0';
    faults_add(r->faults, path, "is no field of a job");
}

static void find_parts(struct envelope_reader *r) {
    const struct json_doc *doc = r->doc;
    uint32_t first = 0;
    for (uint32_t k = 1; k < doc->nodes[0].next; k = doc->nodes[k + 1].next) {
        enum envelope_part part = part_of(doc, k, first);
        if (part == ENVELOPE_PARTS) {
            fault_unknown(r, k);
            continue;
        }
        if (r->node[part] != JSON_NONE)
            envelope_fault(r, part, "is given twice");
        r->node[part] = k + 1;
        first = (uint32_t)part + 1;
    }
}

/* Reads the id. Returns it decoded, as the order key's default; absent if it is unreadable. */
static struct span read_id(struct envelope_reader *r) {
    const struct span none = {NULL, 0};
    uint32_t node = r->node[PART_ID];
    if (node == JSON_NONE)
        envelope_fault(r, PART_ID, "is required");
    if (!envelope_string_given(r, PART_ID))
        return none;
    uint32_t length = r->doc->nodes[node].count;
    if (length < 1 || length > JOB_ID_MAX) {
        faults_add(r->faults, "id", "must be 1 to %d characters", JOB_ID_MAX);
        return none;
    }
    r->e->id = json_inner(r->doc, node);
    struct span id = envelope_decoded(r, node);
    if (has_control(id))
        envelope_fault(r, PART_ID, "must hold no control character");
    return id;
}

static void read_order(struct envelope_reader *r) {
    uint32_t node = r->node[PART_ORDER];
    if (node == JSON_NONE)
        envelope_fault(r, PART_ORDER, "is required");
    else if (json_type(r->doc, node) != JSON_OBJECT)
        envelope_fault(r, PART_ORDER, "must be an object");
    else
        r->e->order = json_raw(r->doc, node);
}

/* This is the only value that a fault quotes, and only if it has the form of a name: who reads the dead letter
 * must know which account is missing. */
static void unknown_account(const struct envelope_reader *r, const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    char rule[NAME_MAX_LEN + 40] = "names no account of this queue";
    if (name[0] != '\0' && name[strspn(name, letters)] == '\0')
        snprintf(rule, sizeof(rule), "names no account of this queue: %s", name);
    envelope_fault(r, PART_ACCOUNT, rule);
}

static const struct account *read_account(struct envelope_reader *r,
                                          const struct account *(*find)(void *arg, const char *name),
                                          void *arg) {
    char name[NAME_MAX_LEN + 1];
    uint32_t node = r->node[PART_ACCOUNT];
    if (node == JSON_NONE) {
        const struct account *account = find(arg, NULL);
        if (account == NULL)
            envelope_fault(r, PART_ACCOUNT, "is required: the queue has no default account");
        return account;
    }
    if (!envelope_string_given(r, PART_ACCOUNT))
        return NULL;
    r->e->account = json_inner(r->doc, node);
    const struct account *account = NULL;
    if (json_copy(r->doc, node, name, sizeof(name)) > 0)
        account = find(arg, name);
    else
        name[0] = '\0';
    if (account == NULL)
        unknown_account(r, name);
    return account;
}

static uint64_t read_time(const struct envelope_reader *r, enum envelope_part part) {
    char text[64];
    int64_t number;
    uint64_t ms = 0;
    uint32_t node = r->node[part];
    if (node == JSON_NONE)
        return 0;
    if (json_i64(r->doc, node, &number) && number >= UNIX_MS_MIN && number <= UNIX_MS_MAX)
        return (uint64_t)number;
    if (json_i64(r->doc, node, &number) && number > 0 && number < UNIX_MS_MIN) {
        envelope_fault(r, part,
                       "must be Unix milliseconds; a number below 1e11 means seconds, it seems: times 1000");
        return 0;
    }
    int n = json_copy(r->doc, node, text, sizeof(text));
    if (n > 0 && rfc3339_parse((struct span){text, (size_t)n}, &ms) == 0)
        return ms > 0 ? ms : 1; /* 0 means "not given" */
    envelope_fault(r, part, "must be Unix milliseconds or a date and time such as 2024-04-24T06:00:33.889Z");
    return 0;
}

static void read_max_attempts(struct envelope_reader *r) {
    int64_t value;
    uint32_t node = r->node[PART_MAX_ATTEMPTS];
    if (node == JSON_NONE)
        return;
    if (!json_i64(r->doc, node, &value))
        envelope_fault(r, PART_MAX_ATTEMPTS, "must be an integer");
    else if (value < 1)
        envelope_fault(r, PART_MAX_ATTEMPTS, "must be at least 1");
    else
        r->e->max_attempts = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* Redis takes the first '{' and the first '}' behind it; the key's slot is the queue's only if that
 * is the queue's tag. */
static bool has_hash_tag(struct span key, const char *hash_tag) {
    size_t len = strlen(hash_tag);
    const char *open = memchr(key.ptr, '{', key.len);
    return open != NULL && (size_t)(key.ptr + key.len - open) >= len && memcmp(open, hash_tag, len) == 0;
}

static void read_reply_to(struct envelope_reader *r, const char *hash_tag) {
    if (!envelope_string_given(r, PART_REPLY_TO))
        return;
    struct span key = envelope_decoded(r, r->node[PART_REPLY_TO]);
    if (key.ptr == NULL)
        return;
    if (key.len < 1 || key.len > REPLY_TO_MAX)
        faults_add(r->faults, "reply_to", "must be 1 to %d bytes", REPLY_TO_MAX);
    else if (!has_hash_tag(key, hash_tag))
        faults_add(r->faults, "reply_to", "must carry the queue's hash tag %s", hash_tag);
    else
        r->e->reply_to = key;
}

static bool lower_hex(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
    return true;
}

/* W3C Trace Context §3.2: version-trace-parent-flags; a version above 00 may add more. */
static bool traceparent_valid(struct span t) {
    static const char zeros[] = "00000000000000000000000000000000";
    const char *s = t.ptr;
    if (t.len < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-')
        return false;
    if (!lower_hex(s, 2) || !lower_hex(s + 3, 32) || !lower_hex(s + 36, 16) || !lower_hex(s + 53, 2))
        return false;
    if (memcmp(s, "ff", 2) == 0 || memcmp(s + 3, zeros, 32) == 0 || memcmp(s + 36, zeros, 16) == 0)
        return false;
    return t.len == 55 || (memcmp(s, "00", 2) != 0 && s[55] == '-' && t.len <= 256);
}

static void read_traceparent(struct envelope_reader *r) {
    uint32_t node = r->node[PART_TRACEPARENT];
    if (!envelope_string_given(r, PART_TRACEPARENT))
        return;
    struct span text = json_inner(r->doc, node);
    if (r->doc->nodes[node].escaped || has_control(text) || !traceparent_valid(text))
        envelope_fault(r, PART_TRACEPARENT, "must be a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>)");
    else
        r->e->traceparent = text;
}

static void read_meta(struct envelope_reader *r) {
    if (r->node[PART_META] == JSON_NONE)
        return;
    struct span meta = json_raw(r->doc, r->node[PART_META]);
    if (meta.len > META_MAX)
        faults_add(r->faults, "meta", "must be at most %d bytes", META_MAX);
    else
        r->e->meta = meta;
}

static const struct account *read_parts(struct envelope_reader *r,
                                        const struct account *(*find)(void *arg, const char *name), void *arg,
                                        const char *hash_tag) {
    struct span id = read_id(r);
    read_order(r);
    const struct account *account = read_account(r, find, arg);
    r->e->not_before_ms = read_time(r, PART_NOT_BEFORE);
    r->e->expires_at_ms = read_time(r, PART_EXPIRES_AT);
    read_max_attempts(r);
    read_reply_to(r, hash_tag);
    r->e->enqueued_at_ms = read_time(r, PART_ENQUEUED_AT);
    read_traceparent(r);
    read_meta(r);
    if (account != NULL && r->e->order.ptr != NULL)
        provider_validate(account->provider, account, r->doc, r->node[PART_ORDER], r->faults, r->warnings);
    envelope_read_keys(r, account, id);
    return account;
}

uint32_t envelope_parse(struct envelope *e, struct json_doc *doc, struct span raw,
                        const struct account *(*find_account)(void *arg, const char *name), void *arg,
                        const char *hash_tag, struct buf *scratch, struct faults *faults,
                        struct faults *warnings, const struct account **account) {
    struct envelope_reader r = {
        .e = e, .doc = doc, .scratch = scratch, .faults = faults, .warnings = warnings};
    struct err err = {""};
    uint32_t before = faults->count;
    *e = (struct envelope){.raw = raw};
    *account = NULL;
    buf_reset(scratch);
    for (uint32_t i = 0; i < ENVELOPE_PARTS; i++)
        r.node[i] = JSON_NONE;
    if (json_parse(doc, raw.ptr, raw.len, &err) != 0) {
        faults_add_not_json(faults, "", raw, &err);
    } else if (json_type(doc, 0) != JSON_OBJECT) {
        faults_add(faults, "", "must be a JSON object");
    } else {
        find_parts(&r);
        *account = read_parts(&r, find_account, arg, hash_tag);
    }
    return faults->count - before;
}
