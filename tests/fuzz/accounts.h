/* One account of each provider, http-json with every option, for targets. */
#ifndef DRAY_TESTS_FUZZ_ACCOUNTS_H
#define DRAY_TESTS_FUZZ_ACCOUNTS_H

#include <stdio.h>

#include "dray/provider.h"

static inline struct account fuzz_account(const struct provider *p) {
    static char busy[] = "busy", teapot[] = "http:418", refused[] = "20001", gateway[] = "http:502";
    static char *const retry[] = {busy, teapot, NULL}, *const reject[] = {refused, NULL};
    static char *const unknown[] = {gateway, NULL};
    static char message[] = "/error/message";
    static char *messages[] = {message, NULL};
    struct account a = {
        .refs = 1,
        .provider = p,
        .base_url = "https://api.test/v",
        .token = "t",
        .organization = "o",
        .key = "k",
        .secret = "s",
        .max_attempts = 8,
        .backoff_base_ms = 1000,
        .backoff_cap_ms = 300000,
        .retry_after_cap_ms = 3600000,
        .lookup_attempts = 6,
        .retry_codes = retry,
        .reject_codes = reject,
        .unknown_codes = unknown,
    };
    snprintf(a.name, sizeof(a.name), "%s", "shop");
    snprintf(a.queue, sizeof(a.queue), "%s", "orders");
    if (p->fields == NULL)
        a.http_json = (struct http_json_options){
            .create_path = "/orders",
            .auth = "bearer",
            .key_pointer = "/ref",
            .success_pointer = "/ok",
            .success_value = "true",
            .id_pointer = "/result/id",
            .order_pointer = "/result",
            .code_pointer = "/error/code",
            .message_pointers = messages,
            .lookup_path = "/find?ref={key}",
            .lookup_items_pointer = "/items",
            .lookup_key_pointer = "/ref",
            .lookup_id_pointer = "/id",
        };
    return a;
}

#endif
