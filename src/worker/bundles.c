/* Bundles: a claim of many fresh jobs leaves their texts in a list of their own (bundle.lua), which is read by a
 * command behind the turn; a list that all claims have left is taken away by a later turn.
 *
 *   FREE → OFFERED ─ not used ──────────────────────────────→ FREE
 *             ├ the claim is a bundle → HELD ─ all claims ended → ENDED ⇄ TELLING → FREE
 *             └ unanswered → LOST ⇄ LOOKING ─ nothing of it is there ───↗
 *
 * Failure modes: an order left without its claim having ended (fenced, …), or nobody knows whether there was a claim:
 * the bundle is LOST, and stays until Redis has said, after a later turn was answered, that it holds no claim that no
 * order here stands for. Its texts don't come: they are asked for once more, then the claim counts as unanswered and
 * the lane makes no more bundles. Redis never writes to a bundle that is there, and takes none away of which claims
 * may have come back (fence.lua): then `n` is not used again until the worker ends. */
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define BUNDLE_JOB 4096 /* bytes; larger ones are not kept until all of a bundle have ended */

int bundles_init(struct lane *lane) {
    lane->bundles.of = calloc(BUNDLES, sizeof(*lane->bundles.of));
    for (size_t n = 0; lane->bundles.of != NULL && n < BUNDLES; n++)
        lane->bundles.of[n].lane = lane;
    lane->bundles.in[BUNDLE_FREE] = BUNDLES;
    return lane->bundles.of != NULL ? 0 : -1;
}

void bundles_deinit(struct lane *lane) {
    free(lane->bundles.of);
    lane->bundles.of = NULL;
}

/* The one mover. */
static void become(struct bundle *b, enum bundle_state to) {
    struct bundles *all = &b->lane->bundles;
    all->in[b->state]--;
    all->in[to]++;
    b->state = to;
}

uint8_t bundle_offer(struct lane *lane, uint64_t turn) {
    struct bundles *all = &lane->bundles;
    bool many = lane->more && lane->claim_n >= lane->worker->bundle_least; /* there are, most likely */
    if (all->off || !many || lane->longest == 0 || lane->longest > BUNDLE_JOB)
        return 0;
    for (uint32_t most = lane->worker->bundle_most, tries = 0; tries < most; tries++) {
        all->last = (uint8_t)(all->last % most + 1);
        struct bundle *b = &all->of[all->last];
        if (b->state != BUNDLE_FREE || b->asked)
            continue;
        b->claims = 0;
        b->first = 1;
        b->turn = turn;
        b->asked_again = b->folded = false;
        become(b, BUNDLE_OFFERED);
        return all->last;
    }
    return 0;
}

/* --- its texts --- */

static void no_texts(struct bundle *b, bool refused, const char *error) {
    struct lane *lane = b->lane;
    become(b, BUNDLE_LOST);
    b->claims = 0;
    lane->bundles.awaited = 0;
    lane->claim_out = false;
    claim_unanswered(lane, refused, error);
    lane->claim_lost = true;
}

