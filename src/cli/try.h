/* `dray try`: one order, now. Private to try.c and try_show.c. */
#ifndef DRAY_CLI_TRY_H
#define DRAY_CLI_TRY_H

#include "cli/cli.h"
#include "dray/provider.h"
#include "util/terminal.h"
#include "worker/trial.h"

struct attempt {
    const struct verb *verb;
    bool json, dry_run;
    struct config *config;
    const struct account *account;
    struct buf order, job, decoded; /* FILE; the envelope; its decoded parts */
    struct json_doc doc;
    struct faults faults, warnings;
    struct envelope envelope;
    struct trial trial;
    struct err err;
    /* what was seen */
    struct buf answer, type, ids; /* ids: a JSON array's elements */
    /* --json: what is printed at the end; NULL when it was, or without --json */
    cJSON *shown;
    bool asked, answered, sent;
    long status;
    uint64_t ms;
    enum verdict verdict;
    char code[64], message[512], phase[16], error[256];
};

/* What will be sent, with secrets hidden, into `out`, or with --json into a->shown. 0, or -1 and `err`. */
int try_show_request(const struct attempt *a, struct buf *out, struct err *err);
/* Writes a->shown, and ends it. */
void try_show_json(struct attempt *a, struct buf *out);
/* What came of it. Returns the exit code. */
int try_show_end(struct attempt *a, struct buf *out);

#endif
