"""Whole folded bundles that begin in a turn that goes ahead: their ledger entries are written by one MSETNX before the script
runs, and neither they nor folded claims that end are named to it (calm.lua, undo.lua)."""

import pytest

from lib.scripts import HASH, Scripts

CREATED = f'C {HASH} 5 ["77"]'
ROOM = 1 << 22
JOBS = [f"job {i}" for i in range(5)]


@pytest.fixture(params=[0, 1000], ids=["plain", "counted"])
def q(shared_redis, request):
    scripts = Scripts(shared_redis)
    scripts.ahead = True
    scripts.limits(rate=1000, burst=1000, conc=request.param)
    scripts.counts = request.param > 0
    scripts.beat()
    scripts.settle({**done(scripts.one("first", "first")), "key": "first"})  # from now on turns are calm
    scripts.db.delete(scripts.key("results"))
    scripts.went_ahead.clear()
    yield scripts
    scripts.books()
    for key in scripts.db.scan_iter(scripts.order_key("*", "*")):  # who says sending holds the claim
        kind, _, *holder = scripts.db.get(key).decode().split(" ")
        assert kind != "S" or holder[1] in scripts.hash(f"claims:{holder[0]}"), (key, holder)


def done(token, result="r"):
    return {"token": token, "op": "done:created", "key": f"k{token}", "result": result, "ledger": CREATED}


def filled(q, bundle, jobs=JOBS):
    q.push(*jobs)
    *_, claimed = q.turn(claim=[len(jobs), ROOM, 0], bundle=bundle)
    assert claimed[0] == "BUNDLE"
    return [token for token, _ in q.claimed_of(claimed)]


def starts(tokens):
    return [(t, f"k{t}") for t in tokens]


def commands(q):
    """How often each command has run, those of scripts included."""
    return {name[8:]: row["calls"] for name, row in q.db.info("commandstats").items()}


@pytest.fixture
def running(q):
    """One bundle that has begun, one that is to begin."""
    ends = filled(q, 1)
    assert q.begin(*starts(ends)) == ["G"] * 5
    begins = filled(q, 2)
    q.went_ahead.clear()
    q.db.config_resetstat()
    return ends, begins


def test_it_ends_and_begins_as_always(q, running):
    ends, begins = running
    *_, settled, begun, _ = q.turn(settle=[done(t) for t in ends], begin=starts(begins))
    assert q.went_ahead == [True] and settled == ["OOOOO"] and begun == ["CCCCC" if q.counts else "GGGGG"]
    assert commands(q)["msetnx"] == 1 and "hdel" in commands(q)
    for t in begins:
        assert q.ledger(f"k{t}") == f"S {HASH} w {t}" and q.db.ttl(q.order_key("shop", f"k{t}")) == -1
    assert all(q.ledger(f"k{t}") == CREATED for t in ends)
    assert q.hash("claims:w") == {t: ("P" if q.counts else "p") + f"shop:k{t}" for t in begins}
    assert sorted(q.db.hkeys(q.key("inflight:w"))) == [b"folded"]
    assert q.settle(*map(done, begins)) == ["OK"] * 5 and q.hash("inflight:w") == {}


def test_two_bundles_at_once(q, running):
    ends, begins = running
    more = filled(q, 3, JOBS[:2])
    mixed = [x for pair in zip(begins, more) for x in pair] + begins[2:]
    *_, begun, _ = q.turn(settle=[done(t) for t in ends], begin=starts(mixed))
    assert q.went_ahead == [True] and set(begun[0]) <= {"C", "G"}
    assert set(q.hash("claims:w")) == set(mixed) and q.db.hkeys(q.key("inflight:w")) == [b"folded"]


