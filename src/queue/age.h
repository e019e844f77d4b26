/* Since when a job has waited, as far as anything says it. All times in Unix ms; 0: nothing does. */
#ifndef DRAY_QUEUE_AGE_H
#define DRAY_QUEUE_AGE_H

#include "dray/json.h"

/* A job's own `enqueued_at`. `doc` is scratch. */
uint64_t job_enqueued_ms(struct json_doc *doc, struct span job);
/* Of a record (lua/record.lua): its job's `enqueued_at`, else since when it has waited for its account, else its first attempt. */
uint64_t record_since_ms(struct json_doc *doc, struct span record);

#endif