static bool texts_ok(const redisReply *r, uint32_t count) {
    if (r->type != REDIS_REPLY_ARRAY || r->elements != count)
        return false;
    for (size_t i = 0; i < r->elements; i++)
        if (r->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

/* Tokens as calm.lua composed them. */
static void admit_texts(struct bundle *b, const redisReply *r) {
    struct lane *lane = b->lane;
    struct bundles *all = &lane->bundles;
    struct buf *token = &lane->worker->text_path;
    size_t bytes = 0;
    uint8_t n = all->awaited;
    all->awaited = 0;
    lane->longest = 0;
    for (size_t i = 0; i < r->elements; i++) {
        const redisReply *text = r->element[i];
        buf_reset(token);
        buf_add_u64(token, b->first + i);
        buf_addf(token, ".%sb", all->nonce);
        bytes += text->len;
        if (text->len > lane->longest)
            lane->longest = text->len;
        admit(lane, buf_span(token), (struct span){text->str, text->len}, n);
    }
    claim_admitted(lane, r->elements, bytes);
}

static void on_texts(void *arg, const redisReply *r, const char *error) {
    (void)error;
    struct bundle *b = arg;
    struct lane *lane = b->lane;
    struct bundles *all = &lane->bundles;
    lane->asides--;
    b->asked = false;
    if (all->awaited == 0 || &all->of[all->awaited] != b)
        return; /* the turn made no bundle, or is not answered yet */
    if (r == NULL) {
        no_texts(b, false, NULL);
    } else if (texts_ok(r, all->count)) {
        lane->claim_out = false;
        admit_texts(b, r);
    } else if (!b->asked_again) {
        b->asked_again = true; /* what was asked had come before the turn that made it */
        bundle_ask(lane, all->awaited);
    } else {
        all->off = true;
        no_texts(b, true, r->type == REDIS_REPLY_ERROR ? r->str : "the texts of a claim are not there");
    }
}

void bundle_ask(struct lane *lane, uint8_t n) {
    struct buf *cmd = &lane->worker->text_cmd;
    struct bundle *b = &lane->bundles.of[n];
    buf_reset(cmd);
    redis_resp_begin(cmd, 4);
    redis_resp_str(cmd, "LRANGE");
    bundle_key_write(n, &lane->keys, span_str(lane->keys.worker), cmd);
    redis_resp_str(cmd, "0");
    redis_resp_str(cmd, "-1");
    b->asked = true;
    lane->asides++;
    redis_router_send(lane->worker->redis, lane->keys.slot, buf_span(cmd), 0, on_texts, b);
}

bool bundle_answered(struct lane *lane, uint8_t n, const redisReply *claimed) {
    struct bundles *all = &lane->bundles;
    struct bundle *b = &all->of[n];
    if (claimed == NULL || claimed->elements < 4 || strcmp(claimed->element[0]->str, "BUNDLE") != 0 ||
        claimed->element[2]->len >= sizeof(all->nonce)) {
        become(b, claimed == NULL || strcmp(claimed->element[0]->str, "BUNDLE") != 0 ? BUNDLE_FREE
                                                                                     : BUNDLE_LOST);
        return false;
    }
    b->first = strtoull(claimed->element[1]->str, NULL, 10) + 1;
    all->count = b->size = b->claims = (uint32_t)strtoul(claimed->element[3]->str, NULL, 10);
    b->folded = true;
    memcpy(all->nonce, claimed->element[2]->str, claimed->element[2]->len + 1);
    all->awaited = n;
    become(b, BUNDLE_HELD);
    lane->claim_out = true;
    if (!b->asked)
        bundle_ask(lane, n);
    return true;
}

void bundle_unanswered(struct lane *lane, uint8_t n) {
    become(&lane->bundles.of[n], BUNDLE_LOST);
}

/* --- folded --- */

static bool all_folded(const struct lane *lane, const struct bundle_set *set) {
    for (size_t n = 1; n < BUNDLES; n++)
        if (bundle_set_has(set, (uint8_t)n) && !lane->bundles.of[n].folded)
            return false;
    return true;
}

bool bundles_end_folded(const struct lane *lane, const struct batch *settle) {
    return settle != NULL && settle->bundled == settle->count && all_folded(lane, &settle->of);
}

bool bundles_begin_folded(const struct lane *lane, const struct batch *begin) {
    if (begin == NULL || begin->count == 0 || !fold_may(begin) || !all_folded(lane, &begin->of))
        return false;
    uint32_t whole = 0;
    for (size_t n = 1; n < BUNDLES; n++)
        whole += bundle_set_has(&begin->of, (uint8_t)n) ? lane->bundles.of[n].size : 0;
    return whole == begin->count;
}

void bundles_unfolded(struct lane *lane) {
    for (size_t n = 1; n < BUNDLES; n++)
        lane->bundles.of[n].folded = false;
}

/* --- its end --- */

uint16_t bundle_which(const struct order *o) {
    if (o->bundle == 0)
        return 0;
    return (uint16_t)(strtoull(o->token, NULL, 10) - o->lane->bundles.of[o->bundle].first);
}

void bundle_left(struct order *o) {
    if (o->bundle == 0)
        return;
    struct bundle *b = &o->lane->bundles.of[o->bundle];
    o->bundle = 0;
    if (--b->claims == 0 && b->state == BUNDLE_HELD)
        become(b, BUNDLE_ENDED);
}

void bundle_lost(struct order *o) {
    if (o->bundle == 0)
        return;
    struct bundle *b = &o->lane->bundles.of[o->bundle];
    o->bundle = 0;
    b->claims--;
    become(b, BUNDLE_LOST);
}

static bool in_doubt(const struct batch *b) {
    return b != NULL && (b->sent || b->doubtful);
}

void bundles_tell(struct lane *lane, struct turn *turn) {
    struct bundles *all = &lane->bundles;
    turn->ended_lowest = UINT64_MAX;
    if (in_doubt(turn->settle) || in_doubt(turn->begin))
        return; /* it would take nothing away */
    for (size_t n = 1; all->in[BUNDLE_ENDED] > 0 && n < BUNDLES && turn->ended_n < ENDED_MAX; n++) {
        struct bundle *b = &all->of[n];
        if (b->state != BUNDLE_ENDED)
            continue;
        become(b, BUNDLE_TELLING);
        turn->ended[turn->ended_n++] = (uint8_t)n;
        if (b->first < turn->ended_lowest)
            turn->ended_lowest = b->first;
    }
}

void bundles_told(struct lane *lane, const struct turn *turn, bool answered) {
    for (size_t i = 0; i < turn->ended_n; i++)
        become(&lane->bundles.of[turn->ended[i]], answered ? BUNDLE_FREE : BUNDLE_ENDED);
}

/* A turn that was unanswered may run late, but not calmly once a later one has run. */
void bundles_look(struct lane *lane) {
    struct bundles *all = &lane->bundles;
    for (size_t n = 1; all->in[BUNDLE_LOST] > 0 && n < BUNDLES; n++) {
        struct bundle *b = &all->of[n];
        if (b->state == BUNDLE_LOST && b->claims == 0 && b->turn < lane->turn_answered)
            become(b, BUNDLE_LOOKING);
    }
}

void bundles_looked(struct lane *lane, bool nothing_else) {
    struct bundles *all = &lane->bundles;
    for (size_t n = 1; all->in[BUNDLE_LOOKING] > 0 && n < BUNDLES; n++)
        if (all->of[n].state == BUNDLE_LOOKING)
            become(&all->of[n], nothing_else ? BUNDLE_ENDED : BUNDLE_LOST);
}
