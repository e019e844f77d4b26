/* Delayed requests: a binary heap by due time. */
#include <stdlib.h>

#include "sandbox/internal.h"

static void place(struct delays *d, uint32_t slot, struct request *r) {
    d->heap[slot] = r;
    r->heap_slot = slot;
}

static void sift_up(struct delays *d, uint32_t slot, struct request *r) {
    while (slot > 0 && d->heap[(slot - 1) / 2]->due_ns > r->due_ns) {
        place(d, slot, d->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(d, slot, r);
}

static void sift_down(struct delays *d, uint32_t slot, struct request *r) {
    for (;;) {
        uint32_t child = slot * 2 + 1;
        if (child >= d->count)
            break;
        if (child + 1 < d->count && d->heap[child + 1]->due_ns < d->heap[child]->due_ns)
            child++;
        if (d->heap[child]->due_ns >= r->due_ns)
            break;
        place(d, slot, d->heap[child]);
        slot = child;
    }
    place(d, slot, r);
}

int delays_push(struct delays *d, struct request *r) {
    if (d->count == d->cap) {
        uint32_t cap = d->cap == 0 ? 64 : d->cap * 2;
        struct request **heap = realloc(d->heap, cap * sizeof(struct request *));
        if (heap == NULL)
            return -1;
        d->heap = heap;
        d->cap = cap;
    }
    sift_up(d, d->count++, r);
    return 0;
}

void delays_remove(struct delays *d, struct request *r) {
    uint32_t slot = r->heap_slot;
    if (slot == HEAP_NONE)
        return;
    r->heap_slot = HEAP_NONE;
    struct request *last = d->heap[--d->count];
    if (last == r)
        return;
    if (slot > 0 && d->heap[(slot - 1) / 2]->due_ns > last->due_ns)
        sift_up(d, slot, last);
    else
        sift_down(d, slot, last);
}

struct request *delays_top(const struct delays *d) {
    return d->count == 0 ? NULL : d->heap[0];
}

void delays_deinit(struct delays *d) {
    free(d->heap);
    *d = (struct delays){0};
}
