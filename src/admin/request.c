/* Requests that wait for Redis. The connection is suspended until the answer is there, or for ADMIN_WAIT_MS;
 * then the answer is 503. All wait equally long, so the list is in the order of deadlines, and one timer is
 * enough. */
#include "admin/admin.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX (1u << 20)
#define OUT_MAX  (64u << 20)
#define MS_NS    1000000ull

struct request *request_new(struct admin *a, struct MHD_Connection *connection) {
    struct request *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->admin = a;
    r->connection = connection;
    r->content_type = "application/json";
    buf_init(&r->body, BODY_MAX);
    buf_init(&r->out, OUT_MAX);
    a->requests++;
    return r;
}

static void stop_waiting(struct request *r) {
    struct admin *a = r->admin;
    *(r->wait_prev != NULL ? &r->wait_prev->wait_next : &a->wait_first) = r->wait_next;
    *(r->wait_next != NULL ? &r->wait_next->wait_prev : &a->wait_last) = r->wait_prev;
    r->wait_prev = r->wait_next = NULL;
    r->wait_until_ns = 0;
    *r->waiter = NULL;
}

void request_free(struct request *r) {
    if (r->wait_until_ns != 0)
        stop_waiting(r);
    buf_deinit(&r->body);
    buf_deinit(&r->out);
    free(r);
}

static void on_time(uv_timer_t *timer);

/* For the one that has waited longest. */
static void arm(struct admin *a) {
    uint64_t now = clock_boot_ns(), at = a->wait_first != NULL ? a->wait_first->wait_until_ns : 0;
    if (at == 0 || a->closing)
        uv_timer_stop(&a->waiting);
    else if (!uv_is_active((uv_handle_t *)&a->waiting))
        uv_timer_start(&a->waiting, on_time, at > now ? (at - now) / MS_NS + 1 : 0, 0);
}

static void on_time(uv_timer_t *timer) {
    struct admin *a = timer->data;
    uint64_t now = clock_boot_ns();
    while (a->wait_first != NULL && a->wait_first->wait_until_ns <= now) {
        struct request *r = a->wait_first;
        answer_error(r, 503, "redis_slow", "Redis has not answered within %d s", ADMIN_WAIT_MS / 1000);
        request_done(r);
    }
    arm(a);
}

void request_wait(struct request *r, struct request **waiter) {
    struct admin *a = r->admin;
    *waiter = r;
    if (r->wait_until_ns != 0) { /* one more round trip, within the same time */
        r->waiter = waiter;
        return;
    }
    r->waiter = waiter;
    r->wait_until_ns = clock_boot_ns() + ADMIN_WAIT_MS * MS_NS;
    r->wait_prev = a->wait_last;
    *(a->wait_last != NULL ? &a->wait_last->wait_next : &a->wait_first) = r;
    a->wait_last = r;
    MHD_suspend_connection(r->connection);
    arm(a);
}

void request_done(struct request *r) {
    if (r->wait_until_ns == 0)
        return;
    stop_waiting(r);
    MHD_resume_connection(r->connection); /* on_request is called again, and finds the answer */
    uv_timer_start(&r->admin->timeout, r->admin->on_timeout, 0, 0);
}

static struct consumer *find_consumer(const struct admin *a, const char *queue) {
    for (uint32_t i = 0; a->worker != NULL && i < a->worker->consumer_count; i++)
        if (strcmp(a->worker->consumers[i]->keys.queue, queue) == 0)
            return a->worker->consumers[i];
    return NULL;
}

struct consumer *request_consumer(struct request *r) {
    struct consumer *consumer = find_consumer(r->admin, r->param[0]);
    if (consumer == NULL)
        answer_error(r, 404, "no_such_queue", "this worker has no queue of that name");
    else if (r->admin->worker->mode == WORKER_STOPPED || !consumer_is_up(consumer))
        answer_error(r, 503, "redis_away", "Redis is away");
    else
        return consumer;
    return NULL;
}
