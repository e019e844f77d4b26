/* Controls: orders that are known to exist, one per account and class of key, so that "no such order" can be told from a
 * look-up that finds nothing at all (a router's page, an empty index, a key that is decoded once too often).
 *
 * Happy path: a created order is remembered here, and with the next beat in Redis (`controls`), at most once in REFRESH_MS;
 * a worker that needs one and has none asks Redis. Only accounts whose look-up is exact have any. Failure modes: Redis does
 * not answer (asked again); a control is not found (the next created order takes its place). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/lookup.h"

#define REFRESH_MS    600000         /* a control is that old before a newer order takes its place */
#define READ_AGAIN_NS 10000000000ull /* Redis is asked for an account's controls at most so often */

struct control {
    uint64_t created_ms; /* Unix */
    bool dirty;          /* Redis does not know it */
    bool distrusted;
    size_t len;
    char key[ORDER_KEY_MAX];
};

static bool is_dots(struct span segment) {
    for (size_t i = 0; i < segment.len; i++)
        if (segment.ptr[i] != '.')
            return false;
    return segment.len > 0;
}

/* By the kinds of characters in it: whoever reads a URL may take each of them in his own way. */
static unsigned class_of(struct span key) {
    unsigned class = 0;
    size_t from = 0;
    for (size_t i = 0; i <= key.len; i++) {
        unsigned char c = i < key.len ? (unsigned char)key.ptr[i] : '/';
        if (c == '/' || c == '\\') {
            class |= i < key.len ? 1 : 0;
            class |= is_dots((struct span){key.ptr + from, i - from}) ? 2 : 0;
            from = i + 1;
        } else if (c < 0x80 && strchr("-._~", c) == NULL && !(c >= '0' && c <= '9') &&
                   !((c | 32) >= 'a' && (c | 32) <= 'z')) {
            class |= 4;
        } else if (c >= 0x80) {
            class |= 8;
        }
    }
    return class;
}

static bool has_controls(const struct account *a) {
    return provider_lookup_kind(a) == LOOKUP_EXACT;
}

/* In a query, keys of all kinds are read alike. */
static bool key_in_path(const struct account *a) {
    const char *path = a->http_json.lookup_path;
    const char *mark = a->provider->path == NULL && path != NULL ? strstr(path, "{key}") : NULL;
    const char *query = mark != NULL ? strchr(path, '?') : NULL;
    return mark != NULL && (query == NULL || mark < query);
}

static void set_control(struct account_runtime *runtime, unsigned class, struct span key, uint64_t created_ms,
                        bool dirty) {
    if (runtime->controls.of == NULL)
        runtime->controls.of = calloc(CONTROL_CLASSES, sizeof(*runtime->controls.of));
    if (runtime->controls.of == NULL || key.len > ORDER_KEY_MAX)
        return;
    struct control *c = runtime->controls.of[class];
    if (c == NULL)
        c = runtime->controls.of[class] = malloc(sizeof(*c));
    if (c == NULL)
        return;
    *c = (struct control){.created_ms = created_ms, .dirty = dirty, .len = key.len};
    memcpy(c->key, key.ptr, key.len);
}

void control_remember(struct order *o, uint64_t now_ms) {
    struct account_runtime *runtime = o->runtime;
    struct span key = o->envelope.provider_key;
    if (!has_controls(o->account) || key.len == 0 || !runtime->current)
        return;
    unsigned class = class_of(key);
    const struct control *c = runtime->controls.of != NULL ? runtime->controls.of[class] : NULL;
    uint64_t refresh_ms =
        o->account->lookup_delay_ms * 2 > REFRESH_MS ? o->account->lookup_delay_ms * 2 : REFRESH_MS;
    if (c != NULL && !c->distrusted && now_ms < c->created_ms + refresh_ms)
        return;
    set_control(runtime, class, key, now_ms, true);
    o->consumer->controls.dirty = true;
}

void control_distrust(struct order *o, struct span key) {
    for (unsigned i = 0; o->runtime->controls.of != NULL && i < CONTROL_CLASSES; i++) {
        struct control *c = o->runtime->controls.of[i];
        if (c != NULL && span_eq((struct span){c->key, c->len}, key))
            c->distrusted = true;
    }
}

static const struct control *pick(const struct order *o) {
    unsigned class = class_of(o->envelope.provider_key);
    struct control *const *all = o->runtime->controls.of;
    const struct control *best = NULL;
    for (unsigned i = 0; all != NULL && i < CONTROL_CLASSES; i++) {
        if (all[i] == NULL || (i != class && key_in_path(o->account)) ||
            span_eq((struct span){all[i]->key, all[i]->len}, o->envelope.provider_key))
            continue;
        if (best == NULL || i == class || all[i]->created_ms < best->created_ms)
            best = all[i];
        if (i == class)
            break;
    }
    return best;
}

