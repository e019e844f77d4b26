/* Reads and writes values: texts, numbers, times, choices. */
#include "config/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dray/provider.h"
#include "dray/timefmt.h"

int type_set_text(void *field, const char *text, struct arena *mem, struct err *err) {
    if (field == NULL)
        return 0;
    char *copy = arena_copy(mem, text, strlen(text));
    if (copy == NULL)
        return err_set(err, "out of memory");
    *(const char **)field = copy;
    return 0;
}

static int parse_text(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    if (key->max > 0 && strlen(text) > key->max)
        return err_set(err, "is longer than %" PRIu64 " bytes", key->max);
    return type_set_text(field, text, mem, err);
}

void type_format_text(const struct key *key, const void *field, struct buf *out) {
    const char *text = *(const char *const *)field;
    if (text == NULL)
        return;
    if (key->flags & KEY_MASK_URL)
        mask_url(text, out);
    else
        buf_add_str(out, text);
}

bool name_valid(const char *s) {
    size_t n = strlen(s);
    if (n == 0 || n > NAME_MAX_LEN || !isalnum((unsigned char)s[0]))
        return false;
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static int parse_name(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    char q[QUOTED_SIZE];
    if (!name_valid(text))
        return err_set(err, "%s is no name (" NAME_RULE ")", quoted(text, q));
    if (key->size != NAME_MAX_LEN + 1)
        return type_set_text(field, text, mem, err);
    memcpy(field, text, strlen(text) + 1);
    return 0;
}

static void format_name(const struct key *key, const void *field, struct buf *out) {
    if (key->size != NAME_MAX_LEN + 1)
        type_format_text(key, field, out);
    else
        buf_add_str(out, field);
}

/* Numbers are kept in uint32_t or uint64_t fields. */
static void set_number(const struct key *key, void *field, uint64_t value) {
    if (field == NULL)
        return;
    if (key->size == sizeof(uint32_t))
        *(uint32_t *)field = (uint32_t)value;
    else
        *(uint64_t *)field = value;
}

static uint64_t get_number(const struct key *key, const void *field) {
    return key->size == sizeof(uint32_t) ? *(const uint32_t *)field : *(const uint64_t *)field;
}

static int parse_count(const struct key *key, const char *text, void *field, struct arena *mem,
                       struct err *err) {
    (void)mem;
    char q[QUOTED_SIZE];
    size_t n = strlen(text);
    if (n == 0 || n > 18 || strspn(text, "0123456789") != n)
        return err_set(err, "%s is not a whole number", quoted(text, q));
    uint64_t value = strtoull(text, NULL, 10);
    if (value < key->min || value > key->max)
        return err_set(err, "%s is out of bounds: from %" PRIu64 " to %" PRIu64, text, key->min, key->max);
    set_number(key, field, value);
    return 0;
}

static void format_count(const struct key *key, const void *field, struct buf *out) {
    buf_add_u64(out, get_number(key, field));
}

static int parse_duration(const struct key *key, const char *text, void *field, struct arena *mem,
                          struct err *err) {
    (void)mem;
    char q[QUOTED_SIZE], low[TIMEFMT_SIZE], high[TIMEFMT_SIZE];
    uint64_t ms = 0;
    if (strcmp(text, "0") != 0 && duration_parse(span_str(text), &ms) != 0)
        return err_set(err, "%s is not a duration (such as 500ms, 5s, 2m, 24h, 7d)", quoted(text, q));
    if (ms < key->min || ms > key->max) {
        duration_format(key->min, low);
        duration_format(key->max, high);
        return err_set(err, "%s is out of bounds: from %s to %s", quoted(text, q), low, high);
    }
    set_number(key, field, ms);
    return 0;
}

static void format_duration(const struct key *key, const void *field, struct buf *out) {
    char text[TIMEFMT_SIZE];
    duration_format(get_number(key, field), text);
    buf_add_str(out, text);
}

static void add_size(struct buf *out, uint64_t bytes) {
    if (bytes > 0 && bytes % (1u << 20) == 0)
        buf_addf(out, "%" PRIu64 "M", bytes >> 20);
    else if (bytes > 0 && bytes % 1024 == 0)
        buf_addf(out, "%" PRIu64 "K", bytes >> 10);
    else
        buf_add_u64(out, bytes);
}

static int parse_size(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    (void)mem;
    char q[QUOTED_SIZE];
    uint64_t bytes = 0;
    if (size_parse(span_str(text), &bytes) != 0)
        return err_set(err, "%s is not a size (such as 262144, 256K, 1M)", quoted(text, q));
    if (bytes < key->min || bytes > key->max)
        return err_set(err, "%s is out of bounds: from %" PRIu64 "K to %" PRIu64 "K", quoted(text, q),
                       key->min >> 10, key->max >> 10);
    set_number(key, field, bytes);
    return 0;
}

static void format_size(const struct key *key, const void *field, struct buf *out) {
    add_size(out, get_number(key, field));
}

static int parse_rate(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    (void)mem;
    char q[QUOTED_SIZE];
    double rate = 0;
    if (rate_parse(span_str(text), &rate) != 0)
        return err_set(err, "%s is not a rate (such as 2/s, 100/m, 3600/h; 0 is no limit)", quoted(text, q));
    if (rate > (double)key->max)
        return err_set(err, "%s is out of bounds: at most %" PRIu64 "/s", quoted(text, q), key->max);
    if (field != NULL)
        *(double *)field = rate;
    return 0;
}

static void format_rate(const struct key *key, const void *field, struct buf *out) {
    (void)key;
    static const struct {
        double seconds;
        const char *unit;
    } units[] = {{1, "s"}, {60, "m"}, {3600, "h"}};
    double rate = *(const double *)field;
    if (rate <= 0) {
        buf_add_char(out, '0');
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        double times = rate * units[i].seconds;
        double whole = (double)(uint64_t)(times + 0.5);
        if (whole >= 1 && times - whole < 1e-6 && whole - times < 1e-6) {
            buf_addf(out, "%.0f/%s", whole, units[i].unit);
            return;
        }
    }
    buf_addf(out, "%g/s", rate);
}

static int choice_index(const struct key *key, const char *text, struct err *err) {
    struct nearest near;
    char q[QUOTED_SIZE], hint[128], list[256] = "";
    nearest_init(&near, text);
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) == 0)
            return i;
        nearest_try(&near, key->choices[i]);
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", key->choices[i]);
    }
    return err_set(err, "%s is none of %s%s", quoted(text, q), list, nearest_hint(&near, hint));
}

