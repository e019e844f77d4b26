/* Tells callers apart by their credentials. They are not checked against anything. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sandbox/internal.h"

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes the user of "user:password" into `name`. False: no base64, or one of the two is missing.
 */
static bool read_basic(const char *text, char name[static CALLER_NAME_MAX + 1]) {
    char out[CALLER_NAME_MAX * 2];
    size_t n = 0;
    uint32_t bits = 0, have = 0;
    size_t len = strcspn(text, "=");
    if (len == 0 || len > sizeof out || strspn(text + len, "=") > 2 ||
        (len + strspn(text + len, "=")) % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        int v = base64_value(text[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    const char *colon = memchr(out, ':', n);
    if (colon == NULL || colon == out || colon == out + n - 1 || colon - out > CALLER_NAME_MAX)
        return false;
    memcpy(name, out, (size_t)(colon - out));
    name[colon - out] = '\0';
    return true;
}

/* The credentials' name, or what is wrong with them. */
static const char *read_name(const struct request *r, enum auth_kind auth,
                             char name[static CALLER_NAME_MAX + 1]) {
    const char *h = header_value(r, "Authorization");
    if (auth == AUTH_CONFIGURED && h == NULL) {
        const char *key = header_value(r, "X-Api-Key");
        snprintf(name, CALLER_NAME_MAX + 1, "%s", key == NULL ? "" : key);
        return NULL;
    }
    if (h == NULL)
        return "no Authorization header";
    bool basic = strncasecmp(h, "Basic ", 6) == 0;
    if (basic && (auth == AUTH_BASIC || auth == AUTH_CONFIGURED))
        return read_basic(h + 6, name) ? NULL : "Authorization: Basic lacks a key and a secret";
    if (auth == AUTH_BASIC)
        return "Authorization must be Basic, with the API key and secret";
    if (strncasecmp(h, "Bearer ", 7) != 0 || h[7] == '\0' || strlen(h + 7) > CALLER_NAME_MAX)
        return "Authorization must be Bearer, with a token";
    strcpy(name, h + 7);
    if (auth == AUTH_BEARER_ORGANIZATION) {
        const char *organization = header_value(r, "X-S2-Organization");
        if (organization == NULL || organization[0] == '\0')
            return "no X-S2-Organization header";
    }
    return NULL;
}

struct caller *caller_named(struct sandbox *s, const char *name, uint16_t *index) {
    for (uint32_t i = 0; i < s->caller_count; i++)
        if (strcmp(s->callers[i]->name, name) == 0) {
            *index = (uint16_t)i;
            return s->callers[i];
        }
    if (s->caller_count == CALLERS_MAX || strlen(name) > CALLER_NAME_MAX)
        return NULL;
    struct caller *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    strcpy(c->name, name);
    c->first_ms = clock_unix_ms();
    *index = (uint16_t)s->caller_count;
    s->callers[s->caller_count++] = c;
    return c;
}

bool caller_read(struct sandbox *s, const struct request *r, enum auth_kind auth, uint16_t *caller,
                 unsigned *status, const char **why) {
    char name[CALLER_NAME_MAX + 1];
    *status = 401;
    *why = read_name(r, auth, name);
    if (*why != NULL)
        return false;
    const struct caller *c = caller_named(s, name, caller);
    if (c != NULL) {
        uint64_t ttl = caller_trouble(s, *caller)->token_ttl_ms, age = clock_unix_ms() - c->first_ms;
        *why = "the token has expired";
        return ttl == 0 || age < ttl;
    }
    *status = 507;
    *why = "the sandbox tells 1,024 credentials apart, and these would be one more";
    return false;
}

void caller_arrived(struct caller *c, uint64_t unix_ms) {
    if (c->arrivals == NULL)
        c->arrivals = calloc(ARRIVALS_MAX, sizeof *c->arrivals);
    if (c->arrivals != NULL)
        c->arrivals[c->arrival_count++ % ARRIVALS_MAX] = unix_ms;
}

const struct sandbox_trouble *caller_trouble(const struct sandbox *s, uint16_t caller) {
    return s->callers[caller]->has_trouble ? &s->callers[caller]->trouble : &s->trouble;
}

void callers_deinit(struct sandbox *s) {
    for (uint32_t i = 0; i < s->caller_count; i++) {
        free(s->callers[i]->arrivals);
        free(s->callers[i]);
    }
    free(s->callers);
}
