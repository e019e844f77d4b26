/* /api/v1/queues/QUEUE/find and …/jobs: where jobs are. */
#ifndef DRAY_ADMIN_JOBS_H
#define DRAY_ADMIN_JOBS_H

#include "admin/admin.h"

/* ?q=ID or KEY: everything of that id or order key, and what the ledger knows of the key. */
void handle_find(struct request *r);
/* ?place=queued|in_flight|delayed|waiting: a page of it, in the order in which it is taken. */
void handle_jobs(struct request *r);

#endif
