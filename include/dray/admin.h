/* The operator's HTTP server: health, metrics, API, dashboard. It runs on the worker's loop: no
 * thread, no blocking call. docs/admin.md says what it answers. */
#ifndef DRAY_ADMIN_H
#define DRAY_ADMIN_H

#include <uv.h>

#include "dray/config.h"
#include "dray/err.h"

#define ADMIN_CONNECTIONS 2048 /* open at once; each may be a file descriptor */

struct admin;
struct worker;

/* Listens on config->admin_listen. The first request is read when the loop runs. Where admin_listen is "off",
 * *out is NULL. Returns 0, or -1 and `err` (the port is taken). */
int admin_new(struct admin **out, uv_loop_t *loop, const struct config *config, struct err *err);
/* From now on the server shows this worker, which must live until admin_close. */
void admin_watch(struct admin *a, struct worker *w);
/* Ends all connections and stops listening. `a` is freed when its handles are closed. NULL is fine.
 * Call it when the worker has closed its Redis connection: then no reply is outstanding. */
void admin_close(struct admin *a);

#endif
