/* /api/v1/dead/QUEUE/ID: one dead letter whole, as it stands in Redis: the order's text, the
 * history of attempts, the provider's answers. */
#include <stdlib.h>

#include "admin/dead.h"

struct fetch {
    struct request *request; /* NULL: answered otherwise */
};

/* The entry's bytes stay as they are: the job's and the answers' numbers keep their digits. */
static void answer_entry(struct request *r, const redisReply *entry) {
    struct span text = {entry->str, entry->len};
    cJSON *answer = cJSON_CreateObject();
    tree_add_text(answer, "queue", span_str(r->param[0]));
    tree_add_text(answer, "dead_id", span_str(r->param[1]));
    if (json_parse(&r->admin->views.doc, text.ptr, text.len, NULL) == 0) {
        tree_add_raw(answer, "entry", text);
    } else { /* not dray's: for a person to look at */
        cJSON_AddNullToObject(answer, "entry");
        tree_add_text(answer, "text", text);
    }
    answer_tree(r, 200, answer);
}

static void on_entry(void *arg, const redisReply *reply, const char *error) {
    struct fetch *f = arg;
    struct request *r = f->request;
    if (r != NULL) {
        if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
            answer_error(r, 503, "redis", "Redis: %s", reply != NULL ? reply->str : error);
        else if (reply->type == REDIS_REPLY_STRING)
            answer_entry(r, reply);
        else
            answer_error(r, 404, "no_such_letter", "no dead letter of that id; was it retried or dropped?");
        request_done(r);
    }
    free(f);
}

void handle_dead_one(struct request *r) {
    const struct consumer *consumer = request_consumer(r);
    if (consumer == NULL)
        return;
    struct fetch *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        answer_error(r, 500, "memory", "out of memory");
        return;
    }
    const struct span key = consumer->keys.key[KEY_DEAD_ENTRIES];
    redis_router_command(consumer->worker->redis.router, consumer->keys.slot, on_entry, f, "HGET %b %s",
                         key.ptr, key.len, r->param[1]);
    request_wait(r, &f->request);
}
