"""settle.lua: where a job goes, once; who may say so; what the ledger and results learn."""

import pytest
import redis

from lib.scripts import HASH, OTHER, packed_limits

CREATED = f'C {HASH} 5 ["77"]'


def done(token, **more):
    return {"token": token, "op": "done:created", "ledger": CREATED, "key": "k", "result": '{"id":"1"}', **more}


def test_done(q):
    token = q.one()
    assert q.settle(done(token)) == ["OK"]
    assert q.list("results") == ['{"id":"1"}']
    assert q.ledger("k") == CREATED
    assert 604799000 < q.db.pttl(q.order_key("shop", "k")) <= 604800000
    assert (q.stat("settled"), q.stat("created"), q.stat("results")) == (1, 1, 1)
    assert q.inflight() == q.begun() == {} and q.gate().conc == 0


def test_sent_again_nothing_happens_twice(q):
    token = q.one()
    q.settle(done(token))
    before = q.dump("accounts")
    assert q.settle(done(token), again=True) == ["LOST"]
    assert q.dump("accounts") == before


def test_dead(q):
    token = q.one()
    assert q.settle({"token": token, "op": "dead:rejected", "due": "17-1", "body": '{"x":1}', "ledger": "D", "key": "k",
                     "result": "failed"}) == ["OK"]
    assert q.hash("dead:entries") == {"17-1": '{"x":1}'}
    assert abs(q.zset("dead")["17-1"] - q.now()) < 1000
    assert q.ledger("k") is None
    assert (q.stat("died"), q.stat("rejected")) == (1, 1)


def test_retry_keeps_the_text_and_the_position(q):
    q.push("text\nwith 0N \nlines")
    [(token, _)] = q.claim()
    q.begin((token, "k"))
    due = q.now() + 5000
    q.settle({"token": token, "op": "retry", "due": 5000, "body": 'N {"n":1}', "ledger": "D", "key": "k"})
    assert q.hash("parked") == {"1": '0N {"n":1}\ntext\nwith 0N \nlines'}
    assert abs(q.zset("delayed")["1"] - due) < 100


def test_a_late_due_time_is_exact(q):
    """%.14g would round a time of 1e14 ms and more."""
    token = q.one()
    q.settle({"token": token, "op": "retry", "due": 123456789012345, "body": "N {}"})
    now = q.now()
    assert abs(q.zset("delayed")["1"] - (now + 123456789012345)) < 100


def test_back_fresh_is_as_if_it_had_never_been_claimed(q):
    q.push("a", "b", "c")
    tokens = [t for t, _ in q.claim(2)]
    q.settle(*[{"token": t, "op": "back", "account": "", "effect": "-"} for t in reversed(tokens)])
    assert q.jobs() == ["a", "b", "c"]
    assert q.stat("taken") == 0


@pytest.mark.parametrize("begun", [False, True])
def test_back_drops_the_ledger_entry_only_where_the_claim_had_begun(q, begun):
    """A worker that never heard of its begin does not know whose entry stands there."""
    q.push("job")
    [(token, _)], key = q.claim(1), q.order_key("shop", "K")
    if begun:
        assert q.begin((token, "K")) == ["G"]
    else:
        q.db.set(key, "S other w2 77.1f")
    q.settle({"token": token, "op": "back", "account": "shop", "effect": "-", "ledger": "D", "key": "K"})
    assert (q.db.get(key) is None) == begun
    if not begun:
        q.db.delete(key)


def test_back_of_a_job_with_a_past_comes_before_all_others(q):
    token = q.one("old")
    q.settle({"token": token, "op": "retry", "due": 0, "body": 'N {"n":1}', "ledger": "D", "key": "k"})
    q.push("new")
    [(token, _)] = q.claim(1)
    q.settle({"token": token, "op": "back", "effect": "-"})
    assert [r for _, r in q.claim()] == ['0N {"n":1}\nold', "new"]


def test_back_without_an_account_leaves_what_has_begun(q):
    # A begin may run after its connection died, when its worker has just read that it had not.
    token = q.one()
    assert q.settle({"token": token, "op": "back", "account": "", "effect": "-"}) == ["BEGUN"]
    assert q.ledger("k").startswith("S ") and q.list("jobs") == []
    assert q.settle({"token": token, "op": "back", "effect": "-", "ledger": "D", "key": "k"}) == ["OK"]
    assert q.list("jobs") == ["job"]


def test_wait_keeps_its_place(q):
    q.push("a", "b")
    (a, _), (b, _) = q.claim()
    assert q.begin((a, "ka"), (b, "kb")) == ["G", "G"]
    q.settle({"token": b, "op": "wait", "body": "N {}", "ledger": "D", "key": "kb", "effect": "s"})
    q.settle({"token": a, "op": "wait", "body": "N {}", "ledger": "D", "key": "ka", "effect": "s"})
    assert [r for _, r in q.claim()] == ["0N1 {}\na", "0N2 {}\nb"]


def test_the_claim_tells_who_may_settle(q):
    token = q.one()
    q.expire()
    q.recover()
    q.beat()
    assert q.settle(done(token)) == ["LOST"]
    assert q.list("results") == [] and q.stat("fenced") == 1
    assert len(q.hash("parked")) == 1


