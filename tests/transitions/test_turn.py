"""turn.lua: settling, beginning and claiming in one call; each of them alone: test_settle, test_begin, test_claim."""

import pytest
import redis

from lib.scripts import HASH, OTHER

CREATED = f'C {HASH} 5 ["77"]'


def done(token, key, result="r"):
    return {"token": token, "op": "done:created", "key": key, "result": result, "ledger": CREATED}


CLAIM = [10, 1 << 22, 0]


def claimed(q, n):
    q.push(*[f"job-{i}" for i in range(n)])
    return [token for token, _ in q.claim(n)]


def test_all_three_in_one_call(q):
    old, new = q.one("a", "ka"), claimed(q, 1)[0]
    q.push("next")
    now, due, settled, begun, got = q.turn(begin=[(new, "kb")], settle=[done(old, "ka")], claim=CLAIM)
    assert settled == ["O"] and begun == ["G"] and due == "-1" and abs(int(now) - q.now()) < 1000
    assert got == ["OK", "2", "1", "0", "0", "0"] and list(q.inflight().values()) == ["job-0", "next"]
    assert q.list("results") == ["r"] and q.ledger("ka") == CREATED
    assert q.ledger("kb") == f"S {HASH} w {new}"
    assert q.begun() == {new: "Pshop:kb"} and list(q.inflight()) == [new, "3.0"]
    assert q.gate().conc == 1


def test_where_there_is_nothing_to_do_nothing_moves(q):
    before = q.dump()
    assert q.turn()[1:] == ["-1", None, None, None]
    assert q.dump() == before


def test_what_is_created_in_a_turn_is_a_duplicate_in_the_same(q):
    """Settling comes first: the begin of another job with its key sees the order."""
    first, second = q.one("a", "k"), claimed(q, 1)[0]
    *_, settled, begun, _ = q.turn(begin=[(second, "k")], settle=[done(first, "k")])
    assert (settled, begun) == (["O"], ["D", CREATED])


def test_other_bytes_under_a_key_of_the_same_turn(q):
    """Two jobs with one key begin in one turn: one goes."""
    one, two, three = claimed(q, 3)
    *_, begun, _ = q.turn(begin=[(one, "k"), (two, "k"), (three, "k", "shop", "P", OTHER)])
    assert begun == ["GBK"]
    assert q.gate().conc == 1


def test_a_slot_that_a_settlement_frees_is_claimed_in_the_same_turn(q):
    q.limits(conc=1)
    first = q.one("a", "ka")
    [second] = claimed(q, 1)
    assert q.begin((second, "kb")) == ["Wc"]
    *_, settled, _, got = q.turn(settle=[done(first, "ka")], claim=CLAIM)
    assert settled == ["O"]
    assert got[2:] == ["1", "0", "1", "0"] and [r.endswith("\njob-0") for r in q.inflight().values()] == [True]


def test_a_slot_that_a_settlement_frees_is_begun_in_the_same_turn(q):
    q.limits(conc=1)
    first = q.one("a", "ka")
    [second] = claimed(q, 1)
    *_, settled, begun, _ = q.turn(begin=[(second, "kb")], settle=[done(first, "ka")])
    assert (settled, begun) == (["O"], ["G"])
    assert q.gate().conc == 1


def test_a_job_that_is_handed_back_is_claimed_in_the_same_turn(q):
    [token] = claimed(q, 1)
    *_, settled, _, got = q.turn(settle=[{"token": token, "account": "", "op": "back", "effect": "-"}], claim=CLAIM)
    assert settled == ["O"] and got[2:] == ["1", "0", "0", "0"] and list(q.inflight().values()) == ["job-0"]
    assert q.stat("taken") == 1


def test_many_claims_after_all_others_have_ended(q):
    """The claims' hash goes and comes back within one turn."""
    tokens = [q.one(f"j{n}", f"k{n}") for n in range(20)]
    q.push(*[f"new-{n}" for n in range(20)])
    *_, settled, _, got = q.turn(settle=[done(t, f"k{n}") for n, t in enumerate(tokens)], claim=[20, 1 << 22, 0])
    assert settled == ["O" * 20] and got[2:] == ["20", "0", "0", "0"]
    assert q.begun() == {} and list(q.inflight().values()) == [f"new-{n}" for n in range(20)]


def test_out_of_memory_a_turn_settles_and_takes_nothing_on(q):
    old, new = q.one("a", "ka"), claimed(q, 1)[0]
    q.push("next")
    q.db.config_set("maxmemory", 1)
    _, _, settled, begun, got = q.turn(begin=[(new, "kb")], settle=[done(old, "ka")], claim=CLAIM)
    q.db.config_set("maxmemory", 0)
    assert settled == ["O"] and begun[0] == "" and "maxmemory" in begun[1]
    assert got[0] == "REFUSED" and "maxmemory" in got[1]
    assert q.begun() == {} and list(q.inflight()) == [new] and q.ledger("kb") is None and q.jobs() == ["next"]


def test_without_a_lease_a_turn_only_settles(q):
    old, new = q.one("a", "ka"), claimed(q, 1)[0]
    q.push("next")
    q.expire()
    _, _, settled, begun, got = q.turn(begin=[(new, "kb")], settle=[done(old, "ka")], claim=CLAIM)
    assert (settled, begun, got) == (["O"], ["L"], ["LOST"])
    assert q.jobs() == ["next"] and q.ledger("kb") is None


def test_where_nothing_may_be_written_the_whole_turn_says_so(q):
    """The connection looks for the master anew when it reads such an error: it must not hide in an answer."""
    [token] = claimed(q, 1)
    q.push("next")
    q.db.config_set("min-replicas-to-write", 1)
    try:
        for turn in (dict(claim=CLAIM), dict(begin=[(token, "k")]), dict(settle=[{"token": token, "op": "done"}])):
            with pytest.raises(redis.ResponseError, match="NOREPLICAS|Not enough good replicas"):
                q.turn(**turn)
    finally:
        q.db.config_set("min-replicas-to-write", 0)
    assert list(q.inflight()) == [token] and q.jobs() == ["next"]