static int parse_choice(const struct key *key, const char *text, void *field, struct arena *mem,
                        struct err *err) {
    (void)mem;
    int i = choice_index(key, text, err);
    if (i < 0)
        return -1;
    set_number(key, field, (uint64_t)i); /* an enum is as wide as an int */
    return 0;
}

static void format_choice(const struct key *key, const void *field, struct buf *out) {
    buf_add_str(out, key->choices[get_number(key, field)]);
}

static int parse_choice_text(const struct key *key, const char *text, void *field, struct arena *mem,
                             struct err *err) {
    return choice_index(key, text, err) < 0 ? -1 : type_set_text(field, text, mem, err);
}

static int parse_bool(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    (void)key, (void)mem;
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    char q[QUOTED_SIZE];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], text) == 0) {
            *(bool *)field = i % 2 == 1;
            return 0;
        }
    }
    return err_set(err, "%s is neither yes nor no", quoted(text, q));
}

static void format_bool(const struct key *key, const void *field, struct buf *out) {
    (void)key;
    buf_add_str(out, *(const bool *)field ? "yes" : "no");
}

static int parse_provider(const struct key *key, const char *text, void *field, struct arena *mem,
                          struct err *err) {
    (void)key, (void)mem;
    const struct provider *p = provider_find(text);
    if (p != NULL) {
        *(const struct provider **)field = p;
        return 0;
    }
    struct nearest near;
    char q[QUOTED_SIZE], hint[128], list[256] = "";
    nearest_init(&near, text);
    for (size_t i = 0; providers[i] != NULL; i++) {
        nearest_try(&near, providers[i]->name);
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "", providers[i]->name);
    }
    return err_set(err, "there is no provider %s; there are %s%s", quoted(text, q), list,
                   nearest_hint(&near, hint));
}

static void format_provider(const struct key *key, const void *field, struct buf *out) {
    (void)key;
    buf_add_str(out, (*(const struct provider *const *)field)->name);
}

const struct key_type type_text = {"text", parse_text, type_format_text, false};
const struct key_type type_secret = {"secret", parse_text, type_format_text, false};
const struct key_type type_name = {"name", parse_name, format_name, false};
const struct key_type type_count = {"number", parse_count, format_count, true};
const struct key_type type_duration = {"duration", parse_duration, format_duration, true};
const struct key_type type_size = {"size", parse_size, format_size, true};
static int parse_share(const struct key *key, const char *text, void *field, struct arena *mem,
                       struct err *err) {
    (void)key, (void)mem;
    char q[QUOTED_SIZE], *end = NULL;
    double share = strtod(text, &end); /* no locale is set: a point is a point */
    if (text[strspn(text, "0123456789.")] != '\0' || *end != '\0' || end == text || share > 1)
        return err_set(err, "%s is no share (from 0 to 1, such as 0.1)", quoted(text, q));
    *(double *)field = share;
    return 0;
}

static void format_share(const struct key *key, const void *field, struct buf *out) {
    (void)key;
    buf_addf(out, "%g", *(const double *)field);
}

const struct key_type type_share = {"share", parse_share, format_share, false};
const struct key_type type_rate = {"rate", parse_rate, format_rate, false};
const struct key_type type_choice = {"choice", parse_choice, format_choice, false};
const struct key_type type_choice_text = {"choice", parse_choice_text, type_format_text, false};
const struct key_type type_bool = {"yes or no", parse_bool, format_bool, false};
const struct key_type type_provider = {"provider", parse_provider, format_provider, false};
