/* A page of dead letters in the making: dead.c says where it begins, dead_walk.c goes from letter to letter,
 * dead_entry.c reads one. */
#ifndef DRAY_ADMIN_DEAD_LIST_H
#define DRAY_ADMIN_DEAD_LIST_H

#include "admin/admin.h"

#define DEAD_CHUNK_FIRST 16
#define DEAD_CHUNK_MAX   200
#define DEAD_FILTER_MAX  200

struct dead_filter {
    char reason[32], account[NAME_MAX_LEN + 1], code[72], text[DEAD_FILTER_MAX];
    uint64_t since_ms, until_ms, http_status; /* 0: any */
};

struct dead_walk {
    struct request *request; /* NULL: answered otherwise */
    struct worker *worker;
    struct queue_keys keys;
    struct dead_filter filter;
    struct json_doc doc;
    uint64_t limit, listed, scanned, next_rank;
    uint64_t began_ns;
    uint32_t chunk, replies_out;
    bool messages; /* what the provider said may be shown */
    bool last;     /* the ids read are the last that may match */
    bool at_end;   /* and all of them were looked at */
    char cursor_id[ADMIN_PARAM_MAX];
    uint64_t cursor_ms;
    bool cursor_found;
    uint64_t rank, newer; /* of the cursor, and how many are newer than its time */
    uint64_t total;
    char *ids[DEAD_CHUNK_MAX];
    uint64_t times[DEAD_CHUNK_MAX];
    uint32_t id_count;
    cJSON *letters;
};

/* Reads the next chunk from next_rank on, or ends the walk: answers, and frees it. */
void dead_walk_next(struct dead_walk *k);
void dead_walk_free(struct dead_walk *k);

/* Whether the filter lets the entry pass. Parses it into k->doc. */
bool dead_entry_matches(struct dead_walk *k, const redisReply *entry, uint64_t died_ms);
/* Adds the entry that was just parsed to the page. */
void dead_entry_list(struct dead_walk *k, const char *id, uint64_t died_ms);

#endif
