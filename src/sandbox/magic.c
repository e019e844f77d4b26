/* Magic order keys: the table and its reader. */
#include "sandbox/magic.h"

#include <string.h>

#include "dray/timefmt.h"

enum parameter { NO_PARAMETER, STATUS, SUCCESS, DURATION, COUNT };

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
    {"LATE", STATUS, MAGIC_LATE, "LATE<status>", "the order is created, then answered with that status"},
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
    {"DUP", NO_PARAMETER, MAGIC_DUP, "DUP", "409: the order was there before, and a look-up finds it"},
    {"REJECT", NO_PARAMETER, MAGIC_REJECT, "REJECT",
     "the provider's own no (KaKaClo: 200 with a code other than 10000)"},
    {"3XX", NO_PARAMETER, MAGIC_REDIRECT, "3XX",
     "307 to the same path: a client that follows it is counted as a second POST"},
    {"HTML", NO_PARAMETER, MAGIC_HTML, "HTML", "200 with a web page, and nothing is created"},
    {"GARBAGE", NO_PARAMETER, MAGIC_GARBAGE, "GARBAGE", "the order is created; the answer is no JSON"},
    {"TRUNC", NO_PARAMETER, MAGIC_TRUNC, "TRUNC",
     "the order is created; the answer breaks off half-way and the connection closes"},
    {"EMPTY", NO_PARAMETER, MAGIC_EMPTY, "EMPTY", "the order is created; the answer has no body"},
    {"NOID", NO_PARAMETER, MAGIC_NOID, "NOID",
     "the order is created; the answer says success but lacks the order's id"},
    {"HUGE", NO_PARAMETER, MAGIC_HUGE, "HUGE", "the order is created; the answer is larger than 1 MiB"},
    {"SPLIT", COUNT, MAGIC_SPLIT, "SPLIT<n>",
     "created as n orders, 2 to 9, by KaKaClo v1 and v2, which say they may; elsewhere as one"},
    {"YES", SUCCESS, MAGIC_YES, "YES<2xx>",
     "the order is created and answered with that status, 200 to 299, and no body"},
    {"TWICE", NO_PARAMETER, MAGIC_TWICE, "TWICE",
     "the order is created and answered, and answered once more on the same connection 0.2 s "
     "later, in front of whatever comes next there"},
    {"KEEPALIVE", DURATION, MAGIC_KEEP, "KEEPALIVE<duration>",
     "created; the answer says `Keep-Alive: timeout`, and the connection closes when it was idle "
     "for that time"},
    {"GATEWAY", STATUS, MAGIC_GATEWAY, "GATEWAY<status>",
     "the order is created; a gateway in front answers with that status and a web page"},
    {"BLOCKED403", NO_PARAMETER, MAGIC_BLOCKED, "BLOCKED403",
     "a firewall refuses this one order: 403 and a web page, and nothing is created"},
    {"RATE429", NO_PARAMETER, MAGIC_RATE, "RATE429", "429 without `Retry-After`"},
    {"FRACTION", DURATION, MAGIC_FRACTION, "FRACTION<duration>",
     "429 with `Retry-After` in seconds with a fraction, such as `3.5`"},
    {"REFUSEALL", NO_PARAMETER, MAGIC_BROKE, "REFUSEALL",
     "from now on every order with these credentials is refused with one code (insufficient "
     "balance; KaKaClo: 20017) until `POST /_sandbox/set?balance=enough&account=TOKEN`"},
    {"BOM", NO_PARAMETER, MAGIC_BOM, "BOM", "the order is created; the answer begins with a byte order mark"},
    {"GZIP", NO_PARAMETER, MAGIC_GZIP, "GZIP",
     "the order is created; the answer is compressed, asked for or not"},
    {"CODETWICE", NO_PARAMETER, MAGIC_NAMES, "CODETWICE",
     "the order is created; the name that tells success stands twice in the answer, as in "
     "`{\"code\":500,\"code\":10000,…}`"},
    {"OTHERKEY", NO_PARAMETER, MAGIC_OTHERKEY, "OTHERKEY",
     "the order is created; the answer shows another order key (KaKaClo's answers show none)"},
    {"OTHERID", NO_PARAMETER, MAGIC_OTHERID, "OTHERID",
     "the order is created; the answer has the id of the order that was created before it with "
     "the same credentials"},
    {"BLANKID", NO_PARAMETER, MAGIC_BLANKID, "BLANKID",
     "the order is created; the id in the answer is a blank"},
    {"LOOKUP", STATUS, MAGIC_LOOKUP, "LOOKUP<status>",
     "look-ups are answered with that status; 429 carries `Retry-After: 1`"},
    {"ROUTER404", NO_PARAMETER, MAGIC_ROUTER, "ROUTER404",
     "look-ups are answered 404 with a router's text, `404 page not found`"},
    {"LOOKUPEMPTY", NO_PARAMETER, MAGIC_LOOKUP_EMPTY, "LOOKUPEMPTY",
     "look-ups are answered 200 without a body"},
    {"LOOKUPHTML", NO_PARAMETER, MAGIC_LOOKUP_HTML, "LOOKUPHTML",
     "look-ups are answered 200 with a web page"},
    {"LOOKUPHANGUP", NO_PARAMETER, MAGIC_LOOKUP_HANGUP, "LOOKUPHANGUP",
     "look-ups get no answer: the connection closes"},
    {"LOOKUPEMPTYTOTAL", NO_PARAMETER, MAGIC_LOOKUP_TOTAL, "LOOKUPEMPTYTOTAL",
     "look-ups in lists show an empty page whose total counts the order; others find nothing"},
    {"LOOKUPOTHER", NO_PARAMETER, MAGIC_LOOKUP_OTHER, "LOOKUPOTHER",
     "look-ups show the order under another key"},
    {"LOOKUPBLIND", NO_PARAMETER, MAGIC_LOOKUP_BLIND, "LOOKUPBLIND",
     "look-ups say that there is no such order, in the provider's own words, though it exists"},
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

