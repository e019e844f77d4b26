/* Where two texts of JSON differ first, for people: as bytes, and as a place in the first of them. */
#ifndef DRAY_UTIL_JSON_DIFFER_H
#define DRAY_UTIL_JSON_DIFFER_H

#include "dray/json.h"

struct json_difference {
    size_t
        byte; /* offset of the first byte that differs; the shorter one's length where it only ends sooner */
    bool space_only; /* they differ in nothing but white space between values */
    /* where `a` first differs by more than white space: "orderItemsList[2].quantity", names as they are written; "": in `a` as
     * a whole, or space_only */
    char path[512];
};

/* False: the same bytes. `a` and `b` are a JSON value each; `doc` is overwritten with `a`'s. */
bool json_differ(struct json_doc *doc, struct span a, struct span b, struct json_difference *d);

#endif
