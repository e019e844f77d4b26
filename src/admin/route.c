/* Finds the handler of a request, and decides whether the caller may use it.
 *
 * With a token configured, /api needs it. Without one (loopback only), anybody on this host may read what holds
 * no order; the rest is refused. The Host header must then be loopback's too: else a page of any site, opened
 * on this host, could read the API by pointing its own name at 127.0.0.1. */
#include "admin/admin.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "admin/act.h"
#include "admin/dead.h"
#include "admin/jobs.h"

#define DENIED_QUIET_NS 1000000000ull

static const struct route routes[] = {
    {"GET", "/healthz", ACCESS_OPEN, handle_healthz},
    {"GET", "/readyz", ACCESS_OPEN, handle_readyz},
    {"GET", "/metrics", ACCESS_OPEN, handle_metrics},
    {"GET", "/", ACCESS_OPEN, handle_page},
    {"GET", "/api/v1/openapi.json", ACCESS_READ, handle_openapi},
    {"GET", "/api/v1/status", ACCESS_READ, handle_status},
    {"GET", "/api/v1/queues", ACCESS_READ, handle_queues},
    {"GET", "/api/v1/accounts", ACCESS_READ, handle_accounts},
    {"GET", "/api/v1/workers", ACCESS_READ, handle_workers},
    {"GET", "/api/v1/queues/:/find", ACCESS_READ, handle_find},
    {"GET", "/api/v1/queues/:/jobs", ACCESS_READ, handle_jobs},
    {"GET", "/api/v1/dead/:", ACCESS_READ, handle_dead_list},
    {"GET", "/api/v1/dead/:/:", ACCESS_CONTENTS, handle_dead_one},
    {"POST", "/api/v1/queues/:/dead/retry", ACCESS_ACT, handle_dead_retry_all},
    {"POST", "/api/v1/queues/:/dead/drop", ACCESS_ACT, handle_dead_drop_all},
    {"POST", "/api/v1/queues/:/dead/export", ACCESS_CONTENTS, handle_dead_export},
    {"POST", "/api/v1/dead/:/:/retry", ACCESS_ACT, handle_dead_retry},
    {"POST", "/api/v1/dead/:/:/resolve", ACCESS_ACT, handle_dead_resolve},
    {"POST", "/api/v1/dead/:/:/drop", ACCESS_ACT, handle_dead_drop},
    {"POST", "/api/v1/queues/:/run", ACCESS_ACT, handle_run},
    {"POST", "/api/v1/queues/:/pause", ACCESS_ACT, handle_pause},
    {"POST", "/api/v1/queues/:/resume", ACCESS_ACT, handle_resume},
    {"POST", "/api/v1/queues/:/accounts/:/pause", ACCESS_ACT, handle_pause},
    {"POST", "/api/v1/queues/:/accounts/:/resume", ACCESS_ACT, handle_resume},
};

/* True if `path` has the route's form; its parameters go into `r`. */
static bool matches(const char *pattern, const char *path, struct request *r) {
    size_t params = 0;
    for (;; pattern++) {
        if (*pattern == ':') {
            size_t n = strcspn(path, "/");
            if (n == 0 || n >= ADMIN_PARAM_MAX || params == ADMIN_PARAMS)
                return false;
            memcpy(r->param[params], path, n);
            r->param[params++][n] = '\0';
            path += n;
        } else if (*pattern != *path++) {
            return false;
        } else if (*pattern == '\0') {
            return true;
        }
    }
}

static bool same_method(const struct route *route, const char *method) {
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Compares in a time that tells only the length of what was offered. */
static bool same_secret(const char *offered, const char *secret) {
    size_t n = strlen(offered), len = strlen(secret);
    unsigned char differ = n != len || len == 0;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)(offered[i] ^ secret[len > 0 ? i % len : 0]);
    return differ == 0;
}

/* Finds whose token it is. All are compared, so that the time tells nothing. */
static void read_token(struct request *r, const struct config *c) {
    const char *header = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");
    const char *offered = header != NULL && strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : NULL;
    const char *who =
        offered != NULL && c->admin_token != NULL && same_secret(offered, c->admin_token) ? "token" : "";
    for (uint32_t i = 0; offered != NULL && i < c->admin_operator_count; i++)
        if (same_secret(offered, c->admin_operators[i].token))
            who = c->admin_operators[i].name;
    snprintf(r->who, sizeof(r->who), "%s", who);
    r->with_token = who[0] != '\0';
}

static bool host_is_local(const struct request *r) {
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Host");
    for (size_t i = 0; host != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
            return true;
    }
    return false;
}

static void log_denied(struct request *r, const char *why) {
    struct admin *a = r->admin;
    uint64_t now = clock_boot_ns();
    struct log_line l;
    if (a->denied_logged_ns != 0 && now - a->denied_logged_ns < DENIED_QUIET_NS)
        return;
    a->denied_logged_ns = now;
    if (!log_begin(&l, LOG_WARN, "admin_denied"))
        return;
    log_str(&l, "route", r->route->path);
    log_str(&l, "why", why);
    log_end(&l);
}

static bool may(struct request *r) {
    const struct config *c = r->admin->worker->config;
    enum access access = r->route->access;
    read_token(r, c);
    if (access == ACCESS_OPEN || r->with_token)
        return true;
    if (admin_has_tokens(c)) {
        log_denied(r, "token");
        answer_error(r, 401, "token_needed", "Authorization: Bearer with a token of [admin] is needed");
    } else if (access == ACCESS_READ && !r->admin->beyond_loopback && host_is_local(r)) {
        return true;
    } else if (access == ACCESS_READ) {
        log_denied(r, "host");
        answer_error(r, 403, "foreign_host",
                     "without a token in [admin], this is for this host only: the Host must be "
                     "localhost, 127.0.0.1 or [::1]");
    } else {
        log_denied(r, "no token configured");
        answer_error(r, 403, "no_token_configured",
                     "%s needs a token: set `token`, `token_file` or `operators_file` in [admin]",
                     access == ACCESS_ACT ? "changing anything" : "an order's contents");
    }
    return false;
}

static bool body_fits(struct request *r) {
    const char *length = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Length");
    size_t n = length != NULL ? strlen(length) : 0;
    if (n < 7 || (n == 7 && strcmp(length, "1048576") <= 0))
        return true;
    answer_error(r, 413, "body_too_large", "a body may have %zu bytes", r->body.max);
    return false;
}

bool route(struct request *r, const char *method, const char *path) {
    const struct route *other = NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]) && r->route == NULL; i++) {
        if (!matches(routes[i].path, path, r))
            continue;
        if (same_method(&routes[i], method))
            r->route = &routes[i];
        else
            other = &routes[i];
    }
    if (r->route == NULL && other != NULL) {
        r->allow = strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method;
        answer_error(r, 405, "method_not_allowed", "this is for %s", r->allow);
    } else if (r->route == NULL) {
        answer_error(r, 404, "not_found", "there is nothing here");
    } else if (r->admin->worker == NULL) {
        answer_error(r, 503, "starting", "the worker is starting");
    } else if (r->admin->worker->mode == WORKER_STOPPED) { /* its connections are being freed */
        answer_error(r, 503, "stopping", "the worker is stopping");
    } else {
        return may(r) && body_fits(r);
    }
    return false;
}
