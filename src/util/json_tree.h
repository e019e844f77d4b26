/* What dray adds to cJSON for its own outputs: foreign texts that are no valid UTF-8, numbers that keep their digits, and
 * JSON that is there already. A member that finds no memory is left out, as cJSON does: tree_print then fails too, as a
 * rule, and its caller says so. Never for a job, an answer or a letter, whose bytes stay. */
#ifndef DRAY_UTIL_JSON_TREE_H
#define DRAY_UTIL_JSON_TREE_H

#include <cjson/cJSON.h>

#include "dray/buf.h"

/* A string; bytes that are not valid UTF-8 become U+FFFD. An absent span (ptr NULL) is null. */
cJSON *tree_text(struct span s);
void tree_add_text(cJSON *object, const char *name, struct span s);
void tree_add_i64(cJSON *object, const char *name, int64_t v); /* digit for digit, also beyond 2^53 */
void tree_add_u64(cJSON *object, const char *name, uint64_t v);
/* `json` is JSON already, or the elements of an array without its brackets. */
void tree_add_raw(cJSON *object, const char *name, struct span json);
void tree_add_elements(cJSON *object, const char *name, struct span elements);

/* Appends the tree in one line and deletes it. False (and `out` failed): out of memory. */
bool tree_print(cJSON *tree, struct buf *out);

#endif
