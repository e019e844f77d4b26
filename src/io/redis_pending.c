/* The ring of callbacks that are owed. */
#include "io/redis_pending.h"

#include <stdlib.h>

#define FIRST_CAP 64

static void grow(struct redis_pending_ring *r) {
    size_t cap = r->cap > 0 ? r->cap * 2 : FIRST_CAP;
    struct redis_pending *items = calloc(cap, sizeof(*items));
    if (items == NULL)
        abort();
    for (size_t i = 0; i < r->len; i++)
        items[i] = r->items[(r->head + i) & (r->cap - 1)];
    free(r->items);
    r->items = items;
    r->cap = cap;
    r->head = 0;
}

void redis_pending_push(struct redis_pending_ring *r, struct redis_pending p) {
    if (r->len == r->cap)
        grow(r);
    r->items[(r->head + r->len) & (r->cap - 1)] = p;
    r->len++;
}

struct redis_pending redis_pending_pop(struct redis_pending_ring *r) {
    struct redis_pending p = r->items[r->head];
    r->head = (r->head + 1) & (r->cap - 1);
    r->len--;
    return p;
}

const struct redis_pending *redis_pending_head(const struct redis_pending_ring *r) {
    return r->len > 0 ? &r->items[r->head] : NULL;
}

void redis_pending_fail(struct redis_pending_ring *r, const char *error) {
    for (size_t n = r->len; n > 0; n--) {
        struct redis_pending p = redis_pending_pop(r);
        if (p.done != NULL)
            p.done(p.arg, NULL, error);
    }
}

void redis_pending_deinit(struct redis_pending_ring *r) {
    free(r->items);
    *r = (struct redis_pending_ring){0};
}
