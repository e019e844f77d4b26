/* `dray dead retry` and `dray dead drop`: letters leave in batches, each batch in one atomic
 * script. Killed half-way, every letter is where it was or where it goes, and the same command goes
 * on. */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/json_tree.h"

#define RECORD_MAX (512u << 20)

struct tally {
    uint64_t moved, gone, unknown, created, busy, unreadable;
    const char *mode;    /* retry or resend */
    struct span new_job; /* absent: each letter's own */
    double step_ms;
    uint64_t at; /* letters so far, for the spread */
    struct buf keys, args, scratch;
    size_t n;
};

static void tally_init(struct tally *t, const char *mode) {
    memset(t, 0, sizeof(*t));
    t->mode = mode;
    buf_init(&t->keys, RECORD_MAX);
    buf_init(&t->args, RECORD_MAX);
    buf_init(&t->scratch, RECORD_MAX);
}

static void tally_deinit(struct tally *t) {
    buf_deinit(&t->keys);
    buf_deinit(&t->args);
    buf_deinit(&t->scratch);
}

static void count_replies(struct tally *t, const redisReply *r) {
    for (size_t i = 0; i < r->elements; i++) {
        const char *what = r->element[i]->str;
        uint64_t *which = strcmp(what, "OK") == 0        ? &t->moved
                          : strcmp(what, "UNKNOWN") == 0 ? &t->unknown
                          : strcmp(what, "CREATED") == 0 ? &t->created
                          : strcmp(what, "BUSY") == 0    ? &t->busy
                                                         : &t->gone;
        ++*which;
    }
}

static void add_key(struct dead *d, struct tally *t) {
    buf_reset(&t->scratch);
    letter_ledger_key(&d->s.keys, &d->letter, &t->scratch);
    redis_resp_arg(&t->keys, buf_span(&t->scratch));
}

/* Puts the letter into the batch, unless it must stay. */
static void add_retry(struct dead *d, struct tally *t) {
    const struct letter *l = &d->letter;
    struct span job = t->new_job.ptr != NULL ? t->new_job : l->job;
    if (!l->readable || job.ptr == NULL) {
        t->unreadable++;
        return;
    }
    if (strcmp(t->mode, "retry") == 0 && letter_is_unknown(l)) {
        t->unknown++;
        return;
    }
    add_key(d, t);
    redis_resp_arg(&t->args, l->id);
    buf_reset(&t->scratch);
    letter_record(l, job, &t->scratch);
    redis_resp_arg(&t->args, buf_span(&t->scratch));
    t->n++;
}

static void add_decimal(struct buf *cmd, double value) {
    char text[48];
    redis_resp_arg(cmd, (struct span){text, (size_t)snprintf(text, sizeof(text), "%.3f", value)});
}

static int send_retry(struct dead *d, struct tally *t) {
    static const enum queue_key fixed[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_DELAYED, KEY_PARKED, KEY_STATS};
    struct session *s = &d->s;
    if (t->n == 0 || d->o.dry_run) {
        t->moved += t->n;
        return 0;
    }
    session_begin(s, SCRIPT_DEAD_RETRY, 5 + t->n, 3 + 2 * t->n);
    session_keys(s, fixed, 5);
    buf_add_span(&s->cmd, buf_span(&t->keys));
    redis_resp_str(&s->cmd, t->mode);
    add_decimal(&s->cmd, t->step_ms * (double)t->at);
    add_decimal(&s->cmd, t->step_ms);
    buf_add_span(&s->cmd, buf_span(&t->args));
    if (!buf_ok(&t->keys) || !buf_ok(&t->args) || !buf_ok(&t->scratch))
        s->cmd.failed = true;
    redisReply *r = session_call(s, SCRIPT_DEAD_RETRY);
    if (r == NULL)
        return -1;
    count_replies(t, r);
    freeReplyObject(r);
    if (t->at == 0)
        session_wake(s); /* once: whoever looks is told when the next is due */
    t->at += t->n;
    return 0;
}

static int send_drop(struct dead *d, struct tally *t) {
    static const enum queue_key fixed[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS, KEY_LIMITS};
    struct session *s = &d->s;
    if (t->n == 0 || d->o.dry_run) {
        t->moved += t->n;
        return 0;
    }
    session_begin(s, SCRIPT_DEAD_DROP, 4 + t->n, 2 * t->n);
    session_keys(s, fixed, 4);
    buf_add_span(&s->cmd, buf_span(&t->keys));
    buf_add_span(&s->cmd, buf_span(&t->args));
    redisReply *r = session_call(s, SCRIPT_DEAD_DROP);
    if (r == NULL)
        return -1;
    count_replies(t, r);
    freeReplyObject(r);
    return 0;
}

static int move_batch(struct dead *d, const char *const *ids, const redisReply *letters, void *arg) {
    struct tally *t = arg;
    bool drop = strcmp(t->mode, "drop") == 0;
    buf_reset(&t->keys);
    buf_reset(&t->args);
    t->n = 0;
    for (size_t i = 0; i < letters->elements; i++) {
        const redisReply *r = letters->element[i];
        if (r->type != REDIS_REPLY_STRING) {
            t->gone++;
            continue;
        }
        letter_read(&d->letter, span_str(ids[i]), (struct span){r->str, r->len});
        if (!drop) {
            add_retry(d, t);
            continue;
        }
        add_key(d, t);
        redis_resp_arg(&t->args, d->letter.id);
        redis_resp_arg(&t->args, d->letter.account.ptr != NULL ? d->letter.account : SPAN_LIT(""));
        t->n++;
    }
    return drop ? send_drop(d, t) : send_retry(d, t);
}

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

