"""claim.lua: what is taken, in which order, how much, and what is left alone."""

import pytest
import redis

from lib.scripts import Batch


def texts(claims):
    return [record for _, record in claims]


def test_jobs_come_in_the_order_they_were_pushed(q):
    q.push(*[f"j{n}" for n in range(100)])
    assert texts(q.claim(60)) + texts(q.claim(60)) == [f"j{n}" for n in range(100)]
    assert q.stat("taken") == 100


def test_a_claim_is_in_the_in_flight_set_as_it_was_pushed(q):
    text = b'{"a": "\xff\x00\n"}'
    q.push(text)
    [(token, _)] = q.claim()
    assert token == "1.0" and q.db.lrange(q.key("batch:w:1"), 0, -1) == [text]
    assert q.batches_of() == {1: Batch(1, 1, 0, 0, 1, "-", {})}


def test_no_two_claims_share_a_token_even_if_the_numbers_are_set_back(q):
    """An asynchronous failover loses the last writes, the counter's too, while workers live on."""
    q.push("a", "b")
    [(one, _)] = q.claim(1)
    q.db.hset(q.key("stats"), "seq", 0)
    [(two, _)] = q.claim(1)
    assert one != two
    assert q.number(one) == q.number(two) == 1


def test_numbers_start_above_all_in_use_when_the_counter_was_deleted(q):
    token = q.one()
    q.settle({"token": token, "op": "retry", "due": 60000, "body": 'N {"n":1}'})
    q.db.delete(q.key("stats"))
    q.push("new")
    [(token, _)] = q.claim()
    assert q.number(token) > 1e11
    q.settle({"token": token, "op": "retry", "due": 60000, "body": 'N {"n":1}'})
    assert len(q.hash("parked")) == 2
    q.db.hincrby(q.key("stats"), "taken", 1)  # the one that the deletion forgot


def test_without_a_lease_nothing_is_taken(q):
    q.push("a")
    q.expire()
    assert (q.claim(), q.status) == ([], "LOST")
    assert (q.claim(worker="stranger"), q.status) == ([], "LOST")
    assert q.jobs() == ["a"]


def test_what_a_pick_up_took_comes_first(q):
    q.push("a", "b", "c")
    for _ in range(2):
        q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    assert texts(q.claim()) == ["a", "b", "c"]


def test_anyone_takes_what_a_dead_workers_pick_up_took(q):
    q.push("a")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    q.beat("other")
    assert texts(q.claim(worker="other")) == ["a"]


def test_n_0_gives_back_what_a_pick_up_took(q):
    q.push("a", "b", "c")
    for _ in range(2):
        q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    assert q.claim(0) == []
    assert q.jobs() == ["a", "b", "c"]


def test_returned_claims_then_due_ones_then_fresh(q):
    q.push("a", "b", "c", "d")
    claims = q.claim(3)
    for (token, _), key in zip(claims, "abc"):
        assert q.begin((token, key)) == ["G"]
    q.settle({"token": claims[0][0], "op": "retry", "due": 0, "body": "N {}", "ledger": "D", "key": "a"})
    q.settle({"token": claims[1][0], "op": "retry", "due": 10 ** 9, "body": "N {}", "ledger": "D", "key": "b"})
    q.expire()
    q.recover()  # c had begun
    q.beat()
    assert texts(q.claim()) == ["1U \nc", "0N {}\na", "d"]
    assert q.next > q.now() + 9e8


def test_the_bound_of_bytes(q):
    q.push(*["x" * 1000] * 100)
    assert len(q.claim(100, room=10_000)) == 6  # the half of the half of the half of the half: less is never far too little
    assert len(q.jobs()) == 94
    assert len(q.claim(100, room=1)) == 1
    q.db.delete(q.key("jobs"))
    q.push("y" * 100_000, "z")
    assert [r[:1] for r in texts(q.claim(100, room=10))] == ["y"]
    assert q.jobs() == ["z"]


