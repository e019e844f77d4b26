/* Answers: their bodies, their headers, and what a request asks in its query. */
#include "admin/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void answer_tree(struct request *r, unsigned status, cJSON *tree) {
    buf_reset(&r->out);
    r->status = status;
    r->content_type = "application/json";
    if (tree_print(tree, &r->out)) {
        buf_add_char(&r->out, '\n');
        return;
    }
    r->status = 500;
    /* needs none */
    r->constant = SPAN_LIT("{\"error\":{\"code\":\"memory\",\"message\":\"out of memory\"}}\n");
}

void answer_error(struct request *r, unsigned status, const char *code, const char *format, ...) {
    char message[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    cJSON *answer = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(answer, "error");
    cJSON_AddStringToObject(error, "code", code);
    tree_add_text(error, "message", span_str(message));
    answer_tree(r, status, answer);
}

const char *request_query(const struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void add_headers(const struct request *r, struct MHD_Response *response) {
    const char *const headers[][2] = {
        {"Content-Type", r->content_type},
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy", r->csp != NULL ? r->csp : "default-src 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (r->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"dray\"");
    if (r->status == 405)
        MHD_add_response_header(response, "Allow", r->allow);
    if (r->status == 503)
        MHD_add_response_header(response, "Retry-After", "5");
}

struct MHD_Response *answer_response(struct request *r) {
    struct MHD_Response *response;
    if (r->constant.ptr == NULL && !buf_ok(&r->out))
        answer_error(r, 500, "too_large", "the answer does not fit into memory");
    if (r->constant.ptr != NULL) {
        union {
            const char *in;
            char *out; /* libmicrohttpd does not write to it */
        } text = {r->constant.ptr};
        response = MHD_create_response_from_buffer(r->constant.len, text.out, MHD_RESPMEM_PERSISTENT);
    } else {
        response = MHD_create_response_from_buffer(r->out.len, r->out.data, MHD_RESPMEM_MUST_FREE);
        if (response != NULL)
            buf_init(&r->out, r->out.max); /* its memory is the response's now */
    }
    if (response != NULL)
        add_headers(r, response);
    return response;
}
