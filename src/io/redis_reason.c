/* What a server's words mean for the connection: how soon to try again, and whether to look for the master
 * again. */
#include <string.h>

#include "io/redis_parts.h"

#define BACKOFF_BASE_MS 100
#define BACKOFF_CAP_MS  5000

bool redis_reason_is_auth(const char *reason) {
    static const char *const prefixes[] = {
        "NOAUTH", "WRONGPASS", "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH", "NOPERM", NULL};
    for (size_t i = 0; prefixes[i] != NULL; i++) {
        if (strncmp(reason, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

bool redis_reason_is_moved(const char *text) {
    /* Redis 6.2 puts words of its own before a script's error. */
    return strncmp(text, "MASTERDOWN", 10) == 0 || strncmp(text, "LOADING ", 8) == 0 ||
           strstr(text, "READONLY You can't write against a read only") != NULL ||
           strstr(text, "the server is a replica") != NULL || strstr(text, "not (yet) a master") != NULL;
}

#define STANDSTILL_GAP_MS 15000 /* two errors further apart are not one standstill */

bool redis_standstill_goes_on(struct redis_standstill *s, const char *text, uint64_t now_ms) {
    if (strncmp(text, "CLUSTERDOWN The cluster is down", 31) != 0)
        return false;
    if (s->since == 0 || now_ms - s->last > STANDSTILL_GAP_MS)
        s->since = now_ms;
    s->last = now_ms;
    if (now_ms - s->since < REDIS_STANDSTILL_MS)
        return false;
    *s = (struct redis_standstill){0};
    return true;
}

uint64_t redis_backoff_ms(uint32_t attempts, const char *reason, struct rng *rng) {
    uint64_t ceiling = BACKOFF_CAP_MS;
    if (redis_reason_is_auth(reason))
        return ceiling / 2 + rng_below(rng, ceiling / 2 + 1);
    if (attempts < 8 && (uint64_t)BACKOFF_BASE_MS << attempts < ceiling)
        ceiling = (uint64_t)BACKOFF_BASE_MS << attempts;
    return 1 + rng_below(rng, ceiling);
}

bool redis_reason_is_refusal(const char *reason) {
    size_t code = strspn(reason, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (strncmp(reason, "LOADING", 7) == 0 || strncmp(reason, "TLS", 3) == 0)
        return false;
    return (code > 1 && reason[code] == ' ') || strstr(reason, "the server is a replica") != NULL ||
           strstr(reason, "not (yet) a master") != NULL;
}

/* Redis 6.2: "ERR Error running script (call to f_HASH): @user_script:12: @user_script: 12: -OOM …"; from 7.0 on:
 * "OOM …. script: HASH, on @user_script:12." */
void redis_error_words(const char *text, char *out, size_t size) {
    const char *place = strstr(text, "@user_script"), *inner = NULL;
    const char *hash = strstr(text, " script: ");
    for (; place != NULL && strncmp(text, "ERR Error running script", 24) == 0;
         place = strstr(place + 1, "@user_script"))
        inner = place;
    if (inner != NULL) {
        inner += strlen("@user_script");
        inner += strspn(inner, ": 0123456789-");
        text = inner;
        hash = NULL;
    }
    size_t n = hash != NULL ? (size_t)(hash - text) : strlen(text);
    if (n >= size)
        n = size - 1;
    memcpy(out, text, n);
    out[n] = '\0';
}
