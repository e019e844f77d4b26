/* One view for each queue of the worker: follows its configuration, and has them read. */
#include "admin/view.h"

#include <stdlib.h>
#include <string.h>

#include "admin/view_read.h"

#define NODES_MAX (1u << 20)

void views_init(struct views *v, struct worker *w, void (*read)(void *arg), void *arg) {
    *v = (struct views){.worker = w, .read = read, .arg = arg};
    json_init(&v->doc, NODES_MAX);
}

static void view_free(struct view *view) {
    if (view == NULL)
        return;
    free(view->accounts);
    free(view->workers);
    free(view);
}

void views_deinit(struct views *v) {
    for (uint32_t i = 0; i < v->count; i++)
        view_free(v->list[i]);
    free(v->list);
    json_deinit(&v->doc);
}

const struct view *views_find(const struct views *v, const char *queue) {
    for (uint32_t i = 0; i < v->count; i++)
        if (strcmp(v->list[i]->queue, queue) == 0)
            return v->list[i];
    return NULL;
}

uint64_t views_read_at(const struct views *v) {
    uint64_t at = UINT64_MAX;
    for (uint32_t i = 0; i < v->count; i++)
        at = v->list[i]->at_ms < at ? v->list[i]->at_ms : at;
    return v->count > 0 ? at : 0;
}

/* Adds the queues that a reload brought, and drops those that it took away once no reply is outstanding. */
static void follow_consumers(struct views *v) {
    const struct worker *w = v->worker;
    for (uint32_t i = 0; i < v->count;) {
        if (view_consumer(v->list[i]) != NULL) {
            i++;
            continue;
        }
        view_free(v->list[i]);
        v->list[i] = v->list[--v->count];
    }
    for (uint32_t i = 0; i < w->consumer_count; i++) {
        if (views_find(v, w->consumers[i]->keys.queue) != NULL)
            continue;
        struct view **list = realloc(v->list, (v->count + 1) * sizeof(struct view *));
        struct view *view = calloc(1, sizeof(*view));
        if (list != NULL)
            v->list = list;
        if (view != NULL)
            view->workers = calloc(VIEW_WORKERS_MAX, sizeof(*view->workers));
        if (list == NULL || view == NULL || view->workers == NULL) {
            view_free(view);
            return; /* the next beat tries again */
        }
        view->views = v;
        strcpy(view->queue, w->consumers[i]->keys.queue);
        v->list[v->count++] = view;
    }
}

void views_read(struct views *v) {
    if (v->reading > 0)
        return;
    v->stale = false;
    follow_consumers(v);
    for (uint32_t i = 0; i < v->count; i++)
        v->reading += view_read_start(v->list[i]) ? 1 : 0;
}
