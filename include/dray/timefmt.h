/* Texts that mean times, durations, sizes and rates. All pure. */
#ifndef DRAY_TIMEFMT_H
#define DRAY_TIMEFMT_H

#include "dray/buf.h"

#define TIMEFMT_SIZE 32

/* "500ms" "5s" "2m" "24h" "7d" (a whole number and a unit) to milliseconds. 0 or -1. */
int duration_parse(struct span text, uint64_t *ms);
/* The shortest exact form of the above. */
void duration_format(uint64_t ms, char out[static TIMEFMT_SIZE]);

/* "262144" "256K" "1M" "1G" (powers of 1024) to bytes. 0 or -1. */
int size_parse(struct span text, uint64_t *bytes);

/* "2/s" "100/m" "3600/h" to a rate per second; "0" is no limit ("0/s" is refused). 0 or -1. */
int rate_parse(struct span text, double *per_second);

/* RFC 3339 ("2024-04-24T06:00:33.889Z", offsets allowed, a space or lower-case t/z too) to Unix ms.
 * Years 1970 to 9999. 0 or -1. */
int rfc3339_parse(struct span text, uint64_t *unix_ms);
/* Is it an ISO 8601 calendar date with a time of day: extended or basic, seconds and their fraction (with
 * '.' or ',') optional, the offset Z, +hh, +hh:mm, +hhmm or missing? Years 1970 to 9999. */
bool iso8601_valid(struct span text);
/* Is it what java.time.OffsetDateTime.parse takes: 2024-04-24T06:00[:33[.889]], then Z or +hh:mm; no
 * leap second? `offset_minutes` is set. Years 1970 to 9999. */
bool offset_datetime_valid(struct span text, int *offset_minutes);
void rfc3339_format(uint64_t unix_ms, char out[static TIMEFMT_SIZE]);

/* RFC 9110 §5.6.7 HTTP-date, all three forms, to Unix ms. 0 or -1. */
int http_date_parse(struct span text, uint64_t *unix_ms);

/* RFC 9110 §10.2.3 Retry-After, seconds (also with a fraction) or HTTP-date, to milliseconds from
 * `now_unix_ms` on (0 for a date that is past; 2^32-1 seconds at most). Seconds from 10^9 on are a moment in Unix time, as
 * headers like X-RateLimit-Reset have it. 0 or -1 where the text is none of these. */
int retry_after_parse(struct span text, uint64_t now_unix_ms, uint64_t *delay_ms);

#endif
