"""beat.lua, recover.lua, leave.lua: leases, what becomes of a dead worker's jobs, and going in peace."""

import pytest
import redis

from lib.scripts import FORMAT, HASH


def info():
    return '{"format":%d}' % FORMAT


def test_the_lease_is_by_redis_clock(q):
    q.beat("a", lease=5000)
    assert abs(q.zset("workers")["a"] - q.now() - 5000) < 1000


def test_what_a_beat_says_of_the_lease(q):
    assert q.beat("a", info=info())[2] == "N"
    assert q.beat("a")[2] == "K"
    q.expire("a")
    assert q.beat("a")[2] == "E"
    q.expire("a")
    assert q.beat("b")[5:] == ["a"]
    q.recover("a")
    assert q.beat("a")[2] == "N"
    assert q.hash("workers:info") == {}


def test_a_beat_says_when_to_look_again(q):
    assert q.beat()[1] == "-1"
    q.push("a")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    assert q.beat()[1] == "0"
    token = q.claim()[0][0]
    q.settle({"token": token, "op": "retry", "due": 5000, "body": "N {}"})
    assert 0 < int(q.beat()[1]) - q.now() <= 5001


def test_a_living_worker_is_not_recovered(q):
    token = q.one()
    assert q.recover() == ["ALIVE"]
    assert q.settle({"token": token, "op": "done"}) == ["OK"]


def test_a_beat_says_how_much_the_worker_holds(q):
    q.push("a", "b", "c")
    (a, _), _ = q.claim(2)
    assert q.beat()[3] == "2"
    q.claim(1)
    q.begin((a, "k"))
    assert q.beat()[3] == "3"
    q.settle({"token": a, "op": "done"})
    assert q.beat()[3] == "2"


def test_what_is_held_is_told_oldest_first(q):
    q.push(*"abcdefghijkl")
    for _ in range(12):
        q.claim(1)
    assert q.call("held", [])[::2] == [str(n) for n in range(1, 13)], "10 behind 9"


@pytest.mark.parametrize("sizes", [(3,), (1, 2), (1, 1, 1)])
def test_never_begun_goes_back_to_the_head_in_order(q, sizes):
    q.push("a", "b", "c", "d")
    for n in sizes:
        q.claim(n)
    q.expire()
    assert q.recover() == ["OK", "0", "3", "0"]
    assert q.jobs() == ["a", "b", "c", "d"]
    assert q.stat("taken") == 0 and "w" not in q.zset("workers")
    assert not list(q.db.scan_iter(q.key("batch:*"))) and q.batches_of() == {}


def test_what_was_due_or_had_waited_is_due_again_in_order(q):
    """Records that were claimed out of `delayed` and out of a waiting list, and a fresh job, in one batch."""
    q.push("due", "waited")
    (due, _), (waited, _) = q.claim(2)
    q.settle({"token": due, "op": "retry", "due": 1, "body": 'N {"n":1}'}, {"token": waited, "op": "wait", "body": 'N {"n":2}'})
    q.db.zadd(q.key("delayed"), {"1": 0})
    q.push("fresh")
    assert [r for _, r in q.claim(8)] == ['0N {"n":1}\ndue', '0N2 {"n":2}\nwaited', "fresh"]
    q.expire()
    assert q.recover() == ["OK", "0", "3", "0"]
    assert q.jobs() == ["fresh"] and q.stat("taken") == 2
    q.beat()
    assert [r for _, r in q.claim(8)] == ['0N {"n":1}\ndue', '0N2 {"n":2}\nwaited', "fresh"]
    assert q.number("3.0") == 6, "and they have numbers of their own again"


def test_of_a_batch_only_what_has_not_ended(q):
    q.push("done", "sending", "held", "looked up", "back")
    done, sending, held, looked, back = [t for t, _ in q.claim(5)]
    q.db.set(q.order_key("shop", "kl"), f"L {HASH} 1")
    q.begin((done, "kd"), (sending, "ks"), (looked, "kl", "shop", "L"))
    q.settle({"token": done, "op": "done", "key": "kd", "ledger": f'C {HASH} 1 ["1"]'}, {"token": back, "op": "back", "account": ""})
    number = q.number(sending)
    q.expire()
    assert q.recover() == ["OK", "0", "2", "1"]
    assert q.jobs() == ["held", "back"]
    assert q.hash("parked") == {str(number): "1U \nsending", str(q.number(looked)): "1N \nlooked up"}
    assert q.ledger("ks").startswith(f"L {HASH} ") and q.ledger("kd").startswith("C ") and q.gate().conc == 0
    assert (q.stat("recovered"), q.stat("recovered_unknown")) == (2, 1)


def test_who_holds_nothing_is_struck_off(q):
    q.beat(info=info())
    q.expire()
    assert q.recover() == ["OK", "0", "0", "0"]
    assert q.zset("workers") == {} and q.hash("workers:info") == {}


