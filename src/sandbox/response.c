/* Replies as libmicrohttpd's responses. */
#include <stdlib.h>
#include <string.h>

#include "sandbox/internal.h"

/* Half of a body, then an error: the connection closes in the middle of the answer. */
struct half {
    size_t len;
    char data[];
};

static ssize_t read_half(void *arg, uint64_t position, char *out, size_t max) {
    const struct half *h = arg;
    if (position >= h->len)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = h->len - (size_t)position < max ? h->len - (size_t)position : max;
    memcpy(out, h->data + position, n);
    return (ssize_t)n;
}

static struct MHD_Response *truncated_response(struct buf *out) {
    struct half *h = malloc(sizeof *h + out->len);
    if (h == NULL)
        return NULL;
    h->len = out->len / 2;
    memcpy(h->data, out->data, h->len);
    return MHD_create_response_from_callback(out->len, 4096, read_half, h, free);
}

struct MHD_Response *response_make(struct sandbox *s, const struct reply *reply) {
    struct MHD_Response *response =
        reply->kind == REPLY_TRUNCATED
            ? truncated_response(&s->out)
            : MHD_create_response_from_buffer(s->out.len, s->out.data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, "Content-Type", reply->content_type);
    if (reply->retry_after[0] != '\0')
        MHD_add_response_header(response, "Retry-After", reply->retry_after);
    if (reply->location != NULL)
        MHD_add_response_header(response, "Location", reply->location);
    if (reply->content_encoding != NULL)
        MHD_add_response_header(response, "Content-Encoding", reply->content_encoding);
    if (reply->says_keep) {
        char text[32];
        snprintf(text, sizeof text, "timeout=%llu", (unsigned long long)reply->keep_ms / 1000);
        MHD_add_response_header(response, "Keep-Alive", text);
    }
    return response;
}

void response_keep_for_again(struct sandbox *s, struct request *r, const struct reply *reply) {
    struct buf bytes;
    buf_init(&bytes, BODY_MAX);
    buf_addf(&bytes, "HTTP/1.1 %u OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", reply->status,
             reply->content_type, s->out.len);
    buf_add_span(&bytes, buf_span(&s->out));
    if (buf_ok(&bytes) && (r->again = malloc(bytes.len)) != NULL)
        memcpy(r->again, bytes.data, bytes.len);
    r->again_len = bytes.len;
    r->again_ms = reply->again_ms;
    buf_deinit(&bytes);
}