enum control_state control_of(struct order *o, uint64_t now_ms, struct span *key) {
    const struct control *c = pick(o);
    if (c == NULL && o->runtime->controls.read_ns == 0) {
        controls_read(o->consumer, o->runtime);
        return CONTROL_COMING;
    }
    if (c == NULL) {
        controls_read(o->consumer, o->runtime); /* for the next time */
        return CONTROL_MISSING;
    }
    if (now_ms < c->created_ms + o->account->lookup_delay_ms)
        return CONTROL_COMING;
    *key = (struct span){c->key, c->len};
    return CONTROL_READY;
}

/* -- in Redis: field "<account> <class>", value "<created, ms> <key>" ------------------------------------------------ */

static void on_written(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    consumer->asides--;
    if (r != NULL && r->type == REDIS_REPLY_ERROR)
        log_redis_error(consumer, "controls", error);
}

static void write_control(struct consumer *consumer, const struct account_runtime *runtime, unsigned class,
                          struct control *c) {
    struct span key = consumer->keys.key[KEY_CONTROLS];
    char field[NAME_MAX_LEN + 16], value[ORDER_KEY_MAX + 32];
    int n = snprintf(field, sizeof(field), "%s %u", runtime->account->name, class);
    int m = snprintf(value, sizeof(value), "%llu ", (unsigned long long)c->created_ms);
    memcpy(value + m, c->key, c->len);
    consumer->asides++;
    redis_router_command(consumer->worker->redis.router, consumer->keys.slot, on_written, consumer,
                         "HSET %b %b %b", key.ptr, key.len, field, (size_t)n, value, (size_t)m + c->len);
    c->dirty = false;
}

void controls_write(struct consumer *consumer) {
    if (!consumer->controls.dirty)
        return;
    consumer->controls.dirty = false;
    for (uint32_t p = 0; p < consumer->accounts.count; p++)
        for (unsigned i = 0; consumer->accounts.list[p]->controls.of != NULL && i < CONTROL_CLASSES; i++)
            if (consumer->accounts.list[p]->controls.of[i] != NULL &&
                consumer->accounts.list[p]->controls.of[i]->dirty)
                write_control(consumer, consumer->accounts.list[p], i,
                              consumer->accounts.list[p]->controls.of[i]);
}

static void on_read(void *arg, const redisReply *r, const char *error) {
    struct consumer *consumer = arg;
    struct account_runtime *runtime = consumer->controls.asked;
    (void)error;
    consumer->asides--;
    consumer->controls.asked = NULL;
    bool told = r != NULL && r->type == REDIS_REPLY_ARRAY && r->elements == CONTROL_CLASSES;
    for (unsigned i = 0; told && i < CONTROL_CLASSES; i++) {
        const redisReply *text = r->element[i];
        const char *space = text->type == REDIS_REPLY_STRING ? memchr(text->str, ' ', text->len) : NULL;
        const struct control *c = runtime->controls.of != NULL ? runtime->controls.of[i] : NULL;
        if (space == NULL || (c != NULL && !c->distrusted))
            continue;
        struct span key = {space + 1, text->len - (size_t)(space + 1 - text->str)};
        if (c == NULL || !span_eq((struct span){c->key, c->len}, key))
            set_control(runtime, i, key, strtoull(text->str, NULL, 10), false);
    }
    if (told)
        runtime->controls.read_ns = clock_boot_ns();
    runtime_unref(runtime);
}

void controls_read(struct consumer *consumer, struct account_runtime *runtime) {
    struct span key = consumer->keys.key[KEY_CONTROLS];
    uint64_t now = clock_boot_ns();
    struct buf *cmd = &consumer->worker->scratch.cmd;
    char field[NAME_MAX_LEN + 16];
    if (!has_controls(runtime->account) || consumer->controls.asked != NULL ||
        (runtime->controls.read_ns > 0 && now - runtime->controls.read_ns < READ_AGAIN_NS))
        return;
    runtime_ref(runtime);
    consumer->controls.asked = runtime;
    buf_reset(cmd);
    redis_resp_begin(cmd, 2 + CONTROL_CLASSES);
    redis_resp_str(cmd, "HMGET");
    redis_resp_arg(cmd, key);
    for (unsigned i = 0; i < CONTROL_CLASSES; i++) {
        snprintf(field, sizeof(field), "%s %u", runtime->account->name, i);
        redis_resp_str(cmd, field);
    }
    consumer->asides++;
    redis_router_send(consumer->worker->redis.router, consumer->keys.slot, buf_span(cmd), 0, on_read,
                      consumer);
}
