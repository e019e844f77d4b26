/* Replies that several endpoints give: a tree, a message, a page, an error in the endpoint's own form. */
#include "sandbox/internal.h"

void reply_tree(struct sandbox *s, cJSON *tree) {
    buf_reset(&s->out);
    tree_print(tree, &s->out);
}

void reply_message(struct sandbox *s, struct reply *reply, unsigned status, const char *message) {
    cJSON *o = cJSON_CreateObject();
    reply->status = status;
    tree_add_text(o, "message", span_str(message));
    reply_tree(s, o);
}

void reply_nowhere(struct sandbox *s, struct reply *reply) {
    reply_message(s, reply, 404, "no provider has this path; GET /_sandbox lists them");
}

void reply_page(struct sandbox *s, struct reply *reply, unsigned status, const char *text) {
    buf_reset(&s->out);
    buf_addf(&s->out, "<!DOCTYPE html><title>%u</title><p>%s", status, text);
    reply->status = status;
    reply->content_type = "text/html";
}

void reply_error(struct sandbox *s, uint16_t endpoint, struct reply *reply, unsigned status, const char *code,
                 const char *message) {
    reply->status = status;
    reply_tree(s, endpoints[endpoint].error(&s->rng, status, code, message));
}

bool reply_down(struct sandbox *s, uint16_t endpoint, uint16_t caller, struct reply *reply) {
    unsigned down = caller_trouble(s, caller)->down;
    if (down == SANDBOX_DOWN_HANGUP)
        reply->kind = REPLY_HANGUP;
    else if (down != 0)
        reply_error(s, endpoint, reply, down, down == 401 ? "unauthorized" : "status", "the sandbox is down");
    return down != 0;
}
