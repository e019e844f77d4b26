/* Durations, sizes and rates, as they are written in the configuration. Dates: timefmt_date.c. */
#include "dray/timefmt.h"

#include <stdio.h>

/* Reads the digits at the start of `*s` and moves it past them. 0, or -1: none, or too large. */
static int take_number(struct span *s, uint64_t *value) {
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s->ptr[i] - '0'), &v))
            return -1;
    if (i == 0)
        return -1;
    *s = (struct span){s->ptr + i, s->len - i};
    *value = v;
    return 0;
}

static const struct unit {
    const char *name;
    uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define UNITS (sizeof(units) / sizeof(units[0]))

int duration_parse(struct span text, uint64_t *ms) {
    uint64_t v;
    if (take_number(&text, &v) != 0)
        return -1;
    for (size_t i = 0; i < UNITS; i++)
        if (span_is(text, units[i].name))
            return __builtin_mul_overflow(v, units[i].ms, ms) ? -1 : 0;
    return -1;
}

void duration_format(uint64_t ms, char out[static TIMEFMT_SIZE]) {
    size_t i = 0;
    while (ms % units[i].ms != 0)
        i++;
    if (ms == 0)
        i = UNITS - 2; /* "0s" */
    snprintf(out, TIMEFMT_SIZE, "%llu%s", (unsigned long long)(ms / units[i].ms), units[i].name);
}

int size_parse(struct span text, uint64_t *bytes) {
    uint64_t v, unit;
    if (take_number(&text, &v) != 0)
        return -1;
    if (text.len == 0)
        unit = 1;
    else if (span_is(text, "K"))
        unit = UINT64_C(1) << 10;
    else if (span_is(text, "M"))
        unit = UINT64_C(1) << 20;
    else if (span_is(text, "G"))
        unit = UINT64_C(1) << 30;
    else
        return -1;
    return __builtin_mul_overflow(v, unit, bytes) ? -1 : 0;
}

int rate_parse(struct span text, double *per_second) {
    uint64_t v;
    double seconds;
    if (take_number(&text, &v) != 0)
        return -1;
    if (v == 0) { /* "0/s" would be no request at all, which is not what 0 means */
        *per_second = 0;
        return text.len == 0 ? 0 : -1;
    }
    if (span_is(text, "/s"))
        seconds = 1;
    else if (span_is(text, "/m"))
        seconds = 60;
    else if (span_is(text, "/h"))
        seconds = 3600;
    else
        return -1;
    *per_second = (double)v / seconds;
    return 0;
}
