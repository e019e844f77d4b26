"""begin.lua: admission. The ledger, the lease, the claim, and asking twice."""

import pytest
import redis

from lib.scripts import HASH, OTHER, packed_limits


def claims(q, n, **how):
    q.push(*[f"j{i}" for i in range(n)])
    return [token for token, _ in q.claim(n, **how)]


def test_go_writes_the_ledger_and_takes_a_slot(q):
    [token] = claims(q, 1)
    assert q.begin((token, "k")) == ["G"]
    assert q.ledger("k") == f"S {HASH} w {token}"
    assert q.begun() == {token: "Pshop:k"}
    assert q.gate().conc == 1


def test_asked_again_it_answers_go_and_takes_nothing(q):
    q.limits(rate=1, burst=5, conc=5)
    [token] = claims(q, 1)
    assert q.begin((token, "k")) == ["G"]
    before = q.gate()
    assert q.begin((token, "k")) == ["G"]
    after = q.gate()
    assert (after.conc, before.conc) == (1, 1)
    assert after.tokens >= before.tokens


def test_a_look_up_leaves_the_ledger_alone(q):
    token = q.one()
    q.settle({"token": token, "op": "retry", "body": 'L {"n":1}', "ledger": f"L {HASH} 1", "key": "k"})
    [(token, _)] = q.claim()
    assert q.begin((token, "k", "shop", "L")) == ["G"]
    assert q.ledger("k") == f"L {HASH} 1"
    assert q.begun() == {token: "Lshop:k"}


@pytest.mark.parametrize("entry,kind,answer", [
    (f"S {HASH} other 9.9", "P", "B"), (f"L {HASH} 1", "P", "B"), (f"L {HASH} 1", "L", "G"), (f"S {HASH} other 9.9", "L", "B"),
    (f'C {HASH} 1 ["77"]', "P", f'DC {HASH} 1 ["77"]'), (f'C {HASH} 1 ["77"]', "L", f'DC {HASH} 1 ["77"]'),
    (f"U {HASH} 1 9-9", "P", f"UU {HASH} 1 9-9"),
    (f"S {OTHER} other 9.9", "P", "K"), (f"L {OTHER} 1", "P", "K"), (f'C {OTHER} 1 ["7"]', "P", "K"), (f"U {OTHER} 1 9-9", "P", "K"),
    ("", "P", "K"), ("nothing of dray's", "P", "K")])
def test_what_the_ledger_says(q, entry, kind, answer):
    q.db.set(q.order_key("shop", "k"), entry)
    [token] = claims(q, 1)
    assert q.begin((token, "k", "shop", kind)) == [answer]
    assert q.ledger("k") == entry
    if answer != "G":
        assert q.begun() == {} and q.inflight() == {token: "j0"}


def test_two_of_one_key_in_one_batch(q):
    one, two, three = claims(q, 3)
    assert q.begin((one, "k"), (two, "k"), (three, "k", "shop", "P", OTHER)) == ["G", "B", "K"]
    assert q.ledger("k") == f"S {HASH} w {one}"


def test_one_key_under_two_accounts_is_two_orders(q):
    q.limits("second")
    one, two = claims(q, 2)
    assert q.begin((one, "k", "shop"), (two, "k", "second")) == ["G", "G"]


def test_a_ledger_key_that_is_no_text_holds_nobody_up(q):
    q.db.lpush(q.order_key("shop", "bad"), "x")
    one, two = claims(q, 2)
    assert q.begin((one, "bad"), (two, "k"))[1] == "G"


def test_without_the_lease_nothing_begins(q):
    [token] = claims(q, 1)
    q.expire()
    assert q.begin((token, "k")) == ["L"]
    q.db.zrem(q.key("workers"), "w")
    assert q.begin((token, "k")) == ["L"]
    assert q.ledger("k") is None


def test_a_claim_that_was_recovered_is_lost(q):
    [token] = claims(q, 1)
    q.expire()
    q.recover()
    q.beat()
    assert q.begin((token, "k")) == ["L"]
    q.beat("other")
    [(again, _)] = q.claim(worker="other")
    assert q.begin((token, "k")) == ["L"]
    assert q.begin((again, "k"), worker="other") == ["G"]


