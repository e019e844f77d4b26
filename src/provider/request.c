/* The parts of a request that differ from order to order: the path with its marks replaced, the idempotency
 * header, the body's wrapping. Most accounts have none of it: their requests are the target's as it stands. */
#include "provider/module.h"

#include <string.h>

#include "dray/sha256.h"

#define HASH_DIGITS 32 /* 128 bits, as many as a UUID */

/* Whether the key would make a path segment of nothing but dots, which whoever reads the URL takes for "here"
 * or "up". */
static bool is_dots(struct span key) {
    return span_is(key, ".") || span_is(key, "..");
}

int path_expand(const char *path, const char *account, struct span key, struct buf *out) {
    bool in_path = true;
    while (*path != '\0') {
        size_t n = strcspn(path, "{?");
        buf_add(out, path, n);
        path += n;
        if (*path == '?')
            in_path = false;
        if (strncmp(path, KEY_MARK, strlen(KEY_MARK)) == 0) {
            const char *after = path + strlen(KEY_MARK);
            bool alone = out->len > 0 && out->data[out->len - 1] == '/' &&
                         (*after == '/' || *after == '?' || *after == '\0');
            if (key.len == 0 || (in_path && alone && is_dots(key)))
                return -1;
            add_percent_encoded(out, key);
            path = after;
        } else if (strncmp(path, ACCOUNT_MARK, strlen(ACCOUNT_MARK)) == 0) {
            add_percent_encoded(out, span_str(account));
            path += strlen(ACCOUNT_MARK);
        } else if (*path != '\0') {
            buf_add_char(out, *path++);
        }
    }
    return buf_ok(out) ? 0 : -1;
}

static bool path_holds_key(const struct account *a) {
    return a->provider->path == NULL && a->http_json.create_path != NULL &&
           strstr(a->http_json.create_path, KEY_MARK) != NULL;
}

static bool wraps(const struct account *a) {
    return a->http_json.wrap != NULL && strcmp(a->http_json.wrap, "array") == 0;
}

bool request_is_plain(const struct account *a) {
    return !path_holds_key(a) && !wraps(a) && a->http_json.idempotency_header == NULL;
}

/* Two keys must never look alike, so '%' is encoded too. */
static void add_visible(struct buf *out, struct span key) {
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.ptr[i];
        if (c > ' ' && c < 0x7f && c != '%')
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void add_header(const struct account *a, struct span key, struct buf *out) {
    char hash[HASH_DIGITS + 1];
    buf_addf(out, "%s: ", a->http_json.idempotency_header);
    if (a->http_json.idempotency_value != NULL && strcmp(a->http_json.idempotency_value, "hash") == 0) {
        sha256_hex(key, hash, HASH_DIGITS);
        buf_add_str(out, hash);
    } else {
        add_visible(out, key);
    }
    buf_add_char(out, '\0');
}

int request_build(const struct account *a, const struct envelope *e, struct buf *out,
                  struct request_parts *parts) {
    size_t path = 0, header = 0, body = 0;
    *parts = (struct request_parts){.body = e->order};
    buf_reset(out);
    if (path_holds_key(a)) {
        if (path_expand(a->http_json.create_path, a->name, e->order_key, out) != 0)
            return -1;
        buf_add_char(out, '\0');
    }
    header = out->len;
    if (a->http_json.idempotency_header != NULL)
        add_header(a, e->order_key, out);
    body = out->len;
    if (wraps(a)) {
        buf_add_char(out, '[');
        buf_add_span(out, e->order);
        buf_add_char(out, ']');
    }
    if (!buf_ok(out))
        return -1;
    if (header > path)
        parts->path = out->data;
    if (body > header)
        parts->header = out->data + header;
    if (out->len > body)
        parts->body = (struct span){out->data + body, out->len - body};
    return 0;
}

static bool stands_alone(const struct account *a, const char *path, struct span key) {
    struct buf out;
    if (path == NULL || strstr(path, KEY_MARK) == NULL)
        return false;
    buf_init(&out, 64u << 10);
    int rc = path_expand(path, a->name, key, &out);
    buf_deinit(&out);
    return rc != 0;
}

const char *request_key_fault(const struct account *a, struct span key) {
    if (a->provider->path != NULL || !is_dots(key))
        return NULL;
    if (stands_alone(a, a->http_json.create_path, key))
        return "must not be '.' or '..': it stands alone in create_path";
    if (stands_alone(a, a->http_json.lookup_path, key))
        return "must not be '.' or '..': it stands alone in lookup_path";
    return NULL;
}
