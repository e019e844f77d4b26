/* `dray dead ls`: a line a letter, the newest last. */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dray/timefmt.h"
#include "util/json_tree.h"

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

/* A letter's job_id is a JSON string's bytes between the quotes. */
static void add_job_id(cJSON *o, struct span inner) {
    struct buf quoted;
    buf_init(&quoted, OUT_MAX);
    buf_add_char(&quoted, '"');
    buf_add_span(&quoted, inner);
    buf_add_char(&quoted, '"');
    tree_add_raw(o, "id", inner.ptr != NULL ? buf_span(&quoted) : SPAN_LIT("null"));
    buf_deinit(&quoted);
}

/* Kept as text: trees of a million letters would take gigabytes. */
static cJSON *summary_of(const struct letter *l) {
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "dead_id", l->id);
    tree_add_text(o, "reason", l->reason);
    tree_add_text(o, "code", l->code);
    tree_add_text(o, "message", l->message);
    tree_add_text(o, "account", l->account);
    tree_add_text(o, "order_key", l->order_key);
    add_job_id(o, l->job_id);
    tree_add_i64(o, "died_at", l->died_at);
    cJSON_AddNumberToObject(o, "attempts", l->attempt_count);
    tree_add_i64(o, "http_status", l->http_status);
    struct buf text;
    buf_init(&text, OUT_MAX);
    cJSON *raw = tree_print(o, &text) ? cJSON_CreateRaw(buf_cstr(&text)) : NULL;
    buf_deinit(&text);
    return raw;
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

static int list_batch(struct dead *d, const char *const *ids, const redisReply *letters, void *arg) {
    for (size_t i = 0; i < letters->elements; i++) {
        const redisReply *r = letters->element[i];
        if (r->type != REDIS_REPLY_STRING)
            continue;
        letter_read(&d->letter, span_str(ids[i]), (struct span){r->str, r->len});
        if (!d->o.json) {
            print_row(&d->letter);
            continue;
        }
        if (!cJSON_AddItemToArray(arg, summary_of(&d->letter))) {
            d->s.code = cli_fail(d->s.verb, "out of memory");
            return -1;
        }
    }
    return 0;
}

int dead_ls(struct dead *d) {
    if (dead_select(d) < 0)
        return d->s.code;
    uint64_t total = cut_to_limit(d);
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "queue", span_str(d->o.queue));
    tree_add_u64(o, "total", total);
    int rc = dead_batches(d, "reading", list_batch, cJSON_AddArrayToObject(o, "letters"));
    if (rc == 0 && d->o.json)
        return cli_print_json(d->s.verb, o);
    if (rc == 0 && d->count < total)
        printf("%" PRIu64 " of %" PRIu64 ", the newest last; --limit N shows more, 0 all\n", d->count, total);
    else if (rc == 0)
        printf("%" PRIu64 " dead letter%s\n", total, total == 1 ? "" : "s");
    cJSON_Delete(o);
    return rc < 0 ? d->s.code : EXIT_FINE;
}