def test_another_workers_claim_is_lost(q):
    [token] = claims(q, 1)
    q.beat("other")
    assert q.begin((token, "k"), worker="other") == ["L"]


def test_a_full_batch(q):
    tokens = claims(q, 255)
    assert q.begin(*[(t, f"k{n}") for n, t in enumerate(tokens)]) == ["G"] * 255
    assert q.gate().conc == 255


def test_out_of_memory_nothing_begins(q):
    one, two = claims(q, 2)
    q.db.config_set("maxmemory", 1)
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        q.begin((one, "k"))
    assert q.begun() == {} and list(q.inflight()) == [one, two]
    q.db.config_set("maxmemory", 0)
    assert q.begin((one, "k")) == ["G"]


@pytest.mark.parametrize("key", ["workers", "parked", "waiting", "gates", "accounts", "limits", "pauses", "stats"])
def test_a_key_of_the_wrong_type_changes_nothing(q, key):
    q.unbalanced = True
    [token] = claims(q, 1)
    q.db.delete(q.key(key))
    q.db.lpush(q.key(key), "x")
    before = {k: q.db.dump(k) for k in q.db.scan_iter()}
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        q.begin((token, "k"))
    assert {k: q.db.dump(k) for k in q.db.scan_iter()} == before


# -- pick.lua ---------------------------------------------------------------------------------------

def pick_up(q, text):
    q.push(text)
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")


def test_a_picked_up_job_is_claimed_and_begun(q):
    pick_up(q, "lone")
    token, answer = q.pick("lone")
    assert answer == "G"
    assert q.inflight() == {token: "lone"}
    assert q.begun() == {token: "Pshop:k"}
    assert q.db.llen(q.key("taken")) == 0 and q.stat("taken") == 1
    assert q.ledger("k") == f"S {HASH} w {token}"


@pytest.mark.parametrize("left", [0, 1, 3])
def test_a_pick_up_says_how_many_more_jobs_there_are(q, left):
    pick_up(q, "lone")
    for n in range(left):
        q.push(f"other {n}")
    assert q.pick("lone")[1] == "G" and q.left == str(left)


def test_of_several_picked_up_each_takes_its_own(q):
    q.beat("other")
    pick_up(q, "one")
    pick_up(q, "two")
    assert q.pick("two", "k2", "other")[1] == "G"
    assert q.pick("one", "k1")[1] == "G"
    assert list(q.inflight().values()) == ["one"]


NOT_CLAIMED = {
    "gone": lambda q: q.claim(),
    "the queue is paused": lambda q: q.db.hset(q.key("pauses"), "", "0 x"),
    "no lease": lambda q: q.expire(),
    "out of memory": lambda q: q.db.config_set("maxmemory", 1),
}
NOT_BEGUN = {
    "its account is paused": ("Wm", lambda q: q.db.hset(q.key("pauses"), "shop", "0 x")),
    "its key is known": (f"DC {HASH} 1 []", lambda q: q.db.set(q.order_key("shop", "k"), f"C {HASH} 1 []")),
    "others bytes under its key": ("K", lambda q: q.db.set(q.order_key("shop", "k"), f"C {OTHER} 1 []")),
    "its key is under way": ("B", lambda q: q.db.set(q.order_key("shop", "k"), f"S {HASH} other 7.7")),
    "no token": ("Wr", lambda q: (q.limits(rate=0.001, burst=1), q.set_gate(tokens=0.5))),
    "no slot": ("Wc", lambda q: (q.limits(conc=1), q.set_gate(conc=1))),
    "its account is held": ("Wh", lambda q: q.set_gate(mode="h", till=q.now() + 60000)),
    "others wait": ("Wq", lambda q: q.db.zadd(q.key("gates"), {"shop": q.now() + 60000})),
}


@pytest.mark.parametrize("why", NOT_CLAIMED)
def test_where_nothing_may_be_claimed_a_pick_up_does_nothing(q, why):
    q.unbalanced = True
    pick_up(q, "lone")
    NOT_CLAIMED[why](q)
    before = q.dump()
    assert q.pick("lone") is None
    assert q.dump() == before