def test_the_last_batch_strikes_off_and_no_batch_before(q):
    q.push("a", "b")
    q.claim(1)
    q.claim(1)
    q.expire()
    assert q.recover(most=1) == ["OK", "1", "1", "0"] and q.zset("workers") == {"w": 0}
    assert q.recover(most=1) == ["OK", "0", "1", "0"] and q.zset("workers") == {}


def test_what_begins_between_the_look_and_the_recovery_stays(q):
    """Its ledger key is not among the call's: the caller comes again."""
    q.push("a", "b")
    (a, _), _ = q.claim(2)
    q.begin((a, "k"))
    q.expire()
    assert q.call("recover", ["w", "1", ""], "w", batch=1) == ["OK", "1", "1", "0"]
    assert q.ledger("k") == f"S {HASH} w 1.0" and q.jobs() == ["b"] and q.gate().conc == 1 and "w" in q.zset("workers")
    q.books()
    assert q.recover() == ["OK", "0", "0", "1"] and q.ledger("k").startswith("L ")


def test_what_ended_between_the_look_and_the_recovery_stays_ended(q):
    q.push("a", "b")
    (a, _), _ = q.claim(2)
    q.begin((a, "k"))
    q.settle({"token": a, "op": "done", "key": "k", "ledger": "D"})
    q.expire()
    assert q.call("recover", ["w", "1", "", 0], "w", [q.order_key("shop", "k")], batch=1) == ["OK", "0", "1", "0"]
    assert q.jobs() == ["b"] and q.hash("parked") == {}


def test_who_waits_for_the_dead_workers_place_is_looked_at(q):
    q.limits(conc=1)
    q.push("sending", "waits")
    (a, _), (b, _) = q.claim(2)
    assert q.begin((a, "k1"), (b, "k2")) == ["G", "Wc"] and q.zset("gates") == {"shop": float("inf")}
    q.expire()
    q.recover()
    assert q.zset("gates")["shop"] <= q.now()


def test_the_ledger_of_another_claim_stays(q):
    q.one()
    q.db.set(q.order_key("shop", "k"), f"S {HASH} w 9.0")
    q.expire()
    assert q.recover() == ["OK", "0", "0", "1"] and q.ledger("k") == f"S {HASH} w 9.0"


@pytest.mark.parametrize("entry", [f'C {HASH} 1 ["1"]', f"U {HASH} 1 d", f"S {HASH} v 1.0", f"S {HASH} w 1.00", "S", ""])
def test_only_this_claims_sending_becomes_looked_up(q, entry):
    q.one()
    q.db.set(q.order_key("shop", "k"), entry)
    q.expire()
    q.recover()
    assert q.ledger("k") == entry


def test_a_text_that_somebody_took_away(q):
    """The books say that it is missing; the account's place and the ledger are put right all the same."""
    q.unbalanced = True
    q.push("a", "b")
    (a, _), _ = q.claim(2)
    q.begin((a, "k"))
    q.db.delete(q.key("batch:w:1"))
    q.expire()
    assert q.recover() == ["OK", "0", "0", "0"]
    assert q.gate().conc == 0 and q.ledger("k").startswith("L ") and q.zset("workers") == {} and q.batches_of() == {}


def test_a_batch_of_the_wrong_type(q):
    q.unbalanced = True
    q.push("a")
    q.claim()
    q.db.delete(q.key("batch:w:1"))
    q.db.set(q.key("batch:w:1"), "x")
    q.expire()
    before = q.dump()
    with pytest.raises(redis.ResponseError, match=r"batch:w:1 holds a string where dray keeps a list; nothing was done"):
        q.recover()
    assert q.dump() == before


def test_begun_becomes_unknown_and_burns_a_recovery(q):
    q.one()
    for recovery in (1, 2, 3):
        q.expire()
        assert q.recover() == ["OK", "0", "0", "1"]
        assert q.ledger("k").startswith(f"L {HASH} ")
        assert q.gate().conc == 0
        q.beat()
        [(token, record)] = q.claim()
        assert record == f"{recovery}U \njob"
        q.db.delete(q.order_key("shop", "k"))
        q.begin((token, "k"))


def test_a_look_up_keeps_its_kind_and_burns_a_recovery(q):
    token = q.one()
    q.settle({"token": token, "op": "retry", "body": 'R {"n":1}', "ledger": f"L {HASH} 1", "key": "k"})
    [(token, _)] = q.claim()
    q.begin((token, "k", "shop", "L"))
    q.expire()
    assert q.recover() == ["OK", "0", "1", "0"]
    q.beat()
    assert [r for _, r in q.claim()] == ['1R {"n":1}\njob']
    assert q.ledger("k") == f"L {HASH} 1"


