/* Checks keys against each other. A combination that could lose, double or expose something refuses to start;
 * one that is merely odd warns. */
#include "config/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dray/provider.h"
#include "dray/timefmt.h"

static const char *duration(uint64_t ms, char out[static TIMEFMT_SIZE]) {
    duration_format(ms, out);
    return out;
}

/* A living worker must not be recovered because of one command that hangs. It beats each third of the
 * lease (B = L/3). From a renewal to the next at the latest:
 *     B                      until the next beat is sent
 *   + command_timeout (C)    until the connection that hangs is dropped
 *   + min_replicas_timeout (W)  where a WAIT on that connection was before the beat
 *   + reconnecting (R)       backoff of at most 100 ms, connection, login; then it beats at once
 * which must be below L. With C <= L/3, W <= L/6 there is at least L/6 for R; without min_replicas, L/3.
 * Longer away than that is no hanging command: Redis is out of reach, and the lease may run out. */
static void check_lease(struct draft *s, const struct config *c, struct section *redis) {
    char limit[TIMEFMT_SIZE], lease[TIMEFMT_SIZE];
    if (c->lease_ms == 0)
        return; /* reported */
    if (c->redis.command_timeout_ms > c->lease_ms / 3)
        draft_fault(s, redis, table_key(SECTION_REDIS, "command_timeout"),
                    "must be at most %s, a third of the lease of %s: after one hanging command a "
                    "living worker's jobs would be recovered",
                    duration(c->lease_ms / 3, limit), duration(c->lease_ms, lease));
    if (c->min_replicas > 0 && c->min_replicas_timeout_ms > c->lease_ms / 6)
        draft_fault(s, redis, table_key(SECTION_REDIS, "min_replicas_timeout"),
                    "must be at most %s, a sixth of the lease of %s: waiting must not hold up the beat",
                    duration(c->lease_ms / 6, limit), duration(c->lease_ms, lease));
}

static bool is_set(struct section *section, const char *name) {
    return draft_setting(section, table_key(section->kind, name))->where != NULL;
}

static void check_pair(struct draft *s, struct section *section, const char *one, const char *other) {
    if (is_set(section, one) != is_set(section, other))
        draft_fault(s, section, table_key(section->kind, is_set(section, one) ? one : other),
                    "`%s` and `%s` go together", one, other);
}

static void check_redis(struct draft *s, const struct redis_options *o, struct section *redis) {
    check_pair(s, redis, "tls_cert", "tls_key");
    check_pair(s, redis, "sentinels", "sentinel_master");
    if (o->tls && !redis_tls_available())
        draft_fault(s, redis, table_key(SECTION_REDIS, "url"),
                    "rediss:// needs hiredis 1.0 or newer with SSL; this build has hiredis %d.%d without",
                    HIREDIS_MAJOR, HIREDIS_MINOR);
    if ((o->sentinel_username != NULL || o->sentinel_password != NULL) && o->sentinels == NULL)
        draft_fault(s, redis,
                    table_key(SECTION_REDIS,
                              o->sentinel_username != NULL ? "sentinel_username" : "sentinel_password"),
                    "is not used: no `sentinels` are given");
    if (o->sentinel_username != NULL && o->sentinel_password == NULL)
        draft_fault(s, redis, table_key(SECTION_REDIS, "sentinel_username"), "needs `sentinel_password` too");
    if (!o->tls && (o->tls_ca != NULL || o->tls_cert != NULL))
        draft_warn(s, redis, table_key(SECTION_REDIS, o->tls_ca != NULL ? "tls_ca" : "tls_cert"),
                   "is not used: `url` does not start with rediss://");
    if (o->sentinels != NULL && o->unix_path != NULL)
        draft_fault(s, redis, table_key(SECTION_REDIS, "sentinels"),
                    "can't be used with a `url` that is a Unix socket");
}

static void check_admin(struct draft *s, const struct config *c, struct section *admin) {
    struct span host;
    uint32_t port = 0;
    if (c->admin_listen == NULL || !split_host_port(c->admin_listen, &host, &port))
        return; /* off, or reported */
    bool has_token = is_set(admin, "token") || is_set(admin, "token_file") || is_set(admin, "operators_file");
    if (!has_token && !host_is_loopback(host.ptr, host.len))
        draft_fault(
            s, admin, table_key(SECTION_ADMIN, "listen"),
            "%s is reached from other hosts: that needs a `token` (or `token_file`, or `operators_file`)",
            c->admin_listen);
}

