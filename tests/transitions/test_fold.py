"""fold.lua: the claims of a bundle as one entry of the in-flight set. Calm turns leave it so; whoever needs more than that
of the worker's claims finds them all."""

import random

import pytest

from lib.scripts import HASH, Scripts

CREATED = f'C {HASH} 5 ["77"]'
ROOM = 1 << 22
JOBS = [f"job {i}" for i in range(6)]


@pytest.fixture(params=["calm", "ahead"])
def q(shared_redis, request):
    scripts = Scripts(shared_redis)
    scripts.ahead = request.param == "ahead"
    scripts.limits()
    scripts.beat()
    scripts.settle(done(scripts.one("first", "first"), "first"))  # from now on turns are calm
    scripts.db.delete(scripts.key("results"))
    yield scripts
    scripts.db.config_set("maxmemory", 0)
    scripts.books()


def done(token, key=None):
    return {"token": token, "op": "done:created", "key": key or f"k{token}", "result": "r", "ledger": CREATED}


def retry(token):
    return {"token": token, "op": "retry", "due": 0, "body": "N {}"}


def filled(q, bundle=1, jobs=JOBS, **how):
    """The jobs, claimed as a bundle: their tokens."""
    q.push(*jobs)
    *_, claimed = q.turn(claim=[len(jobs), ROOM, 0], bundle=bundle, **how)
    assert claimed[0] == "BUNDLE"
    return [token for token, _ in q.claimed_of(claimed)]


def begin(q, tokens, **how):
    assert not tokens or q.begin(*[(t, f"k{t}") for t in tokens], **how) == ["G"] * len(tokens)


def stored(q, worker="w", name="inflight"):
    return [k.decode() for k in q.db.hkeys(q.key(f"{name}:{worker}"))]


def held(q, worker="w"):
    listed = q.call("held", [], worker)
    return dict(zip(listed[::2], listed[1::2]))


def begun(q):
    tokens = filled(q)
    begin(q, tokens)
    return tokens


def test_a_bundle_is_one_entry_until_it_has_ended(q):
    tokens = filled(q)
    assert stored(q) == ["folded"]
    begin(q, tokens)
    assert stored(q) == ["folded"] and sorted(stored(q, "w", "claims")) == ["folded:1", "left:1"]
    assert q.hash("claims:w") == {t: f"pshop:k{t}" for t in tokens}
    assert q.settle(*map(done, tokens[:2])) == ["OK"] * 2
    assert stored(q) == ["folded"] and sorted(q.hash("inflight:w")) == tokens[2:]
    assert q.settle(*map(done, tokens[2:])) == ["OK"] * 4
    assert q.hash("inflight:w") == {} and stored(q, "w", "claims") == []
    q.turn(ended=[1])
    assert stored(q) == [] and not q.db.exists(q.key("inflight:w"), q.key("bundle:w:1"))


def test_several_at_a_time(q):
    one, two = filled(q, 1), filled(q, 2, ["a", "b"])
    begin(q, one + two)
    three = filled(q, 3, ["c"], settle=[done(t) for t in one], ended=[])
    assert stored(q) == ["folded"] and sorted(q.hash("inflight:w")) == sorted(two + three)
    *_, claimed = q.turn(begin=[(t, f"k{t}") for t in three], settle=[done(t) for t in two], ended=[1], claim=[1, ROOM, 0], bundle=4)
    assert claimed[0] == "OK" and sorted(q.hash("inflight:w")) == three
    assert {k.decode()[-1] for k in q.db.scan_iter(q.key("bundle:*"))} == {"2", "3"}


def test_one_that_begins_in_part_is_unfolded(q):
    tokens = filled(q)
    begin(q, tokens[:4])
    assert sorted(stored(q)) == sorted(q.hash("inflight:w")) == tokens
    assert q.settle(*map(done, tokens[:2])) == ["OK"] * 2 and sorted(stored(q)) == tokens[2:]
    begin(q, tokens[4:])
    assert q.settle(*map(done, tokens[2:])) == ["OK"] * 4 and stored(q) == []


def test_what_begins_of_one_is_not_taken_for_what_begins_of_another(q):
    """As many jobs begin as one of the bundles has, but not all of them are its own."""
    other = filled(q, 2, ["a", "b", "c", "d"])
    begin(q, other[:1])
    assert "folded" not in stored(q)
    tokens = filled(q, 1)
    begin(q, tokens[:4] + other[1:3])
    assert sorted(q.hash("inflight:w")) == sorted(tokens + other)
    assert sorted(t for t, claim in held(q).items() if not claim) == sorted(tokens[4:] + other[3:])


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [1, 0, 2, 3, 4, 5]])
def test_one_that_begins_in_another_order_is_unfolded(q, order):
    tokens = filled(q)
    begin(q, [tokens[i] for i in order])
    assert sorted(stored(q)) == sorted(stored(q, "w", "claims")) == tokens
    assert q.settle(*map(done, tokens)) == ["OK"] * 6 and stored(q) == stored(q, "w", "claims") == []


@pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 200])
def test_claims_of_large_ones_end_in_any_order(q, count):
    tokens = filled(q, jobs=[f"job {i}" for i in range(count)])
    begin(q, tokens)
    left = set(tokens)
    order = random.Random(count).sample(tokens, count)
    while order:
        ends, order = order[:11], order[11:]
        assert q.settle(*map(done, ends)) == ["OK"] * len(ends)
        left -= set(ends)
        assert set(q.hash("inflight:w")) == set(q.hash("claims:w")) == left and stored(q) == ["folded"]
    assert stored(q, "w", "claims") == []


@pytest.mark.parametrize("counted", [0, 3, 6])
def test_requests_that_are_counted_and_such_that_are_not(q, counted):
    q.limits("other", conc=10)
    tokens = filled(q)
    of = {t: "other" if i < counted else "shop" for i, t in enumerate(tokens)}
    assert q.begin(*[(t, f"k{t}", of[t]) for t in tokens]) == ["G"] * 6
    assert q.hash("claims:w") == {t: ("P" if of[t] == "other" else "p") + f"{of[t]}:k{t}" for t in tokens}
    assert ("folded" in stored(q)) == ("folded:1" in stored(q, "w", "claims")) == (counted != 3)
    q.books()
    assert q.settle(*[{**done(t), "account": of[t]} for t in tokens[1:]]) == ["OK"] * 5
    assert list(q.hash("claims:w")) == [tokens[0]]
    assert q.settle({**retry(tokens[0]), "account": of[tokens[0]]}) == ["OK"] and q.hash("claims:w") == {}


def test_long_keys_and_odd_ones(q):
    keys = ["x" * 5000, "", "a:b", "\u20ac", "left:1", "folded:1"]
    tokens = filled(q)
    assert q.begin(*[(t, key) for t, key in zip(tokens, keys)]) == ["G"] * 6
    assert "folded:1" in stored(q, "w", "claims")
    assert q.hash("claims:w") == {t: f"pshop:{key}" for t, key in zip(tokens, keys)}
    assert q.settle(*[done(t, key) for t, key in zip(tokens[:3], keys)]) == ["OK"] * 3
    assert q.settle({**done(tokens[3], keys[3]), "claim": "b"}, again=True) == ["OK"]
    assert q.hash("claims:w") == {t: f"pshop:{key}" for t, key in zip(tokens[4:], keys[4:])}


def test_what_has_ended_does_not_end_again_on_the_short_way(q):
    tokens = begun(q)
    assert q.settle(*map(done, tokens[:2])) == ["OK"] * 2
    if q.ahead:
        assert q.turn(settle=[done(tokens[1]), done(tokens[2])], ahead="only") is None
        assert sorted(q.hash("claims:w")) == tokens[2:] and len(q.list("results")) == 2


def test_a_ledger_entry_of_a_folded_claim_has_a_holder(q):
    tokens = begun(q)
    keys = [q.order_key("shop", f"k{tokens[0]}"), q.key("claims:w")]
    entry = q.ledger(f"k{tokens[0]}")

    def held_by(token):
        return q.db.eval(q.texts["audit_holder"], 2, *keys, entry, token)
    assert (held_by(tokens[0]), held_by(tokens[5]), held_by("77.7b")) == (0, 0, 1)


def test_one_that_begins_in_part_leaves_a_table(q):
    """A hash of few short values is a list to Redis, and finding a claim in it a walk."""
    begin(q, filled(q, jobs=[f"job {i}" for i in range(100)])[:50])
    assert q.db.object("encoding", q.key("inflight:w")) == b"hashtable" and len(q.hash("inflight:w")) == 100


def test_what_does_not_change_is_not_written_again(q):
    def writes_of(settle):
        q.db.config_resetstat()
        assert q.settle(done(settle)) == ["OK"]
        return q.db.info("commandstats")["cmdstat_hset"]["calls"]
    one = begun(q)
    alone = writes_of(one[0])
    begin(q, filled(q, 2, ["a", "b"]))
    assert writes_of(one[1]) == alone


def test_fresh_jobs_beside_it(q):
    tokens = filled(q)
    q.push("alone")
    [(alone, _)] = q.claim(1)
    begin(q, tokens + [alone])
    assert sorted(stored(q)) == [alone, "folded"]
    assert q.settle(done(alone), done(tokens[0])) == ["OK"] * 2
    assert stored(q) == ["folded"] and sorted(q.hash("inflight:w")) == tokens[1:]


@pytest.mark.parametrize("state", ["never begun", "begun", "begun in part", "half of it settled"])
@pytest.mark.parametrize("deed", ["retry", "again", "doubt", "slow"])
def test_turns_that_are_not_calm_find_each_claim(q, state, deed):
    tokens = filled(q)
    begun_n = {"never begun": 0, "begun in part": 3}.get(state, 6)
    begin(q, tokens[:begun_n])
    left = tokens
    if state == "half of it settled":
        q.settle(*map(done, tokens[:3]))
        left = tokens[3:]
    if deed == "retry":
        assert q.settle(retry(left[0])) == ["OK"]
    elif deed == "again":
        assert q.settle({**done(left[0]), "claim": "b"}, again=True) == ["OK"]
        assert q.settle({**done(left[0]), "claim": "b"}, again=True) == ["LOST"]
    elif deed == "doubt":
        assert q.settle(done(left[0]), doubt=True) == ["OK"]
        assert q.settle(done(left[0]), doubt=True) == ["LOST"]
    else:
        q.calm = False
        assert q.settle(done(left[0])) == ["OK"]
    assert sorted(q.hash("inflight:w")) == left[1:] and "folded" not in stored(q)


