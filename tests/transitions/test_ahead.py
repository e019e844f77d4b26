"""Turns whose results and ledger entries go ahead of them, by commands of their own in one transaction with the script
(calm.lua, undo.lua): all of it happens once, or nothing does but that the ledger knows what is true."""

import pytest

from lib.scripts import HASH, Scripts

CREATED = f'C {HASH} 5 ["77"]'


@pytest.fixture
def q(shared_redis):
    scripts = Scripts(shared_redis)
    scripts.ahead = True
    scripts.limits(conc=1000)
    scripts.beat()
    scripts.settle(done(scripts.one("first", "first"), "first"))  # from now on turns are calm
    scripts.db.delete(scripts.key("results"))
    scripts.went_ahead.clear()
    yield scripts
    scripts.books()


def done(token, key="k", result="r"):
    return {"token": token, "op": "done:created", "key": key, "result": result, "ledger": CREATED}


def test_what_is_done_is_as_always(q):
    tokens = [q.one(f"job {i}", f"k{i}") for i in range(3)]
    assert q.settle(*[done(token, f"k{i}", f"r{i}") for i, token in enumerate(tokens)]) == ["OK"] * 3
    assert q.went_ahead == [True]
    assert q.list("results") == ["r2", "r1", "r0"] and q.stat("results") == q.stat("settled") == 4
    assert all(q.ledger(f"k{i}") == CREATED and q.db.pttl(q.order_key("shop", f"k{i}")) > 6e8 for i in range(3))
    assert q.hash("inflight:w") == q.hash("claims:w") == {} and q.gate().conc == 0


def test_results_of_others_stay_where_they_are(q):
    """One of its begins is not as simple as it seemed: nothing of it happens, then all of it, the usual way."""
    q.db.lpush(q.key("results"), "a", "b")
    token = q.one("job", "k")
    q.push("other")
    [(other, _)] = q.claim(1)
    q.db.set(q.order_key("shop", "taken"), CREATED)
    _, _, settled, begun, _ = q.turn(begin=[(other, "taken")], settle=[done(token)])
    assert q.went_ahead == [False]
    assert settled == ["O"] and begun[0] == "D"
    assert q.list("results") == ["r", "b", "a"] and q.stat("settled") == 2


def test_nobody_sees_what_is_taken_back(q):
    """Somebody waits for results, as consumers do."""
    token = q.one("job", "k")
    q.expire()
    q.recover()
    q.beat("w")
    waiting = q.db.client()
    waiting.connection.send_command("BRPOP", q.key("results"), 5)
    other = q.one("other", "k2")
    assert q.turn(settle=[done(token)], ahead="only") is None
    assert q.went_ahead == [False] and q.list("results") == []
    q.settle(done(other, "k2", "of the other"))
    assert waiting.connection.read_response() == [q.key("results").encode(), b"of the other"]


def test_a_script_that_is_not_there(q):
    """SCRIPT FLUSH by somebody else, or another server: the results do not stay without it."""
    token = q.one("job", "k")
    turn = q.texts["turn"]
    q.texts["turn"] = "return redis.error_reply('NOSCRIPT No matching script.')"
    assert q.turn(settle=[done(token)], ahead="only") is None
    assert q.list("results") == [] and token in q.hash("inflight:w")
    q.texts["turn"] = turn
    assert q.settle(done(token)) == ["OK"] and q.list("results") == ["r"]


def test_results_that_are_no_list(q):
    q.db.set(q.key("results"), "x")
    token = q.one("job", "k")
    assert q.settle(done(token)) == ["WRONGTYPE"]
    assert q.went_ahead == [False] and q.db.get(q.key("results")) == b"x" and q.hash("inflight:w")
    q.db.delete(q.key("results"))
    assert q.settle(done(token)) == ["OK"] and q.list("results") == ["r"]


def test_high_water_counts_them_once(q):
    token = q.one("job", "k")
    q.push("next")
    *_, claimed = q.turn(settle=[done(token)], claim=[1, 1 << 22, 2])
    assert claimed[0] == "OK" and len(claimed) == 5 and q.went_ahead == [True]
    token = claimed[1]
    q.settle({"token": f"{int(claimed[1]) + 1}.{claimed[2]}f", "op": "back"})


def test_a_late_turn_pushes_nothing(q):
    token = q.one("job", "k")
    late = q.turn_sent["w"] + 1
    assert q.settle(done(token), number=late + 1) == ["OK"]
    assert q.settle(done(token), number=late) == ["LOST"]
    assert q.went_ahead == [True, False] and q.list("results") == ["r"]


def test_where_it_was_no_transaction_the_results_of_others_stay(q):
    """A server that said MULTI and did not mean it: a consumer has taken some of what is to be taken away."""
    q.db.lpush(q.key("results"), "of another")
    q.call("undo", ["w", b"12345678", 2, "r0"])
    assert q.list("results") == ["of another"]
    q.db.lpush(q.key("results"), "r0", "r1")
    assert q.call("undo", ["w", b"12345678", 2, "r0"]) == 1
    assert q.list("results") == ["of another"]
