/* Live reload: HUP, or a secret file that changed.
 *
 * Happy path: the configuration is read and checked in a thread → on the loop, consumers get new accounts,
 * new queues get consumers, consumers whose queue is gone retire → limits are sent → accounts whose
 * credentials changed are tried at once where they were held.
 * Failure modes: a faulty configuration is refused with every fault, and the old one stays. Orders in
 * flight keep the account they began with. Redis's users, passwords and TLS files hold from the next connection on.
 * What only a restart can change (the rest of [redis], name, lease, max_inflight, [admin], [trace]) is said, and stays as
 * it was. */
#include "io/redis_parts.h"
#include "worker/flow.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reload {
    uv_work_t work;
    struct worker *worker;
    const char *path;      /* the boot configuration's */
    struct config *config; /* what was read, or NULL */
    struct config_faults faults, warnings;
};

static void read_config(uv_work_t *work) {
    struct reload *r = work->data;
    r->config = config_load(r->path, environ, &r->faults, &r->warnings);
}

static bool same(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void tell_restart(const struct config *old, const struct config *new) {
    bool redis = !same(old->redis.host, new->redis.host) || old->redis.port != new->redis.port ||
                 !same(old->redis.unix_path, new->redis.unix_path) ||
                 !same(old->redis_prefix, new->redis_prefix);
    if (redis || old->lease_ms != new->lease_ms || old->max_inflight != new->max_inflight ||
        !same(old->admin_listen, new->admin_listen) || !same(old->trace_endpoint, new->trace_endpoint) ||
        old->trace_sample < new->trace_sample || old->trace_sample > new->trace_sample)
        log_msg(LOG_WARN, "restart_needed",
                "[redis] (but for users, passwords and TLS files), [admin], [trace], lease and max_inflight "
                "change with a restart only; they stay as they were");
}

/* For the next connections; those that are there stay. */
static void renew_redis(struct worker *w, struct config *new) {
    struct config *old = w->redis.config;
    w->redis.config = config_ref(new);
    redis_options_renew(&w->redis.options, &new->redis);
    redis_router_renew(w->redis.router, &w->redis.options);
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (w->consumers[i]->pickup.router != NULL)
            redis_router_renew(w->consumers[i]->pickup.router, &w->redis.options);
    config_unref(old);
}

static struct consumer *find_consumer(const struct worker *w, const char *queue) {
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (strcmp(w->consumers[i]->keys.queue, queue) == 0)
            return w->consumers[i];
    return NULL;
}

static int add_consumer(struct worker *w, const struct queue_config *config, struct err *err) {
    struct consumer **consumers = realloc(w->consumers, (w->consumer_count + 1) * sizeof(struct consumer *));
    if (consumers == NULL)
        return err_set(err, "queue %s: out of memory", config->name);
    w->consumers = consumers;
    struct consumer *consumer = consumer_new(w, config, err);
    if (consumer == NULL)
        return -1;
    w->consumers[w->consumer_count++] = consumer;
    return 0;
}

/* Keeps the configuration that the consumer's own is part of. */
static void hold_config(struct consumer *consumer, struct config *config) {
    if (consumer->config_held == NULL)
        consumer->config_held = config_ref(config);
}

/* A consumer keeps the configuration it retires with until it is gone. */
static void retire(struct consumer *consumer) {
    consumer->retiring = true;
    hold_config(consumer, consumer->worker->config);
    consumer_stop_pickup(consumer);
    log_msg(LOG_INFO, "queue_retired", "queue %s is no longer configured; what is in flight is finished",
            consumer->keys.queue);
}

/* Orders under way keep the provider they were begun with; later look-ups of theirs ask the new one. */
static void warn_of_moves(const struct consumer *consumer, const struct config *old) {
    for (uint32_t i = 0; i < consumer->accounts.count; i++) {
        const struct account *a = consumer->accounts.list[i]->account, *before = config_account(old, a->name);
        if (before != NULL && before->provider != a->provider)
            log_msg(LOG_WARN, "provider_changed",
                    "account %s: %s is now %s; orders whose outcome is unknown are looked up there: better "
                    "use a new "
                    "account name",
                    a->name, before->provider->name, a->provider->name);
    }
}

static void update_consumer(struct consumer *consumer, const struct queue_config *config,
                            struct config *old) {
    struct err err;
    const struct queue_config *before = consumer->config;
    consumer->config = config;
    if (consumer_set_accounts(consumer, &err) < 0) {
        consumer->config = before;
        hold_config(consumer, old);
        log_msg(LOG_ERROR, "reload_failed", "queue %s stays as it was: %s", config->name, err.text);
        return;
    }
    config_unref(consumer->config_held);
    consumer->config_held = NULL;
    consumer->retiring = false;
    consumer->claims.look_now = true;
    warn_of_moves(consumer, old);
    if (!consumer_is_up(consumer) || !consumer->format.ours)
        return; /* the first beat that goes through tells them */
    consumer_send_limits(consumer);
    consumer_reopen(consumer, old);
}

/* It has signed off, or is about to: too late to take it back. */
static bool has_left(const struct consumer *consumer) {
    return consumer->leaving || consumer->left;
}

static void take_over(struct worker *w, struct config *new) {
    struct config *old = w->config;
    struct err err;
    tell_restart(w->boot, new);
    renew_redis(w, new);
    for (uint32_t i = 0; i < w->consumer_count; i++)
        if (!w->consumers[i]->retiring && config_queue(new, w->consumers[i]->keys.queue) == NULL)
            retire(w->consumers[i]);
    w->config = new;
    log_set_level(new->log_level);
    for (uint32_t i = 0; i < new->queue_count; i++) {
        struct consumer *consumer = find_consumer(w, new->queues[i].name);
        if (consumer != NULL && !has_left(consumer))
            update_consumer(consumer, &new->queues[i], old);
        else if (consumer != NULL)
            w->reload.queue_returned = true; /* its predecessor is still leaving */
        else if (add_consumer(w, &new->queues[i], &err) < 0)
            log_msg(LOG_ERROR, "reload_failed", "%s", err.text);
    }
    config_unref(old);
    pickups_anew(w);
    log_msg(LOG_INFO, "reloaded", "%u queues, %u accounts", new->queue_count, new->account_count);
}

static void log_faults(enum log_level level, const char *event, struct config_faults *f) {
    char *save = NULL;
    char *text = f->count > 0 ? strdup(buf_cstr(&f->text)) : NULL;
    for (char *line = text != NULL ? strtok_r(text, "\n", &save) : NULL; line != NULL;
         line = strtok_r(NULL, "\n", &save))
        log_msg(level, event, "%s", line);
    free(text);
}

static void on_read(uv_work_t *work, int status) {
    struct reload *r = work->data;
    struct worker *w = r->worker;
    w->reload.under_way = NULL;
    log_faults(LOG_WARN, "config_warning", &r->warnings);
    if (r->config == NULL || status != 0) {
        log_faults(LOG_ERROR, "config_fault", &r->faults);
        log_msg(LOG_ERROR, "reload_refused", "the configuration has faults; the old one stays");
        config_unref(r->config);
    } else if (w->mode == WORKER_STOPPED || w->mode == WORKER_DRAINING) {
        config_unref(r->config);
    } else {
        take_over(w, r->config);
    }
    config_faults_deinit(&r->faults);
    config_faults_deinit(&r->warnings);
    free(r);
    if (w->mode == WORKER_STOPPED)
        worker_closed_one(w);
    else
        w->timers.open_handles--;
}

void worker_reload(struct worker *w, const char *why) {
    if (w->mode == WORKER_STOPPED || w->mode == WORKER_DRAINING)
        return;
    if (w->reload.under_way != NULL) {
        w->reload.again = true;
        return;
    }
    struct reload *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return;
    r->worker = w;
    r->path = w->boot->path;
    r->work.data = r;
    config_faults_init(&r->faults);
    config_faults_init(&r->warnings);
    log_msg(LOG_INFO, "reloading", "%s", why);
    w->reload.under_way = r;
    w->reload.again = false;
    w->timers.open_handles++;
    uv_queue_work(w->loop, &r->work, read_config, on_read);
}

static void drop_consumer(struct worker *w, uint32_t at) {
    struct consumer *consumer = w->consumers[at];
    w->consumers[at] = w->consumers[--w->consumer_count];
    pickup_close(consumer);
    struct config *held = consumer->config_held;
    consumer_free(consumer);
    config_unref(held);
}

void worker_check_retired(struct worker *w) {
    for (uint32_t i = 0; i < w->consumer_count;) {
        struct consumer *consumer = w->consumers[i];
        if (consumer->retiring && w->mode != WORKER_DRAINING)
            consumer_leave(consumer);
        if (consumer->retiring && consumer->left && w->mode != WORKER_DRAINING) {
            drop_consumer(w, i);
            w->reload.again = w->reload.again || w->reload.queue_returned;
            w->reload.queue_returned = false;
        } else {
            i++;
        }
    }
    if (w->reload.again && w->reload.under_way == NULL)
        worker_reload(w, "asked for meanwhile");
}
