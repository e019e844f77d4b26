/* What the service manager hears of a worker: when it is ready and that it ends. */
#include "dray/notify.h"
#include "worker/flow.h"

#include <stdio.h>

#define DRAIN_SLACK_MS 10000ull /* beyond drain_timeout: cut requests, Redis's last answers, closing */

static void notify(const char *text) {
    struct err err = {""};
    if (notify_send(text, &err) < 0)
        log_msg(LOG_WARN, "notify_failed", "%s; the service manager will wait in vain", err.text);
}

void service_ready(const struct worker *w) {
    char text[128];
    snprintf(text, sizeof(text), "READY=1\nSTATUS=%u queues, %u accounts", w->consumer_count,
             w->config->account_count);
    notify(text);
}

/* A drain may be configured to last longer than the manager's own stop timeout: ask for that long.
 */
void service_draining(const struct worker *w) {
    char text[160];
    snprintf(text, sizeof(text),
             "STOPPING=1\nSTATUS=draining: %u orders are under way\nEXTEND_TIMEOUT_USEC=%llu", w->active,
             (unsigned long long)(w->config->drain_timeout_ms + DRAIN_SLACK_MS) * 1000);
    notify(text);
}
