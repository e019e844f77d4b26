/* Chunks that double in size; one is never moved, so pointers into it stay. */
#include "config/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 512
#define CHUNK_LAST  65536

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t max) {
    *a = (struct arena){.max = max};
}

void arena_deinit(struct arena *a) {
    while (a->head != NULL) {
        struct arena_chunk *next = a->head->next;
        explicit_bzero(a->head->data, a->head->size);
        free(a->head);
        a->head = next;
    }
    arena_init(a, a->max);
}

static struct arena_chunk *add_chunk(struct arena *a, size_t size) {
    if (size > a->max - a->total)
        return NULL;
    struct arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);
    if (chunk == NULL)
        return NULL;
    chunk->size = size;
    chunk->next = a->head;
    a->head = chunk;
    a->left = size;
    a->total += size;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t n) {
    if (n > a->max)
        return NULL;
    n = (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (n > a->left) {
        size_t size = a->total < CHUNK_FIRST ? CHUNK_FIRST : a->total; /* doubles */
        size = size > CHUNK_LAST ? CHUNK_LAST : size;
        if (add_chunk(a, n > size ? n : size) == NULL)
            return NULL;
    }
    void *p = a->head->data + (a->head->size - a->left);
    a->left -= n;
    return p;
}

char *arena_copy(struct arena *a, const char *s, size_t n) {
    char *copy = arena_alloc(a, n + 1);
    if (copy != NULL && n > 0)
        memcpy(copy, s, n);
    return copy;
}
