/* Reads and writes times, durations, sizes and rates as text. All functions are pure. */
#ifndef DRAY_TIMEFMT_H
#define DRAY_TIMEFMT_H

#include "dray/buf.h"

#define TIMEFMT_SIZE 32

/* "500ms" "5s" "2m" "24h" "7d" (a whole number and a unit) to milliseconds. 0 or -1. */
int duration_parse(struct span text, uint64_t *ms);
/* Writes a duration in the shortest exact form that duration_parse reads. */
void duration_format(uint64_t ms, char out[static TIMEFMT_SIZE]);

/* "262144" "256K" "1M" "1G" (powers of 1024) to bytes. 0 or -1. */
int size_parse(struct span text, uint64_t *bytes);

/* "2/s" "100/m" "3600/h" to a rate per second; "0" is no limit ("0/s" is refused). 0 or -1. */
int rate_parse(struct span text, double *per_second);

/* RFC 3339 ("2024-04-24T06:00:33.889Z") to Unix ms. Offsets, a space for the T, and lower-case t and z are allowed.
 * Years 1970 to 9999. 0 or -1. */
int rfc3339_parse(struct span text, uint64_t *unix_ms);
/* Whether the text is an ISO 8601 calendar date with a time of day, in the extended or the basic form. Seconds and
 * their fraction (after '.' or ',') may be missing. The offset is Z, +hh, +hh:mm, +hhmm or missing. Years 1970 to
 * 9999. */
bool iso8601_valid(struct span text);
/* Whether java.time.OffsetDateTime.parse takes the text: 2024-04-24T06:00[:33[.889]], then Z or +hh:mm, and no leap
 * second. Sets `offset_minutes`. Years 1970 to 9999. */
bool offset_datetime_valid(struct span text, int *offset_minutes);
void rfc3339_format(uint64_t unix_ms, char out[static TIMEFMT_SIZE]);

/* RFC 9110 §5.6.7 HTTP-date, all three forms, to Unix ms. 0 or -1. */
int http_date_parse(struct span text, uint64_t *unix_ms);

/* RFC 9110 §10.2.3 Retry-After to the milliseconds left at `now_unix_ms`: 0 for a date that is past, at most 2^32-1
 * seconds. The text is a number of seconds, which may have a fraction, or an HTTP-date. A number of 10^9 or more is a
 * moment in Unix time, as in headers like X-RateLimit-Reset. 0, or -1 if the text is none of these. */
int retry_after_parse(struct span text, uint64_t now_unix_ms, uint64_t *delay_ms);

#endif
