/* Finding a member name that stands twice.
 *
 * Small objects are compared pair by pair. A producer may send an object of 40,000 names within
 * 256 KiB, so larger ones are sorted by decoded name, then by place: O(n log n) comparisons
 * whatever the names are (a hash table would need a secret key for that), and all comparisons of
 * one of the log n rounds together read at most the text once or twice. */
#include "dray/json.h"

#include <stdlib.h>

#include "util/json_text.h"

#define PAIRWISE_MAX 24 /* members up to which comparing all pairs is cheaper than memory */

/* Names of different lengths in code points are never equal: most pairs end here. */
static inline bool same_name(const struct json_doc *doc, uint32_t a, uint32_t b) {
    return doc->nodes[a].count == doc->nodes[b].count &&
           json_text_equal(json_text_of(doc, a), json_text_of(doc, b));
}

static uint32_t find_pairwise(const struct json_doc *doc, uint32_t object) {
    const struct json_node *nodes = doc->nodes;
    uint32_t end = nodes[object].next;
    for (uint32_t a = object + 1; a < end; a = nodes[a + 1].next)
        for (uint32_t b = nodes[a + 1].next; b < end; b = nodes[b + 1].next)
            if (same_name(doc, a, b))
                return a;
    return JSON_NONE;
}

static int by_name_then_place(const void *a, const void *b, void *arg) {
    const struct json_doc *doc = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = json_text_compare(json_text_of(doc, x), json_text_of(doc, y));
    return order != 0 ? order : (x > y) - (x < y);
}

uint32_t json_duplicate(const struct json_doc *doc, uint32_t node) {
    if (json_first(doc, node) == JSON_NONE || doc->nodes[node].type != JSON_OBJECT)
        return JSON_NONE;
    uint32_t count = doc->nodes[node].count, i = 0, found = JSON_NONE;
    uint32_t *names = count > PAIRWISE_MAX ? malloc(count * sizeof(*names)) : NULL;
    if (names == NULL) /* also without memory: slow, but right */
        return find_pairwise(doc, node);
    for (uint32_t k = json_first(doc, node); k != JSON_NONE; k = json_next(doc, node, k))
        names[i++] = k;
    struct json_doc view = *doc; /* qsort_r's argument is not const */
    qsort_r(names, count, sizeof(*names), by_name_then_place, &view);
    for (i = 1; i < count; i++)
        if (names[i - 1] < found && same_name(doc, names[i - 1], names[i]))
            found = names[i - 1];
    free(names);
    return found;
}
