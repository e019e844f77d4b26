/* Addresses as texts: hosts, ports, and URLs that may hold a password. */
#include "config/table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool host_is_loopback(const char *host, size_t len) {
    struct span h = {host, len};
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']')
        h = (struct span){host + 1, len - 2};
    if (h.len == 9 && strncasecmp(h.ptr, "localhost", 9) == 0)
        return true;
    if (span_is(h, "::1"))
        return true;
    if (h.len < 7 || strncmp(h.ptr, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < h.len; i++) /* "127.evil.example" is a name */
        if (!isdigit((unsigned char)h.ptr[i]) && h.ptr[i] != '.')
            return false;
    return true;
}

bool split_host_port(const char *text, struct span *host, uint32_t *port) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0' || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    *port = (uint32_t)strtoul(colon + 1, NULL, 10);
    *host = (struct span){text, (size_t)(colon - text)};
    bool brackets = host->len > 2 && text[0] == '[' && colon[-1] == ']';
    if (!brackets && memchr(text, ':', host->len) != NULL)
        return false; /* IPv6 needs its brackets */
    return *port <= 65535 && strcspn(text, " \t/@?#") == strlen(text);
}

struct span url_host(const char *url) {
    const char *start = strstr(url, "://");
    if (start == NULL)
        return (struct span){NULL, 0};
    start += 3;
    size_t n = strcspn(start, "/?#");
    const char *at = memchr(start, '@', n);
    if (at != NULL) {
        n -= (size_t)(at + 1 - start);
        start = at + 1;
    }
    if (n > 0 && start[0] == '[') {
        const char *end = memchr(start, ']', n);
        return end != NULL ? (struct span){start, (size_t)(end + 1 - start)} : (struct span){NULL, 0};
    }
    const char *colon = memchr(start, ':', n);
    return (struct span){start, colon != NULL ? (size_t)(colon - start) : n};
}

void mask_url(const char *url, struct buf *out) {
    const char *start = strstr(url, "://");
    const char *slash = start != NULL ? start + 3 + strcspn(start + 3, "/?#") : NULL;
    const char *at = strrchr(url, '@');
    /* A password may hold a '/': then everything up to the last '@' goes. */
    if (start == NULL || at == NULL || (slash != NULL && at > slash && strchr(slash, '@') == NULL)) {
        buf_add_str(out, url);
        return;
    }
    buf_add(out, url, (size_t)(start + 3 - url));
    buf_add_str(out, "(hidden)");
    buf_add_str(out, at);
}
