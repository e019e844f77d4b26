#include "queue/repeats.h"

#include <string.h>

#define SLOTS 1024 /* a power of two, more than a batch has keys by far */

_Static_assert(SLOTS >= 4 * BATCH_ITEMS && BATCH_ITEMS <= UINT8_MAX, "the table holds a batch's keys");

/* The next bulk string of RESP; `at` moves behind it. */
static struct span next_key(const char **at) {
    size_t len = 0;
    const char *p = *at + 1; /* behind the $ */
    for (; *p != '\r'; p++)
        len = len * 10 + (size_t)(*p - '0');
    *at = p + 2 + len + 2;
    return (struct span){p + 2, len};
}

/* Keys of a queue differ at their ends. */
static uint32_t slot_of(struct span key) {
    uint64_t tail = 0;
    size_t n = key.len < sizeof(tail) ? key.len : sizeof(tail);
    memcpy(&tail, key.ptr + key.len - n, n);
    return (uint32_t)((tail * 0x9e3779b97f4a7c15u) >> 54);
}

struct table {
    uint8_t places[SLOTS]; /* of a key in `keys`, from 1 on; 0: free */
    struct span keys[BATCH_ITEMS];
};

/* Where the key stands, or the free slot where it would. */
static uint32_t find(const struct table *t, struct span key) {
    uint32_t i = slot_of(key);
    while (t->places[i] != 0 && !span_eq(t->keys[t->places[i] - 1], key))
        i = (i + 1) % SLOTS;
    return i;
}

bool batch_keys_repeat(const struct batch *settle, const struct batch *begin) {
    struct table t;
    memset(t.places, 0, sizeof(t.places));
    const char *at = begin->keys.data;
    for (uint32_t i = 0; i < begin->count; i++) {
        t.keys[i] = next_key(&at);
        uint32_t slot = find(&t, t.keys[i]);
        if (t.places[slot] != 0)
            return true;
        t.places[slot] = (uint8_t)(i + 1);
    }
    at = settle->keys.data;
    for (uint32_t i = 0; i < settle->count && begin->count > 0; i++)
        if (t.places[find(&t, next_key(&at))] != 0)
            return true;
    return false;
}
