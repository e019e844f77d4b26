"""beat.lua, recover.lua, leave.lua: leases, what becomes of a dead worker's jobs, and going in peace."""

import pytest

from lib.scripts import FORMAT, HASH


def test_the_lease_is_by_redis_clock(q):
    q.beat("a", lease=5000)
    assert abs(q.zset("workers")["a"] - q.now() - 5000) < 1000


def test_what_a_beat_says_of_the_lease(q):
    assert q.beat("a", info='{"format":%d}' % FORMAT)[2] == "N"
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


def test_never_begun_goes_back_to_the_head_in_order(q):
    q.push("a", "b", "c", "d")
    q.claim(3)
    q.expire()
    assert q.recover() == ["OK", "0", "3", "0"]
    assert q.jobs() == ["a", "b", "c", "d"]
    assert q.stat("taken") == 0 and "w" not in q.zset("workers")


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


def test_a_big_dead_worker_is_recovered_in_pieces(q):
    q.push(*[f"j{n}" for n in range(500)])
    tokens = [t for t, _ in q.claim(500)]
    q.begin(*[(t, f"k{n}") for n, t in enumerate(tokens[:128])])
    q.begin(*[(t, f"k{n + 128}") for n, t in enumerate(tokens[128:256])])
    q.expire()
    seen = []
    while True:
        _, left, given, unknown = q.recover(most=100)
        seen.append((int(given), int(unknown)))
        assert int(given) <= 100 and int(unknown) <= 100
        q.books()
        if left == "0":
            break
    assert (sum(g for g, _ in seen), sum(u for _, u in seen)) == (244, 256)
    assert len(q.jobs()) == 244 and len(q.hash("parked")) == 256
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
    q.push("known", "stranger")
    (known, _), (stranger, _) = q.claim(2)
    q.begin((known, "k1"), (stranger, "k2"))
    reply = q.call("recover", ["w", 0, stranger], "w", [q.order_key("shop", "k2")])
    assert reply == ["OK", "2", "0", "1"]
    assert q.ledger("k2").startswith(f"L {HASH} ") and q.ledger("k1").startswith(f"S {HASH} ")
    assert q.beat()[2] == "K"
    assert q.settle({"token": stranger, "op": "done"}, {"token": known, "op": "done"}) == ["LOST", "OK"]
    q.books()


def test_a_beat_between_the_pieces_ends_the_recovery(q):
    q.push(*[f"j{n}" for n in range(20)])
    tokens = [t for t, _ in q.claim(20)]
    q.begin(*[(t, f"k{n}") for n, t in enumerate(tokens)])
    q.expire()
    q.recover(most=5)
    assert q.beat()[2] == "N", "a worker that was recovered in part is told so"
    assert q.recover() == ["ALIVE"]
    replies = q.settle(*[{"token": t, "op": "done", "result": t} for t in tokens])
    assert sorted(replies) == ["LOST"] * 5 + ["OK"] * 15


def test_the_probe_of_a_dead_worker_is_free_again(q):
    token = q.one()
    q.settle({"token": token, "op": "wait", "body": "N {}", "ledger": "D", "key": "k", "effect": "h"})
    q.age(40000)
    [(token, _)] = q.claim()
    assert q.begin((token, "k")) == ["G"]
    assert q.gate().probe == token
    q.expire()
    q.recover()
    assert q.gate().probe == "-" and q.gate().till <= q.now()


def test_out_of_memory_recovery_goes_on(q):
    q.one()
    q.expire()
    q.db.config_set("maxmemory", 1)
    assert q.recover() == ["OK", "0", "0", "1"]


def test_leaving(q):
    q.push("a")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    assert q.leave() == "OK"
    assert q.jobs() == ["a"] and q.zset("workers") == {}


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
