/* The keys that make an order one order: the provider's own, in the order, and the envelope's order_key. */
#include "provider/envelope_parts.h"

#include <stdio.h>

#include "provider/module.h"

/* The fault's path is the pointer's: "order.order.order_number" of "/order/order_number". */
static void key_fault(const struct envelope_reader *r, const char *pointer, const char *rule) {
    char path[256]; /* made here only: hardly an order has the fault */
    snprintf(path, sizeof(path), "order%s", pointer);
    for (char *c = path; *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
    faults_add(r->faults, path, "is the order key and must be %s", rule);
}

/* Reads the order's own key, if the provider has one and it is given. Where a field table counts, a key of a
 * wrong type is that table's fault. */
static void read_provider_key(struct envelope_reader *r, const struct account *account) {
    const struct provider *p = account->provider;
    const char *pointer;
    if (r->e->order.ptr == NULL)
        return;
    uint32_t node = provider_order_key(p, account, r->doc, r->node[PART_ORDER], &pointer);
    if (node == JSON_NONE)
        return;
    struct span key = {NULL, 0};
    if (json_type(r->doc, node) == JSON_STRING)
        key = envelope_decoded(r, node);
    else if (r->doc->nodes[node].integer)
        key = json_raw(r->doc, node);
    if (key.ptr == NULL && (p->fields == NULL || account->validation == VALIDATION_OFF))
        key_fault(r, pointer, "a string or an integer");
    if (key.len > 0)
        r->e->provider_key = key;
    if (key.len > ORDER_KEY_MAX && r->node[PART_ORDER_KEY] == JSON_NONE) {
        char rule[64];
        snprintf(rule, sizeof(rule), "at most %d bytes", ORDER_KEY_MAX);
        key_fault(r, pointer, rule);
    }
}

static void read_order_key(struct envelope_reader *r, struct span id) {
    struct envelope *e = r->e;
    e->order_key = e->provider_key.ptr != NULL ? e->provider_key : id;
    if (!envelope_string_given(r, PART_ORDER_KEY))
        return;
    struct span key = envelope_decoded(r, r->node[PART_ORDER_KEY]);
    if (key.len < 1 || key.len > ORDER_KEY_MAX)
        faults_add(r->faults, "order_key", "must be 1 to %d bytes", ORDER_KEY_MAX);
    else
        e->order_key = key;
}

static void check_key(struct envelope_reader *r, const struct account *account) {
    const char *rule = request_key_fault(account, r->e->order_key);
    if (rule == NULL && r->e->provider_key.ptr != NULL)
        rule = request_key_fault(account, r->e->provider_key);
    if (rule != NULL)
        faults_add(r->faults, "order_key", "%s", rule);
}

void envelope_read_keys(struct envelope_reader *r, const struct account *account, struct span id) {
    if (account != NULL)
        read_provider_key(r, account);
    read_order_key(r, id);
    if (account != NULL)
        check_key(r, account);
}
