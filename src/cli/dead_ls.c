/* `dray dead ls` and `dray dead show`: reading only. What a provider or a producer wrote is printed
 * without control characters, so that it cannot play tricks on the terminal. */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dray/timefmt.h"

#define OUT_MAX (1u << 30)

static void print_span(struct span s, int width) {
    int n = 0;
    for (size_t i = 0; i < s.len && (width <= 0 || n < width); i++, n++)
        putchar((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f ? ' ' : s.ptr[i]);
    for (; n < width; n++)
        putchar(' ');
}

static struct span or_dash(struct span s) {
    return s.ptr != NULL ? s : SPAN_LIT("-");
}

static void print_row(const struct letter *l) {
    char at[TIMEFMT_SIZE] = "-";
    if (l->died_at > 0)
        rfc3339_format((uint64_t)l->died_at, at);
    print_span(l->id, (int)(l->id.len > 26 ? l->id.len : 26));
    printf(" %.19s ", at);
    print_span(l->readable ? or_dash(l->reason) : SPAN_LIT("(unreadable)"), 16);
    print_span(or_dash(l->account), 16);
    print_span(or_dash(l->job_id), 24);
    putchar(' ');
    print_span(or_dash(l->code), 0);
    if (l->message.len > 0) {
        fputs(": ", stdout);
        print_span(l->message, l->message.len < 100 ? 0 : 100);
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

static void print_line(const char *name, struct span s) {
    if (s.ptr == NULL)
        return;
    printf("%-10s ", name);
    print_span(s, 0);
    putchar('\n');
}

static struct span member(const struct letter *l, uint32_t node, const char *name) {
    uint32_t value = json_get(&l->doc, node, name);
    if (value == JSON_NONE)
        return SPAN_LIT("");
    return json_type(&l->doc, value) == JSON_STRING ? json_inner(&l->doc, value)
                                                    : json_raw(&l->doc, value);
}

static void print_attempts(const struct letter *l) {
    uint32_t list = json_get(&l->doc, 0, "attempts"), n = 0;
    for (uint32_t i = json_first(&l->doc, list); i != JSON_NONE; i = json_next(&l->doc, list, i)) {
        char at[TIMEFMT_SIZE] = "";
        int64_t ms = 0;
        uint32_t node = json_get(&l->doc, i, "at");
        if (node != JSON_NONE && json_i64(&l->doc, node, &ms) && ms > 0)
            rfc3339_format((uint64_t)ms, at);
        printf("attempt %-2u %s %s HTTP ", ++n, at,
               json_get(&l->doc, i, "lookup") != JSON_NONE ? "look-up" : "order");
        print_span(member(l, i, "http_status"), 0);
        fputs(", ", stdout);
        print_span(member(l, i, "ms"), 0);
        fputs(" ms, ", stdout);
        print_span(member(l, i, "code"), 0);
        fputs(": ", stdout);
        print_span(member(l, i, "message"), 0);
        fputs("\n           ", stdout);
        print_span(member(l, i, "answer"), 0);
        putchar('\n');
    }
}

static void print_letter(const struct letter *l) {
    char at[TIMEFMT_SIZE] = "";
    if (l->died_at > 0)
        rfc3339_format((uint64_t)l->died_at, at);
    print_line("dead_id", l->id);
    print_line("died", span_str(at));
    print_line("reason", l->reason);
    print_line("code", l->code);
    print_line("message", l->message);
    print_line("account", l->account);
    print_line("order key", l->order_key);
    print_line("id", l->job_id);
    uint32_t faults = json_get(&l->doc, json_get(&l->doc, 0, "error"), "faults");
    for (uint32_t i = json_first(&l->doc, faults); i != JSON_NONE;
         i = json_next(&l->doc, faults, i)) {
        fputs("fault      ", stdout);
        print_span(member(l, i, "path"), 0);
        fputs(": ", stdout);
        print_span(member(l, i, "rule"), 0);
        putchar('\n');
    }
    print_attempts(l);
    print_line("job", l->job.ptr != NULL ? l->job : member(l, 0, "job_base64"));
}

static int show_batch(struct dead *d, const char *const *ids, const redisReply *letters,
                      void *arg) {
    int *missing = arg;
    for (size_t i = 0; i < letters->elements; i++) {
        const redisReply *r = letters->element[i];
        if (r->type != REDIS_REPLY_STRING) {
            cli_fail(d->s.verb, "queue %s has no dead letter %s", d->o.queue, ids[i]);
            ++*missing;
            continue;
        }
        letter_read(&d->letter, span_str(ids[i]), (struct span){r->str, r->len});
        if (!d->o.json && d->letter.readable) {
            print_letter(&d->letter);
        } else {
            fwrite(r->str, 1, r->len, stdout);
            putchar('\n');
        }
    }
    return 0;
}

int dead_show(struct dead *d) {
    int missing = 0;
    if (d->o.id_count == 0)
        return cli_usage(d->s.verb, "show: which? `dray dead ls %s` lists them", d->o.queue);
    if (dead_select(d) < 0 || dead_batches(d, "reading", show_batch, &missing) < 0)
        return d->s.code;
    return missing > 0 ? EXIT_FAILED : EXIT_FINE;
}