static void check_trace(struct draft *s, const struct config *c, struct section *trace) {
    if (c->trace_endpoint != NULL && strncasecmp(c->trace_endpoint, "http://", 7) == 0) {
        struct span host = url_host(c->trace_endpoint);
        if (host.ptr != NULL && !host_is_loopback(host.ptr, host.len))
            draft_warn(s, trace, table_key(SECTION_TRACE, "endpoint"),
                       "http:// beyond this host sends job ids and the token in the clear");
    }
    if (c->trace_header == NULL)
        return;
    char name[HEADER_NAME_MAX + 1] = "";
    size_t n = strcspn(c->trace_header, ":");
    if (n <= HEADER_NAME_MAX)
        memcpy(name, c->trace_header, n);
    if (c->trace_header[n] != ':' || !header_name_valid(name) || !header_value_valid(c->trace_header + n))
        draft_fault(s, trace,
                    table_key(SECTION_TRACE, is_set(trace, "header_file") ? "header_file" : "header"),
                    "is no header line: it must be `Name: value`");
}

void check_globals(struct config_full *full) {
    struct draft *s = &full->draft;
    struct section *redis = draft_find(s, SECTION_REDIS, "");
    struct section *admin = draft_find(s, SECTION_ADMIN, "");
    struct section *trace = draft_find(s, SECTION_TRACE, "");
    if (redis == NULL || admin == NULL || trace == NULL)
        return; /* out of memory: reported */
    check_lease(s, &full->c, redis);
    check_redis(s, &full->c.redis, redis);
    check_admin(s, &full->c, admin);
    check_trace(s, &full->c, trace);
}

/* No code of `list` (of the key `name`) may stand in `other`, too. */
static void check_apart(struct draft *s, struct section *section, const char *name, code_list list,
                        const char *other_name, code_list other) {
    char q[QUOTED_SIZE];
    for (code_list r = other; r != NULL && *r != NULL; r++)
        for (code_list j = list; j != NULL && *j != NULL; j++)
            if (strcmp(*r, *j) == 0)
                draft_fault(s, section, table_key(SECTION_ACCOUNT, name), "%s stands in `%s` too",
                            quoted(*j, q), other_name);
}

static void check_codes(struct draft *s, struct section *section, const struct account *a) {
    const struct {
        const char *name;
        code_list codes;
    } lists[] = {{"retry_codes", a->retry_codes},     {"reject_codes", a->reject_codes},
                 {"unknown_codes", a->unknown_codes}, {"hold_codes", a->hold_codes},
                 {"pause_codes", a->pause_codes},     {"duplicate_codes", a->duplicate_codes}};
    for (size_t i = 1; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (size_t k = 0; k < i; k++)
            check_apart(s, section, lists[i].name, lists[i].codes, lists[k].name, lists[k].codes);
}

static bool has_length(const struct field *row) {
    return row->type == FIELD_STRING || row->type == FIELD_STRING_OR_INTEGER ||
           row->type == FIELD_STRING_ARRAY;
}

/* The paths of `list` (each up to its ':') are rows of the provider's table that have a length. */
static void check_paths(struct draft *s, struct section *section, const struct account *a, const char *name,
                        code_list list) {
    char q[QUOTED_SIZE], path[256];
    for (; list != NULL && *list != NULL; list++) {
        size_t n = strcspn(*list, ":");
        snprintf(path, sizeof(path), "%.*s", (int)(n < sizeof(path) ? n : 0), *list);
        const struct field *row = a->provider->fields != NULL ? provider_field(a->provider, path) : NULL;
        bool list_too = row != NULL && (*list)[n] == '\0' && row->type == FIELD_ARRAY;
        if (row == NULL || !(has_length(row) || list_too))
            draft_fault(s, section, table_key(SECTION_ACCOUNT, name), "%s is no text of `dray providers %s`",
                        quoted(path, q), a->provider->name);
    }
}

void check_limits(struct draft *s, struct section *section, const struct account *a) {
    char one[TIMEFMT_SIZE], other[TIMEFMT_SIZE];
    if (a->backoff_base_ms > 0 && a->backoff_cap_ms > 0 && a->backoff_cap_ms < a->backoff_base_ms)
        draft_fault(s, section, table_key(SECTION_ACCOUNT, "backoff_cap"), "%s is below `backoff_base`, %s",
                    duration(a->backoff_cap_ms, one), duration(a->backoff_base_ms, other));
    if (a->max_age_ms > 0 && a->ledger_ttl_ms > 0 && a->ledger_ttl_ms < a->max_age_ms)
        draft_fault(s, section, table_key(SECTION_ACCOUNT, "ledger_ttl"),
                    "%s is below `max_age`, %s: an order's key would be forgotten while its job lives",
                    duration(a->ledger_ttl_ms, one), duration(a->max_age_ms, other));
    check_codes(s, section, a);
    check_paths(s, section, a, "allow_empty", a->allow_empty);
    check_paths(s, section, a, "max_length", a->max_length);
    if (a->base_url == NULL || strncasecmp(a->base_url, "http://", 7) != 0)
        return;
    struct span host = url_host(a->base_url);
    if (host.ptr != NULL && !host_is_loopback(host.ptr, host.len))
        draft_warn(s, section, table_key(SECTION_ACCOUNT, "base_url"),
                   "http:// beyond this host sends credentials and addresses in the clear");
}
