/* `redis://`, `rediss://` and `unix://` URLs. No message shows any part of the URL but its scheme:
 * where a password was not percent-encoded, any other part may be a piece of it. */
#include "dray/redis.h"

#include <stdio.h>
#include <string.h>

#include "io/redis_parts.h"
#include "io/redis_sentinel.h"

#define DEFAULT_PORT 6379
#define HOST_MAX     253
#define SCHEME_MAX   16

#define ENCODE_HINT "; in a user name or password write : / @ ? # % as %3A %2F %40 %3F %23 %25"

static int fail(struct err *err, const char *what) {
    return err_set(err, "Redis URL: %s", what);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decodes into the storage, which has room enough. NULL for a bad escape or a NUL. */
static const char *decode(struct buf *storage, struct span s) {
    size_t start = storage->len;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            int high = s.len - i > 2 ? hex_digit(s.ptr[i + 1]) : -1;
            int low = s.len - i > 2 ? hex_digit(s.ptr[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        buf_add_char(storage, c);
    }
    buf_add_char(storage, '\0');
    return storage->data + start;
}

static int parse_number(struct span s, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    if (s.len == 0 || s.len > 10)
        return -1;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return -1;
        v = v * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    *out = v;
    return v <= max ? 0 : -1;
}

/* Cuts what is before `c` off `s` and returns it; all of it (and `s` is then absent) without a `c`.
 */
static struct span cut(struct span *s, char c) {
    const char *at = memchr(s->ptr, c, s->len);
    struct span before = {s->ptr, at != NULL ? (size_t)(at - s->ptr) : s->len};
    *s = at != NULL ? (struct span){at + 1, s->len - before.len - 1} : (struct span){NULL, 0};
    return before;
}

static int parse_userinfo(struct redis_options *o, struct span info, struct buf *storage, struct err *err) {
    struct span password = info;
    struct span user = cut(&password, ':');
    if (user.len > 0 && (o->username = decode(storage, user)) == NULL)
        return fail(err, "the user name has a malformed % escape" ENCODE_HINT);
    if (password.len > 0 && (o->password = decode(storage, password)) == NULL)
        return fail(err, "the password has a malformed % escape" ENCODE_HINT);
    return 0;
}

/* Takes "user:password@" off the front of the authority. The last @ counts. */
static int take_userinfo(struct redis_options *o, struct span *authority, struct buf *storage,
                         struct err *err) {
    const char *at = memrchr(authority->ptr, '@', authority->len);
    if (at == NULL)
        return 0;
    struct span info = {authority->ptr, (size_t)(at - authority->ptr)};
    *authority = (struct span){at + 1, authority->len - info.len - 1};
    return parse_userinfo(o, info, storage, err);
}

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static int check_host(struct span host, bool bracketed) {
    char text[HOST_MAX + 1];
    unsigned char binary[16];
    if (host.len == 0 || host.len > HOST_MAX)
        return -1;
    if (bracketed) {
        memcpy(text, host.ptr, host.len);
        text[host.len] = '\0';
        return uv_inet_pton(AF_INET6, text, binary) == 0 ? 0 : -1;
    }
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_char(host.ptr[i]))
            return -1;
    }
    return 0;
}

enum { PORT_BAD = -2, HOST_BAD = -1 };

/* `host` is what lies before the port, without brackets; `port` stays as it is where there is none.
 */
static int split_host_port(struct span text, struct span *host, uint16_t *port) {
    bool bracketed = text.len > 0 && text.ptr[0] == '[';
    struct span rest = text;
    if (bracketed) {
        rest = (struct span){text.ptr + 1, text.len - 1};
        *host = cut(&rest, ']');
        if (rest.ptr == NULL || (rest.len > 0 && rest.ptr[0] != ':'))
            return HOST_BAD;
        rest = rest.len > 0 ? (struct span){rest.ptr + 1, rest.len - 1} : (struct span){NULL, 0};
    } else {
        *host = cut(&rest, ':');
    }
    if (check_host(*host, bracketed) != 0)
        return HOST_BAD;
    uint64_t v = *port;
    if (rest.ptr != NULL && (parse_number(rest, UINT16_MAX, &v) != 0 || v == 0))
        return PORT_BAD;
    *port = (uint16_t)v;
    return 0;
}

int redis_split_host_port(const char *text, uint16_t default_port, char *host, size_t size, uint16_t *port) {
    struct span h;
    *port = default_port;
    if (split_host_port(span_str(text), &h, port) != 0 || h.len >= size)
        return -1;
    memcpy(host, h.ptr, h.len);
    host[h.len] = '\0';
    return 0;
}