def test_what_did_not_fit_keeps_its_order(q):
    q.push(*[f"{n:04}" for n in range(500)])
    got = []
    while len(got) < 500:
        got += texts(q.claim(512, room=150))
    assert got == [f"{n:04}" for n in range(500)]


def test_long_jobs_are_not_all_popped_at_once(q):
    """512 jobs of 256 KiB would be 128 MiB in one call; the bound lets a few of them through."""
    q.push(*["x" * 200_000] * 200)
    q.db.config_resetstat()
    assert len(q.claim(200, room=1 << 20)) == 3
    assert len(q.jobs()) == 197


@pytest.mark.parametrize("n", [1, 512])
def test_as_many_as_were_asked_for(q, n):
    q.push(*["x"] * 600)
    assert len(q.claim(n)) == n


def test_results_that_nobody_consumes_stop_the_queue(q):
    q.push("a")
    q.db.lpush(q.key("results"), "1", "2", "3")
    assert (q.claim(high=3), q.status) == ([], "FULL")
    assert q.next > q.now()
    q.db.rpop(q.key("results"))
    assert texts(q.claim(high=3)) == ["a"]


@pytest.mark.parametrize("pause", ["0 because", "0", "99999999999999 x", "by hand", ""])
def test_a_paused_queue(q, pause):
    q.db.hset(q.key("pauses"), "", pause)
    q.push("a", "b")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    assert (q.claim(), q.status) == ([], "PAUSED")
    assert q.jobs() == ["a", "b"]
    assert 0 < q.next - q.now() <= 1001
    q.db.hdel(q.key("pauses"), "")
    assert texts(q.claim()) == ["a", "b"]


def test_a_pause_ends_by_itself(q):
    q.db.hset(q.key("pauses"), "", f"{int(q.now()) - 1} over")
    q.push("a")
    assert texts(q.claim()) == ["a"]


@pytest.mark.parametrize("key,kind", [("jobs", "string"), ("delayed", "list"), ("parked", "list"), ("waiting", "hash"),
                                      ("gates", "list"), ("accounts", "list"), ("limits", "list"), ("pauses", "list"),
                                      ("stats", "list"), ("claims:w", "list"), ("taken", "hash"),
                                      ("results", "hash")])
def test_a_key_of_the_wrong_type_loses_nothing(q, key, kind):
    """Redis does not undo: a job popped before the error would be gone."""
    q.unbalanced = True
    q.push("fresh", "picked")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    q.db.hset(q.key("parked"), "5", "0N {}\ndelayed")
    q.db.hset(q.key("stats"), "seq", 5)
    q.db.zadd(q.key("delayed"), {"5": 5})
    q.db.zadd(q.key("gates"), {"shop": 5})
    q.db.delete(q.key(key))
    {"string": lambda: q.db.set(q.key(key), "x"), "list": lambda: q.db.lpush(q.key(key), "x"),
     "hash": lambda: q.db.hset(q.key(key), "x", "y")}[kind]()
    before = q.dump()
    with pytest.raises(redis.ResponseError) as error:
        q.claim(high=5)
    assert "WRONGTYPE" in str(error.value) and q.key(key) in str(error.value)
    assert q.dump() == before


def test_unreadable_limits_and_gates_do_not_lose_a_job(q):
    q.db.hset(q.key("limits"), "shop", "what is this")
    q.db.hset(q.key("accounts"), "shop", "nor this")
    q.db.hset(q.key("pauses"), "shop", "paused by hand")
    q.db.hset(q.key("parked"), "7", "0N7 {}\nwaits")
    q.db.zadd(q.key("waiting"), {"shop " + "7".zfill(16): 0})
    q.db.zadd(q.key("gates"), {"shop": 1})
    q.db.hset(q.key("stats"), mapping={"taken": 1, "seq": 7})
    q.push("a")
    assert texts(q.claim()) == ["a"]
    q.db.hdel(q.key("pauses"), "shop")
    q.db.zadd(q.key("gates"), {"shop": 1})
    assert texts(q.claim()) == ["0N7 {}\nwaits"]
