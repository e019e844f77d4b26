/* Magic order keys: the table and its reader. */
#include "sandbox/magic.h"

#include <string.h>

#include "dray/timefmt.h"

enum parameter { NO_PARAMETER, STATUS, DURATION, COUNT };

static const struct word {
    const char *word;
    enum parameter parameter;
    enum magic_kind kind;
    const char *shown;
    const char *help;
} words[] = {
    {"FAIL", STATUS, MAGIC_FAIL, "FAIL<status>",
     "refused with that status, 300 to 599, in the provider's own error form; 429 carries "
     "`Retry-After: 1`, 3xx a `Location`"},
    {"LATE", STATUS, MAGIC_LATE, "LATE<status>",
     "the order is created, then answered with that status"},
    {"PAUSE", DURATION, MAGIC_PAUSE, "PAUSE<duration>",
     "429 with `Retry-After` in whole seconds, rounded up"},
    {"DATE", DURATION, MAGIC_DATE, "DATE<duration>", "429 with `Retry-After` as an HTTP date"},
    {"BUSY", DURATION, MAGIC_BUSY, "BUSY<duration>", "503 with `Retry-After` in whole seconds"},
    {"HANGUP", NO_PARAMETER, MAGIC_HANGUP, "HANGUP",
     "the order is created, then the connection closes without an answer"},
    {"HANGUPNO", NO_PARAMETER, MAGIC_HANGUPNO, "HANGUPNO",
     "the connection closes without an answer, and nothing is created"},
    {"SLOW", DURATION, MAGIC_SLOW, "SLOW<duration>",
     "the order is created at once and answered after that time"},
    {"DUP", NO_PARAMETER, MAGIC_DUP, "DUP",
     "409: the order was there before, and a look-up finds it"},
    {"REJECT", NO_PARAMETER, MAGIC_REJECT, "REJECT",
     "the provider's own no (KaKaClo: 200 with a code other than 10000)"},
    {"3XX", NO_PARAMETER, MAGIC_REDIRECT, "3XX",
     "307 to the same path: a client that follows it is counted as a second POST"},
    {"HTML", NO_PARAMETER, MAGIC_HTML, "HTML", "200 with a web page, and nothing is created"},
    {"GARBAGE", NO_PARAMETER, MAGIC_GARBAGE, "GARBAGE",
     "the order is created; the answer is no JSON"},
    {"TRUNC", NO_PARAMETER, MAGIC_TRUNC, "TRUNC",
     "the order is created; the answer breaks off half-way and the connection closes"},
    {"EMPTY", NO_PARAMETER, MAGIC_EMPTY, "EMPTY", "the order is created; the answer has no body"},
    {"NOID", NO_PARAMETER, MAGIC_NOID, "NOID",
     "the order is created; the answer says success but lacks the order's id"},
    {"HUGE", NO_PARAMETER, MAGIC_HUGE, "HUGE",
     "the order is created; the answer is larger than 1 MiB"},
    {"SPLIT", COUNT, MAGIC_SPLIT, "SPLIT<n>",
     "created as n orders, 2 to 9, by KaKaClo v1 and v2, which say they may; elsewhere as one"},
};
#define WORDS (sizeof words / sizeof words[0])

/* Reads digits up to `max`. Returns how many bytes they took, 0 where there is no number. */
static size_t read_number(struct span s, uint64_t max, uint64_t *value) {
    size_t i = 0;
    *value = 0;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++) {
        *value = *value * 10 + (uint64_t)(s.ptr[i] - '0');
        if (*value > max)
            return 0;
    }
    return i;
}

/* Cuts "x<n>" off the end of `s`. */
static uint32_t cut_times(struct span *s) {
    size_t i = s->len;
    while (i > 0 && s->ptr[i - 1] >= '0' && s->ptr[i - 1] <= '9')
        i--;
    if (i < 2 || s->ptr[i - 1] != 'x' || i == s->len)
        return UINT32_MAX;
    uint64_t n;
    if (read_number((struct span){s->ptr + i, s->len - i}, 1000000, &n) == 0 || n == 0)
        return UINT32_MAX;
    s->len = i - 1;
    return (uint32_t)n;
}

static bool read_parameter(enum parameter parameter, struct span s, struct magic *m) {
    uint64_t n;
    switch (parameter) {
    case NO_PARAMETER:
        return s.len == 0;
    case DURATION:
        return duration_parse(s, &m->ms) == 0;
    case STATUS:
        if (s.len != 3 || read_number(s, 599, &n) != 3 || n < 300)
            return false;
        m->status = (unsigned)n;
        return true;
    case COUNT:
        if (s.len != 1 || read_number(s, 9, &n) != 1 || n < 2)
            return false;
        m->count = (uint32_t)n;
        return true;
    }
    return false;
}

struct magic magic_parse(struct span key) {
    const struct magic none = {.kind = MAGIC_NONE};
    const char *dash = key.len > 0 ? memrchr(key.ptr, '-', key.len) : NULL;
    if (dash == NULL)
        return none;
    struct span suffix = {dash + 1, (size_t)(key.ptr + key.len - (dash + 1))};
    struct magic m = {.times = cut_times(&suffix)};
    for (size_t i = 0; i < WORDS; i++) {
        size_t n = strlen(words[i].word);
        if (suffix.len < n || memcmp(suffix.ptr, words[i].word, n) != 0)
            continue;
        m.kind = words[i].kind;
        if (read_parameter(words[i].parameter, (struct span){suffix.ptr + n, suffix.len - n}, &m))
            return m;
    }
    return none;
}

void magic_help(struct buf *out, bool markdown) {
    if (markdown)
        buf_add_str(out, "| suffix | what happens |\n|---|---|\n");
    for (size_t i = 0; i < WORDS; i++)
        if (markdown)
            buf_addf(out, "| `-%s` | %s |\n", words[i].shown, words[i].help);
        else
            buf_addf(out, "  -%-16s %s\n", words[i].shown, words[i].help);
}
