/* Reading the reply of queue/lua/status.lua. */
#include "cli/status.h"

#include <math.h>
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

static int64_t counted(const struct snapshot *s, const char *what, const char *account) {
    char name[32 + NAME_MAX_LEN];
    snprintf(name, sizeof(name), "%s:%s", what, account);
    return snapshot_number(s, name);
}

size_t snapshot_accounts(const struct snapshot *s) {
    return s->reply->element[ACCOUNTS]->elements / ACCOUNT_PARTS;
}

/* The account at a place of the reply. */
static void read_account(const struct snapshot *s, size_t i, struct account_view *a) {
    redisReply **part = s->reply->element[ACCOUNTS]->element + ACCOUNT_PARTS * i;
    double ts;
    char probe[64] = "-";
    *a = (struct account_view){.name = part[0]->str, .pause = part[3]->str, .mode = 'n'};
    sscanf(part[1]->str, "%lf %lf %lld %lld %c %lld %lld %63s %lld %63s", &a->tokens, &ts, &a->conc,
           &a->fails, &a->mode, &a->till, &a->cool, probe, &a->refused, a->code);
    if (strcmp(a->code, "-") == 0)
        a->code[0] = '\0';
    sscanf(part[2]->str, "%lf %lld %lld %lld", &a->rate, &a->burst, &a->limit, &a->failures);
    a->waiting = strtoll(part[4]->str, NULL, 10);
    a->strays = counted(s, "stray_answers", a->name);
    a->repeated_ids = counted(s, "repeated_ids", a->name);
    a->probing = strcmp(probe, "-") != 0 && a->till > s->now_ms;
}

/* A whole number that a worker wrote of itself; 0 where there is none. */
static int64_t number_in(const cJSON *info, const char *name) {
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(info, name);
    return cJSON_IsNumber(n) && fabs(n->valuedouble) < 9007199254740992.0 ? (int64_t)n->valuedouble : 0;
}

/* The earliest end of the account's token that a worker tells: one of them may have read a newer token. */
static int64_t token_end(const struct snapshot *s, const char *account) {
    int64_t end = 0;
    for (size_t i = 0; i < snapshot_workers(s); i++) {
        int64_t ms = number_in(cJSON_GetObjectItemCaseSensitive(s->infos[i], "tokens"), account);
        if (ms > 0 && (end == 0 || ms < end))
            end = ms;
    }
    return end;
}

void snapshot_account(const struct snapshot *s, size_t i, struct account_view *a) {
    read_account(s, s->accounts[i], a);
    a->token_ms = token_end(s, a->name);
}

size_t snapshot_workers(const struct snapshot *s) {
    return s->reply->element[WORKERS]->elements / WORKER_PARTS;
}

static void text_in(const cJSON *info, const char *name, char *out, size_t size) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(info, name));
    snprintf(out, size, "%s", text != NULL && strlen(text) < size ? text : "?");
}

void snapshot_worker(const struct snapshot *s, size_t i, struct worker_view *w) {
    redisReply **part = s->reply->element[WORKERS]->element + WORKER_PARTS * s->workers[i];
    const cJSON *info = s->infos[s->workers[i]];
    *w = (struct worker_view){.name = part[0]->str};
    w->lease_left_ms = strtoll(part[1]->str, NULL, 10) - s->now_ms;
    w->inflight = strtoll(part[3]->str, NULL, 10);
    text_in(info, "host", w->host, sizeof(w->host));
    text_in(info, "version", w->version, sizeof(w->version));
    text_in(info, "mode", w->mode, sizeof(w->mode));
    text_in(info, "pickup_mode", w->pickup, sizeof(w->pickup));
    w->connections = number_in(info, "connections");
    w->format = number_in(info, "format");
    if (info != NULL && w->format == 0)
        w->format = 1; /* a version that knows of none */
    w->pid = number_in(info, "pid");
    int64_t started = number_in(info, "started_at");
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

enum account_state snapshot_state(const struct snapshot *s, const struct account_view *a) {
    bool at_limit = (a->limit > 0 && a->conc >= a->limit) || (a->rate > 0 && a->tokens < 1);
    return account_state(a->mode, (uint64_t)a->till, a->pause[0] != '\0', at_limit ? (uint64_t)a->waiting : 0,
                         (uint64_t)s->now_ms);
}

static int by_trouble(const void *one, const void *other, void *arg) {
    const struct snapshot *s = arg;
    struct account_view a, b;
    read_account(s, *(const size_t *)one, &a);
    read_account(s, *(const size_t *)other, &b);
    int trouble = (int)snapshot_state(s, &a) - (int)snapshot_state(s, &b);
    return trouble != 0 ? trouble : strcmp(a.name, b.name);
}

static int by_name(const void *one, const void *other, void *arg) {
    const redisReply *workers = ((const struct snapshot *)arg)->reply->element[WORKERS];
    return strcmp(workers->element[WORKER_PARTS * *(const size_t *)one]->str,
                  workers->element[WORKER_PARTS * *(const size_t *)other]->str);
}

static size_t *places(size_t count) {
    size_t *list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = i;
    return list;
}

bool snapshot_init(struct snapshot *s) {
    s->accounts = places(snapshot_accounts(s));
    s->workers = places(snapshot_workers(s));
    /* NULL where a worker's words are no JSON */
    s->infos = calloc(snapshot_workers(s) + 1, sizeof(cJSON *));
    if (s->accounts == NULL || s->workers == NULL || s->infos == NULL)
        return false;
    for (size_t i = 0; i < snapshot_workers(s); i++) {
        const redisReply *info = s->reply->element[WORKERS]->element[WORKER_PARTS * i + 2];
        s->infos[i] = cJSON_ParseWithLength(info->str, info->len);
    }
    qsort_r(s->accounts, snapshot_accounts(s), sizeof(*s->accounts), by_trouble, s);
    qsort_r(s->workers, snapshot_workers(s), sizeof(*s->workers), by_name, s);
    return true;
}

void snapshot_deinit(struct snapshot *s) {
    for (size_t i = 0; s->infos != NULL && i < snapshot_workers(s); i++)
        cJSON_Delete(s->infos[i]);
    free(s->infos);
    free(s->accounts);
    free(s->workers);
}
