/* What connections do by themselves after an answer: send it once more, or close after a while without
 * requests. libmicrohttpd knows nothing of it. The bytes go straight into its socket, and a socket that is shut
 * down looks like a client that left. Only connections that were told to misbehave are in the list, so it is
 * walked as a whole. */
#include <stdlib.h>
#include <sys/socket.h>

#include "sandbox/internal.h"

struct line *line_opened(int fd) {
    struct line *l = calloc(1, sizeof *l);
    if (l != NULL)
        l->fd = fd;
    return l;
}

static void disarm(struct sandbox *s, struct line *l) {
    if (!l->armed)
        return;
    if (l->previous != NULL)
        l->previous->next = l->next;
    else
        s->armed_lines = l->next;
    if (l->next != NULL)
        l->next->previous = l->previous;
    l->armed = false;
}

static void arm(struct sandbox *s, struct line *l) {
    if (l->armed)
        return;
    l->previous = NULL;
    l->next = s->armed_lines;
    if (l->next != NULL)
        l->next->previous = l;
    s->armed_lines = l;
    l->armed = true;
}

void line_closed(struct sandbox *s, struct line *l) {
    if (l == NULL)
        return;
    disarm(s, l);
    free(l->again);
    free(l);
}

void line_request_begins(struct sandbox *s, struct line *l) {
    l->close_ns = 0;
    if (l->again == NULL)
        disarm(s, l);
}

void line_answered(struct sandbox *s, struct line *l, struct request *r) {
    const uint64_t now_ns = clock_boot_ns();
    if (r->again != NULL) {
        free(l->again);
        l->again = r->again;
        l->again_len = r->again_len;
        l->again_ns = now_ns + r->again_ms * 1000000;
        r->again = NULL;
    }
    l->close_ns = r->keep_ms == 0 ? 0 : now_ns + r->keep_ms * 1000000;
    if (l->again != NULL || l->close_ns != 0)
        arm(s, l);
}

static void act(struct sandbox *s, struct line *l, uint64_t now_ns) {
    if (l->again != NULL && l->again_ns <= now_ns) {
        ssize_t n = send(l->fd, l->again, l->again_len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)n; /* a client that left, or does not read, has no second answer */
        free(l->again);
        l->again = NULL;
    }
    if (l->close_ns != 0 && l->close_ns <= now_ns) {
        shutdown(l->fd, SHUT_RDWR);
        l->close_ns = 0;
    }
    if (l->again == NULL && l->close_ns == 0)
        disarm(s, l);
}

void lines_act(struct sandbox *s, uint64_t now_ns) {
    for (struct line *l = s->armed_lines, *next; l != NULL; l = next) {
        next = l->next;
        act(s, l, now_ns);
    }
}

uint64_t lines_next_ns(const struct sandbox *s) {
    uint64_t next_ns = UINT64_MAX;
    for (const struct line *l = s->armed_lines; l != NULL; l = l->next) {
        if (l->again != NULL && l->again_ns < next_ns)
            next_ns = l->again_ns;
        if (l->close_ns != 0 && l->close_ns < next_ns)
            next_ns = l->close_ns;
    }
    return next_ns;
}
