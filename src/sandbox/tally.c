/* What the sandbox remembers. The tables are zero pages until they are used, so a large bound costs
 * address space only. */
#include "sandbox/tally.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK_BYTES (1u << 20)

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size;
    char data[];
};

static void *map_table(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static uint32_t power_above(uint32_t n) {
    uint32_t p = 16;
    while (p < n && p < 1u << 31)
        p <<= 1;
    return p;
}

int tally_init(struct tally *s, uint32_t max, uint64_t memory_max, struct err *err) {
    *s = (struct tally){.max = max, .memory_max = memory_max};
    uint32_t slots = power_above(max > UINT32_MAX / 2 ? UINT32_MAX : max * 2);
    s->index_mask = slots - 1;
    s->keys = map_table(max * sizeof *s->keys);
    s->orders = map_table(max * sizeof *s->orders);
    s->index = map_table(slots * sizeof *s->index);
    if (s->keys != NULL && s->orders != NULL && s->index != NULL)
        return 0;
    tally_deinit(s);
    return err_set(err, "no memory for tables of %u orders", max);
}

static void free_chunks(struct tally *s) {
    while (s->chunks != NULL) {
        struct arena_chunk *next = s->chunks->next;
        free(s->chunks);
        s->chunks = next;
    }
    s->memory = 0;
}

void tally_deinit(struct tally *s) {
    free_chunks(s);
    if (s->keys != NULL)
        munmap(s->keys, s->max * sizeof *s->keys);
    if (s->orders != NULL)
        munmap(s->orders, s->max * sizeof *s->orders);
    if (s->index != NULL)
        munmap(s->index, ((size_t)s->index_mask + 1) * sizeof *s->index);
    *s = (struct tally){0};
}

void tally_reset(struct tally *s) {
    free_chunks(s);
    s->order_base += s->order_count;
    /* Gives the pages back to the system; they read as zeroes from now on. */
    madvise(s->keys, s->max * sizeof *s->keys, MADV_DONTNEED);
    madvise(s->orders, s->max * sizeof *s->orders, MADV_DONTNEED);
    madvise(s->index, ((size_t)s->index_mask + 1) * sizeof *s->index, MADV_DONTNEED);
    s->key_count = s->order_count = 0;
    s->totals = (struct sandbox_totals){0};
}

/* Copies `bytes`; NULL when the arena is full. */
static const char *keep(struct tally *s, struct span bytes) {
    if (s->memory + bytes.len > s->memory_max)
        return NULL;
    struct arena_chunk *c = s->chunks;
    if (c == NULL || c->size - c->used < bytes.len) {
        size_t size = bytes.len > CHUNK_BYTES ? bytes.len : CHUNK_BYTES;
        c = malloc(sizeof *c + size);
        if (c == NULL)
            return NULL;
        *c = (struct arena_chunk){.next = s->chunks, .size = size};
        s->chunks = c;
    }
    char *p = c->data + c->used;
    if (bytes.len > 0)
        memcpy(p, bytes.ptr, bytes.len);
    c->used += bytes.len;
    s->memory += bytes.len;
    return p;
}

static uint64_t hash_key(uint16_t caller, uint16_t endpoint, struct span name) {
    return XXH3_64bits_withSeed(name.ptr, name.len, (uint64_t)caller << 16 | endpoint);
}

/* The slot where the key is, or the free one where it belongs. */
static uint32_t find_slot(const struct tally *s, uint64_t hash, uint16_t caller, uint16_t endpoint,
                          struct span name) {
    uint32_t slot = (uint32_t)hash & s->index_mask;
    for (; s->index[slot] != 0; slot = (slot + 1) & s->index_mask) {
        const struct tally_key *k = &s->keys[s->index[slot] - 1];
        if (k->hash == hash && k->caller == caller && k->endpoint == endpoint && k->name_len == name.len &&
            memcmp(k->name, name.ptr, name.len) == 0)
            break;
    }
    return slot;
}

uint32_t tally_find(const struct tally *s, uint16_t caller, uint16_t endpoint, struct span name) {
    uint32_t slot = find_slot(s, hash_key(caller, endpoint, name), caller, endpoint, name);
    return s->index[slot] == 0 ? TALLY_NONE : s->index[slot] - 1;
}

uint32_t tally_key(struct tally *s, uint16_t caller, uint16_t endpoint, struct span name) {
    uint64_t hash = hash_key(caller, endpoint, name);
    uint32_t slot = find_slot(s, hash, caller, endpoint, name);
    if (s->index[slot] != 0)
        return s->index[slot] - 1;
    const char *kept = s->key_count < s->max ? keep(s, name) : NULL;
    if (kept == NULL)
        return TALLY_NONE;
    uint32_t key = s->key_count++;
    s->keys[key] = (struct tally_key){.hash = hash,
                                      .name = kept,
                                      .name_len = (uint32_t)name.len,
                                      .caller = caller,
                                      .endpoint = endpoint,
                                      .first = TALLY_NONE,
                                      .last = TALLY_NONE};
    s->index[slot] = key + 1;
    s->totals.keys++;
    return key;
}

static void link_order(struct tally *s, uint32_t key, uint32_t order) {
    struct tally_key *k = &s->keys[key];
    if (k->first == TALLY_NONE)
        k->first = order;
    else
        s->orders[k->last].next = order;
    k->last = order;
}

uint32_t tally_order(struct tally *s, uint32_t key, uint16_t caller, uint16_t endpoint, struct span body,
                     uint32_t count, uint64_t now_ms) {
    if (s->max - s->order_count < count)
        return TALLY_NONE;
    const char *kept = body.ptr != NULL ? keep(s, body) : NULL;
    if (body.ptr != NULL && kept == NULL)
        return TALLY_NONE;
    uint32_t first = s->order_count;
    for (uint32_t i = 0; i < count; i++) {
        s->orders[first + i] = (struct tally_order){.created_ms = now_ms,
                                                    .body = kept,
                                                    .body_len = (uint32_t)body.len,
                                                    .key = key,
                                                    .next = TALLY_NONE,
                                                    .caller = caller,
                                                    .endpoint = endpoint};
        if (key != TALLY_NONE)
            link_order(s, key, first + i);
    }
    s->order_count += count;
    return first;
}

uint64_t tally_serial(const struct tally *s, uint32_t order) {
    return s->order_base + order;
}

uint32_t tally_by_serial(const struct tally *s, uint64_t serial) {
    if (serial < s->order_base || serial - s->order_base >= s->order_count)
        return TALLY_NONE;
    return (uint32_t)(serial - s->order_base);
}
