/* What the API may change: by POST, with the token, and with a line in the log. If a script was sent and not
 * answered, the answer says that it may have run. */
#ifndef DRAY_ADMIN_ACT_H
#define DRAY_ADMIN_ACT_H

#include "admin/admin.h"

void handle_pause(struct request *r);
void handle_resume(struct request *r);
void handle_run(struct request *r); /* delayed jobs, at once */

/* Calls a script on behalf of a request. `done` gets the request (NULL: answered in another way) and the reply,
 * an array or a string. Errors are answered here. */
typedef void (*act_fn)(struct request *r, const redisReply *reply);
void act_call(struct request *r, const struct consumer *consumer, enum script_id script,
              const struct buf *cmd, act_fn done);
/* Whether the queue's data are of our format, so that they may be changed. False: answered with 503 already. */
bool act_may_write(struct request *r, const struct consumer *consumer);
void act_log(const struct request *r, const char *what, const char *result);

/* The body, a JSON object or empty, for cJSON_Delete(). NULL: answered with 400 already. */
cJSON *act_body(struct request *r);
/* Reads a body that may hold a job or an order, whose bytes are kept. False: answered with 400 already. */
bool act_body_kept(struct request *r, struct json_doc *doc);

#endif
