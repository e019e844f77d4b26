/* Reads and writes values that name places: files, addresses, URLs, paths, headers; and lists. */
#include "config/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static int parse_file(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    char q[QUOTED_SIZE];
    if (!(key->flags & KEY_SECRET_FILE) && access(text, R_OK) != 0)
        return err_set(err, "%s can't be read: %s", quoted(text, q), strerror(errno));
    return type_set_text(field, text, mem, err);
}

static bool plain_url_chars(const char *s) {
    for (; *s != '\0'; s++)
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f || strchr("\"<>\\^`{|}", *s) != NULL)
            return false;
    return true;
}

/* The part after "scheme://" of one of the schemes, or NULL. */
static const char *after_scheme(const char *url, const char *const *schemes) {
    for (size_t i = 0; schemes[i] != NULL; i++) {
        size_t n = strlen(schemes[i]);
        if (strncasecmp(url, schemes[i], n) == 0 && strncmp(url + n, "://", 3) == 0)
            return url + n + 3;
    }
    return NULL;
}

static bool authority_valid(const char *rest, size_t n) {
    char authority[300];
    struct span host;
    uint32_t port = 0;
    if (n == 0 || n >= sizeof(authority) || rest[0] == ':')
        return false;
    memcpy(authority, rest, n);
    authority[n] = '\0';
    const char *after_v6 = rest[0] == '[' ? strchr(authority, ']') : authority;
    if (after_v6 == NULL)
        return false;
    if (strchr(after_v6, ':') == NULL)
        return rest[0] != '[' || after_v6[1] == '\0';
    return split_host_port(authority, &host, &port) && port > 0;
}

static int parse_base_url(const struct key *key, const char *text, void *field, struct arena *mem,
                          struct err *err) {
    (void)key;
    static const char *const schemes[] = {"https", "http", NULL};
    const char *rest = after_scheme(text, schemes);
    if (rest == NULL)
        return err_set(err, "must start with https:// or http://");
    if (!plain_url_chars(text))
        return err_set(err, "holds a character that a URL may not hold as it is");
    if (strpbrk(rest, "?#") != NULL)
        return err_set(err, "must be an origin with at most a path, without query and fragment");
    size_t n = strcspn(rest, "/");
    if (memchr(rest, '@', n) != NULL)
        return err_set(err, "must hold no user and password: use `token`, or `key` and `secret`");
    if (!authority_valid(rest, n))
        return err_set(err, "needs a host, and a port from 1 to 65535 if any");
    char *copy = arena_copy(mem, text, strlen(text));
    if (copy == NULL)
        return err_set(err, "out of memory");
    for (size_t len = strlen(copy); copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    *(const char **)field = copy;
    return 0;
}

static int parse_proxy(const struct key *key, const char *text, void *field, struct arena *mem,
                       struct err *err) {
    (void)key;
    static const char *const schemes[] = {"http", "https", "socks5", "socks5h", NULL};
    const char *rest = after_scheme(text, schemes);
    if (rest == NULL)
        return err_set(err, "must start with http://, https://, socks5:// or socks5h://");
    if (!plain_url_chars(text) || strpbrk(rest, "?#") != NULL)
        return err_set(err, "must be scheme://[user:password@]host:port");
    const char *at = strrchr(rest, '@');
    const char *host = at != NULL ? at + 1 : rest;
    size_t n = strcspn(host, "/");
    if (!authority_valid(host, n) || (host[n] == '/' && host[n + 1] != '\0'))
        return err_set(err, "must be scheme://[user:password@]host:port");
    return type_set_text(field, text, mem, err);
}

/* Taken apart in build.c, where the options and their storage are. */
static int parse_redis_url(const struct key *key, const char *text, void *field, struct arena *mem,
                           struct err *err) {
    (void)key, (void)text, (void)field, (void)mem, (void)err;
    return 0;
}

static int parse_listen(const struct key *key, const char *text, void *field, struct arena *mem,
                        struct err *err) {
    (void)key;
    struct span host;
    uint32_t port = 0;
    char q[QUOTED_SIZE];
    if (strcmp(text, "off") != 0 && !split_host_port(text, &host, &port))
        return err_set(err, "%s is not an address (such as 127.0.0.1:9780, [::1]:9780; or off)",
                       quoted(text, q));
    return type_set_text(field, text, mem, err);
}

static int check_pointer(const char *text, struct err *err) {
    char q[QUOTED_SIZE];
    bool escapes = true;
    for (const char *p = strchr(text, '~'); p != NULL; p = strchr(p + 1, '~'))
        escapes = escapes && (p[1] == '0' || p[1] == '1');
    if ((*text != '\0' && *text != '/') || !escapes)
        return err_set(err, "%s is not a JSON Pointer (such as /data/id; empty is the whole)",
                       quoted(text, q));
    return 0;
}

static int parse_pointer(const struct key *key, const char *text, void *field, struct arena *mem,
                         struct err *err) {
    (void)key;
    return check_pointer(text, err) == 0 ? type_set_text(field, text, mem, err) : -1;
}

/* A path below base_url; `{key}` stands for the order key, `{account}` for the account's name. */
static int parse_path(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    (void)key;
    if (*text != '/')
        return err_set(err, "must start with '/'");
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("\"<>\\^`|#", *p) != NULL)
            return err_set(err, "holds a character that must be percent-encoded");
    for (const char *p = strchr(text, '{'); p != NULL; p = strchr(p + 1, '{'))
        if (strncmp(p, "{key}", 5) != 0 && strncmp(p, "{account}", 9) != 0)
            return err_set(err, "knows {key} and {account}, and no other braces");
    return type_set_text(field, text, mem, err);
}

