/* Cuts off slow clients. A connection has CLIENT_MS from its start, from the end of a request's headers, and
 * from the end of an answer. (libmicrohttpd's own timeout starts again at every byte: a client that sends one
 * byte a second would stay for ever.) The list is in the order of deadlines, so one timer for its head is
 * enough. */
#include "admin/admin.h"

#include <sys/socket.h>

#define CLIENT_MS 15000
#define MS_NS     1000000ull

static void unlink_client(struct client *c) {
    struct admin *a = c->admin;
    *(c->prev != NULL ? &c->prev->next : &a->oldest) = c->next;
    *(c->next != NULL ? &c->next->prev : &a->newest) = c->prev;
    c->prev = c->next = NULL;
}

static void append(struct client *c) {
    struct admin *a = c->admin;
    c->deadline_ns = clock_boot_ns() + CLIENT_MS * MS_NS;
    c->prev = a->newest;
    *(a->newest != NULL ? &a->newest->next : &a->oldest) = c;
    a->newest = c;
}

static void on_time(uv_timer_t *timer);

static void arm(struct admin *a) {
    uint64_t now = clock_boot_ns(), at = a->oldest != NULL ? a->oldest->deadline_ns : 0;
    if (at == 0 || a->closing)
        uv_timer_stop(&a->cutter);
    else if (!uv_is_active((uv_handle_t *)&a->cutter))
        uv_timer_start(&a->cutter, on_time, at > now ? (at - now) / MS_NS + 1 : 0, 0);
}

void clients_started(struct admin *a, struct client *c) {
    c->admin = a;
    a->clients++;
    append(c);
    arm(a);
}

void clients_touch(struct client *c) {
    if (c->deadline_ns == 0)
        return;
    unlink_client(c);
    append(c);
}

void clients_remove(struct client *c) {
    if (c->deadline_ns != 0)
        unlink_client(c);
    c->admin->clients--;
}

/* libmicrohttpd sees the end of the stream and closes. */
static void cut(struct client *c) {
    unlink_client(c);
    c->deadline_ns = 0;
    c->admin->cut++;
    shutdown(c->fd, SHUT_RDWR);
}

static void on_time(uv_timer_t *timer) {
    struct admin *a = timer->data;
    uint64_t now = clock_boot_ns();
    while (a->oldest != NULL && a->oldest->deadline_ns <= now)
        cut(a->oldest);
    arm(a);
}
