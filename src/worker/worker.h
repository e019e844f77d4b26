/* A worker as its process sees it: it is made, told what signals say, and freed. */
#ifndef DRAY_WORKER_WORKER_H
#define DRAY_WORKER_WORKER_H

#include <uv.h>

#include "dray/config.h"

struct worker;
struct trial;

/* Starts connecting; `stopped` is called when everything is closed. NULL and `err` on failure. */
struct worker *worker_new(uv_loop_t *loop, struct config *config, bool wait_for_redis,
                          void (*stopped)(void *arg, int exit_code), void *arg, struct err *err);
/* The same; for one order only where `trial` is not NULL. */
struct worker *worker_new_for(uv_loop_t *loop, struct config *config, struct trial *trial,
                              bool wait_for_redis, void (*stopped)(void *arg, int exit_code), void *arg,
                              struct err *err);
void worker_free(struct worker *w);
void worker_drain(struct worker *w); /* TERM */
void worker_quiet(struct worker *w); /* USR1 */
void worker_resume(struct worker *w);
/* HUP, or a changed secret: reads the configuration again (in a thread), checks it, takes it over. */
void worker_reload(struct worker *w, const char *why);
void worker_dump(const struct worker *w);            /* USR2 */
uint32_t worker_connections(const struct worker *w); /* to Redis, that are up */

#endif
