/* Builds the queues. A queue exists because accounts name it: the accounts are grouped by queue, and each queue
 * gets its default account. */
#include "config/table.h"

#include <stdlib.h>
#include <string.h>

/* Account sections, sorted by queue and then by appearance. */
struct group {
    struct section **members;
    size_t count;
};

static int compare_members(const void *pa, const void *pb) {
    struct section *a = *(struct section *const *)pa, *b = *(struct section *const *)pb;
    int queues = strcmp(section_queue(a), section_queue(b));
    if (queues != 0)
        return queues;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool group_accounts(struct draft *s, struct group *g) {
    g->members = calloc(s->count + 1, sizeof(struct section *));
    if (g->members == NULL) {
        draft_out_of_memory(s);
        return false;
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->sections[i]->kind == SECTION_ACCOUNT)
            g->members[g->count++] = s->sections[i];
    qsort(g->members, g->count, sizeof(struct section *), compare_members);
    return true;
}

/* The queue's part of the group. */
static struct group find_members(const struct group *g, const char *queue) {
    size_t low = 0, high = g->count, end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(section_queue(g->members[middle]), queue) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < g->count && strcmp(section_queue(g->members[end]), queue) == 0;)
        end++;
    return (struct group){g->members + low, end - low};
}

static void report_unused(struct draft *s, struct section *section, const struct group *g) {
    struct nearest near;
    char hint[128];
    nearest_init(&near, section->name);
    for (size_t i = 0; i < g->count; i++)
        nearest_try(&near, section_queue(g->members[i]));
    draft_fault(s, section, NULL, "no account names this queue%s", nearest_hint(&near, hint));
}

/* The account for jobs that name none. NULL: it was not built, or the one that is named is no member
 * (reported). */
static const struct account *pick_default(struct draft *s, struct section *section,
                                          const struct group *members) {
    const struct key *key = table_key(SECTION_QUEUE, "default_account");
    const char *name = draft_setting(section, key)->text;
    struct nearest near;
    char hint[128], q[QUOTED_SIZE];
    nearest_init(&near, name != NULL ? name : "");
    for (size_t i = 0; i < members->count; i++) {
        struct section *member = members->members[i];
        if (name == NULL && member->account != NULL)
            return member->account;
        if (name != NULL && strcmp(member->name, name) == 0)
            return member->account;
        nearest_try(&near, member->name);
    }
    if (name != NULL && name_valid(name))
        draft_fault(s, section, key, "%s is no account of this queue%s", quoted(name, q),
                    nearest_hint(&near, hint));
    return NULL;
}

static void build_queue(struct config_full *full, struct section *section, const struct group *all) {
    struct draft *s = &full->draft;
    struct queue_config *q = &full->c.queues[full->c.queue_count];
    struct group members = find_members(all, section->name);
    memset(q, 0, sizeof(*q));
    memcpy(q->name, section->name, strlen(section->name) + 1);
    apply_section(s, section, q, &full->mem);
    if (members.count == 0)
        report_unused(s, section, all);
    else
        q->default_account = pick_default(s, section, &members);
    if (q->default_account != NULL)
        full->c.queue_count++;
}

void build_queues(struct config_full *full) {
    struct draft *s = &full->draft;
    struct group all = {0};
    size_t queues = 0;
    if (!group_accounts(s, &all))
        return;
    for (size_t i = 0; i < s->indexed; i++)
        queues += s->index[i]->kind == SECTION_QUEUE;
    full->c.queues = arena_alloc(&full->mem, (queues + 1) * sizeof(struct queue_config));
    if (full->c.queues == NULL)
        draft_out_of_memory(s);
    for (size_t i = 0; i < s->indexed && !s->failed; i++) /* sorted by name */
        if (s->index[i]->kind == SECTION_QUEUE)
            build_queue(full, s->index[i], &all);
    free(all.members);
}