def test_a_big_dead_worker_is_recovered_batch_by_batch(q):
    q.push(*[f"j{n}" for n in range(500)])
    tokens = [t for _ in range(5) for t, _ in q.claim(100)]
    q.begin(*[(t, f"k{n}") for n, t in enumerate(tokens[:128])])
    q.begin(*[(t, f"k{n + 128}") for n, t in enumerate(tokens[128:256])])
    q.expire()
    seen = []
    while True:
        _, left, given, unknown = q.recover(most=1)
        seen.append((int(given), int(unknown)))
        q.books()
        if left == "0":
            break
    assert seen == [(100, 0), (100, 0), (44, 56), (0, 100), (0, 100)]
    assert q.jobs() == [f"j{n}" for n in range(256, 500)] and len(q.hash("parked")) == 256
    assert "w" not in q.zset("workers")


def test_recovering_twice_is_harmless(q):
    q.one()
    q.push("b")
    q.claim()
    q.expire()
    q.recover()
    assert q.recover() == ["OK", "0", "0", "0"]
    assert q.jobs() == ["b"] and len(q.hash("parked")) == 1


def test_a_living_worker_gives_up_begun_claims_that_it_does_not_know(q):
    """What Redis forgot the settlement of: they become unknown; the worker stays, and so does its other claim."""
    q.push("known", "stranger", "held")
    (known, _), (stranger, _), _ = q.claim(3)
    q.begin((known, "k1"), (stranger, "k2"))
    reply = q.call("recover", ["w", "1", "1", 1], "w", [q.order_key("shop", "k2")], batch=1)
    assert reply == ["OK", "1", "0", "1"] and q.batches_of()[1].letters == "P.-"
    assert q.ledger("k2").startswith(f"L {HASH} ") and q.ledger("k1").startswith(f"S {HASH} ")
    assert q.beat()[2] == "K"
    assert q.settle({"token": stranger, "op": "done"}, {"token": known, "op": "done"}) == ["LOST", "OK"]
    q.books()


def test_a_living_worker_that_gives_up_its_last_claim_stays(q):
    q.one()
    assert q.call("recover", ["w", "1", "1", 0], "w", [q.order_key("shop", "k")], batch=1) == ["OK", "0", "0", "1"]
    assert "w" in q.zset("workers") and q.beat()[2:4] == ["K", "0"]


def test_a_beat_between_the_batches_ends_the_recovery(q):
    q.push(*[f"j{n}" for n in range(20)])
    tokens = [t for _ in range(4) for t, _ in q.claim(5)]
    q.begin(*[(t, f"k{n}") for n, t in enumerate(tokens)])
    q.expire()
    q.recover(most=1)
    assert q.beat()[2] == "N", "a worker that was recovered in part is told so"
    assert q.recover() == ["ALIVE"]
    replies = q.settle(*[{"token": t, "op": "done", "result": t} for t in tokens])
    assert replies == ["OK"] * 15 + ["LOST"] * 5


def test_the_probe_of_a_dead_worker_is_free_again(q):
    token = q.one()
    q.settle({"token": token, "op": "wait", "body": "N {}", "ledger": "D", "key": "k", "effect": "h"})
    q.age(40000)
    [(token, _)] = q.claim()
    assert q.begin((token, "k")) == ["G"]
    assert q.gate().probe == str(q.number(token))
    q.expire()
    q.recover()
    assert q.gate().probe == "-" and q.gate().till <= q.now()


def test_another_workers_probe_stays(q):
    token = q.one()
    q.set_gate(mode="h", till=q.now() + 60000, probe=str(q.number(token) + 1))
    q.expire()
    q.recover()
    assert q.gate().probe == str(q.number(token) + 1)


def test_out_of_memory_recovery_goes_on(q):
    q.one()
    q.expire()
    q.db.config_set("maxmemory", 1)
    assert q.recover() == ["OK", "0", "0", "1"]


def test_leaving(q):
    q.beat(info=info())
    q.push("a")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    assert q.leave() == "OK"
    assert q.jobs() == ["a"] and q.zset("workers") == {} and q.hash("workers:info") == {}


def test_who_holds_jobs_does_not_leave(q):
    token = q.one()
    assert q.leave() == "HOLDS"
    assert "w" in q.zset("workers")
    q.settle({"token": token, "op": "done"})
    assert q.leave() == "OK"


@pytest.mark.parametrize("name", ["reopen"])
def test_new_credentials_let_one_probe_go(q, name):
    token = q.one()
    q.settle({"token": token, "op": "wait", "body": "N {}", "ledger": "D", "key": "k", "effect": "h"})
    assert q.claim() == []
    assert q.call(name, ["shop", "never-seen"]) == 1
    assert len(q.claim()) == 1
