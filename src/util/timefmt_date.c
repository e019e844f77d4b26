/* Dates: RFC 3339, the three forms of an HTTP-date, Retry-After. The proleptic Gregorian calendar
 * in UTC, without the C library's time zones and locks. */
#include "dray/timefmt.h"

#include <stdio.h>
#include <string.h>

#define MS_PER_DAY  INT64_C(86400000)
#define UNIX_MS_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

/* What is left to read. Once a piece did not fit, `bad` stays. */
struct scan {
    const char *p, *end;
    bool bad;
};

static struct scan scan_of(struct span s) {
    return (struct scan){s.ptr, s.ptr + s.len, false};
}

static bool at(const struct scan *s, char c) {
    return s->p < s->end && *s->p == c;
}

static void expect(struct scan *s, const char *text) {
    size_t n = strlen(text);
    if (s->bad || (size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0)
        s->bad = true;
    else
        s->p += n;
}

static bool digit(const struct scan *s) {
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

/* Exactly `n` digits, from `low` to `high`. */
static int number(struct scan *s, int n, int low, int high) {
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (s->bad || !digit(s)) {
            s->bad = true;
            return low;
        }
        v = v * 10 + (*s->p++ - '0');
    }
    if (v < low || v > high)
        s->bad = true;
    return v;
}

/* Which of `count` names of three letters, joined, is next: 0 …, or bad. */
static int name3(struct scan *s, const char *names, int count) {
    for (int i = 0; i < count; i++)
        if (!s->bad && s->end - s->p >= 3 && memcmp(s->p, names + 3 * i, 3) == 0) {
            s->p += 3;
            return i;
        }
    s->bad = true;
    return 0;
}

static int month_name(struct scan *s) {
    return 1 + name3(s, "JanFebMarAprMayJunJulAugSepOctNovDec", 12);
}

struct date {
    int year, month, day, hour, minute, second; /* second may be 60 */
};

static void clock_time(struct scan *s, struct date *d) {
    d->hour = number(s, 2, 0, 23);
    expect(s, ":");
    d->minute = number(s, 2, 0, 59);
    expect(s, ":");
    d->second = number(s, 2, 0, 60);
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days from 1970-01-01; years of the calendar start in March here, so that a leap day is the last.
 */
static int64_t days_from_date(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_from_days(int64_t days, struct date *d) {
    int64_t z = days + 719468;
    int64_t era = z / 146097, day = z % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    d->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    d->month = (int)(month < 10 ? month + 3 : month - 9);
    d->year = (int)(era * 400 + year + (d->month <= 2));
}

/* 0, or -1 where the scan went wrong, is not at its end, or the time is out of bounds. */
static int finish(const struct scan *s, const struct date *d, int64_t add_ms, uint64_t *unix_ms) {
    if (s->bad || s->p != s->end || d->day > days_in_month(d->year, d->month))
        return -1;
    int64_t ms = days_from_date(d->year, d->month, d->day) * MS_PER_DAY;
    ms += ((d->hour * 60 + d->minute) * 60 + d->second) * INT64_C(1000) + add_ms;
    if (ms < 0 || ms > UNIX_MS_MAX)
        return -1;
    *unix_ms = (uint64_t)ms;
    return 0;
}

/* ".889…" in ms; digits beyond are read and dropped. */
static int fraction_ms(struct scan *s) {
    int ms = 0, unit = 100;
    if (s->bad || !at(s, '.'))
        return 0;
    s->p++;
    s->bad = !digit(s);
    for (; digit(s); s->p++, unit /= 10)
        ms += (*s->p - '0') * unit;
    return ms;
}

/* "Z" or "+02:00", in minutes east of UTC. */
static int zone_minutes(struct scan *s) {
    if (at(s, 'Z') || at(s, 'z')) {
        s->p++;
        return 0;
    }
    bool west = at(s, '-');
    expect(s, west ? "-" : "+");
    int hours = number(s, 2, 0, 23);
    expect(s, ":");
    int minutes = hours * 60 + number(s, 2, 0, 59);
    return west ? -minutes : minutes;
}

/* "2026-01-31" */
static void calendar_date(struct scan *s, struct date *d) {
    d->year = number(s, 4, 1970, 9999);
    expect(s, "-");
    d->month = number(s, 2, 1, 12);
    expect(s, "-");
    d->day = number(s, 2, 1, 31);
}

int rfc3339_parse(struct span text, uint64_t *unix_ms) {
    struct scan s = scan_of(text);
    struct date d;
    calendar_date(&s, &d);
    expect(&s, at(&s, ' ') ? " " : at(&s, 't') ? "t" : "T");
    clock_time(&s, &d);
    int ms = fraction_ms(&s);
    int64_t zone = zone_minutes(&s);
    return finish(&s, &d, ms - zone * 60000, unix_ms);
}

/* Skips the separator of the extended form; in the basic one there is none. */
static void separator(struct scan *s, const char *text, bool extended) {
    if (extended)
        expect(s, text);
}

/* "06:00", "06:00:33" or "06:00:33.889" (basic: 0600, 060033); a fraction's digits are not kept. */
static void time_of_day(struct scan *s, struct date *d, bool extended, int last_second) {
    d->hour = number(s, 2, 0, 23);
    separator(s, ":", extended);
    d->minute = number(s, 2, 0, 59);
    d->second = 0;
    if (s->bad || !(extended ? at(s, ':') : digit(s)))
        return;
    separator(s, ":", extended);
    d->second = number(s, 2, 0, last_second);
}

/* Skips a fraction of seconds of at most `most` digits. */
static void skip_fraction(struct scan *s, bool comma_too, int most) {
    int n = 0;
    if (s->bad || !(at(s, '.') || (comma_too && at(s, ','))))
        return;
    for (s->p++; digit(s); s->p++)
        n++;
    s->bad = n == 0 || n > most;
}

/* "+02", "+02:00" or "+0200". */
static int offset_minutes_of(struct scan *s) {
    bool west = at(s, '-');
    expect(s, west ? "-" : "+");
    int minutes = number(s, 2, 0, 23) * 60;
    if (at(s, ':'))
        s->p++;
    else if (!digit(s))
        return west ? -minutes : minutes;
    minutes += number(s, 2, 0, 59);
    return west ? -minutes : minutes;
}

static bool fits(const struct scan *s, const struct date *d) {
    uint64_t ms;
    return finish(s, d, 0, &ms) == 0;
}

bool iso8601_valid(struct span text) {
    struct scan s = scan_of(text);
    struct date d;
    d.year = number(&s, 4, 1970, 9999);
    bool extended = at(&s, '-');
    separator(&s, "-", extended);
    d.month = number(&s, 2, 1, 12);
    separator(&s, "-", extended);
    d.day = number(&s, 2, 1, 31);
    expect(&s, at(&s, ' ') ? " " : at(&s, 't') ? "t" : "T");
    time_of_day(&s, &d, extended, 60);
    skip_fraction(&s, true, INT32_MAX);
    if (at(&s, 'Z') || at(&s, 'z'))
        s.p++;
    else if (s.p < s.end)
        offset_minutes_of(&s);
    return fits(&s, &d);
}

bool offset_datetime_valid(struct span text, int *offset_minutes) {
    struct scan s = scan_of(text);
    struct date d;
    calendar_date(&s, &d);
    expect(&s, at(&s, 't') ? "t" : "T");
    const char *clock = s.p;
    time_of_day(&s, &d, true, 59);
    if (s.p - clock > 5) /* a fraction is one of seconds */
        skip_fraction(&s, false, 9);
    *offset_minutes = zone_minutes(&s);
    return fits(&s, &d) && *offset_minutes >= -18 * 60 && *offset_minutes <= 18 * 60;
}

/* Writes the last `n` digits of `v`, and what follows them. Every log line has a time, and printf is slow. */
static char *put_digits(char *p, unsigned v, unsigned n, char then) {
    for (unsigned i = n; i > 0; i--, v /= 10)
        p[i - 1] = (char)('0' + v % 10);
    p[n] = then;
    return p + n + 1;
}

void rfc3339_format(uint64_t unix_ms, char out[static TIMEFMT_SIZE]) {
    int64_t ms = unix_ms < (uint64_t)UNIX_MS_MAX ? (int64_t)unix_ms : UNIX_MS_MAX;
    struct date d;
    date_from_days(ms / MS_PER_DAY, &d);
    unsigned of_day = (unsigned)(ms % MS_PER_DAY);
    char *p = put_digits(out, (unsigned)d.year, 4, '-');
    p = put_digits(p, (unsigned)d.month, 2, '-');
    p = put_digits(p, (unsigned)d.day, 2, 'T');
    p = put_digits(p, of_day / 3600000, 2, ':');
    p = put_digits(p, of_day / 60000 % 60, 2, ':');
    p = put_digits(p, of_day / 1000 % 60, 2, '.');
    p = put_digits(p, of_day % 1000, 3, 'Z');
    *p = '\0';
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static int imf_fixdate(struct span text, uint64_t *unix_ms) {
    struct scan s = scan_of(text);
    struct date d;
    name3(&s, "MonTueWedThuFriSatSun", 7);
    expect(&s, ", ");
    d.day = number(&s, 2, 1, 31);
    expect(&s, " ");
    d.month = month_name(&s);
    expect(&s, " ");
    d.year = number(&s, 4, 1970, 9999);
    expect(&s, " ");
    clock_time(&s, &d);
    expect(&s, " GMT");
    return finish(&s, &d, 0, unix_ms);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; without a date to compare with, 70 to 99 are 19xx. */
static int rfc850_date(struct span text, uint64_t *unix_ms) {
    static const char *const rest[] = {"day", "sday", "nesday", "rsday", "day", "urday", "day"};
    struct scan s = scan_of(text);
    struct date d;
    expect(&s, rest[name3(&s, "MonTueWedThuFriSatSun", 7)]);
    expect(&s, ", ");
    d.day = number(&s, 2, 1, 31);
    expect(&s, "-");
    d.month = month_name(&s);
    expect(&s, "-");
    d.year = number(&s, 2, 0, 99);
    d.year += d.year < 70 ? 2000 : 1900;
    expect(&s, " ");
    clock_time(&s, &d);
    expect(&s, " GMT");
    return finish(&s, &d, 0, unix_ms);
}

/* "Sun Nov  6 08:49:37 1994" */
static int asctime_date(struct span text, uint64_t *unix_ms) {
    struct scan s = scan_of(text);
    struct date d;
    name3(&s, "MonTueWedThuFriSatSun", 7);
    expect(&s, " ");
    d.month = month_name(&s);
    expect(&s, " ");
    bool padded = at(&s, ' ');
    if (padded)
        s.p++;
    d.day = number(&s, padded ? 1 : 2, 1, 31);
    expect(&s, " ");
    clock_time(&s, &d);
    expect(&s, " ");
    d.year = number(&s, 4, 1970, 9999);
    return finish(&s, &d, 0, unix_ms);
}

int http_date_parse(struct span text, uint64_t *unix_ms) {
    if (imf_fixdate(text, unix_ms) == 0 || rfc850_date(text, unix_ms) == 0)
        return 0;
    return asctime_date(text, unix_ms);
}

static struct span trim(struct span s) {
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = (struct span){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Behind a number of seconds: nothing, or a dot and digits, to milliseconds, rounded up. False: it is something else. */
static bool rest_ms(struct scan *s, uint64_t *ms) {
    uint64_t unit = 1000, rest = 0;
    *ms = 0;
    if (s->p == s->end || *s->p != '.')
        return s->p == s->end;
    for (s->p++; digit(s); s->p++) {
        unit /= 10;
        *ms += (uint64_t)(*s->p - '0') * unit;
        rest |= unit == 0 ? (uint64_t)(*s->p - '0') : 0;
    }
    *ms += rest > 0;
    return s->p == s->end && s->p[-1] != '.';
}

#define UNIX_SECONDS 1000000000u /* 2001; as a wait it would be 31 years */

int retry_after_parse(struct span text, uint64_t now_unix_ms, uint64_t *delay_ms) {
    text = trim(text);
    struct scan s = scan_of(text);
    uint64_t seconds = 0, ms, date;
    bool number = digit(&s);
    for (; digit(&s); s.p++)
        if (seconds < UINT32_MAX)
            seconds = seconds * 10 + (uint64_t)(*s.p - '0');
    if (number && rest_ms(&s, &ms)) {
        ms += seconds * 1000;
        if (seconds >= UINT32_MAX)
            *delay_ms = (uint64_t)UINT32_MAX * 1000;
        else if (seconds >= UNIX_SECONDS)
            *delay_ms = ms > now_unix_ms ? ms - now_unix_ms : 0;
        else
            *delay_ms = ms;
        return 0;
    }
    if (http_date_parse(text, &date) != 0)
        return -1;
    *delay_ms = date > now_unix_ms ? date - now_unix_ms : 0;
    return 0;
}