@pytest.mark.parametrize("at", range(5))
def test_a_key_that_is_taken(q, running, at):
    """Nothing of it happens; then the rest does, the usual way. The entry stays as it is."""
    ends, begins = running
    q.db.set(q.order_key("shop", f"k{begins[at]}"), CREATED)
    assert q.turn(settle=[done(t) for t in ends], begin=starts(begins), ahead="only") is None
    assert q.list("results") == [] and set(q.hash("claims:w")) == set(ends)
    assert [q.ledger(f"k{t}") for t in begins] == [CREATED if i == at else None for i in range(5)]
    *_, settled, begun, _ = q.turn(settle=[done(t) for t in ends], begin=starts(begins))
    assert settled == ["OOOOO"] and begun[0][at] == "D" and begun[0].count("D") == 1
    assert q.ledger(f"k{begins[at]}") == CREATED
    assert q.settle({"token": begins[at], "op": "done:duplicate", "result": "r", "claim": "n"}) == ["OK"]


def trouble_no_script(q):
    q.texts["turn"] = "return redis.error_reply('NOSCRIPT No matching script.')"


TROUBLE = {
    "lease": lambda q: q.expire(),
    "script": trouble_no_script,
    "recovered": lambda q: q.db.hdel(q.key("stats"), "turn:w"),
    "waits": lambda q: q.db.hset(q.key("pauses"), "shop", "0 by hand"),
    "unwell": lambda q: q.set_gate(fails=1),
    "no tokens": lambda q: q.set_gate(tokens=2.5),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_where_it_is_not_calm_no_entry_is_left(q, running, trouble):
    ends, begins = running
    before = q.dump()
    TROUBLE[trouble](q)
    changed = q.dump()
    assert q.turn(settle=[done(t) for t in ends], begin=starts(begins), ahead="only") is None
    after = {k: v for k, v in q.dump().items() if k not in [q.order_key("shop", f"k{t}").encode() for t in ends]}
    assert all(q.ledger(f"k{t}") is None for t in begins)
    assert after == {k: v for k, v in changed.items() if k in after} and before.keys() == changed.keys() - {q.key("pauses").encode(), q.key("unwell").encode()}


def test_an_entry_of_another_is_not_taken_away(q):
    """Where the first key was taken, none was written; whatever the others say is not ours."""
    q.db.set(q.order_key("shop", "a"), f"S {HASH} w 5.1b")
    q.db.set(q.order_key("shop", "b"), f"S {HASH} v 6.1b")
    keys = b"\6\0shop:a\6\0shop:b"
    assert q.call("undo", ["w", b"12345678", 1, "r", f"S {HASH} w 7.1b", q.key("order:"), keys]) == 1
    assert q.ledger("a") and q.ledger("b")
    q.db.delete(q.order_key("shop", "a"), q.order_key("shop", "b"))


def test_what_is_folded_no_longer_is_named_after_all(q, running):
    """The worker did not hear of it: nothing happens, then all of it, by name."""
    ends, begins = running
    q.turn(claim=[0, ROOM, 0])  # gives back what was picked up, and is not calm
    assert not q.folded and b"folded" not in q.db.hkeys(q.key("inflight:w"))
    q.folded = {("w", 1), ("w", 2)}
    assert q.turn(settle=[done(t) for t in ends], ahead="only") is None
    assert q.turn(settle=[done(t) for t in ends], begin=starts(begins), ahead="only") is None
    assert q.list("results") == [] and set(q.hash("claims:w")) == set(ends) and not q.ledger(f"k{begins[0]}")
    *_, settled, begun, _ = q.turn(settle=[done(t) for t in ends], begin=starts(begins))
    assert settled == ["OOOOO"] and set(begun[0]) <= {"C", "G"} and set(q.hash("claims:w")) == set(begins)


def test_a_part_of_one_is_named(q, running):
    """Redis takes no part of a bundle for the whole, whatever the worker says; and tells of one that it had to unfold."""
    ends, begins = running
    may_fold, q.may_fold = q.may_fold, lambda *_: True
    assert q.turn(settle=[done(t) for t in ends], begin=starts(begins[:3]), ahead="only") is None
    assert set(q.hash("claims:w")) == set(ends) and not q.ledger(f"k{begins[0]}")
    q.may_fold, q.folded = may_fold, {("w", 1), ("w", 2)}
    q.turn(settle=[done(t) for t in ends], begin=starts(begins[:3]))
    assert q.went_ahead == [False, True] and not q.folded and set(q.hash("claims:w")) == set(begins[:3])


def test_one_that_has_ended_does_not_end_again(q, running):
    ends, _ = running
    assert q.settle(*[done(t) for t in ends[:2]]) == ["OK"] * 2
    assert q.turn(settle=[done(t) for t in ends[1:3]], ahead="only") is None
    assert q.went_ahead == [True, False] and q.stat("settled") == 3 and set(q.hash("claims:w")) == set(ends[2:])


def test_sent_twice_it_begins_once(q, running):
    """Its answer was lost: the worker asks for each claim."""
    ends, begins = running
    q.turn(settle=[done(t) for t in ends], begin=starts(begins))
    before = q.gate().conc
    assert q.begin(*starts(begins), again=True) == ["G"] * 5
    assert q.gate().conc == before and len(q.list("results")) == 5


def test_one_that_ends_beside_a_folded_one_is_named(q, running):
    ends, begins = running
    assert q.begin(*starts(begins[:2])) == ["G"] * 2  # in part: each has an entry of its own
    q.folded = {("w", 1), ("w", 2)}
    assert q.turn(settle=[done(ends[0]), done(begins[0])], ahead="only") is None
    assert q.list("results") == [] and set(q.hash("claims:w")) == {*ends, *begins[:2]}
    assert q.settle(done(ends[0]), done(begins[0])) == ["OK"] * 2 and set(q.hash("claims:w")) == {*ends[1:], begins[1]}


def test_counted_ones_and_others_are_named(q, running):
    _, begins = running
    token = q.one("another", "another")
    q.limits("other", conc=0 if q.counts else 5)
    jobs = [(t, f"k{t}", "other" if i == 2 else "shop") for i, t in enumerate(begins)]
    q.may_fold = lambda *_: True
    assert q.turn(settle=[{**done(token), "key": "another"}], begin=jobs, ahead="only") is None
    assert not q.ledger(f"k{begins[0]}") and not q.ledger(f"k{begins[2]}", "other")
    del q.may_fold
    *_, begun, _ = q.turn(settle=[{**done(token), "key": "another"}], begin=jobs)
    assert sorted(begun[0]) == sorted("CCCCG" if q.counts else "GGGGC")
    q.settle({**done(begins[2]), "account": "other"})


def test_others_beside_a_whole_bundle_are_named(q, running):
    _, begins = running
    token = q.one("another", "another")
    q.push("fresh")
    [(fresh, _)] = q.claim(1)
    q.may_fold = lambda *_: True
    assert q.turn(settle=[{**done(token), "key": "another"}], begin=starts([*begins, fresh]), ahead="only") is None
    q.db.delete(q.order_key("shop", f"k{fresh}"))  # no worker says so, and nobody takes it back
    del q.may_fold
    q.turn(settle=[{**done(token), "key": "another"}], begin=starts([*begins, fresh]))
    assert {*begins, fresh} <= set(q.hash("claims:w"))


def test_one_that_runs_late_takes_no_entry_of_what_has_begun_since(q, running):
    """Its connection had died, and the worker had sent its begins again; the entries are the same, and stay."""
    ends, begins = running
    late = q.turn_sent["w"] + 1
    assert q.begin(*starts(begins), again=True, number=late + 1) == ["G"] * 5
    q.folded = {("w", 1), ("w", 2)}
    for t in begins:
        q.claims["w", t] = "n"
    assert q.turn(settle=[done(t) for t in ends], begin=starts(begins), number=late, ahead="only") is None
    assert all(q.ledger(f"k{t}") == f"S {HASH} w {t}" for t in begins) and set(begins) <= set(q.hash("claims:w"))
