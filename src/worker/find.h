/* Where a job is: what find.lua found, as JSON. Shared by the command line and the admin API. */
#ifndef DRAY_WORKER_FIND_H
#define DRAY_WORKER_FIND_H

#include <cjson/cJSON.h>

#include "dray/config.h"
#include "dray/json.h"
#include "dray/job.h"
#include "dray/redis.h"
#include "queue/keys.h"
#include "queue/letter.h"

#define FIND_BUDGET 2000         /* texts that one call looks at: a few milliseconds of Redis's */
#define FIND_BYTES  (512u << 10) /* that one call returns, about */
#define FIND_ALL    "jtidwxr"    /* every place, in the order in which jobs pass them */

struct find_query {
    struct span needle; /* the texts must hold it; empty: any */
    const char *places; /* letters, as find.lua has them */
    const char *cursor; /* "" at first */
    uint32_t most;      /* to find at most, in this call */
};

/* What a text that holds the id or order key `wanted` must hold, however its writer escaped it; points into it. */
struct span find_needle(const char *wanted);
/* Writes the call of find.lua. `workers`: the reply to ZRANGE workers 0 -1. */
void find_write(struct buf *cmd, const struct queue_keys *keys, const redisReply *workers,
                const struct find_query *q);

/* Reads replies; holds scratch. find_init / find_deinit. */
struct find_reader {
    const struct config *config;
    const char *queue;
    char hash_tag[NAME_MAX_LEN + 3];
    struct json_doc doc, header;
    struct faults faults;
    struct buf text, quoted;
    struct letter letter;
    struct span
        order; /* of what find_item read last; points into its reply, or into `letter`. Absent: it holds none */
};
void find_init(struct find_reader *r, const struct config *config, const char *queue);
void find_deinit(struct find_reader *r);

/* True if it is a reply of find.lua; `cursor` then is where to go on (its own copy; "": the end), `looked` how many texts
 * were looked at. */
bool find_read(const redisReply *reply, char cursor[static 64], uint64_t *looked);
/* How many a reply has; the i-th as an object for cJSON_Delete(), or NULL: out of memory, or it is not the one that is
 * `wanted` (by id or by order key; NULL: any). `contents`: also what providers said. */
size_t find_count(const redisReply *reply);
cJSON *find_item(struct find_reader *r, const redisReply *reply, size_t i, const char *wanted, bool contents);

/* A ledger entry as an object: {"account","key","state","order_hash","at","order_ids","dead_id","worker"}; states as
 * docs/protocol.md: sending, looked_up, created, unknown. NULL where it is none, or out of memory. */
cJSON *find_ledger_entry(const char *account, const char *key, struct span entry);

#endif
