/* Requests, which are kept and used again, and the values of their query and headers. */
#include <stdlib.h>

#include "sandbox/internal.h"

struct request *sandbox_request_new(struct sandbox *s, struct MHD_Connection *connection, const char *method,
                                    const char *path) {
    struct request *r = s->free_requests;
    if (r != NULL)
        s->free_requests = r->next_free;
    else if ((r = calloc(1, sizeof *r)) != NULL)
        buf_init(&r->body, BODY_MAX);
    if (r == NULL)
        return NULL;
    buf_reset(&r->body);
    r->connection = connection;
    r->method = method;
    r->path = path;
    r->too_large = r->prepared = false;
    r->response = NULL;
    r->again = NULL;
    r->again_ms = r->keep_ms = 0;
    r->heap_slot = HEAP_NONE;
    return r;
}

void sandbox_request_done(struct sandbox *s, struct request *r) {
    delays_remove(&s->delays, r);
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    free(r->again);
    r->again = NULL;
    if (r->body.cap > BODY_KEPT)
        buf_deinit(&r->body), buf_init(&r->body, BODY_MAX);
    r->next_free = s->free_requests;
    s->free_requests = r;
}

const char *query_value(const struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *header_value(const struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}
