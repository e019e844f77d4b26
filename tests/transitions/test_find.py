"""find.lua: a queue's jobs are looked through wherever they are, in steps, and nothing is changed."""

import pytest

from lib.scripts import HASH, Scripts


@pytest.fixture
def q(shared_redis):
    """Something in every place."""
    q = Scripts(shared_redis)
    q.limits(conc=9)
    q.beat()
    q.push(*[f"job {n}" for n in range(5)])
    q.claim(2)
    q.db.lpush(q.key("taken"), "picked up")
    q.db.hset(q.key("parked"), mapping={"70": "0N {}\ndelayed", "71": '1L71 {"n":1}\nwaits'})
    q.db.zadd(q.key("delayed"), {"70": 1795448588803})
    q.db.zadd(q.key("waiting"), {"shop 0000000000000071": 0})
    q.db.hset(q.key("dead:entries"), "1-1", "dead")
    q.db.zadd(q.key("dead"), {"1-1": 1795448588803})
    q.db.lpush(q.key("results"), "result")
    return q


def find(q, needle="", places="jtidwxr", cursor="", most=100, budget=1000, room=1 << 20, workers=("w",)):
    more = [q.key(f"claims:{w}") for w in workers]
    before = {k: q.db.dump(k) for k in q.db.scan_iter()}
    cursor, looked, *rest = q.call("find", [needle, places, cursor, most, budget, room, *workers], more=more,
                                   worker=workers[0] if len(workers) == 1 else "*")
    assert {k: q.db.dump(k) for k in q.db.scan_iter()} == before
    return cursor, looked, [tuple(rest[i:i + 4]) for i in range(0, len(rest), 4)]


def test_every_place(q):
    cursor, looked, found = find(q)
    assert cursor == "" and looked == len(found) == 10
    assert [(p, t) for p, _, _, t in found] == [
        ("j", "job 2"), ("j", "job 3"), ("j", "job 4"), ("t", "picked up"), ("i", "0N \njob 0"), ("i", "0N \njob 1"), ("d", "0N {}\ndelayed"),
        ("w", '1L71 {"n":1}\nwaits'), ("x", "dead"), ("r", "result")]
    by = {p: (n, d) for p, n, d, _ in found}
    assert by["d"] == ("70", "1795448588803") and by["w"] == ("71", "shop") and by["x"] == ("1-1", "1795448588803")
    assert by["i"] == ("1.1", "- w")


def test_only_what_holds_the_text(q):
    assert [t for *_, t in find(q, "job 3")[2]] == ["job 3"]
    assert find(q, "nowhere") == ("", 10, [])
    assert [t for *_, t in find(q, "job %d")[2]] == [], "a text, not a pattern"


def test_one_place(q):
    assert [t for *_, t in find(q, places="w")[2]] == ['1L71 {"n":1}\nwaits']


@pytest.mark.parametrize("most,budget,room", [(1, 1000, 1 << 20), (100, 1, 1 << 20), (100, 1000, 1), (3, 2, 1 << 20)])
def test_in_steps_everything_is_seen_once(q, most, budget, room):
    seen, cursor, steps = [], "", 0
    while True:
        cursor, looked, found = find(q, cursor=cursor, most=most, budget=budget, room=room)
        seen += found
        steps += 1
        assert looked <= budget and len(found) <= most and steps < 50
        if cursor == "":
            break
    assert seen == find(q)[2] and steps > 3


def test_more_than_a_chunk(q):
    q.push(*[f"long {n}" for n in range(160)])
    assert [t for *_, t in find(q, "long 159")[2]] == ["long 159"]
    assert find(q, places="j", most=1000)[1] == 163


def test_claims_say_what_they_do(q):
    """In the order of their batches; what has ended is none any more."""
    q.limits("free")
    q.push(*[f"more {n}" for n in range(9)])
    for _ in range(9):
        q.claim(1)
    tokens = [t for t, _ in q.claim(3)]
    q.db.set(q.order_key("shop", "k1"), f"L {HASH} 1")
    assert q.begin((tokens[0], "k0"), (tokens[1], "k1", "shop", "L"), ("2.0", "k2", "free")) == ["G"] * 3
    q.settle({"token": "1.1", "op": "done"}, {"token": "3.0", "op": "done"})
    assert [(name, what) for _, name, what, _ in find(q, places="i")[2]] == [
        ("1.0", "- w"), ("2.0", "p w"), *[(f"{n}.0", "- w") for n in range(4, 11)], ("11.0", "P w"), ("11.1", "L w"), ("11.2", "- w")]


def test_a_record_is_whole_wherever_the_claim_came_from(q):
    q.db.zadd(q.key("delayed"), {"70": 5})
    q.db.zadd(q.key("gates"), {"shop": 5})
    q.claim(4)
    assert [(name, text) for _, name, _, text in find(q, places="i")[2]][2:] == [
        ("2.0", "0N {}\ndelayed"), ("2.1", '1L71 {"n":1}\nwaits'), ("2.2", "0N \npicked up"), ("2.3", "0N \njob 2")]


def test_several_workers(q):
    q.beat("v")
    q.db.delete(q.key("delayed"))
    q.claim(1, worker="v")
    assert [(d, t) for _, _, d, t in find(q, places="i", workers=("v",))[2]] == [("- v", "0N \npicked up")]
    assert [(n, d) for _, n, d, _ in find(q, places="i", workers=("w", "v"))[2]] == [("1.0", "- w"), ("1.1", "- w"), ("1.0", "- v")]


def test_a_text_that_somebody_took_away(q):
    q.db.delete(q.key("batch:w:1"))
    assert find(q, places="i") == ("", 0, [])


def test_what_waits_longest(q):
    now = int(q.now())
    q.db.zadd(q.key("delayed"), {"70": now - 5000, "60": now + 60000, "50": 17})
    q.db.hset(q.key("parked"), "72", '0N72 {"q":5}\nlater')
    q.db.zadd(q.key("waiting"), {"other 0000000000000072": 0})
    q.db.zadd(q.key("gates"), {"other": 1, "shop": 2})
    record, due, overdue = q.call("waits", [])
    assert record.endswith("waits") and int(due) == now - 5000 and overdue == 2, "a returned claim's number is no time, but it is due"
