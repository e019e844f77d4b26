/* The settings of misbehaviour: one table, for the flags and for /_sandbox/set. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"
#include "sandbox/internal.h"

#define LONGEST_WAIT_MS (3600u * 1000)

enum kind { RATE, WAIT, RANGE, REPEATS, BALANCE, DOWN };

static const struct setting {
    const char *name;
    enum kind kind;
    size_t offset;
} settings[] = {
    {"latency", RANGE, offsetof(struct sandbox_trouble, latency_min_ms)},
    {"fail_rate", RATE, offsetof(struct sandbox_trouble, fail_rate)},
    {"hangup_rate", RATE, offsetof(struct sandbox_trouble, hangup_rate)},
    {"slow_rate", RATE, offsetof(struct sandbox_trouble, slow_rate)},
    {"slow", WAIT, offsetof(struct sandbox_trouble, slow_ms)},
    {"index_lag", WAIT, offsetof(struct sandbox_trouble, index_lag_ms)},
    {"repeats", REPEATS, offsetof(struct sandbox_trouble, refuse_repeats)},
    {"balance", BALANCE, offsetof(struct sandbox_trouble, balance_spent)},
    {"token_ttl", WAIT, offsetof(struct sandbox_trouble, token_ttl_ms)},
    {"keep_alive", WAIT, offsetof(struct sandbox_trouble, keep_ms)},
    {"down", DOWN, offsetof(struct sandbox_trouble, down)},
};

static int set_rate(double *rate, const char *value) {
    char *end;
    errno = 0;
    double d = strtod(value, &end);
    if (errno != 0 || end == value || *end != '\0' || !(d >= 0 && d <= 1))
        return -1;
    *rate = d;
    return 0;
}

static int set_wait(uint64_t *ms, struct span value) {
    uint64_t v;
    if (span_is(value, "0"))
        v = 0;
    else if (duration_parse(value, &v) != 0 || v > LONGEST_WAIT_MS)
        return -1;
    *ms = v;
    return 0;
}

/* "50ms", "50ms-150ms" or, with one unit for both, "50-150ms". */
static int set_range(struct sandbox_trouble *t, const char *value) {
    struct span all = span_str(value);
    const char *dash = strchr(value, '-');
    if (dash == NULL) {
        if (set_wait(&t->latency_min_ms, all) != 0)
            return -1;
        t->latency_max_ms = t->latency_min_ms;
        return 0;
    }
    struct span high = span_str(dash + 1);
    char low[32];
    size_t digits = strspn(value, "0123456789");
    const char *unit = dash + 1 + strspn(dash + 1, "0123456789");
    int n =
        snprintf(low, sizeof low, "%.*s%s", (int)(dash - value), value, value + digits == dash ? unit : "");
    uint64_t min, max;
    if (n < 0 || (size_t)n >= sizeof low || set_wait(&min, span_str(low)) != 0 || set_wait(&max, high) != 0 ||
        min > max)
        return -1;
    t->latency_min_ms = min;
    t->latency_max_ms = max;
    return 0;
}

static int set_one_of_two(bool *second, const char *value, const char *a, const char *b) {
    if (strcmp(value, a) != 0 && strcmp(value, b) != 0)
        return -1;
    *second = strcmp(value, b) == 0;
    return 0;
}

static int set_down(unsigned *down, const char *value) {
    char *end;
    long n = strtol(value, &end, 10);
    if (strcmp(value, "hangup") == 0)
        *down = SANDBOX_DOWN_HANGUP;
    else if (strcmp(value, "0") == 0)
        *down = 0;
    else if (strcmp(value, "1") == 0)
        *down = 503;
    else if (*end == '\0' && n >= 300 && n <= 599)
        *down = (unsigned)n;
    else
        return -1;
    return 0;
}

static int set_one(const struct setting *s, struct sandbox_trouble *t, const char *value, struct err *err) {
    void *field = (char *)t + s->offset;
    switch (s->kind) {
    case RATE:
        return set_rate(field, value) == 0 ? 0 : err_set(err, "%s: must be a number from 0 to 1", s->name);
    case WAIT:
        return set_wait(field, span_str(value)) == 0
                   ? 0
                   : err_set(err, "%s: must be a duration such as 500ms or 5s, up to 1h", s->name);
    case RANGE:
        return set_range(t, value) == 0
                   ? 0
                   : err_set(err, "%s: must be a duration or a range, such as 50ms or 50-150ms", s->name);
    case REPEATS:
        return set_one_of_two(field, value, "create", "refuse") == 0
                   ? 0
                   : err_set(err, "%s: must be 'create' or 'refuse'", s->name);
    case BALANCE:
        return set_one_of_two(field, value, "enough", "spent") == 0
                   ? 0
                   : err_set(err, "%s: must be 'enough' or 'spent'", s->name);
    case DOWN:
        return set_down(field, value) == 0
                   ? 0
                   : err_set(err, "%s: must be 0, 1, 'hangup', or a status from 300 to 599", s->name);
    }
    return -1;
}

int sandbox_trouble_set(struct sandbox_trouble *t, const char *name, const char *value, struct err *err) {
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        if (strcmp(settings[i].name, name) == 0)
            return set_one(&settings[i], t, value, err);
    return err_set(err, "there is no setting '%s'", name);
}

cJSON *trouble_json(const struct sandbox_trouble *t) {
    cJSON *o = cJSON_CreateObject(), *latency = cJSON_AddArrayToObject(o, "latency_ms");
    cJSON_AddItemToArray(latency, cJSON_CreateNumber((double)t->latency_min_ms));
    cJSON_AddItemToArray(latency, cJSON_CreateNumber((double)t->latency_max_ms));
    cJSON_AddNumberToObject(o, "fail_rate", t->fail_rate);
    cJSON_AddNumberToObject(o, "hangup_rate", t->hangup_rate);
    cJSON_AddNumberToObject(o, "slow_rate", t->slow_rate);
    tree_add_u64(o, "slow_ms", t->slow_ms);
    tree_add_u64(o, "index_lag_ms", t->index_lag_ms);
    cJSON_AddStringToObject(o, "repeats", t->refuse_repeats ? "refuse" : "create");
    cJSON_AddStringToObject(o, "balance", t->balance_spent ? "spent" : "enough");
    tree_add_u64(o, "token_ttl_ms", t->token_ttl_ms);
    tree_add_u64(o, "keep_alive_ms", t->keep_ms);
    if (t->down == SANDBOX_DOWN_HANGUP)
        cJSON_AddStringToObject(o, "down", "hangup");
    else
        cJSON_AddNumberToObject(o, "down", t->down);
    return o;
}

/* Chooses in 2^32 steps, so that a rate of 0 never hits and one of 1 always does. */
bool trouble_hits(struct rng *rng, double rate) {
    return rate > 0 && (double)rng_below(rng, 1ull << 32) < rate * 4294967296.0;
}

uint64_t trouble_latency_ms(const struct sandbox_trouble *t, struct rng *rng) {
    return t->latency_min_ms + rng_below(rng, t->latency_max_ms - t->latency_min_ms + 1);
}
