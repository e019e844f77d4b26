/* Reads and writes values about orders and credentials: paths of field tables, lengths by path, points in time. */
#include "config/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"

#define LENGTH_MAX  1000000
#define UNIX_MS_MIN 100000000000u /* below it, seconds are meant */

static bool is_path(const char *text, size_t n) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.[]";
    for (size_t i = 0; i < n; i++)
        if (strchr(letters, text[i]) == NULL)
            return false;
    return n > 0;
}

static int check_path(const char *text, struct err *err) {
    char q[QUOTED_SIZE];
    if (!is_path(text, strlen(text)))
        return err_set(err, "%s is no path (such as orderAddresses.province, orderItemsList[].sku)",
                       quoted(text, q));
    return 0;
}

static int parse_paths(const struct key *key, const char *text, void *field, struct arena *mem,
                       struct err *err) {
    (void)key;
    return type_parse_list(text, field, mem, check_path, err);
}

static int check_length(const char *text, struct err *err) {
    char q[QUOTED_SIZE];
    const char *colon = strrchr(text, ':'), *digits = colon != NULL ? colon + 1 : "";
    size_t n = strlen(digits);
    if (colon == NULL || !is_path(text, (size_t)(colon - text)) || n == 0 || n > 7 ||
        strspn(digits, "0123456789") != n)
        return err_set(err, "%s is no path and length (such as orderAddresses.recipient:64)",
                       quoted(text, q));
    unsigned long length = strtoul(digits, NULL, 10);
    if (length < 1 || length > LENGTH_MAX)
        return err_set(err, "%s: a length is from 1 to %d", quoted(text, q), LENGTH_MAX);
    return 0;
}

static int parse_lengths(const struct key *key, const char *text, void *field, struct arena *mem,
                         struct err *err) {
    (void)key;
    return type_parse_list(text, field, mem, check_length, err);
}

static int parse_time(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    (void)key, (void)mem;
    char q[QUOTED_SIZE];
    uint64_t ms = 0;
    size_t n = strlen(text);
    if (n > 0 && n <= 15 && strspn(text, "0123456789") == n)
        ms = strtoull(text, NULL, 10);
    else if (rfc3339_parse(span_str(text), &ms) != 0)
        return err_set(err, "%s is no point in time (such as 2026-12-06T08:00:00Z, or Unix milliseconds)",
                       quoted(text, q));
    if (ms < UNIX_MS_MIN)
        return err_set(err, "%s is long past: Unix milliseconds are meant, not seconds", quoted(text, q));
    *(uint64_t *)field = ms;
    return 0;
}

static void format_time(const struct key *key, const void *field, struct buf *out) {
    (void)key;
    char text[TIMEFMT_SIZE];
    uint64_t ms = *(const uint64_t *)field;
    if (ms == 0)
        return;
    rfc3339_format(ms, text);
    buf_add_str(out, text);
}

const struct key_type type_paths = {"list of paths", parse_paths, type_format_list, false};
const struct key_type type_lengths = {"list of path:length", parse_lengths, type_format_list, false};
const struct key_type type_time = {"time", parse_time, format_time, false};