def test_a_dead_workers_claims_are_recovered(q):
    never, has = filled(q), filled(q, 2, ["a", "b", "c"])
    begin(q, has)
    q.settle(done(has[0]))
    assert held(q) == {**{t: "" for t in never}, **{t: f"pshop:k{t}" for t in has[1:]}}
    assert stored(q) == ["folded"]
    q.expire()
    status, left, given, unknown = q.recover()
    assert (status, left, given, unknown) == ("OK", "0", "6", "2")
    assert q.jobs() == JOBS and sorted(v.split("\n")[1] for v in q.hash("parked").values()) == ["b", "c"]
    assert not q.db.exists(q.key("inflight:w"), q.key("claims:w"))


def test_recovered_piece_by_piece(q):
    filled(q)
    q.expire()
    assert q.recover(most=4)[:3] == ["OK", "2", "4"] and q.recover(most=4)[:3] == ["OK", "0", "2"] and q.jobs() == JOBS


def test_who_holds_nothing_leaves(q):
    tokens = begun(q)
    assert q.leave() == "HOLDS"
    q.settle(*map(done, tokens))
    assert stored(q) == ["folded"] and q.leave() == "OK" and not q.db.exists(q.key("inflight:w"))


def test_how_many_there_are(q):
    tokens = begun(q)
    filled(q, 2, ["a", "b"])
    q.push("alone")
    q.claim(1)
    q.settle(*map(done, tokens[:1]))
    more = [q.key("inflight:w"), q.key("claims:w")]
    assert q.beat()[3] == "8" and q.call("holds", []) == 8
    assert q.call("status", ["w"], more=more)[3][3] == "8"
    status, numbers, breaches, _ = q.call("audit", [100, "w"], more=more)
    numbers = dict(zip(numbers[::2], numbers[1::2]))
    assert status == "OK" and breaches == [] and (numbers["in_flight"], numbers["begun"]) == ("8", "5")


def test_when_redis_is_full_it_settles(q):
    tokens = begun(q)
    q.db.config_set("maxmemory", 1)
    assert q.settle({**retry(tokens[0]), "op": "dead:rejected", "due": "d1", "body": "{}"}, done(tokens[1])) == ["OK", "OK"]
    assert sorted(q.hash("inflight:w")) == tokens[2:]


def test_when_redis_is_full_bundles_go(q):
    tokens = begun(q)
    kept = filled(q, 2, ["a", "b"])
    q.settle(*map(done, tokens))
    q.calm = False
    q.db.config_set("maxmemory", 1)
    q.turn(ended=[1])
    assert sorted(stored(q)) == kept and not q.db.exists(q.key("bundle:w:1"))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_done_of_it(q, seed):
    """What is there is what should be, after each of many turns of any kind."""
    dice = random.Random(seed)
    place, open_claims, began, free = {}, {}, set(), list(range(1, 8))
    for step in range(30):
        q.calm = dice.random() < 0.8
        new = [t for t in open_claims if t not in began]
        whole = dice.random() < 0.6
        starts = [t for t in new if whole or dice.random() < 0.5][:dice.randrange(0, 20)]
        if whole and starts:
            one = place[starts[0]]
            starts = [t for t in new if place[t] == one]
        ends = [t for t in open_claims if t in began and dice.random() < 0.6]
        settle = [retry(t) if dice.random() < 0.03 else done(t) for t in ends]
        over = [n for n in set(place.values()) if n and not any(place[t] == n for t in open_claims) and n not in free]
        claim, bundle = [dice.randrange(1, 12), ROOM, 0], dice.choice(free + [0]) if free else 0
        q.push(*[f"{seed} {step} {i}" for i in range(dice.randrange(0, 10))])
        reply = q.turn(begin=[(t, f"k{t}") for t in starts], settle=settle, claim=claim, bundle=bundle, ended=over)
        assert reply[3] is None or set(reply[3][0]) == {"G"}
        assert reply[2] is None or reply[2][0] == "O" * len(ends)
        began |= set(starts)
        for t in ends:
            del open_claims[t]
        free += over
        got = q.claimed_of(reply[4])
        if reply[4][0] == "BUNDLE":
            free.remove(bundle)
        for token, text in got:
            place[token], open_claims[token] = bundle if reply[4][0] == "BUNDLE" else 0, text
        place = {t: n for t, n in place.items() if n in set(range(1, 8)) - set(free) or t in open_claims}
        assert sorted(q.hash("inflight:w")) == sorted(open_claims)
        assert set(q.hash("claims:w")) == began & set(open_claims)
    q.books()
    q.expire()
    for _ in range(3):
        q.recover()
    assert not q.db.exists(q.key("inflight:w"), q.key("claims:w"))
