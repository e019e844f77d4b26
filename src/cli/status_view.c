/* Reading the reply of queue/lua/status.lua. */
#include "cli/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 1, ACCOUNTS, WORKERS, NEXT_JOB, DELAYED, DEAD, PAUSE };
#define ACCOUNT_PARTS 5
#define WORKER_PARTS  4

int64_t snapshot_number(const struct snapshot *s, const char *name) {
    const redisReply *list = s->reply->element[SIZES];
    for (size_t i = 0; i + 1 < list->elements; i += 2)
        if (strcmp(list->element[i]->str, name) == 0)
            return strtoll(list->element[i + 1]->str, NULL, 10);
    return 0;
}

size_t snapshot_accounts(const struct snapshot *s) {
    return s->reply->element[ACCOUNTS]->elements / ACCOUNT_PARTS;
}

void snapshot_account(const struct snapshot *s, size_t i, struct account_view *a) {
    redisReply **part = s->reply->element[ACCOUNTS]->element + ACCOUNT_PARTS * i;
    double ts;
    char probe[64] = "-";
    *a = (struct account_view){.name = part[0]->str, .pause = part[3]->str, .mode = 'n'};
    sscanf(part[1]->str, "%lf %lf %lld %lld %c %lld %lld %63s", &a->tokens, &ts, &a->conc,
           &a->fails, &a->mode, &a->till, &a->cool, probe);
    sscanf(part[2]->str, "%lf %lld %lld %lld", &a->rate, &a->burst, &a->limit, &a->failures);
    a->waiting = strtoll(part[4]->str, NULL, 10);
    a->probing = strcmp(probe, "-") != 0 && a->till > s->now_ms;
}

size_t snapshot_workers(const struct snapshot *s) {
    return s->reply->element[WORKERS]->elements / WORKER_PARTS;
}

static int64_t number_in(struct json_doc *doc, const char *name) {
    int64_t value = 0;
    uint32_t node = json_get(doc, 0, name);
    return node != JSON_NONE && json_i64(doc, node, &value) ? value : 0;
}

static void text_in(struct json_doc *doc, const char *name, char *out, size_t size) {
    uint32_t node = json_get(doc, 0, name);
    if (node == JSON_NONE || json_copy(doc, node, out, size) < 0)
        snprintf(out, size, "?");
}

void snapshot_worker(const struct snapshot *s, size_t i, struct json_doc *doc,
                     struct worker_view *w) {
    redisReply **part = s->reply->element[WORKERS]->element + WORKER_PARTS * i;
    *w = (struct worker_view){.name = part[0]->str, .host = "?", .version = "?", .mode = "?"};
    w->lease_left_ms = strtoll(part[1]->str, NULL, 10) - s->now_ms;
    w->inflight = strtoll(part[3]->str, NULL, 10);
    if (json_parse(doc, part[2]->str, part[2]->len, NULL) < 0 || json_type(doc, 0) != JSON_OBJECT)
        return;
    text_in(doc, "host", w->host, sizeof(w->host));
    text_in(doc, "version", w->version, sizeof(w->version));
    text_in(doc, "mode", w->mode, sizeof(w->mode));
    w->pid = number_in(doc, "pid");
    int64_t started = number_in(doc, "started_at");
    w->uptime_ms = started > 0 && started < s->now_ms ? s->now_ms - started : 0;
}

const char *snapshot_pause(const struct snapshot *s) {
    return s->reply->element[PAUSE]->str;
}

int64_t pause_parts(const char *pause, const char **reason) {
    const char *space = strchr(pause, ' ');
    *reason = space != NULL ? space + 1 : "";
    return strtoll(pause, NULL, 10);
}

const char *account_state(const struct account_view *a) {
    if (a->pause[0] != '\0')
        return "paused";
    if (a->mode != 'n')
        return a->mode == 'p' ? "retry_after" : a->mode == 'h' ? "held" : "breaker";
    if (a->waiting > 0 && a->limit > 0 && a->conc >= a->limit)
        return "concurrency";
    return a->waiting > 0 && a->rate > 0 && a->tokens < 1 ? "rate" : "open";
}
