"""Accounts without limits, whose requests do not fail: nothing is stored of them, nothing is written for them. And
whose limits count: the worker's, or those that Redis holds."""

from lib.scripts import HASH, packed_limits


def settle(q, token, key="k", effect="s", **more):
    return q.settle({"token": token, "op": "done", "effect": effect, "key": key, "ledger": f"C {HASH} 1 []", **more})


def test_nothing_is_stored_of_an_open_gate(q):
    q.limits()
    token = q.one()
    assert q.begun() == {token: "pshop:k"}
    assert q.db.exists(q.key("accounts")) == 0
    assert settle(q, token) == ["OK"]
    assert q.db.exists(q.key("accounts")) == 0


def test_failures_are_kept_and_forgotten(q):
    q.limits(failures=3)
    settle(q, q.one(key="a"), "a", "f")
    settle(q, q.one(key="b"), "b", "t")
    assert q.gate().fails == 2
    settle(q, q.one(key="c"), "c", "s")
    assert q.gate().fails == 0 and q.gate().mode == "n"


def test_accounts_that_share_limits_do_not_share_failures(q):
    for account in ("shop", "other", "third"):
        q.limits(account, failures=1, cooldown=60000)
    q.push("a", "b", "c")
    (a, _), (b, _), (c, _) = q.claim()
    accounts = ("shop", "other", "third")
    assert q.begin((a, "ka", "shop"), (b, "kb", "other"), (c, "kc", "third")) == ["G"] * 3
    effects = {"shop": "s", "other": "f", "third": "s"}
    q.settle(*[{"token": t, "op": "done", "account": name, "effect": effects[name], "key": f"k{t}"}
               for t, name in zip((a, b, c), accounts)])
    assert [q.gate(name).mode for name in accounts] == ["n", "b", "n"]
    assert list(q.hash("accounts")) == ["other"]


def test_a_limit_counts_from_when_it_is_set(q):
    q.limits()
    before = q.one("a", "a")
    q.limits(conc=1)
    counted = q.one("b", "b")
    assert q.gate().conc == 1
    assert settle(q, before, "a") == ["OK"]
    assert q.gate().conc == 1
    q.limits()
    assert settle(q, counted, "b") == ["OK"]
    assert q.gate().conc == 0


def test_recovery_knows_who_was_counted(q):
    q.limits()
    q.one("a", "a")
    q.limits(conc=9)
    q.one("b", "b")
    q.expire()
    assert q.recover() == ["OK", "0", "0", "2"]
    assert q.gate().conc == 0
    assert q.ledger("a").startswith("L ") and q.ledger("b").startswith("L ")


def test_limits_of_another_version_give_way_to_those_that_redis_holds(q):
    """Another worker, with another configuration, has told Redis later: its limits are in force for all."""
    q.limits(rate=0.001, burst=1)
    mine, version = q.db.hget(q.key("limits"), "shop"), q.hash("stats")["limits"]
    q.push("a", "b", "c")
    (a, _), (b, _), (c, _) = q.claim()
    assert q.begin((a, "ka"), told=mine, version=version) == ["G"]
    assert q.begin((b, "kb"), told=mine, version=version) == ["Wr"]
    q.limits()
    assert q.begin((c, "kc"), told=mine, version=version) == ["Wq"]  # behind the other
    q.db.delete(q.key("gates"))
    [token] = [t for t, _ in claim_one(q)]
    assert q.begin((token, "kd"), told=mine, version=version) == ["G"]


def claim_one(q):
    q.push("d")
    return q.claim(1)


def test_limits_of_the_same_version_are_the_workers(q):
    """Redis is not asked for them: that is what they are told for."""
    q.limits()
    version = q.hash("stats")["limits"]
    q.push("a")
    [(token, _)] = q.claim()
    assert q.begin((token, "k"), told=packed_limits(rate=0.001, conc=5, ttl=1000), version=version) == ["G"]
    assert q.gate().conc == 1 and q.begun() == {token: "Pshop:k"}


def test_many_gates_are_kept_as_a_table(q):
    """Redis keeps up to 512 short values as a list: each look at a gate would be a walk."""
    for n in range(20):
        q.limits(f"shop-{n}", conc=5)
    q.push(*[f"j{n}" for n in range(20)])
    tokens = [t for t, _ in q.claim(20)]
    assert q.begin(*[(t, f"k{n}", f"shop-{n}") for n, t in enumerate(tokens)]) == ["G"] * 20
    assert q.db.object("encoding", q.key("accounts")) in (b"listpack", b"ziplist")
    before = q.db.hgetall(q.key("accounts"))
    q.beat()
    assert q.db.object("encoding", q.key("accounts")) == b"hashtable"
    assert q.db.hgetall(q.key("accounts")) == before


def status_of(q):
    """A queue at a glance: its sizes and counters, and the requests under way of each account."""
    reply = q.call("status", ["w"], more=[q.key("inflight:w"), q.key("claims:w")])
    sizes, accounts = reply[1], reply[2]
    return dict(zip(sizes[::2], sizes[1::2])), {a: int(state.split()[2]) for a, state in zip(accounts[::5], accounts[1::5])}


def test_status_counts_what_is_under_way_of_every_account(q):
    q.limits()
    q.limits("other", conc=5)
    q.push("a", "b", "c")
    (a, _), (b, _), _ = q.claim()
    assert q.begin((a, "ka"), (b, "kb", "other")) == ["G"] * 2
    counters, under_way = status_of(q)
    assert under_way == {"shop": 1, "other": 1}
    assert counters["taken"] == "3" and not [name for name in counters if name == "limits" or name.startswith("turn:")]
