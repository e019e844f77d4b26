/* `dray dead show`: one letter as a person reads it. Strings are decoded: an answer stands there as the provider sent
 * it, not as JSON within JSON. */
#include "cli/dead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dray/timefmt.h"

static void print_line(const char *name, struct span s) {
    if (s.ptr == NULL)
        return;
    printf("%-10s ", name);
    cli_foreign(stdout, s, 0, 0);
    putchar('\n');
}

/* A member as a person reads it: a string decoded, anything else as it is written. */
static void print_member(const struct letter *l, uint32_t node, const char *name) {
    uint32_t value = json_get(&l->doc, node, name);
    struct buf text;
    if (value == JSON_NONE)
        return;
    struct span raw = json_raw(&l->doc, value);
    buf_init(&text, raw.len + 1);
    if (json_type(&l->doc, value) == JSON_STRING && json_decode(&l->doc, value, &text) == 0)
        raw = buf_span(&text);
    cli_foreign(stdout, raw, 0, 0);
    buf_deinit(&text);
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
               json_get(&l->doc, i, "control") != JSON_NONE  ? "control"
               : json_get(&l->doc, i, "lookup") != JSON_NONE ? "look-up"
                                                             : "order");
        print_member(l, i, "http_status");
        fputs(", ", stdout);
        print_member(l, i, "ms");
        fputs(" ms, ", stdout);
        print_member(l, i, "code");
        fputs(": ", stdout);
        print_member(l, i, "message");
        fputs("\n           ", stdout);
        print_member(l, i, "answer");
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
    for (uint32_t i = json_first(&l->doc, faults); i != JSON_NONE; i = json_next(&l->doc, faults, i)) {
        fputs("fault      ", stdout);
        print_member(l, i, "path");
        fputs(": ", stdout);
        print_member(l, i, "rule");
        putchar('\n');
    }
    print_attempts(l);
    fputs("job        ", stdout);
    if (l->job.ptr != NULL)
        cli_foreign(stdout, l->job, 0, 0);
    else
        print_member(l, 0, "job_base64");
    putchar('\n');
}

static int show_batch(struct dead *d, const char *const *ids, const redisReply *letters, void *arg) {
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