static int parse_authority(struct redis_options *o, struct span authority, struct buf *storage,
                           struct err *err) {
    if (take_userinfo(o, &authority, storage, err) != 0)
        return -1;
    struct span host = SPAN_LIT("127.0.0.1");
    o->port = DEFAULT_PORT;
    int rc = authority.len > 0 ? split_host_port(authority, &host, &o->port) : 0;
    if (rc != HOST_BAD && (o->host = decode(storage, host)) == NULL)
        rc = HOST_BAD; /* a zone such as %eth0, which a URL writes %25eth0 */
    if (rc == HOST_BAD)
        return fail(err, "the host is not a name, an IPv4 address or an IPv6 address in [ ]" ENCODE_HINT);
    if (rc == PORT_BAD)
        return fail(err, "the port is not a number from 1 to 65535" ENCODE_HINT);
    return 0;
}

static int parse_database(struct redis_options *o, struct span text, struct err *err) {
    uint64_t v;
    if (parse_number(text, INT32_MAX, &v) != 0)
        return fail(err, "the database is not a number" ENCODE_HINT);
    o->database = (uint32_t)v;
    return 0;
}

static int parse_query(struct redis_options *o, struct span query, struct err *err) {
    while (query.ptr != NULL) {
        struct span item = cut(&query, '&');
        if (item.len < 3 || memcmp(item.ptr, "db=", 3) != 0)
            return fail(err, "the only parameter after ? is db=NUMBER" ENCODE_HINT);
        if (parse_database(o, (struct span){item.ptr + 3, item.len - 3}, err) != 0)
            return -1;
    }
    return 0;
}

static int parse_unix(struct redis_options *o, struct span path, struct buf *storage, struct err *err) {
    const char *slash = memchr(path.ptr, '/', path.len);
    size_t authority_len = slash != NULL ? (size_t)(slash - path.ptr) : path.len;
    const char *at = memrchr(path.ptr, '@', authority_len);
    if (at != NULL) {
        struct span authority = {path.ptr, (size_t)(at - path.ptr) + 1};
        path = (struct span){at + 1, path.len - authority.len};
        if (take_userinfo(o, &authority, storage, err) != 0)
            return -1;
    }
    if (path.len == 0 || path.ptr[0] != '/')
        return fail(err, "unix:// needs the socket's absolute path, as in "
                         "unix:///run/redis/redis.sock" ENCODE_HINT);
    o->unix_path = decode(storage, path);
    if (o->unix_path == NULL)
        return fail(err, "the socket's path has a malformed % escape");
    return 0;
}

static int parse_tcp(struct redis_options *o, struct span rest, struct buf *storage, struct err *err) {
    struct span path = rest;
    struct span authority = cut(&path, '/');
    if (path.len > 0 && parse_database(o, path, err) != 0)
        return -1;
    return parse_authority(o, authority, storage, err);
}

static int unknown_scheme(const char *url, struct err *err) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+.-";
    size_t n = strspn(url, letters);
    if (n > 0 && n <= SCHEME_MAX && strncmp(url + n, "://", 3) == 0)
        return err_set(err,
                       "Redis URL: the scheme %.*s:// is not known; use redis://, rediss:// (TLS) or "
                       "unix://",
                       (int)n, url);
    return fail(err, "it must begin with redis://, rediss:// (TLS) or unix://");
}

int redis_options_parse(struct redis_options *o, const char *url, struct buf *storage, struct err *err) {
    static const struct {
        const char *prefix;
        bool tls, is_unix;
    } schemes[] = {{"redis://", false, false}, {"rediss://", true, false}, {"unix://", false, true}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t n = strlen(schemes[i].prefix);
        if (strncasecmp(url, schemes[i].prefix, n) != 0)
            continue;
        /* Makes room for all strings at once, for they must not move. Each is shorter than its URL, plus its
         * NUL. */
        if (!buf_reserve(storage, strlen(url) + sizeof("127.0.0.1") + 4))
            return fail(err, "it is too long");
        struct span query = span_str(url + n);
        struct span rest = cut(&query, '?');
        o->unix_path = NULL;
        o->host = NULL;
        o->database = 0;
        o->tls = schemes[i].tls;
        if (parse_query(o, query, err) != 0)
            return -1;
        return schemes[i].is_unix ? parse_unix(o, rest, storage, err) : parse_tcp(o, rest, storage, err);
    }
    return unknown_scheme(url, err);
}

void redis_place(char *out, size_t size, const struct redis_address *address) {
    if (address->unix_path != NULL)
        snprintf(out, size, "%s", address->unix_path);
    else if (strchr(address->host, ':') != NULL)
        snprintf(out, size, "[%s]:%u", address->host, (unsigned)address->port);
    else
        snprintf(out, size, "%s:%u", address->host, (unsigned)address->port);
}
