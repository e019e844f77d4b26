/* Look-ups that do not tell what exists, by magic order keys. */
#include "sandbox/lookup.h"
#include "sandbox/magic.h"

/* Uses up one of the look-ups on which the magic of `key` works, if one is left, of the kinds from `first` to
 * `last`. */
static bool take(struct lookup *l, uint32_t key, enum magic_kind first, enum magic_kind last,
                 struct magic *m) {
    if (key == TALLY_NONE)
        return false;
    struct tally_key *k = &l->s->tally.keys[key];
    *m = magic_parse_lookup((struct span){k->name, k->name_len});
    if (m->kind < first || m->kind > last || k->lookup_magic >= m->times)
        return false;
    k->lookup_magic++;
    return true;
}

/* As take, for the kinds of magic that replace the whole answer. */
static bool take_whole(struct lookup *l, uint32_t key, struct magic *m) {
    return take(l, key, MAGIC_LOOKUP, MAGIC_LOOKUP_TOTAL, m);
}

/* True: answered. */
static bool answer(struct lookup *l, const struct magic *m, bool is_list) {
    struct buf *out = &l->s->out;
    struct reply *reply = l->reply;
    switch (m->kind) {
    case MAGIC_LOOKUP:
        lookup_fail(l, m->status, "the sandbox was told to answer so by the order's key");
        if (m->status == 429)
            snprintf(reply->retry_after, sizeof reply->retry_after, "1");
        return true;
    case MAGIC_ROUTER:
        reply->status = 404;
        reply->content_type = "text/plain; charset=utf-8";
        buf_add_str(out, "404 page not found\n");
        return true;
    case MAGIC_LOOKUP_EMPTY:
        reply->status = 200;
        return true;
    case MAGIC_LOOKUP_HTML:
        reply_page(l->s, reply, 200, "Maintenance. We'll be back soon.");
        return true;
    case MAGIC_LOOKUP_HANGUP:
        reply->kind = REPLY_HANGUP;
        return true;
    default: /* EMPTYTOTAL */
        l->empty_page = is_list;
        if (!is_list)
            lookup_fail(l, 404, "there is no such order");
        return !is_list;
    }
}

bool mislead_by_name(struct lookup *l, const char *name) {
    struct magic m;
    if (name == NULL)
        return false;
    uint32_t key = tally_find(&l->s->tally, l->caller, l->endpoint, span_str(name));
    bool is_list = query_value(l->r, "term") != NULL || query_value(l->r, "reference") != NULL;
    return take_whole(l, key, &m) && answer(l, &m, is_list);
}

/* The newest key with such magic decides. */
bool mislead_by_time(struct lookup *l) {
    const struct tally *t = &l->s->tally;
    struct magic m;
    for (uint32_t i = t->key_count; i-- > 0;)
        if (t->keys[i].caller == l->caller && t->keys[i].endpoint <= ENDPOINT_KAKACLO_V1 &&
            take_whole(l, i, &m))
            return answer(l, &m, true);
    return false;
}

bool mislead_hides(struct lookup *l, uint32_t key) {
    struct magic m;
    return take(l, key, MAGIC_LOOKUP_BLIND, MAGIC_LOOKUP_BLIND, &m);
}

void mislead_disguise(struct lookup *l, uint32_t key) {
    struct magic m;
    if (!take(l, key, MAGIC_LOOKUP_OTHER, MAGIC_LOOKUP_OTHER, &m))
        return;
    const struct tally_key *k = &l->s->tally.keys[key];
    spoil_key(l->s, (struct span){k->name, k->name_len});
}