@pytest.mark.parametrize("why", NOT_BEGUN)
def test_what_is_picked_up_and_may_not_begin_goes_where_any_other_does(q, why):
    q.unbalanced = True
    pick_up(q, "lone")
    answer, happens = NOT_BEGUN[why]
    happens(q)
    entry = q.ledger("k")
    token, got = q.pick("lone")
    assert got == answer and q.begun() == {} and q.ledger("k") == entry
    assert q.db.llen(q.key("taken")) == 0 and q.stat("taken") == 1
    if answer[0] == "W":
        assert q.inflight() == {} and [v.endswith("\nlone") for v in q.hash("parked").values()] == [True]
    else:
        assert q.inflight() == {token: "lone"}


def test_a_job_from_outside_is_claimed_and_begun_beside_the_queue(q):
    """Also where the very same text waits, or was picked up by another."""
    q.push("lone")
    pick_up(q, "lone")
    q.push("lone")
    token, answer = q.pick("lone", outside=True)
    assert answer == "G" and q.inflight() == {token: "lone"} and q.begun() == {token: "Pshop:k"}
    assert (q.db.llen(q.key("taken")), q.db.llen(q.key("jobs")), q.stat("taken")) == (1, 2, 1)
    assert q.ledger("k") == f"S {HASH} w {token}"


@pytest.mark.parametrize("why", sorted(NOT_CLAIMED.keys() - {"gone"}))
def test_a_job_from_outside_of_which_nothing_may_be_claimed_comes_into_no_list(q, why):
    q.unbalanced = True
    NOT_CLAIMED[why](q)
    before = q.dump()
    assert q.pick("lone", outside=True) is None
    assert q.dump() == before


@pytest.mark.parametrize("why", NOT_BEGUN)
def test_a_job_from_outside_that_may_not_begin_comes_into_no_list(q, why):
    q.unbalanced = True
    answer, happens = NOT_BEGUN[why]
    happens(q)
    before = q.dump("gates")
    assert q.pick("lone", outside=True)[1] == answer
    assert q.dump("gates") == before


def test_a_picked_up_job_takes_token_and_slot(q):
    q.limits(rate=0.001, burst=5, conc=3)
    pick_up(q, "lone")
    token, answer = q.pick("lone")
    assert answer == "G"
    assert q.gate().conc == 1 and 4 <= q.gate().tokens < 4.1
    assert q.begun() == {token: "Pshop:k"}


def test_of_an_account_without_limits_a_picked_up_job_stores_nothing(q):
    q.limits()
    pick_up(q, "lone")
    token, answer = q.pick("lone")
    assert answer == "G"
    assert q.db.exists(q.key("accounts")) == 0 and q.begun() == {token: "pshop:k"}


def test_a_pick_up_uses_the_limits_that_redis_holds(q):
    """Where the worker's are of another version."""
    pick_up(q, "lone")
    version = q.hash("stats")["limits"]
    q.limits(rate=0.001, burst=1)
    q.set_gate(tokens=0)
    assert q.pick("lone", told=packed_limits(ttl=1000), version=version, outside=True)[1] == "Wr"
    assert q.pick("lone", told=packed_limits(ttl=1000))[1] == "G"  # which claims to be of that version


@pytest.mark.parametrize("key", ["workers", "claims:w", "gates", "accounts", "limits", "pauses", "stats", "taken", "delayed"])
def test_a_pick_up_at_a_key_of_the_wrong_type_does_nothing(q, key):
    q.unbalanced = True
    pick_up(q, "lone")
    version = q.hash("stats")["limits"] if key != "limits" else "another"
    q.db.delete(q.key(key))
    q.db.set(q.key(key), "x")
    before = q.dump()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE") as error:
        q.pick("lone", told=packed_limits(ttl=1000), version=version)
    assert q.key(key) in str(error.value)
    assert q.dump() == before


def test_out_of_memory_a_picked_up_job_stays(q):
    pick_up(q, "lone")
    q.db.config_set("maxmemory", 1)
    assert q.pick("lone") is None
    assert q.list("taken") == ["lone"] and q.inflight() == {}


def test_an_entry_of_its_own_is_of_a_turn_that_failed_half_way(q):
    """The claim has not begun: nothing was sent."""
    q.push("a")
    [(token, _)] = q.claim()
    q.db.set(q.order_key("shop", "k"), f"S {HASH} w {token}")
    assert q.begin((token, "k"), again=True) == ["G"]
    assert q.ledger("k") == f"S {HASH} w {token}" and token in q.begun()