static bool read_status(struct span s, uint64_t from, uint64_t to, unsigned *status) {
    uint64_t n;
    if (s.len != 3 || read_number(s, to, &n) != 3 || n < from)
        return false;
    *status = (unsigned)n;
    return true;
}

static bool read_parameter(enum parameter parameter, struct span s, struct magic *m) {
    uint64_t n;
    switch (parameter) {
    case NO_PARAMETER:
        return s.len == 0;
    case DURATION:
        return duration_parse(s, &m->ms) == 0;
    case STATUS:
        return read_status(s, 300, 599, &m->status);
    case SUCCESS:
        return read_status(s, 200, 299, &m->status);
    case COUNT:
        if (s.len != 1 || read_number(s, 9, &n) != 1 || n < 2)
            return false;
        m->count = (uint32_t)n;
        return true;
    }
    return false;
}

/* Reads the key's last ending, and cuts it off where it is magic. */
static struct magic cut_ending(struct span *key) {
    const struct magic none = {.kind = MAGIC_NONE};
    const char *dash = key->len > 0 ? memrchr(key->ptr, '-', key->len) : NULL;
    if (dash == NULL)
        return none;
    struct span suffix = {dash + 1, (size_t)(key->ptr + key->len - (dash + 1))};
    struct magic m = {.times = cut_times(&suffix)};
    for (size_t i = 0; i < WORDS; i++) {
        size_t n = strlen(words[i].word);
        if (suffix.len < n || memcmp(suffix.ptr, words[i].word, n) != 0)
            continue;
        m.kind = words[i].kind;
        if (!read_parameter(words[i].parameter, (struct span){suffix.ptr + n, suffix.len - n}, &m))
            continue;
        key->len = (size_t)(dash - key->ptr);
        return m;
    }
    return none;
}

static bool of_lookups(enum magic_kind kind) {
    return kind >= MAGIC_LOOKUP;
}

struct magic magic_parse(struct span key) {
    struct magic m = cut_ending(&key);
    if (!of_lookups(m.kind))
        return m;
    m = cut_ending(&key);
    if (m.kind == MAGIC_NONE || of_lookups(m.kind))
        m = (struct magic){.kind = MAGIC_HANGUP, .times = UINT32_MAX};
    return m;
}

struct magic magic_parse_lookup(struct span key) {
    const struct magic none = {.kind = MAGIC_NONE}, m = cut_ending(&key);
    return of_lookups(m.kind) ? m : none;
}

void magic_help(struct buf *out, bool markdown) {
    if (markdown)
        buf_add_str(out, "| suffix | what happens |\n|---|---|\n");
    for (size_t i = 0; i < WORDS; i++)
        if (markdown)
            buf_addf(out, "| `-%s` | %s |\n", words[i].shown, words[i].help);
        else
            buf_addf(out, "  -%-20s %s\n", words[i].shown, words[i].help);
}
