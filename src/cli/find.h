/* `dray find`'s second look: jobs that have one order key and orders of other bytes, and where these differ. The ledger keeps
 * a hash of an order; its text stands only in jobs that are still there, or in a file of whoever pushed it. */
#ifndef DRAY_CLI_FIND_H
#define DRAY_CLI_FIND_H

#include <cjson/cJSON.h>

#include "dray/json.h"
#include "util/json_differ.h"

#define DIFFER_MAX 200 /* orders that are compared; later ones are not */

struct differ {
    struct json_doc doc;
    const char *path; /* of the file to compare with; NULL: none */
    struct buf file;  /* its text */
    struct span file_order;
    struct found_order {
        cJSON *o; /* the caller's: of `found` */
        struct buf text;
    } * list;
    uint32_t count;
};
void differ_init(struct differ *d);
void differ_deinit(struct differ *d);

/* Reads an order, or a job with one. 0, or -1 and the reason. */
int differ_read_file(struct differ *d, const char *path, struct err *why);
/* Remembers the order (a copy) of what was found. */
void differ_keep(struct differ *d, cJSON *o, struct span order);
/* Adds `differs` to each that was kept and, with a file, to each of the ledger: null, or how (verb_find's help). */
void differ_tell(struct differ *d, const cJSON *found, cJSON *ledger);
/* One line for people, of a member of `found` or of `ledger`; nothing where nothing is to be said. */
void differ_print(const struct differ *d, const cJSON *found, const cJSON *o);

#endif
