/* `dray dead ls`: a line a letter, the newest last. */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dray/timefmt.h"

#define OUT_MAX (1u << 30)

static struct span or_dash(struct span s) {
    return s.ptr != NULL ? s : SPAN_LIT("-");
}

static void print_row(const struct letter *l) {
    char at[TIMEFMT_SIZE] = "-";
    if (l->died_at > 0)
        rfc3339_format((uint64_t)l->died_at, at);
    cli_foreign(stdout, l->id, 0, 26);
    printf(" %.19s ", at);
    cli_foreign(stdout, l->readable ? or_dash(l->reason) : SPAN_LIT("(unreadable)"), 16, 16);
    cli_foreign(stdout, or_dash(l->account), 16, 16);
    cli_foreign(stdout, or_dash(l->job_id), 24, 24);
    putchar(' ');
    cli_foreign(stdout, or_dash(l->code), 0, 0);
    if (l->message.len > 0) {
        fputs(": ", stdout);
        cli_foreign(stdout, l->message, 100, 0);
    }
    putchar('\n');
}

static void add_text(struct buf *out, const char *name, struct span s) {
    buf_addf(out, ",\"%s\":", name);
    if (s.ptr != NULL)
        buf_add_json_str(out, s);
    else
        buf_add_str(out, "null");
}

static void add_summary(struct buf *out, const struct letter *l) {
    buf_add_str(out, "{\"dead_id\":");
    buf_add_json_str(out, l->id);
    add_text(out, "reason", l->reason);
    add_text(out, "code", l->code);
    add_text(out, "message", l->message);
    add_text(out, "account", l->account);
    add_text(out, "order_key", l->order_key);
    buf_add_str(out, ",\"id\":");
    if (l->job_id.ptr != NULL) {
        buf_add_char(out, '"');
        buf_add_span(out, l->job_id);
        buf_add_char(out, '"');
    } else {
        buf_add_str(out, "null");
    }
    buf_addf(out, ",\"died_at\":%" PRId64 ",\"attempts\":%u,\"http_status\":%" PRId64 "}",
             l->died_at, l->attempt_count, l->http_status);
}

/* Keeps the newest `limit`. */
static uint64_t cut_to_limit(struct dead *d) {
    uint64_t total = d->count, limit = d->o.limit > 0 ? d->o.limit : UINT64_MAX;
    size_t at = 0;
    for (; d->count > limit; d->count--)
        at += strlen(d->ids.data + at) + 1;
    if (at > 0)
        memmove(d->ids.data, d->ids.data + at, d->ids.len - at);
    d->ids.len -= at;
    return total;
}

static int list_batch(struct dead *d, const char *const *ids, const redisReply *letters,
                      void *arg) {
    struct buf *json = arg;
    for (size_t i = 0; i < letters->elements; i++) {
        const redisReply *r = letters->element[i];
        if (r->type != REDIS_REPLY_STRING)
            continue;
        letter_read(&d->letter, span_str(ids[i]), (struct span){r->str, r->len});
        if (!d->o.json) {
            print_row(&d->letter);
            continue;
        }
        if (json->len > 0)
            buf_add_char(json, ',');
        add_summary(json, &d->letter);
    }
    return 0;
}

int dead_ls(struct dead *d) {
    struct buf json;
    if (dead_select(d) < 0)
        return d->s.code;
    uint64_t total = cut_to_limit(d);
    buf_init(&json, OUT_MAX);
    int rc = dead_batches(d, "reading", list_batch, &json);
    if (rc == 0 && d->o.json)
        printf("{\"queue\":\"%s\",\"total\":%" PRIu64 ",\"letters\":[%s]}\n", d->o.queue, total,
               buf_cstr(&json));
    else if (rc == 0 && d->count < total)
        printf("%" PRIu64 " of %" PRIu64 ", the newest last; --limit N shows more, 0 all\n",
               d->count, total);
    else if (rc == 0)
        printf("%" PRIu64 " dead letter%s\n", total, total == 1 ? "" : "s");
    buf_deinit(&json);
    return rc < 0 ? d->s.code : EXIT_FINE;
}
