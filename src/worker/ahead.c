/* Turns that go ahead: a calm turn's results and ledger entries are written by plain commands in one transaction with
 * turn.lua, and so need not pass through Lua, which costs Redis more than all else that it does for them.
 *
 * So are the ledger entries of whole bundles that begin.
 *
 * Happy path: MULTI, LPUSH, PSETEX …, MSETNX, EVALSHA turn, EVAL undo, EXEC; the turn is as calm as it seemed, ends the claims
 * and begins the others.
 * Failure modes: it is not so calm, or its script is not there: undo.lua takes results and begins' entries away again before anybody can
 * have seen them, and the turn is sent as any other; some turns after it are, too. The script fails half-way: the results
 * stay, and the batch is sent again without them. EXEC is refused (no memory, a replica): nothing was done, and the turn is
 * sent as any other. No answer: as of any turn, the batches are sent again, and the script looks at each claim. A server,
 * or a proxy, that takes no transactions: no turn goes ahead; it is asked by an empty one on each new connection. In a
 * cluster none does, since each command might be redirected by itself. Nor do small turns: a transaction costs Redis as
 * much as it saves it with eight orders that end, or twelve that begin. */
#include "worker/worker.h"

#define NOT_SO_CALM 32 /* turns that go the usual way after one that was not calm */

static void on_asked(void *arg, const redisReply *reply, const char *error) {
    struct lane *lane = arg;
    (void)error;
    lane->asides--;
    lane->may_exec = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 0;
}

void lane_ask_exec(struct lane *lane) {
    static const char empty[] = "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n";
    struct worker *w = lane->worker;
    lane->may_exec = false;
    if (w->ahead_least > BATCH_ITEMS || !queue_may_exec(w->caller))
        return;
    lane->asides++;
    redis_router_send_group(w->redis, SPAN_LIT(empty), 1, on_asked, lane);
}

void turn_go_ahead(struct lane *lane, struct turn *turn) {
    const struct worker *w = lane->worker;
    bool begins_folded = bundles_begin_folded(lane, turn->begin);
    bool many = (turn->settle != NULL && turn->settle->count >= w->ahead_least) ||
                (begins_folded && turn->begin->count >= w->ahead_begins);
    if (!many || !lane->may_exec || !queue_may_exec(w->caller))
        return;
    if (lane->ahead_not > 0) {
        lane->ahead_not--;
        return;
    }
    turn->ahead = turn_may_go_ahead(turn);
    turn->ends_folded = turn->ahead && bundles_end_folded(lane, turn->settle);
    turn->begins_folded = turn->ahead && begins_folded;
}

enum turn_ahead ahead_answered(struct lane *lane, const struct turn *turn, const redisReply **reply,
                               const char **error) {
    enum turn_ahead what = turn_read_ahead(reply);
    if (what == TURN_RAN)
        return what;
    lane->ahead_not = NOT_SO_CALM;
    if (what == TURN_AGAIN)
        return what;
    if (what == TURN_PUSHED && turn->settle != NULL)
        batch_results_pushed(turn->settle);
    if (*reply != NULL && (*reply)->type == REDIS_REPLY_ERROR)
        *error = (*reply)->str;
    else
        *reply = NULL;
    return what;
}
