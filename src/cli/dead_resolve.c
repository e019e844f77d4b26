/* `dray dead resolve ID`: an operator has looked an order up at its provider. --created: it exists,
 * so a `created` result is pushed and the ledger knows it. --resend: it does not, so it may be sent
 * again. */
#include "cli/dead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/clock.h"
#include "dray/provider.h"

#define RESULT_MAX (64u << 20)

static void add_text(struct buf *out, const char *name, struct span s) {
    buf_addf(out, ",\"%s\":", name);
    if (s.ptr != NULL)
        buf_add_json_str(out, s);
    else
        buf_add_str(out, "null");
}

static struct span job_raw(const struct letter *l, const char *name) {
    uint32_t node = l->job_doc.count > 0 ? json_get(&l->job_doc, 0, name) : JSON_NONE;
    return node != JSON_NONE ? json_raw(&l->job_doc, node) : SPAN_LIT("null");
}

static const char *provider_of(const struct dead *d, struct span account) {
    char name[NAME_MAX_LEN + 1];
    if (account.ptr == NULL || account.len >= sizeof(name))
        return NULL;
    memcpy(name, account.ptr, account.len);
    name[account.len] = '\0';
    const struct account *a = config_account(d->s.config, name);
    return a != NULL ? a->provider->name : NULL;
}

/* The result envelope, as worker/render.c writes one. */
static void write_result(const struct dead *d, const struct letter *l, uint64_t now,
                         struct buf *out) {
    struct span id = span_str(d->o.created);
    buf_add_str(out, "{\"id\":\"");
    buf_add_span(out, l->job_id);
    buf_add_str(out, "\",\"status\":\"created\"");
    add_text(out, "provider", span_str(provider_of(d, l->account)));
    add_text(out, "account", l->account);
    add_text(out, "queue", span_str(d->o.queue));
    add_text(out, "order_key", l->order_key);
    add_text(out, "order_id", id);
    buf_add_str(out, ",\"order_ids\":[");
    buf_add_json_str(out, id);
    buf_addf(
        out,
        "],\"order\":null,\"error\":null,\"attempts\":%u,\"http_status\":null,\"enqueued_at\":",
        l->attempt_count);
    struct span enqueued = job_raw(l, "enqueued_at");
    buf_add_span(out, enqueued.len > 0 && enqueued.ptr[0] != '"' ? enqueued : SPAN_LIT("null"));
    buf_addf(out, ",\"finished_at\":%llu,\"duration_ms\":0,\"meta\":", (unsigned long long)now);
    buf_add_span(out, job_raw(l, "meta"));
    buf_add_char(out, '}');
}

/* The job's own results list, if it names one that it may. */
static void add_results_key(const struct dead *d, const struct letter *l, struct buf *cmd) {
    const struct session *s = &d->s;
    struct buf key;
    buf_init(&key, 4096);
    uint32_t node = l->job_doc.count > 0 ? json_get(&l->job_doc, 0, "reply_to") : JSON_NONE;
    bool own = node != JSON_NONE && json_decode(&l->job_doc, node, &key) == 0 &&
               strstr(buf_cstr(&key), s->keys.hash_tag) != NULL &&
               !queue_keys_owns(&s->keys, buf_span(&key));
    redis_resp_arg(cmd, own ? buf_span(&key) : s->keys.key[KEY_RESULTS]);
    buf_deinit(&key);
}

static redisReply *call(struct dead *d, struct letter *l) {
    static const enum queue_key fixed[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS, KEY_LIMITS,
                                           KEY_RESULTS};
    struct session *s = &d->s;
    struct buf text;
    char hash[33];
    uint64_t now = clock_unix_ms();
    bool hashed = letter_order_hash(l, hash);
    buf_init(&text, RESULT_MAX);
    session_begin(s, SCRIPT_DEAD_RESOLVE, 7, 4);
    session_keys(s, fixed, 5);
    add_results_key(d, l, &s->cmd);
    if (hashed)
        letter_ledger_key(s, l, &text);
    redis_resp_arg(&s->cmd, hashed ? buf_span(&text) : s->keys.key[KEY_DEAD]);
    redis_resp_arg(&s->cmd, l->id);
    redis_resp_arg(&s->cmd, l->account.ptr != NULL ? l->account : SPAN_LIT(""));
    buf_reset(&text);
    if (hashed) {
        buf_addf(&text, "C %s %llu [", hash, (unsigned long long)now);
        buf_add_json_str(&text, span_str(d->o.created));
        buf_add_char(&text, ']');
    }
    redis_resp_arg(&s->cmd, buf_span(&text));
    buf_reset(&text);
    if (l->job_id.ptr != NULL)
        write_result(d, l, now, &text);
    if (!buf_ok(&text))
        s->cmd.failed = true;
    redis_resp_arg(&s->cmd, buf_span(&text));
    buf_deinit(&text);
    return session_call(s, SCRIPT_DEAD_RESOLVE);
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
        printf("{\"queue\":\"%s\",\"dead_id\":\"%s\",\"resolved\":\"created\"}\n", d->o.queue,
               ids[0]);
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
        return cli_usage(d->s.verb,
                         "resolve takes exactly one ID: look that order up at its provider");
    if ((d->o.created != NULL) == d->o.resend)
        return cli_usage(d->s.verb,
                         "resolve takes --created ORDER_ID (it exists) or --resend (it does not)");
    if (d->o.resend)
        return dead_retry(d);
    if (d->o.created[0] == '\0')
        return cli_usage(d->s.verb, "--created: the provider's order id is expected");
    if (dead_select(d) < 0 || dead_batches(d, "resolving", created, &code) < 0)
        return d->s.code;
    return code;
}