bool header_name_valid(const char *name) {
    for (const char *p = name; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("!#$%&'*+-.^_`|~", *p) == NULL)
            return false;
    return name[0] != '\0';
}

bool header_value_valid(const char *value) {
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++)
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

static int parse_header(const struct key *key, const char *text, void *field, struct arena *mem,
                        struct err *err) {
    (void)key;
    static const char *const ours[] = {
        "host", "content-length", "content-type", "transfer-encoding", "connection", "traceparent", NULL};
    char q[QUOTED_SIZE];
    if (!header_name_valid(text))
        return err_set(err, "%s is not a header's name", quoted(text, q));
    for (size_t i = 0; ours[i] != NULL; i++)
        if (strcasecmp(text, ours[i]) == 0)
            return err_set(err, "%s is a header that dray sets itself", quoted(text, q));
    return type_set_text(field, text, mem, err);
}

/* What goes into a header's value. */
static int parse_line(const struct key *key, const char *text, void *field, struct arena *mem,
                      struct err *err) {
    if (strlen(text) > key->max)
        return err_set(err, "is longer than %u bytes", (unsigned)key->max);
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            return err_set(err, "holds a character that is not plain ASCII");
    return type_set_text(field, text, mem, err);
}

static int parse_prefix(const struct key *key, const char *text, void *field, struct arena *mem,
                        struct err *err) {
    (void)key;
    char q[QUOTED_SIZE];
    size_t n = strlen(text);
    bool chars = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") == n;
    if (n == 0 || n > 64 || !chars)
        return err_set(err, "%s is no prefix (1 to 64 letters, digits, '_', '.', ':' or '-')",
                       quoted(text, q));
    return type_set_text(field, text, mem, err);
}

#define LIST_MAX 256

static size_t count_elements(const char *text) {
    size_t n = 1;
    for (; *text != '\0'; text++)
        n += *text == ',';
    return n;
}

int type_parse_list(const char *text, void *field, struct arena *mem, element_fn check, struct err *err) {
    if (count_elements(text) > LIST_MAX)
        return err_set(err, "has more than %d elements", LIST_MAX);
    const char **list = arena_alloc(mem, (count_elements(text) + 1) * sizeof(char *));
    char *copy = arena_copy(mem, text, strlen(text)), *rest = copy;
    size_t count = 0;
    if (list == NULL || copy == NULL)
        return err_set(err, "out of memory");
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        item += strspn(item, " \t");
        size_t n = strlen(item);
        while (n > 0 && (item[n - 1] == ' ' || item[n - 1] == '\t'))
            item[--n] = '\0';
        if (n == 0)
            return err_set(err, "has an empty element between commas");
        if (check(item, err) != 0)
            return -1;
        list[count++] = item;
    }
    if (field != NULL)
        *(const char ***)field = list;
    return 0;
}

void type_format_list(const struct key *key, const void *field, struct buf *out) {
    (void)key;
    const char *const *list = *(const char *const *const *)field;
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (i > 0)
            buf_add_str(out, ", ");
        buf_add_str(out, list[i]);
    }
}

static int check_code(const char *code, struct err *err) {
    char q[QUOTED_SIZE];
    if (strlen(code) > 63 || strpbrk(code, " \t") != NULL)
        return err_set(err, "%s is no code (1 to 63 bytes without spaces)", quoted(code, q));
    if (strncmp(code, "http:", 5) != 0)
        return 0;
    const char *status = code + 5;
    if (strlen(status) != 3 || strspn(status, "0123456789") != 3 || status[0] < '1' || status[0] > '5')
        return err_set(err, "%s is no HTTP status (such as http:503)", quoted(code, q));
    return 0;
}

static int parse_codes(const struct key *key, const char *text, void *field, struct arena *mem,
                       struct err *err) {
    (void)key;
    return type_parse_list(text, field, mem, check_code, err);
}

static int parse_pointers(const struct key *key, const char *text, void *field, struct arena *mem,
                          struct err *err) {
    (void)key;
    return type_parse_list(text, field, mem, check_pointer, err);
}

static int check_endpoint(const char *element, struct err *err) {
    struct span host;
    uint32_t port = 0;
    char q[QUOTED_SIZE];
    if (!split_host_port(element, &host, &port) || port == 0)
        return err_set(err, "%s is not host:port", quoted(element, q));
    return 0;
}

static int parse_endpoints(const struct key *key, const char *text, void *field, struct arena *mem,
                           struct err *err) {
    (void)key;
    return type_parse_list(text, field, mem, check_endpoint, err);
}

const struct key_type type_file = {"path", parse_file, type_format_text, false};
const struct key_type type_base_url = {"URL", parse_base_url, type_format_text, false};
const struct key_type type_proxy = {"URL", parse_proxy, type_format_text, false};
const struct key_type type_redis_url = {"URL", parse_redis_url, type_format_text, false};
const struct key_type type_listen = {"address", parse_listen, type_format_text, false};
const struct key_type type_pointer = {"JSON Pointer", parse_pointer, type_format_text, false};
const struct key_type type_pointers = {"list of JSON Pointers", parse_pointers, type_format_list, false};
const struct key_type type_line = {"text", parse_line, type_format_text, false};
const struct key_type type_path = {"path", parse_path, type_format_text, false};
const struct key_type type_header = {"header", parse_header, type_format_text, false};
const struct key_type type_prefix = {"text", parse_prefix, type_format_text, false};
const struct key_type type_codes = {"list of codes", parse_codes, type_format_list, false};
const struct key_type type_endpoints = {"list of host:port", parse_endpoints, type_format_list, false};
