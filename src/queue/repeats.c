#include "queue/repeats.h"

#include <string.h>

#define SLOTS 1024 /* a power of two, well more than two batches have names */
#define NAMES (2 * BATCH_ITEMS)

_Static_assert(SLOTS >= 2 * NAMES, "the table holds two batches' names");

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
    return (uint32_t)(((tail ^ key.len) * 0x9e3779b97f4a7c15u) >> 54);
}

struct table {
    uint16_t places[SLOTS]; /* of a name in `keys`, from 1 on; 0: free */
    struct span keys[NAMES];
    uint32_t count;
};

/* Where the key stands, or the free slot where it would. */
static uint32_t find(const struct table *t, struct span key) {
    uint32_t i = slot_of(key);
    while (t->places[i] != 0 && !span_eq(t->keys[t->places[i] - 1], key))
        i = (i + 1) % SLOTS;
    return i;
}

/* Adds `count` names of a column; true where one of them is there. */
static bool add_all(struct table *t, const struct buf *column, uint32_t count) {
    const char *at = column->data;
    for (uint32_t i = 0; i < count; i++) {
        struct span key = next_key(&at);
        uint32_t slot = find(t, key);
        if (t->places[slot] != 0)
            return true;
        t->keys[t->count++] = key;
        t->places[slot] = (uint16_t)t->count;
    }
    return false;
}

bool batch_keys_repeat(const struct batch *settle, const struct batch *begin) {
    struct table t;
    memset(t.places, 0, sizeof(t.places));
    t.count = 0;
    if (add_all(&t, &begin->keys, begin->count))
        return true;
    const char *at = settle->keys.data;
    for (uint32_t i = 0; i < settle->count && begin->count > 0; i++)
        if (t.places[find(&t, next_key(&at))] != 0)
            return true;
    return false;
}

bool batch_accounts_repeat(const struct batch *settle, const struct batch *begin) {
    struct table t;
    if (settle->run_count + begin->run_count < 2)
        return false;
    memset(t.places, 0, sizeof(t.places));
    t.count = 0;
    return add_all(&t, &settle->accounts, settle->run_count) ||
           add_all(&t, &begin->accounts, begin->run_count);
}
