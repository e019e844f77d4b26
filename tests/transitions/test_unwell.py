"""The set `unwell`: accounts with failures, or that something holds up. While it is empty, a calm turn does not look at the
gates of what ends, nor of accounts without limits (calm.lua); so whoever writes a gate says so there."""

import pytest
import redis

from lib.scripts import HASH, Scripts

CREATED = f'C {HASH} 5 ["77"]'


@pytest.fixture(params=["whole", "calm", "ahead"])
def q(shared_redis, request):
    scripts = Scripts(shared_redis)
    scripts.calm, scripts.ahead = request.param != "whole", request.param == "ahead"
    scripts.limits(failures=2)
    scripts.beat()
    scripts.settle(done(scripts.one("first", "first"), "first"))
    yield scripts
    scripts.books()


def done(token, key="k", effect="s"):
    return {"token": token, "op": "done:created", "key": key, "result": "r", "ledger": CREATED, "effect": effect}


def failed(token, effect="f"):
    return {"token": token, "op": "retry", "due": 60000, "body": "N {}", "effect": effect}


def one_of(q, text, key, account):
    q.push(text)
    [(token, _)] = q.claim(1)
    assert q.begin((token, key, account)) == ["G"]
    return token


def unwell(q):
    return {m.decode() for m in q.db.smembers(q.key("unwell"))}


def test_one_with_a_failure_until_an_order_is_created(q):
    one, two, three = (q.one(f"job {k}", k) for k in "abc")
    q.settle(failed(one))
    assert unwell(q) == {"shop"} and q.gate().fails == 1
    q.settle(done(two, "b"))
    assert unwell(q) == set() and q.gate().fails == 0
    q.settle(failed(three))
    assert unwell(q) == {"shop"} and q.gate().mode == "n"


def test_failures_that_are_not_in_a_row_open_no_breaker(q):
    for i in range(6):
        token = q.one(f"job {i}", f"k{i}")
        q.settle(failed(token) if i % 2 else done(token, f"k{i}"))
    assert q.gate().mode == "n" and q.gate().fails == 1


@pytest.mark.parametrize("effect, mode", [("h", "h"), ("p:50000", "p")])
def test_one_that_is_held_up_until_it_is_not(q, effect, mode):
    q.limits("other", conc=5)
    q.settle(failed(q.one("job", "k"), effect))
    assert unwell(q) == {"shop"} and q.gate().mode == mode
    other = one_of(q, "of another", "k2", "other")
    q.settle({**done(other, "k2"), "account": "other"})
    assert unwell(q) == {"shop"}
    q.age(100000)
    token = q.one("probe", "k3")
    q.settle(done(token, "k3"))
    assert unwell(q) == set() and q.gate().mode == "n"


def test_orders_of_an_account_without_limits_wait_while_it_is_held(q):
    """Its gate is looked at though it has no limits."""
    q.settle(failed(q.one("job", "k"), "h"))
    q.push("another")
    [(token, _)] = q.claim()
    assert q.begin((token, "k2"))[0][0] == "W"


def test_recovery_frees_a_probe_of_one(q):
    q.limits(conc=5)
    q.settle(failed(q.one("job", "k"), "h"))
    q.age(100000)
    q.one("probe", "k3")
    q.expire()
    q.recover()
    assert unwell(q) == {"shop"} and q.gate().probe == "-"
    q.beat()


def test_new_credentials(q):
    q.settle(failed(q.one("job", "k"), "h"))
    assert q.call("reopen", ["shop"]) == 1
    assert unwell(q) == {"shop"} and q.gate().mode == "h"
    q.db.srem(q.key("unwell"), "shop")
    q.call("reopen", ["shop"])
    assert unwell(q) == {"shop"}
    q.set_gate(mode="n", till=0, cool=0, probe="-")
    q.db.sadd(q.key("unwell"), "shop")
    q.call("reopen", ["shop"])
    assert unwell(q) == set()


def test_a_recovery_says_that_one_is_well(q):
    q.limits(conc=5)
    q.one("job", "k")
    q.db.sadd(q.key("unwell"), "shop")
    q.expire()
    q.recover()
    assert unwell(q) == set()
    q.beat()


def test_a_worker_that_tells_its_limits_puts_it_right(q):
    """What an older version has left, or of an account that had been taken out of the configuration."""
    q.limits("sick", failures=5)
    q.settle({**failed(one_of(q, "job", "k", "sick")), "account": "sick"})
    q.settle(failed(q.one("another", "k2")))
    q.db.delete(q.key("unwell"))
    q.db.sadd(q.key("unwell"), "well", "of another configuration")
    text = "0 1 0 5 30000 60000 0 604800000"
    version = q.call("limits", ["sick", text, "well", text])
    assert version and unwell(q) == {"sick", "of another configuration"}
    q.call("limits", ["shop", "0 1 0 2 30000 60000 0 604800000"])
    assert unwell(q) == {"sick", "shop", "of another configuration"}


@pytest.mark.parametrize("script, args", [("limits", ["shop", "0 1 1 2 30000 60000 0 5"]), ("recover", ["w", 100]), ("reopen", ["shop"]), ("turn", None)])
def test_a_key_of_the_wrong_type(q, script, args):
    token = q.one("job", "k")
    q.db.set(q.key("unwell"), "x")
    q.expire()
    before = q.dump()
    if script == "turn":
        q.beat()
        q.calm = False
        before = q.dump()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        q.settle(failed(token)) if script == "turn" else q.call(script, args)
    assert q.dump() == before
    q.db.delete(q.key("unwell"))