def test_what_a_zombie_learned_goes_into_the_ledger(q):
    token = q.one()
    q.expire()
    q.recover()
    q.beat("other")
    assert q.ledger("k").startswith(f"L {HASH} ")
    assert q.settle(done(token)) == ["LOST"]
    assert q.ledger("k") == CREATED and q.stat("fenced_learned") == 1
    [(again, record)] = q.claim(worker="other")
    assert record == "1U \njob"
    assert q.begin((again, "k", "shop", "L"), worker="other") == ["D" + CREATED]


@pytest.mark.parametrize("value", ["D", f"L {HASH} 9", f"U {HASH} 9 9-9"])
def test_what_a_zombie_learned_is_not_forgotten(q, value):
    """The job is looked up by another; the zombie's id comes in; then "absent" must not drop it."""
    zombie = q.one()
    q.expire()
    q.recover()
    q.beat("other")
    [(token, _)] = q.claim(worker="other")
    assert q.begin((token, "k", "shop", "L"), worker="other") == ["G"]
    q.settle(done(zombie))
    assert q.settle({"token": token, "op": "retry", "body": 'N {"n":1}', "ledger": value, "key": "k"}, worker="other") == ["OK"]
    assert q.ledger("k") == CREATED and q.stat("ledger_kept") == 1


def test_a_token_of_before_a_failover_settles_nobody_elses_job(q):
    q.push("x", "y")
    [(old, _)] = q.claim(1)
    for name in ("batch:w:1", "claims:w", "stats"):
        q.db.delete(q.key(name))  # the failover forgot the claim, and x would be back on `jobs`
    q.push("x")
    [(new, record)] = q.claim(1)
    assert record == "y" and q.number(old) == q.number(new)
    assert q.settle({"token": old, "op": "done", "result": "r"}) == ["LOST"]
    assert q.inflight() == {new: "y"}


def test_results_that_are_no_list_keep_the_job(q):
    one, two = q.one("a", "ka"), q.one("b", "kb")
    q.db.set(q.key("results"), "x")
    assert q.settle({"token": one, "op": "done", "result": "r"}, {"token": two, "op": "retry", "body": "N {}"}) == ["WRONGTYPE", "OK"]
    assert list(q.inflight()) == [one]
    q.db.delete(q.key("results"))
    assert q.settle({"token": one, "op": "done", "result": "r"}, {"token": two, "op": "retry", "body": "N {}"}, again=True) == ["OK", "LOST"]
    assert q.list("results") == ["r"] and q.stat("fenced") == 0


def test_reply_to(q):
    one, two, three = q.one("a", "ka"), q.one("b", "kb"), q.one("c", "kc")
    q.db.set(q.key("odd"), "x")
    assert q.settle({"token": one, "op": "done", "result": "1", "results": q.key("mine")},
                    {"token": two, "op": "done", "result": "2", "results": q.key("odd")},
                    {"token": three, "op": "done", "result": "3"}) == ["OK"] * 3
    assert q.list("mine") == ["1"]
    assert q.list("results") == ["3", "2"]


def test_results_are_in_the_order_of_the_batch(q):
    tokens = [q.one(f"j{n}", f"k{n}") for n in range(255)]
    assert q.settle(*[{"token": t, "op": "done", "result": str(n)} for n, t in enumerate(tokens)]) == ["OK"] * 255
    assert q.list("results")[::-1] == [str(n) for n in range(255)]


@pytest.mark.parametrize("ttl", ["0", "-5", "1e30", "x"])
def test_an_odd_ledger_ttl_does_not_lose_the_job(q, ttl):
    q.db.hset(q.key("limits"), "shop", packed_limits(ttl=ttl))
    assert q.settle(done(q.one())) == ["OK"]
    assert q.list("results") == ['{"id":"1"}']


@pytest.mark.parametrize("key", ["jobs", "dead", "dead:entries", "delayed", "parked", "waiting", "gates", "accounts", "stats"])
def test_a_key_of_the_wrong_type_changes_nothing(q, key):
    q.unbalanced = True
    one, two, three = q.one("a", "ka"), q.one("b", "kb"), q.one("c", "kc")
    q.db.delete(q.key(key))
    q.db.set(q.key(key), "x")
    before = {k: q.db.dump(k) for k in q.db.scan_iter()}
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        q.settle({"token": one, "op": "done", "result": "r"}, {"token": two, "op": "dead", "due": "1-1", "body": "{}"},
                 {"token": three, "op": "retry", "body": "N {}"})
    assert {k: q.db.dump(k) for k in q.db.scan_iter()} == before


def test_out_of_memory_work_still_ends(q):
    one, two, three = q.one("a", "ka"), q.one("b", "kb"), q.one("c", "kc")
    q.db.config_set("maxmemory", 1)
    assert q.settle({"token": one, "op": "done", "result": "r", "ledger": CREATED, "key": "ka"},
                    {"token": two, "op": "dead", "due": "1-1", "body": "{}"},
                    {"token": three, "op": "retry", "body": "N {}"}) == ["OK"] * 3
    assert q.beat()[2] == "K"
    assert q.list("results") == ["r"]


def test_other_bytes_under_the_key_of_a_zombie(q):
    """The zombie's order exists: so its id is what the ledger must know, also over the other's entry."""
    zombie = q.one()
    q.expire()
    q.recover()
    q.db.set(q.order_key("shop", "k"), f"S {OTHER} other 9.9")
    assert q.settle(done(zombie)) == ["LOST"]
    assert q.ledger("k") == CREATED
