/* HTTP target: one URL with its headers, credentials and limits. It is checked and built once, so that a
 * request sets only what differs. Errors name the rule, never the secret. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/http_internal.h"

#define CONNECT_TIMEOUT_MS 5000 /* where the options say 0: every wait has an end */
#define REQUEST_TIMEOUT_MS 30000
#define IDLE_REUSE_MS      2000
#define HEADER_MAX         (16u << 10) /* bytes of one line */

static bool has_control(const char *s) {
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static int add_line(struct http_target *t, const char *line, struct err *err) {
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (more == NULL)
        return err_set(err, "HTTP: out of memory");
    t->headers = more;
    return 0;
}

static bool header_is(const char *line, const char *name) {
    size_t n = strlen(name);
    return strncasecmp(line, name, n) == 0 && line[n] == ':';
}

/* `value` NULL: no line. */
static int add_pair(struct http_target *t, const char *name, const char *value, struct err *err) {
    struct buf line;
    if (value == NULL)
        return 0;
    if (has_control(value))
        return err_set(err, "HTTP header %s: holds a control character", name);
    buf_init(&line, HEADER_MAX);
    buf_addf(&line, "%s: %s", name, value);
    const char *text = buf_cstr(&line);
    int rc = buf_ok(&line) ? add_line(t, text, err)
                           : err_set(err, "HTTP header %s: is longer than %u bytes", name, HEADER_MAX);
    buf_deinit(&line);
    return rc;
}

/* What libcurl has options for stands in the list, too: it would print such a line twice for each request, byte by
 * byte, which is a fifth of all that a request costs it. */
static int add_headers(struct http_target *t, const struct http_target_options *o, struct err *err) {
    bool typed = t->method == HTTP_GET, coded = false, named = false;
    for (const char *const *lines = o->headers; lines != NULL && *lines != NULL; lines++) {
        const char *colon = strchr(*lines, ':');
        int name = colon != NULL && colon - *lines < 64 ? (int)(colon - *lines) : 0;
        if (name == 0)
            return err_set(err, "HTTP: a header line must be \"Name: value\"");
        if (has_control(*lines))
            return err_set(err, "HTTP header %.*s: holds a control character", name, *lines);
        if (header_is(*lines, "Content-Length") || header_is(*lines, "Transfer-Encoding"))
            return err_set(err, "HTTP header %.*s: is set from the body", name, *lines);
        typed = typed || header_is(*lines, "Content-Type");
        coded = coded || header_is(*lines, "Accept-Encoding");
        named = named || header_is(*lines, "User-Agent");
        if (add_line(t, *lines, err) < 0)
            return -1;
    }
    if (add_pair(t, "Content-Type", typed ? NULL : "application/json", err) < 0 ||
        add_pair(t, "Accept-Encoding", coded ? NULL : "identity", err) < 0) /* answers are short */
        return -1;
    return add_pair(t, "User-Agent", named ? NULL : o->user_agent, err);
}

static void add_base64(struct buf *out, const char *data, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)data;
    for (; n > 0; p += 3) {
        unsigned v = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        buf_add_char(out, digits[v >> 18]);
        buf_add_char(out, digits[v >> 12 & 63]);
        buf_add_char(out, n > 1 ? digits[v >> 6 & 63] : '=');
        buf_add_char(out, n > 2 ? digits[v & 63] : '=');
        n -= n > 3 ? 3 : n;
    }
}

static int add_authorization(struct http_target *t, const struct http_target_options *o, struct err *err) {
    if (o->bearer == NULL && o->basic_user == NULL)
        return 0;
    const char *password = o->basic_password != NULL ? o->basic_password : "";
    const char *bad = o->bearer != NULL ? (has_control(o->bearer) ? "token" : NULL)
                      : has_control(o->basic_user) || strchr(o->basic_user, ':') != NULL ? "key"
                      : has_control(password)                                            ? "secret"
                                                                                         : NULL;
    if (bad != NULL)
        return err_set(err, "HTTP: the %s holds a control character or, in a key, a colon", bad);
    struct buf line, pair;
    buf_init(&line, HEADER_MAX);
    buf_init(&pair, HEADER_MAX / 2);
    if (o->bearer != NULL) {
        buf_add_str(&line, "Authorization: Bearer ");
        buf_add_str(&line, o->bearer);
    } else {
        buf_addf(&pair, "%s:%s", o->basic_user, password);
        buf_add_str(&line, "Authorization: Basic ");
        add_base64(&line, pair.data, pair.len);
    }
    bool ok = buf_ok(&pair) && *buf_cstr(&line) != '\0' && buf_ok(&line);
    int rc = ok ? add_line(t, buf_cstr(&line), err)
                : err_set(err, "HTTP: the credentials are longer than %u bytes", HEADER_MAX / 2);
    buf_deinit(&pair);
    buf_deinit(&line);
    return rc;
}

