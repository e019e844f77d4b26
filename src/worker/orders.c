/* Orders by state: each state owns a list, one function moves. */
#include "worker/share.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX     (512u << 20) /* Redis's own limit of a string */
#define DECODED_MAX    (64u << 10)
#define ORDER_POOL_MAX 256          /* orders kept for reuse per consumer */
#define WARNINGS_MAX   (128u << 10) /* as the list of faults */
#define KEEP_BYTES     (64u << 10)  /* a larger record's memory is not kept */
#define MS_NS          1000000ull
#define SEND_SLACK_MS  1000ull /* beyond connect_timeout: until a request that was begun leaves or does not */

static void list_remove(struct order_list *list, struct order *o) {
    if (o->prev != NULL)
        o->prev->next = o->next;
    else
        list->first = o->next;
    if (o->next != NULL)
        o->next->prev = o->prev;
    else
        list->last = o->prev;
    list->count--;
    o->prev = o->next = NULL;
}

static void list_append(struct order_list *list, struct order *o) {
    o->prev = list->last;
    o->next = NULL;
    if (list->last != NULL)
        list->last->next = o;
    else
        list->first = o;
    list->last = o;
    list->count++;
}

static bool allowed(enum order_state from, enum order_state to) {
    static const unsigned next[ORDER_STATES] = {
        [ORDER_FREE] = 1u << ORDER_CLAIMED,
        [ORDER_CLAIMED] = 1u << ORDER_BEGINNING | 1u << ORDER_SETTLING,
        [ORDER_BEGINNING] = 1u << ORDER_SENDING | 1u << ORDER_SETTLING | 1u << ORDER_FREE,
        [ORDER_SENDING] = 1u << ORDER_SETTLING,
        [ORDER_SETTLING] = 1u << ORDER_FREE,
    };
    return (next[from] >> to & 1u) != 0;
}

static bool is_active(enum order_state s) {
    return s == ORDER_BEGINNING || s == ORDER_SENDING;
}

static void begins(struct order *o) {
    o->consumer->worker->active++;
    o->left_ns = 0;
    if (o->runtime != NULL)
        share_began(o->runtime);
}

static void ends(struct order *o) {
    o->consumer->worker->active--;
    if (o->runtime != NULL)
        share_ended(o->runtime, o->left_ns);
}

static void order_free(struct order *o) {
    buf_deinit(&o->record);
    buf_deinit(&o->decoded);
    buf_deinit(&o->warnings);
    buf_deinit(&o->ledger_key);
    buf_deinit(&o->wire);
    buf_deinit(&o->control);
    free(o);
}

static void release(struct order *o) {
    struct consumer *consumer = o->consumer;
    runtime_unref(o->runtime);
    o->runtime = NULL;
    o->account = NULL;
    o->call = NULL;
    if (consumer->orders.pooled >= ORDER_POOL_MAX || o->record.cap > KEEP_BYTES || o->wire.cap > KEEP_BYTES) {
        order_free(o);
        return;
    }
    o->next = consumer->orders.pool;
    consumer->orders.pool = o;
    consumer->orders.pooled++;
}

void order_move(struct order *o, enum order_state to) {
    assert(allowed(o->state, to));
    struct consumer *consumer = o->consumer;
    enum order_state from = o->state;
    if (is_active(from) && !is_active(to))
        ends(o);
    if (from != ORDER_FREE)
        list_remove(&consumer->orders.in[from], o);
    o->state = to;
    if (is_active(to) && !is_active(from))
        begins(o);
    if (to == ORDER_SENDING)
        o->left_ns = clock_boot_ns();
    if (to == ORDER_FREE)
        release(o);
    else
        list_append(&consumer->orders.in[to], o);
}

struct order *order_get(struct consumer *consumer) {
    struct order *o = consumer->orders.pool;
    if (o != NULL) {
        consumer->orders.pool = o->next;
        consumer->orders.pooled--;
        o->next = NULL;
        buf_reset(&o->record);
        buf_reset(&o->decoded);
        buf_reset(&o->warnings);
        buf_reset(&o->ledger_key);
    } else {
        o = calloc(1, sizeof(*o));
        if (o == NULL)
            return NULL;
        buf_init(&o->record, RECORD_MAX);
        buf_init(&o->decoded, DECODED_MAX);
        buf_init(&o->warnings, WARNINGS_MAX);
        buf_init(&o->ledger_key, DECODED_MAX);
        buf_init(&o->wire, RECORD_MAX);
        buf_init(&o->control, DECODED_MAX);
    }
    o->consumer = consumer;
    o->looking_up = o->may_wait = o->waits_token = o->token_renewed = false;
    o->trace.on = false;
    o->begun_unix_ms = 0;
    memset(&o->cursor, 0, sizeof(o->cursor));
    o->state = ORDER_FREE;
    order_move(o, ORDER_CLAIMED);
    return o;
}

void order_discard(struct order *o) {
    list_remove(&o->consumer->orders.in[o->state], o);
    o->state = ORDER_FREE;
    release(o);
}

/* At the very end: whatever state it is in. */
void order_drop(struct order *o) {
    list_remove(&o->consumer->orders.in[o->state], o);
    runtime_unref(o->runtime);
    order_free(o);
}

void consumer_free_pool(struct consumer *consumer) {
    while (consumer->orders.pool != NULL) {
        struct order *o = consumer->orders.pool;
        consumer->orders.pool = o->next;
        order_free(o);
    }
    consumer->orders.pooled = 0;
}

uint32_t consumer_active(const struct consumer *consumer) {
    return consumer->orders.in[ORDER_CLAIMED].count + consumer->orders.in[ORDER_BEGINNING].count +
           consumer->orders.in[ORDER_SENDING].count;
}

uint32_t consumer_held(const struct consumer *consumer) {
    return consumer_active(consumer) + consumer->orders.in[ORDER_SETTLING].count;
}

struct order *order_waiting(const struct account_runtime *runtime) {
    const struct worker *w = runtime->worker;
    for (uint32_t i = 0; i < w->consumer_count; i++)
        for (struct order *o = w->consumers[i]->orders.in[ORDER_SENDING].first; o != NULL; o = o->next)
            if (o->waits_token && o->runtime == runtime)
                return o;
    return NULL;
}

bool order_may_send(void *arg) {
    const struct order *o = arg;
    const struct consumer *consumer = o->consumer;
    uint64_t now = clock_boot_ns();
    return o->lease_epoch == consumer->lease.epoch && consumer->lease.held &&
           now < consumer->lease.until_ns && now < o->send_by_ns;
}

void order_set_deadline(struct order *o, uint64_t begun_ns) {
    const struct config *c = o->consumer->worker->boot;
    uint64_t replicas_ms = c->min_replicas > 0 ? c->min_replicas_timeout_ms : 0;
    o->send_by_ns = begun_ns + (o->account->connect_timeout_ms + replicas_ms + SEND_SLACK_MS) * MS_NS;
}
