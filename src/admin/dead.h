/* Dead letters: read page by page, and acted on one by one or many at once. */
#ifndef DRAY_ADMIN_DEAD_H
#define DRAY_ADMIN_DEAD_H

#include "admin/admin.h"

void handle_dead_list(struct request *r);
void handle_dead_one(struct request *r);
void handle_dead_retry(struct request *r);
void handle_dead_resolve(struct request *r);
void handle_dead_drop(struct request *r);

/* dead_bulk.c: many at once */
void handle_dead_retry_all(struct request *r);
void handle_dead_drop_all(struct request *r);
void handle_dead_export(struct request *r);

#endif
