/* Memory of one configuration: many small pieces, freed together and wiped, since secrets lie in
 * it. */
#ifndef DRAY_CONFIG_ARENA_H
#define DRAY_CONFIG_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *head;
    size_t left;  /* bytes free in the head chunk */
    size_t total; /* bytes of all chunks */
    size_t max;   /* bytes that total may reach */
};

void arena_init(struct arena *a, size_t max); /* allocates nothing */
void arena_deinit(struct arena *a);
/* Zeroed and aligned for any type. NULL: out of memory, or past the maximum. */
void *arena_alloc(struct arena *a, size_t n);
/* A NUL-terminated copy of `n` bytes, or NULL. */
char *arena_copy(struct arena *a, const char *s, size_t n);

#endif
