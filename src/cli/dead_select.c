/* Selects letters: those that are named, or all that ages and filters leave. Ids are gathered first, so that
 * none is skipped when letters move meanwhile. A letter that goes meanwhile is no error. */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/provider.h"

#define PAGE 10000

bool dead_filtered(const struct dead_options *o) {
    return o->reason != NULL || o->account != NULL || o->provider != NULL || o->text != NULL ||
           o->code != NULL || o->status >= 0 || o->has_older || o->has_newer;
}

static bool reads_letters(const struct dead_options *o) {
    return o->reason != NULL || o->account != NULL || o->provider != NULL || o->text != NULL ||
           o->code != NULL || o->status >= 0;
}

static void add_id(struct dead *d, struct span id) {
    buf_add_span(&d->ids, id);
    buf_add_char(&d->ids, '\0');
    d->count++;
}

static int64_t redis_now_ms(struct session *s) {
    redisReply *r = session_command(s, "TIME");
    if (r == NULL)
        return -1;
    int64_t now = strtoll(r->element[0]->str, NULL, 10) * 1000 + strtoll(r->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(r);
    return now;
}

/* The number of letters that died before `ms`. */
static int64_t count_before(struct session *s, int64_t ms) {
    struct span key = s->keys.key[KEY_DEAD];
    redisReply *r = session_command(s, "ZCOUNT %b -inf (%" PRId64, key.ptr, key.len, ms);
    int64_t n = r != NULL ? (int64_t)reply_u64(r) : -1;
    freeReplyObject(r);
    return n;
}

/* Ranks of the youngest and the oldest letter that the ages leave. */
static int age_bounds(struct dead *d, int64_t *from, int64_t *to) {
    int64_t now = d->o.has_older || d->o.has_newer ? redis_now_ms(&d->s) : 0;
    if (now < 0)
        return -1;
    *from = d->o.has_newer ? count_before(&d->s, now - (int64_t)d->o.newer_ms) : 0;
    *to = d->o.has_older ? count_before(&d->s, now - (int64_t)d->o.older_ms) : INT64_MAX;
    return *from < 0 || *to < 0 ? -1 : 0;
}

static int gather(struct dead *d) {
    struct span key = d->s.keys.key[KEY_DEAD];
    int64_t from, to;
    if (age_bounds(d, &from, &to) < 0)
        return -1;
    for (int64_t at = from; at < to; at += PAGE) {
        int64_t last = to - at < PAGE ? to - 1 : at + PAGE - 1;
        redisReply *r = session_command(&d->s, "ZRANGE %b %" PRId64 " %" PRId64, key.ptr, key.len, at, last);
        if (r == NULL)
            return -1;
        for (size_t i = 0; i < r->elements; i++)
            add_id(d, (struct span){r->element[i]->str, r->element[i]->len});
        bool end = r->elements < PAGE;
        freeReplyObject(r);
        if (end)
            break;
    }
    return 0;
}

static bool equal_or_any(const char *wanted, struct span have) {
    return wanted == NULL || (have.ptr != NULL && span_is(have, wanted));
}

static bool provider_is(const struct dead *d, struct span account) {
    char name[NAME_MAX_LEN + 1];
    if (d->o.provider == NULL)
        return true;
    if (account.ptr == NULL || account.len >= sizeof(name))
        return false;
    memcpy(name, account.ptr, account.len);
    name[account.len] = '\0';
    const struct account *a = config_account(d->s.config, name);
    return a != NULL && strcmp(a->provider->name, d->o.provider) == 0;
}

static bool contains(struct span text, const char *word) {
    return text.ptr != NULL && memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

static bool matches(const struct dead *d, const struct letter *l) {
    const struct dead_options *o = &d->o;
    return equal_or_any(o->reason, l->reason) && equal_or_any(o->account, l->account) &&
           equal_or_any(o->code, l->code) &&
           (o->status < 0 || (l->readable && l->http_status == o->status)) && provider_is(d, l->account) &&
           (o->text == NULL || contains(l->raw, o->text) || contains(l->job, o->text) ||
            contains(l->message, o->text));
}

static int keep_matching(struct dead *d, const char *const *ids, const redisReply *letters, void *arg) {
    struct dead *kept = arg;
    for (size_t i = 0; i < letters->elements; i++) {
        const redisReply *r = letters->element[i];
        if (r->type != REDIS_REPLY_STRING)
            continue;
        letter_read(&d->letter, span_str(ids[i]), (struct span){r->str, r->len});
        if (matches(d, &d->letter))
            add_id(kept, span_str(ids[i]));
    }
    return 0;
}

int dead_select(struct dead *d) {
    if (d->o.id_count > 0) {
        for (int i = 0; i < d->o.id_count; i++)
            add_id(d, span_str(d->o.ids[i]));
        return 0;
    }
    if (gather(d) < 0)
        return -1;
    if (reads_letters(&d->o)) {
        struct dead kept = {.count = 0};
        buf_init(&kept.ids, d->ids.max);
        int rc = dead_batches(d, "reading", keep_matching, &kept);
        buf_deinit(&d->ids);
        d->ids = kept.ids;
        d->count = kept.count;
        if (rc < 0)
            return -1;
    }
    if (!buf_ok(&d->ids)) {
        d->s.code = cli_fail(d->s.verb, "out of memory: too many letters; use the filters");
        return -1;
    }
    return 0;
}

bool dead_confirm(const struct dead *d, const char *what) {
    bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    if (d->o.yes || !terminal || d->o.id_count > 0 || d->count == 0)
        return true;
    return ask("%s %" PRIu64 " dead letter%s of queue %s?", what, d->count, d->count == 1 ? "" : "s",
               d->o.queue);
}

static redisReply *read_batch(struct session *s, const char *const *ids, size_t n) {
    buf_reset(&s->cmd);
    redis_resp_begin(&s->cmd, 2 + n);
    redis_resp_str(&s->cmd, "HMGET");
    session_key(s, KEY_DEAD_ENTRIES);
    for (size_t i = 0; i < n; i++)
        redis_resp_str(&s->cmd, ids[i]);
    return session_send(s) == 0 ? session_reply(s) : NULL;
}

int dead_batches(struct dead *d, const char *what, dead_batch_fn each, void *arg) {
    const char *ids[DEAD_BATCH];
    struct progress p;
    uint64_t done = 0;
    int rc = 0;
    if (!buf_ok(&d->ids))
        return -1;
    progress_begin(&p, what, d->count);
    for (size_t at = 0; at < d->ids.len && rc == 0;) {
        size_t n = 0;
        for (; n < DEAD_BATCH && at < d->ids.len; at += strlen(d->ids.data + at) + 1)
            ids[n++] = d->ids.data + at;
        redisReply *letters = read_batch(&d->s, ids, n);
        rc = letters != NULL ? each(d, ids, letters, arg) : -1;
        freeReplyObject(letters);
        done += n;
        progress_set(&p, done);
    }
    progress_end(&p);
    return rc < 0 ? -1 : 0;
}