static int report_json(const struct dead *d, const struct tally *t, const char *done) {
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "queue", span_str(d->o.queue));
    cJSON_AddBoolToObject(o, "dry_run", d->o.dry_run);
    tree_add_u64(o, done, t->moved);
    tree_add_u64(o, "gone", t->gone);
    tree_add_u64(o, "unknown_outcome", t->unknown);
    tree_add_u64(o, "created", t->created);
    tree_add_u64(o, "busy", t->busy);
    tree_add_u64(o, "unreadable", t->unreadable);
    return cli_print_json(d->s.verb, o);
}

static int report(const struct dead *d, const struct tally *t) {
    const char *done = strcmp(t->mode, "drop") == 0 ? "dropped" : "retried";
    uint64_t left = t->unknown + t->created + t->busy + t->unreadable;
    if (d->o.json) {
        if (report_json(d, t, done) != EXIT_FINE)
            return EXIT_FAILED;
    } else {
        printf("%" PRIu64 " dead letter%s %s%s\n", t->moved, plural(t->moved),
               d->o.dry_run ? "would be " : "", done);
    }
    if (t->gone > 0)
        fprintf(stderr, "%" PRIu64 " dead letter%s not there (any more)\n", t->gone,
                t->gone == 1 ? " is" : "s are");
    if (t->unknown > 0)
        fprintf(stderr,
                "%" PRIu64
                " stay%s: nobody knows whether the order exists, sending it again may create it twice. "
                "Look it up at the provider, then `dray dead resolve %s ID --created ORDER_ID` or "
                "`--resend`\n",
                t->unknown, t->unknown == 1 ? "s" : "", d->o.queue);
    if (t->created > 0)
        fprintf(stderr, "%" PRIu64 " stay%s: the ledger knows the order as created; use --created\n",
                t->created, t->created == 1 ? "s" : "");
    if (t->busy > 0)
        fprintf(stderr, "%" PRIu64 " stay%s: another job with the order key is under way; try again\n",
                t->busy, t->busy == 1 ? "s" : "");
    if (t->unreadable > 0)
        fprintf(stderr, "%" PRIu64 " stay%s: the job is no text, or the letter is not dray's\n",
                t->unreadable, t->unreadable == 1 ? "s" : "");
    return left > 0 || (d->o.id_count > 0 && t->gone > 0) ? EXIT_FAILED : EXIT_FINE;
}

static int move_all(struct dead *d, struct tally *t, const char *question, const char *doing) {
    if (d->o.id_count == 0 && !d->o.all && !dead_filtered(&d->o))
        return cli_usage(d->s.verb, "which? name IDs, give filters, or --all");
    if (dead_select(d) < 0)
        return d->s.code;
    if (!d->o.dry_run && !dead_confirm(d, question))
        return cli_fail(d->s.verb, "nothing was done");
    t->step_ms = d->count > 0 ? (double)d->o.over_ms / (double)d->count : 0;
    if (dead_batches(d, doing, move_batch, t) < 0)
        return d->s.code;
    return report(d, t);
}

/* With --order or --edit there is one letter, and its new job is made before anything is moved. */
static int new_job(struct dead *d, struct buf *job) {
    struct span id;
    struct span key = d->s.keys.key[KEY_DEAD_ENTRIES];
    if (d->o.id_count != 1)
        return cli_usage(d->s.verb, "--order and --edit take exactly one ID");
    id = span_str(d->o.ids[0]);
    redisReply *r = session_command(&d->s, "HGET %b %b", key.ptr, key.len, id.ptr, id.len);
    if (r == NULL)
        return d->s.code;
    int code = -1;
    if (r->type != REDIS_REPLY_STRING) {
        code = cli_fail(d->s.verb, "queue %s has no dead letter %s", d->o.queue, id.ptr);
    } else {
        letter_read(&d->letter, id, (struct span){r->str, r->len});
        if (dead_new_job(d, &d->letter, job) < 0)
            code = d->s.code;
    }
    freeReplyObject(r);
    return code;
}

int dead_retry(struct dead *d) {
    struct tally t;
    struct buf job;
    int code = -1;
    tally_init(&t, d->o.resend ? "resend" : "retry");
    buf_init(&job, RECORD_MAX);
    if (d->o.order_file != NULL || d->o.edit) {
        code = new_job(d, &job);
        t.new_job = buf_span(&job);
    }
    if (code < 0)
        code = move_all(d, &t, "retry", "retrying");
    buf_deinit(&job);
    tally_deinit(&t);
    return code;
}

int dead_drop(struct dead *d) {
    struct tally t;
    tally_init(&t, "drop");
    int code = move_all(d, &t, "drop", "dropping");
    tally_deinit(&t);
    return code;
}