static int set_url(struct http_target *t, const char *url, struct err *err) {
    char *part = NULL;
    t->url = curl_url();
    if (t->url == NULL)
        return err_set(err, "HTTP: out of memory");
    /* as it is: a path that names an order by its key may hold dots as segments */
    CURLUcode rc = curl_url_set(t->url, CURLUPART_URL, url, CURLU_PATH_AS_IS);
    if (rc == CURLUE_OK)
        rc = curl_url_get(t->url, CURLUPART_SCHEME, &part, 0);
    if (rc != CURLUE_OK)
        return err_set(err, "URL: %s; it must be like https://host[:port]/path", curl_url_strerror(rc));
    t->tls = strcmp(part, "https") == 0;
    bool known = t->tls || strcmp(part, "http") == 0;
    curl_free(part);
    if (!known)
        return err_set(err, "URL: must start with https:// or http://");
    if (curl_url_get(t->url, CURLUPART_HOST, &t->host, 0) != CURLUE_OK ||
        curl_url_get(t->url, CURLUPART_PORT, &t->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return err_set(err, "URL: must name a host");
    if (curl_url_get(t->url, CURLUPART_USER, &part, 0) != CURLUE_NO_USER) {
        curl_free(part);
        return err_set(err, "URL: must not hold a user or password; give them as key and secret");
    }
    return 0;
}

static int set_file(char **copy, const char *path, const char *what, struct err *err) {
    if (path == NULL)
        return 0;
    if (access(path, R_OK) < 0)
        return err_set(err, "%s %s: %s", what, path, strerror(errno));
    return (*copy = strdup(path)) != NULL ? 0 : err_set(err, "HTTP: out of memory");
}

static int set_text(char **copy, const char *text, struct err *err) {
    return text == NULL || (*copy = strdup(text)) != NULL ? 0 : err_set(err, "HTTP: out of memory");
}

static int set_files(struct http_target *t, const struct http_target_options *o, struct err *err) {
    if (set_file(&t->ca_file, o->ca_file, "ca_file", err) < 0 ||
        set_file(&t->client_cert, o->client_cert, "client_cert", err) < 0 ||
        set_file(&t->client_key, o->client_key, "client_key", err) < 0 ||
        set_text(&t->proxy, o->proxy, err) < 0)
        return -1;
    return set_text(&t->user_agent, o->user_agent, err) < 0 ? -1
                                                            : set_text(&t->wait_header, o->wait_header, err);
}

static int set_host(struct http_target *t, struct http_pool *pool, struct err *err) {
    t->where = http_idle_host(pool, t);
    return t->where != NULL ? 0 : err_set(err, "HTTP: out of memory");
}

static void target_free(struct http_target *t) {
    curl_url_cleanup(t->url);
    curl_free(t->host);
    curl_free(t->port);
    curl_slist_free_all(t->headers);
    free(t->ca_file);
    free(t->proxy);
    free(t->client_cert);
    free(t->client_key);
    free(t->user_agent);
    free(t->wait_header);
    free(t);
}

struct http_target *http_target_new(struct http_pool *pool, const struct http_target_options *options,
                                    struct err *err) {
    struct http_target *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        err_set(err, "HTTP: out of memory");
        return NULL;
    }
    t->refs = 1;
    t->method = options->method;
    LIST_INIT(&t->idle);
    t->connect_timeout_ms =
        options->connect_timeout_ms > 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    t->request_timeout_ms =
        options->request_timeout_ms > 0 ? options->request_timeout_ms : REQUEST_TIMEOUT_MS;
    t->idle_reuse_ms = options->no_reuse            ? 0
                       : options->idle_reuse_ms > 0 ? options->idle_reuse_ms
                                                    : IDLE_REUSE_MS;
    snprintf(t->owner, sizeof(t->owner), "%s", options->owner != NULL ? options->owner : "");
    if (set_url(t, options->url, err) == 0 && add_headers(t, options, err) == 0 &&
        add_authorization(t, options, err) == 0 && set_files(t, options, err) == 0 &&
        set_host(t, pool, err) == 0)
        return t;
    target_free(t);
    return NULL;
}

static bool same(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool http_target_alike(const struct http_target *a, const struct http_target *b) {
    return a->method == b->method && a->connect_timeout_ms == b->connect_timeout_ms &&
           a->request_timeout_ms == b->request_timeout_ms &&
           (a->idle_reuse_ms == 0) == (b->idle_reuse_ms == 0) && same(a->port, b->port) &&
           same(a->host, b->host) && same(a->ca_file, b->ca_file) && same(a->proxy, b->proxy) &&
           same(a->client_cert, b->client_cert) && same(a->client_key, b->client_key) &&
           same(a->user_agent, b->user_agent);
}

/* Handles that still have its options go to the front of the pool's idle ones: they are to be
 * reset before their next use. */
void http_target_unref(struct http_target *t) {
    if (t == NULL || --t->refs > 0)
        return;
    while (!LIST_EMPTY(&t->idle)) {
        struct http_call *c = LIST_FIRST(&t->idle);
        LIST_REMOVE(c, target_link);
        curl_easy_reset(c->easy); /* it points at our headers */
        c->bound = NULL;
        TAILQ_REMOVE(&c->pool->idle, c, idle_link);
        TAILQ_INSERT_HEAD(&c->pool->idle, c, idle_link);
    }
    target_free(t);
}

const char *http_target_place(const struct http_target *target) {
    return target->where->name;
}

CURLcode http_target_apply(const struct http_target *t, CURL *easy) {
    curl_easy_setopt(easy, t->method == HTTP_GET ? CURLOPT_HTTPGET : CURLOPT_POST, 1L);
    if (t->method == HTTP_PUT) /* as a POST in all but its name: CURLOPT_UPLOAD would stream */
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, t->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, t->request_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, t->idle_reuse_ms == 0 ? 1L : 0L);
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_PROXY, t->proxy != NULL ? t->proxy : "");
    if (rc == CURLE_OK && t->ca_file != NULL)
        rc = curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
    if (rc == CURLE_OK && t->user_agent != NULL && t->proxy != NULL) /* for CONNECT */
        rc = curl_easy_setopt(easy, CURLOPT_USERAGENT, t->user_agent);
    if (rc == CURLE_OK && t->client_cert != NULL)
        rc = curl_easy_setopt(easy, CURLOPT_SSLCERT, t->client_cert);
    if (rc == CURLE_OK && t->client_key != NULL)
        rc = curl_easy_setopt(easy, CURLOPT_SSLKEY, t->client_key);
    return rc;
}
