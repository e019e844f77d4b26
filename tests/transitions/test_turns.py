"""What scripts tell the worker beside their answers: when to look again, and what turned an account."""

from lib.scripts import HASH, packed_limits


def settle_reply(q, token, effect, key="k", jitter=0):
    """The whole reply to one settlement: its answer, now, when to look again, then what was turned."""
    job = {"token": token, "op": "retry", "effect": effect, "key": key, "ledger": "D", "due": 60000, "body": 'N {"n":1}'}
    now, due, settled, _, _ = q.turn(settle=[job], jitter=jitter)
    return [settled[0], now, due, *settled[1:]]


def begin_reply(q, token, key):
    """The answer to one begin (letter and text), now, and when to look again."""
    now, due, _, begun, _ = q.turn(begin=[(token, key)])
    return "".join(begun), now, due


def test_begin_says_when_the_token_of_a_job_that_waits_is_due(q):
    q.limits(rate=2, burst=1)
    q.one(key="a")
    q.push("second")
    [(token, _)] = q.claim(1)
    answer, now, due = begin_reply(q, token, "b")
    assert answer == "Wr" and 0 < int(due) - int(now) <= 501


def test_a_settlement_that_frees_a_slot_says_that_somebody_may_go(q):
    q.limits(conc=1)
    first = q.one(key="a")
    q.push("second")
    [(token, _)] = q.claim(1)
    assert begin_reply(q, token, "b")[0::2] == ("Wc", "-1")
    assert settle_reply(q, first, "s", "a")[2] == "0"


def test_a_breaker_that_opens_and_closes_is_told_once(q):
    q.limits(failures=2, cooldown=1000)
    one, two, three = (q.one(key=k) for k in "abc")
    assert settle_reply(q, one, "f", "a")[3:] == []
    assert settle_reply(q, two, "t", "b")[3:] == ["breaker_opened", "shop", "1000"]
    assert settle_reply(q, three, "f", "c")[3:] == []
    q.set_gate(till=0)
    probe = q.one(key="p")
    assert settle_reply(q, probe, "s", "p")[3:5] == ["breaker_closed", "shop"]
    assert (q.stat("breaker_opened"), q.stat("breaker_closed")) == (1, 1)


def test_one_batch_that_turns_it_twice_is_told_by_its_end(q):
    q.limits(failures=1, cooldown=1000)
    one, two = q.one(key="a"), q.one(key="b")
    q.settle({"token": one, "op": "done", "effect": "f", "key": "a"}, {"token": two, "op": "done", "effect": "h", "key": "b"})
    assert q.gate().mode == "h" and (q.stat("breaker_opened"), q.stat("account_held")) == (0, 1)


def test_holds_and_pauses_are_told(q):
    one, two = q.one(key="a"), q.one(key="b")
    assert settle_reply(q, one, "p5000", "a")[3:] == ["account_paused", "shop", "5000"]
    assert settle_reply(q, two, "h", "b")[3:] == ["account_held", "shop", "30000 0 -"]


def limits(q, *pairs):
    return q.call("limits", list(pairs))


def test_only_limits_that_changed_wake_those_who_wait(q):
    q.limits(rate=2, burst=1)
    text = q.db.hget(q.key("limits"), "shop")
    q.db.zadd(q.key("gates"), {"shop": q.now() + 60000, "other": q.now() + 60000})
    version = limits(q, "shop", text)
    assert version == limits(q, "shop", text) == q.hash("stats")["limits"]
    assert q.zset("gates")["shop"] > q.now()
    assert limits(q, "shop", text, "other", "changed") != version
    assert q.zset("gates")["shop"] > q.now() and q.zset("gates")["other"] == 0
    assert q.hash("limits")["other"] == "changed"
    q.db.delete(q.key("gates"))
    limits(q, "new", packed_limits())
    assert q.zset("gates") == {}  # nobody waits


def test_an_account_that_loses_its_rate_keeps_a_readable_gate(q):
    q.limits(rate=2, burst=5, conc=9)
    q.one(key="a")
    q.set_gate(tokens=0.00001234)
    q.limits(conc=9)
    token = q.one(key="b")
    assert q.gate().conc == 2
    q.settle({"token": token, "op": "done", "key": "b"})
    assert q.gate().conc == 1


def test_a_quarter_of_a_claim_is_for_fresh_jobs(q):
    for n in range(1, 21):
        q.db.hset(q.key("parked"), n, f"0N{n} \nold")
        q.db.zadd(q.key("waiting"), {f"shop {n:016}": 0})
    q.db.zadd(q.key("gates"), {"shop": 1})
    q.db.hset(q.key("stats"), mapping={"taken": 20, "seq": 20})
    q.push(*["new"] * 10)
    assert [r.endswith("old") for _, r in q.claim(8)] == [True] * 6 + [False] * 2
    q.db.delete(q.key("jobs"))
    q.db.hincrby(q.key("stats"), "taken", 0)
    assert [r.endswith("old") for _, r in q.claim(8)] == [True] * 8
