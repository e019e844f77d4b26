/* The accounts of a lane, as a worker uses them. */
#include "worker/share.h"

#include <stdlib.h>
#include <string.h>

void port_ref(struct port *port) {
    port->refs++;
}

void port_unref(struct port *port) {
    if (port == NULL || --port->refs > 0)
        return;
    http_target_unref(port->create);
    grant_free(port->grant);
    buf_deinit(&port->limits);
    controls_free(port);
    config_unref(port->config);
    free(port);
}

/* Made without a token, the target of an account with OAuth2 only says where it leads. */
static const struct account *without_token(const struct account *account, struct account *copy) {
    *copy = *account;
    copy->token = "none";
    return oauth2_is_used(account) ? copy : account;
}

/* `old`: its predecessor, or NULL. */
static struct port *port_new(struct lane *lane, const struct account *account, const struct port *old,
                             struct err *err) {
    struct worker *w = lane->worker;
    struct port *port = calloc(1, sizeof(*port));
    struct target_spec spec;
    struct account copy;
    if (port == NULL) {
        err_set(err, "account %s: out of memory", account->name);
        return NULL;
    }
    port->refs = 1;
    port->worker = w;
    port->lane = lane;
    port->config = config_ref(w->config);
    port->account = account;
    port->current = true;
    port->plain = request_is_plain(account);
    bool fine = !oauth2_is_used(account) || grant_new(port, old);
    if (!fine)
        err_set(err, "account %s: out of memory", account->name);
    if (target_spec_init(&spec, without_token(account, &copy), request_method(account), NULL, err) == 0 &&
        fine)
        port->create = http_target_new(w->http, &spec.options, err);
    target_spec_deinit(&spec);
    if (port->create != NULL && port_pack_limits(port, w->boot)) {
        if (port->grant != NULL)
            grant_make_target(port); /* with the token of its predecessor */
        return port;
    }
    if (port->create != NULL)
        err_set(err, "account %s: out of memory", account->name);
    port_unref(port);
    return NULL;
}

static int compare(const void *a, const void *b) {
    const struct port *x = *(struct port *const *)a, *y = *(struct port *const *)b;
    return strcmp(x->account->name, y->account->name);
}

struct port *lane_port(const struct lane *lane, const char *account) {
    size_t from = 0, to = lane->port_count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int order = strcmp(account, lane->ports[mid]->account->name);
        if (order == 0)
            return lane->ports[mid];
        if (order < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

static void drop(struct port **ports, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ports[i]->current = false;
        share_forget(ports[i]);
        port_unref(ports[i]);
    }
    free(ports);
}

void lane_drop_ports(struct lane *lane) {
    drop(lane->ports, lane->port_count);
    lane->ports = NULL;
    lane->default_port = NULL;
    lane->port_count = 0;
}

int lane_set_ports(struct lane *lane, struct err *err) {
    struct worker *w = lane->worker;
    struct port **ports = calloc(w->config->account_count + 1, sizeof(struct port *));
    uint32_t count = 0;
    if (ports == NULL)
        return err_set(err, "queue %s: out of memory", lane->config->name);
    for (uint32_t i = 0; i < w->config->account_count; i++) {
        const struct account *a = w->config->accounts[i];
        if (strcmp(a->queue, lane->config->name) != 0)
            continue;
        ports[count] = port_new(lane, a, lane_port(lane, a->name), err);
        if (ports[count] == NULL) {
            drop(ports, count);
            return -1;
        }
        count++;
    }
    qsort(ports, count, sizeof(struct port *), compare);
    for (uint32_t i = 0; i < count; i++) {
        struct port *old = lane_port(lane, ports[i]->account->name);
        if (old == NULL)
            continue;
        ports[i]->stats = old->stats;
        ports[i]->created_number = old->created_number;
        ports[i]->controls = old->controls;
        old->controls.of = NULL;
    }
    lane_drop_ports(lane);
    lane->limits_version[0] = '\0'; /* theirs are to be told */
    lane->ports = ports;
    lane->port_count = count;
    lane->default_port = lane_port(lane, lane->config->default_account->name);
    return 0;
}
