/* One provider with a job made of its example, as a worker holds it. */
#ifndef DRAY_TEST_RIG_H
#define DRAY_TEST_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/clock.h"
#include "orders.h"

#define NOW 1700000000000

struct rig {
    struct account account;
    struct envelope envelope;
    struct json_doc job, doc;
    struct buf scratch;
    struct faults faults;
    char *text, *success; /* the job; the answer of the seed */
    char *id;             /* in that answer */
    struct outcome out;
};

/* http-json gets an account with an exact look-up. */
void rig_open(struct rig *r, const struct provider *p);
void rig_close(struct rig *r);
/* Classifies, into r->out, which nothing may leave unset or run over. */
enum verdict judge(struct rig *r, struct http_exchange x);

typedef void (*rig_fn)(struct rig *r);
void for_every_provider(rig_fn check);

/* The same text with every `from` replaced by `to`; the caller frees. */
char *replaced(const char *text, const char *from, const char *to);

#endif
