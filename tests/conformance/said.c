#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* -- what the order is answered --------------------------------------------------------------------------------- */

static void add_text(struct bodies *b, char *text) {
    b->text[b->count] = text;
    b->of[b->count++] = answer(200, text);
}

/* The success with something changed, where that can be. */
static void add_changed(struct bodies *b, const struct rig *r, const char *from, const char *to) {
    char *text = replaced(r->success, from, to);
    if (strcmp(text, r->success) == 0)
        free(text);
    else
        add_text(b, text);
}

static char *joined(const char *first, const char *second) {
    char *text = malloc(strlen(first) + strlen(second) + 1);
    strcpy(text, first);
    return strcat(text, second);
}

/* No whole answer behind a status line that says 2xx. */
static void add_broken(struct bodies *b, const struct rig *r, const char *phase, const char *error) {
    struct http_exchange *x = &b->of[b->count++];
    *x = answer(200, r->success);
    x->body.len /= 2;
    x->answered = false;
    x->phase = phase;
    x->error = error;
}

static void add_no_json(struct bodies *b, const struct rig *r) {
    static const char *const texts[] = {
        "",
        " \r\n",
        "OK",
        "<html>Thank you for your order</html>",
        "\xff\xfe{\0}",
        "\x1f\x8b\x08\x00garbage",
        "{",
        "{\"id\":",
        "id=5&ok=true",
        "[1,",
        "\xef\xbb\xbf",
        "nul",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        b->of[b->count++] = answer(200, texts[i]);
    add_text(b, strndup(r->success, strlen(r->success) / 2));
    add_text(b, joined(r->success, r->success));
    add_text(b, joined(r->success, "x"));
}

static void add_json(struct bodies *b, const struct rig *r) {
    static const char *const texts[] = {
        "null",
        "[]",
        "{}",
        "7",
        "true",
        "\"ok\"",
        "[{}]",
        "{\"status\":\"accepted\"}",
        "{\"id\":null}",
        "{\"data\":null}",
        "{\"data\":\"\"}",
        "{\"data\":[]}",
        "{\"data\":{}}",
        "{\"order\":null}",
        "{\"order\":{}}",
        "{\"result\":null}",
        "{\"code\":500,\"message\":\"no\"}",
        "{\"code\":10000}",
        "{\"errors\":\"no\"}",
        "{\"ok\":false,\"error\":{\"code\":\"E7\"}}",
        "{\"ok\":true}",
        "{\"code\":429,\"message\":\"later\"}",
    };
    char id[80];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        b->of[b->count++] = answer(200, texts[i]);
    add_text(b, strdup(r->success));
    add_text(b, joined("\xef\xbb\xbf", r->success));
    snprintf(id, sizeof(id), "\"%s\"", r->id);
    add_changed(b, r, id, "\"  \"");
    add_changed(b, r, id, "\"\\u0000\"");
    add_changed(b, r, r->id, "null");
    add_changed(b, r, "\"data\"", "\"date\""); /* the id under another name */
    add_changed(b, r, "\"id\"", "\"ID\"");
    add_changed(b, r, "\"data\":", "\"data\":1,\"data\":"); /* a name twice */
    add_changed(b, r, "\"id\":", "\"id\":1,\"id\":");
    add_changed(b, r, "\"code\":", "\"code\":500,\"code\":");
    add_changed(b, r, "\"ok\":", "\"ok\":false,\"ok\":");
    add_changed(b, r, "test_order_id2", "TEST_ORDER_ID2"); /* another key */
    add_changed(b, r, "ord-12345", " ord-12345");
    add_changed(b, r, "G 1/", "g 1/");
}

void make_bodies(struct bodies *b, const struct rig *r) {
    memset(b, 0, sizeof(*b));
    add_no_json(b, r);
    add_json(b, r);
    add_broken(b, r, "receive", "connection reset");
    add_broken(b, r, "timeout", "timed out");
    add_broken(b, r, "receive", "the encoding is broken");
    add_broken(b, r, "receive", "the answer is larger than 1 MiB");
    b->of[b->count - 1].too_large = true;
    add_broken(b, r, "receive", "cancelled");
    b->of[b->count - 1].cancelled = true;
    b->of[b->count] = answer(200, r->success);
    b->of[b->count++].early = true;
    assert_true(b->count <= BODIES_MAX);
}

/* -- what look-ups are answered --------------------------------------------------------------------------------- */

/* The provider's own answer about a key, or its "no such order". */
static struct http_exchange own_answer(const struct rig *r, struct span key, bool found, char *out,
                                       size_t size) {
    const struct http_json_options *o = &r->account.http_json;
    const char *name = r->account.provider->name;
    int n = (int)key.len;
    long status = found ? 200 : 404;
    if (strncmp(name, "kakaclo", 7) == 0) {
        snprintf(out, size,
                 "{\"code\":10000,\"data\":{\"list\":[{\"id\":5,\"demandNo\":\"C5\",\"customOrderId\":\"%.*"
                 "s\"}],\"total\":1}}",
                 n, key.ptr);
        if (!found)
            strcpy(out, "{\"code\":10000,\"data\":{\"list\":[],\"total\":0}}");
        status = 200;
    } else if (strcmp(name, "s2") == 0) {
        snprintf(out, size, "{\"items\":[{\"id\":\"5\",\"channelOrderId\":\"%.*s\"}],\"total\":1}", n,
                 key.ptr);
        if (!found)
            strcpy(out, "{\"items\":[],\"total\":0}");
        status = 200;
    } else if (strcmp(name, "vu") == 0) {
        snprintf(out, size, "{\"order\":{\"id\":5,\"order_number\":\"%.*s\"}}", n, key.ptr);
        if (!found)
            strcpy(out, "{\"errors\":\"not found\"}");
    } else if (o->lookup_items_pointer != NULL) {
        snprintf(out, size, "{\"items\":[{\"id\":5,\"ref\":\"%.*s\"}]}", n, key.ptr);
        if (!found)
            strcpy(out, "{\"items\":[]}");
        status = 200;
    } else {
        snprintf(out, size, found ? "{\"id\":5,\"ref\":\"%.*s\"}" : "{\"error\":\"%.*s\"}", n, key.ptr);
    }
    return answer(status, out);
}

struct http_exchange look_answer(const struct rig *r, struct span key, enum look look) {
    static char text[600];
    switch (look) {
    case FOUND:
    case ABSENT:
        return own_answer(r, key, look == FOUND, text, sizeof(text));
    case HTML:
        return answer(200, "<html>sign in</html>");
    case ROUTER:
        return answer(404, "404 page not found");
    case DOWN:
        return answer(500, "");
    case BUSY:
        return answer(429, "");
    case REFUSED:
        return answer(401, "");
    case HANGS_UP:
        return (struct http_exchange){.sent = true, .phase = "receive", .error = "reset"};
    default:
        return (struct http_exchange){.sent = false, .phase = "connect", .error = "refused"};
    }
}
