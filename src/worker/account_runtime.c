/* The accounts of a consumer, as a worker uses them. */
#include "worker/share.h"

#include <stdlib.h>
#include <string.h>

void runtime_ref(struct account_runtime *runtime) {
    runtime->refs++;
}

static void free_controls(const struct account_controls *controls) {
    for (unsigned i = 0; controls->of != NULL && i < CONTROL_CLASSES; i++)
        free(controls->of[i]);
    free(controls->of);
}

void runtime_unref(struct account_runtime *runtime) {
    if (runtime == NULL || --runtime->refs > 0)
        return;
    http_target_unref(runtime->create);
    grant_free(runtime->grant);
    buf_deinit(&runtime->limits);
    free_controls(&runtime->controls);
    config_unref(runtime->config);
    free(runtime);
}

/* Made without a token, the target of an account with OAuth2 only says where it leads. */
static const struct account *without_token(const struct account *account, struct account *copy) {
    *copy = *account;
    copy->token = "none";
    return oauth2_is_used(account) ? copy : account;
}

/* `old`: its predecessor, or NULL. */
static struct account_runtime *runtime_new(struct consumer *consumer, const struct account *account,
                                           const struct account_runtime *old, struct err *err) {
    struct worker *w = consumer->worker;
    struct account_runtime *runtime = calloc(1, sizeof(*runtime));
    struct target_spec spec;
    struct account copy;
    if (runtime == NULL) {
        err_set(err, "account %s: out of memory", account->name);
        return NULL;
    }
    runtime->refs = 1;
    runtime->worker = w;
    runtime->consumer = consumer;
    runtime->config = config_ref(w->config);
    runtime->account = account;
    runtime->current = true;
    runtime->plain = request_is_plain(account);
    bool fine = !oauth2_is_used(account) || grant_new(runtime, old);
    if (!fine)
        err_set(err, "account %s: out of memory", account->name);
    if (target_spec_init(&spec, without_token(account, &copy), request_method(account), NULL, err) == 0 &&
        fine)
        runtime->create = http_target_new(w->http, &spec.options, err);
    target_spec_deinit(&spec);
    if (runtime->create != NULL && runtime_pack_limits(runtime, w->boot)) {
        if (runtime->grant != NULL)
            grant_make_target(runtime); /* with the token of its predecessor */
        return runtime;
    }
    if (runtime->create != NULL)
        err_set(err, "account %s: out of memory", account->name);
    runtime_unref(runtime);
    return NULL;
}

static int compare(const void *a, const void *b) {
    const struct account_runtime *x = *(struct account_runtime *const *)a,
                                 *y = *(struct account_runtime *const *)b;
    return strcmp(x->account->name, y->account->name);
}

struct account_runtime *consumer_account(const struct consumer *consumer, const char *account) {
    size_t from = 0, to = consumer->accounts.count;
    while (from < to) {
        size_t mid = (from + to) / 2;
        int order = strcmp(account, consumer->accounts.list[mid]->account->name);
        if (order == 0)
            return consumer->accounts.list[mid];
        if (order < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

static void drop(struct account_runtime **accounts, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        accounts[i]->current = false;
        share_forget(accounts[i]);
        runtime_unref(accounts[i]);
    }
    free(accounts);
}

void consumer_drop_accounts(struct consumer *consumer) {
    drop(consumer->accounts.list, consumer->accounts.count);
    consumer->accounts.list = NULL;
    consumer->accounts.by_default = NULL;
    consumer->accounts.count = 0;
}

int consumer_set_accounts(struct consumer *consumer, struct err *err) {
    struct worker *w = consumer->worker;
    struct account_runtime **accounts =
        calloc(w->config->account_count + 1, sizeof(struct account_runtime *));
    uint32_t count = 0;
    if (accounts == NULL)
        return err_set(err, "queue %s: out of memory", consumer->config->name);
    for (uint32_t i = 0; i < w->config->account_count; i++) {
        const struct account *a = w->config->accounts[i];
        if (strcmp(a->queue, consumer->config->name) != 0)
            continue;
        accounts[count] = runtime_new(consumer, a, consumer_account(consumer, a->name), err);
        if (accounts[count] == NULL) {
            drop(accounts, count);
            return -1;
        }
        count++;
    }
    qsort(accounts, count, sizeof(struct account_runtime *), compare);
    for (uint32_t i = 0; i < count; i++) {
        struct account_runtime *old = consumer_account(consumer, accounts[i]->account->name);
        if (old == NULL)
            continue;
        accounts[i]->stats = old->stats;
        accounts[i]->created_number = old->created_number;
        accounts[i]->controls = old->controls;
        old->controls.of = NULL;
    }
    consumer_drop_accounts(consumer);
    consumer->accounts.limits_version[0] = '\0'; /* theirs are to be told */
    consumer->accounts.list = accounts;
    consumer->accounts.count = count;
    consumer->accounts.by_default = consumer_account(consumer, consumer->config->default_account->name);
    return 0;
}
