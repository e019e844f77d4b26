/* `dray dead resolve ID`: an operator has looked an order up at its provider. --created: it exists,
 * so a `created` result is pushed and the ledger knows it. --resend: it does not, so it may be sent
 * again. */
#include "cli/dead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/clock.h"
#include "dray/provider.h"
#include "util/json_tree.h"

static const char *provider_of(const struct dead *d, struct span account) {
    char name[NAME_MAX_LEN + 1];
    if (account.ptr == NULL || account.len >= sizeof(name))
        return NULL;
    memcpy(name, account.ptr, account.len);
    name[account.len] = '\0';
    const struct account *a = config_account(d->s.config, name);
    return a != NULL ? a->provider->name : NULL;
}

static redisReply *call(struct dead *d, struct letter *l) {
    letter_resolve(l, &d->s.keys, provider_of(d, l->account), span_str(d->o.created), clock_unix_ms(),
                   &d->s.cmd);
    return session_call(&d->s, SCRIPT_DEAD_RESOLVE);
}

static int print_resolved(const struct dead *d, const char *id) {
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "queue", span_str(d->o.queue));
    tree_add_text(o, "dead_id", span_str(id));
    cJSON_AddStringToObject(o, "resolved", "created");
    return cli_print_json(d->s.verb, o);
}

static int created(struct dead *d, const char *const *ids, const redisReply *letters, void *arg) {
    int *code = arg;
    const redisReply *r = letters->element[0];
    *code = EXIT_FAILED;
    if (r->type != REDIS_REPLY_STRING)
        return cli_fail(d->s.verb, "queue %s has no dead letter %s", d->o.queue, ids[0]), 0;
    letter_read(&d->letter, span_str(ids[0]), (struct span){r->str, r->len});
    if (!d->letter.readable)
        return cli_fail(d->s.verb, "%s is no dead letter of dray's", ids[0]), 0;
    redisReply *answer = d->o.dry_run ? NULL : call(d, &d->letter);
    if (answer == NULL && !d->o.dry_run)
        return -1;
    const char *what = answer != NULL ? answer->str : "OK";
    if (strcmp(what, "BUSY") == 0)
        cli_fail(d->s.verb, "another job with its order key is under way; try again");
    else if (strcmp(what, "GONE") == 0)
        cli_fail(d->s.verb, "somebody else has just taken dead letter %s", ids[0]);
    else
        *code = EXIT_FINE;
    if (*code == EXIT_FINE && d->o.json)
        *code = print_resolved(d, ids[0]);
    else if (*code == EXIT_FINE)
        printf("%s: %screated as %s%s\n", ids[0], d->o.dry_run ? "would be " : "", d->o.created,
               d->letter.job_id.ptr != NULL ? "; the result is pushed"
                                            : "; it has no id, so there is no result");
    freeReplyObject(answer);
    return 0;
}

int dead_resolve(struct dead *d) {
    int code = EXIT_FAILED;
    if (d->o.id_count != 1)
        return cli_usage(d->s.verb, "resolve takes exactly one ID: look that order up at its provider");
    if ((d->o.created != NULL) == d->o.resend)
        return cli_usage(d->s.verb, "resolve takes --created ORDER_ID (it exists) or --resend (it does not)");
    if (d->o.resend)
        return dead_retry(d);
    if (d->o.created[0] == '\0')
        return cli_usage(d->s.verb, "--created: the provider's order id is expected");
    if (dead_select(d) < 0 || dead_batches(d, "resolving", created, &code) < 0)
        return d->s.code;
    return code;
}
