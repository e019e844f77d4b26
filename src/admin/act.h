/* What changes something: by POST, with the token, and told in the log. The answer of one whose
 * script was sent but not answered says that it may have been done. */
#ifndef DRAY_ADMIN_ACT_H
#define DRAY_ADMIN_ACT_H

#include "admin/admin.h"

void handle_pause(struct request *r);
void handle_resume(struct request *r);
void handle_run(struct request *r); /* delayed jobs, at once */

/* A script call on a request's behalf; `done` gets the request (NULL: answered otherwise) and the
 * reply (an array or a string; errors are answered here). */
typedef void (*act_fn)(struct request *r, const redisReply *reply);
void act_call(struct request *r, const struct lane *lane, enum script_id script, const struct buf *cmd,
              act_fn done);
void act_log(const struct request *r, const char *what, const char *result);

/* The body, a JSON object or empty, for cJSON_Delete(); NULL: answered with 400 already. */
cJSON *act_body(struct request *r);
/* A body that may hold a job or an order, whose bytes stay. False: answered with 400 already. */
bool act_body_kept(struct request *r, struct json_doc *doc);

#endif
