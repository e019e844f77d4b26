"""`dray audit`: each kind of breach is planted and must be found; a living queue must balance."""

import json

import pytest

from lib.process import clean_env, dray
from lib.scripts import HASH, Scripts, write_batch


@pytest.fixture
def q(shared_redis):
    """A queue with something in every place."""
    q = Scripts(shared_redis)
    q.server = shared_redis
    q.limits(conc=9)
    q.beat()
    for n in range(6):
        q.one(f"j{n}", f"k{n}")
    tokens = list(q.inflight())
    q.settle({"token": tokens[0], "op": "done", "key": "k0", "ledger": f'C {HASH} 1 ["1"]', "result": "r"},
             {"token": tokens[1], "op": "dead", "key": "k1", "ledger": "D", "due": "1-1", "body": "{}"},
             {"token": tokens[2], "op": "retry", "key": "k2", "ledger": "D", "due": 60000, "body": "N {}"})
    q.db.hset(q.key("pauses"), "shop", "0 x")
    q.settle({"token": tokens[3], "op": "wait", "key": "k3", "ledger": "D", "body": "N {}"})
    q.push("fresh", "later")
    q.claim(1)
    return q


def change(q, n, worker="w", **changes):
    """What is stored of a batch is changed."""
    b = q.batches_of(worker)[n]
    for name, value in changes.items():
        setattr(b, name, value)
    q.db.hset(q.key(f"claims:{worker}"), n, write_batch(b))


def drop(q, n, worker="w"):
    q.db.hdel(q.key(f"claims:{worker}"), n)
    q.db.delete(q.key(f"batch:{worker}:{n}"))


def copy(q, n, to):
    """A batch stands at another worker, too."""
    q.beat(to)
    q.db.hset(q.key(f"claims:{to}"), n, q.db.hget(q.key("claims:w"), n))
    q.db.copy(q.key(f"batch:w:{n}"), q.key(f"batch:{to}:{n}"))


def audit(q, *more):
    done = dray("audit", "--force", *more, env=clean_env({"DRAY_REDIS_URL": q.server.url}))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def report(q):
    code, out, err = audit(q, "q", "--json")
    assert err == "", err
    said = json.loads(out)
    assert said["ok"] == (code == 0) and len(said["queues"]) == 1
    return said["queues"][0]


def test_a_queue_in_order(q):
    said = report(q)
    assert said["ok"] and said["breaches"] == []
    expected = {"taken": 7, "settled": 1, "died": 1, "delayed": 1, "waiting": 1, "in_flight": 3, "begun": 2, "dead": 1,
                "jobs": 1, "results": 1, "ledger_entries": 3}
    assert {k: said[k] for k in expected} == expected


def test_as_a_table(q):
    code, out, _ = audit(q, "q")
    head, row = out.splitlines()
    assert code == 0 and head.split()[:2] == ["queue", "taken"] and row.split()[0] == "q" and row.endswith("balance")


def test_an_empty_queue_balances(shared_redis):
    q = Scripts(shared_redis)
    q.server = shared_redis
    assert report(q)["ok"]


# The claims that are left: 5.0 and 6.0 have begun, 7.0 has not. Their batches' numbers are their jobs', as each is of one.
PLANTS = {
    "a batch vanishes": (lambda q: drop(q, 5), "the books do not balance.*1 missing"),
    "a claim ends, and nobody has its job": (lambda q: change(q, 7, letters=".", left=0), "the books do not balance.*1 missing"),
    "a job is there twice": (lambda q: q.db.hset(q.key("parked"), "99", "0N \nx") and q.db.zadd(q.key("delayed"), {"99": 5}),
                             "the books do not balance.*1 too many"),
    "a dead letter vanishes": (lambda q: (q.db.zrem(q.key("dead"), "1-1"), q.db.hdel(q.key("dead:entries"), "1-1")),
                               "dead letters do not balance.*1 missing"),
    "a dead letter without its text": (lambda q: q.db.hdel(q.key("dead:entries"), "1-1"), "1 dead letters are listed, 0 are kept"),
    "parked, in no list": (lambda q: q.db.delete(q.key("delayed")), "job 3 is parked, but neither delayed nor waiting"),
    "delayed, not parked": (lambda q: q.db.hdel(q.key("parked"), "3"), "delayed names job 3, which is not parked"),
    "waiting, not parked": (lambda q: q.db.hdel(q.key("parked"), "4"), "waiting names job 4, which is not parked"),
    "delayed and waiting": (lambda q: q.db.zadd(q.key("delayed"), {"4": 5}), "job 4 is in delayed and in waiting"),
    "in flight and parked": (lambda q: q.db.hset(q.key("parked"), "5", "0N \nx"), "job 5 is in flight at w and parked"),
    "at two workers": (lambda q: copy(q, 5, "v"), "claim 5 is held by (w and by v|v and by w)"),
    "in two batches": (lambda q: change(q, 6, first=5), "claim 5 is held by w and by w"),
    "nobody's claims": (lambda q: q.db.zrem(q.key("workers"), "w"), "claims:w holds 3 jobs, but nobody recovers it"),
    "a batch without its jobs": (lambda q: q.db.delete(q.key("batch:w:5")), "batch 5 of w has 1 claims and 0 jobs"),
    "a batch with a job too many": (lambda q: q.db.rpush(q.key("batch:w:5"), "x"), "batch 5 of w has 1 claims and 2 jobs"),
    "a batch that is no list": (lambda q: (q.db.delete(q.key("batch:w:5")), q.db.set(q.key("batch:w:5"), "x")),
                                "batch 5 of w has 1 claims and no list"),
    "a batch that no claim names": (lambda q: q.db.hdel(q.key("claims:w"), 5), "batch:w:5 holds jobs, and claims:w does not name it"),
    "a batch of nobody": (lambda q: q.db.rpush(q.key("batch:ghost:1"), "x"), "batch:ghost:1 holds jobs, and claims:ghost does not"),
    "a batch without a number": (lambda q: q.db.rpush(q.key("batch:x"), "x"), "batch:x holds jobs, and claims:x does not"),
    "too many are left of a batch": (lambda q: change(q, 5, left=2), "batch 5 of w says that 2 claims are left, there are 1"),
    "an order that nobody knows": (lambda q: change(q, 5, begun={}), "claim 5.0 of w has begun, and its order is not known"),
    "a begun claim that is gone": (lambda q: change(q, 5, letters="-"), "account shop counts 2 requests under way, its claims are 1"),
    "a slot too many": (lambda q: q.set_gate(conc=3), "account shop counts 3 requests under way, its claims are 2"),
    "an account without a gate": (lambda q: q.db.hdel(q.key("accounts"), "shop"), "account shop has 2 requests under way and no gate"),
    "nobody watches those who wait": (lambda q: q.db.delete(q.key("gates")), "jobs of account shop wait, and no gate"),
    **{f"sending, under {what}": (lambda q, by=by: q.db.set(q.order_key("shop", "kx"), f"S {HASH} {by}"), f"ledger: shop:kx says that {by.split()[0]}")
       for what, by in {"nobody's claim": "ghost 5.0", "a batch that is gone": "w 1.0", "a place that is none": "w 5.1",
                        "a claim that never began": "w 7.0", "no token": "w 5.0f", "half a token": "w 5"}.items()},
    "sending, under a claim that has ended": (lambda q: (q.db.set(q.order_key("shop", "kx"), f"S {HASH} w 5.0"), change(q, 5, letters=".")),
                                              "ledger: shop:kx says that w"),
    "sending, by what is looked up": (lambda q: (q.db.set(q.order_key("shop", "kx"), f"S {HASH} w 5.0"), change(q, 5, letters="L")),
                                      "ledger: shop:kx says that w"),
}


@pytest.mark.parametrize("what", PLANTS)
def test_each_breach_is_found(q, what):
    import re
    plant, words = PLANTS[what]
    plant(q)
    said = report(q)
    assert not said["ok"] and said["breach_count"] >= 1
    assert any(re.search(words, b) for b in said["breaches"]), said["breaches"]
    code, out, _ = audit(q, "q")
    assert code == 1 and re.search(words, out)


def test_many_breaches_are_counted_and_the_first_listed(q):
    for n in range(1000, 1500):
        q.db.zadd(q.key("delayed"), {str(n): 5})
    said = report(q)
    assert said["breach_count"] > 500 and len(said["breaches"]) == 100


def test_claims_that_have_ended_are_not_in_flight(q):
    q.push(*"abcde")
    tokens = [t for t, _ in q.claim(5)]
    assert q.begin((tokens[0], "ka", "free"), (tokens[1], "kb", "free")) == ["G", "G"]
    q.settle({"token": tokens[0], "account": "free", "op": "done", "key": "ka", "ledger": "D"},
             {"token": tokens[3], "account": "free", "op": "retry", "body": "N {}"})
    said = report(q)
    assert said["ok"] and (said["in_flight"], said["begun"], said["delayed"]) == (6, 3, 2)


def test_a_worker_of_an_older_format_has_no_batches(q):
    """`dray audit` says that the format is another one; what stands there breaks nothing."""
    q.db.hset(q.key("claims:old"), "1.1f", "Pshop:key-of-some-length")
    assert report(q)["ok"]


def test_without_a_queue_to_look_at(shared_redis):
    done = dray("audit", env=clean_env({"DRAY_REDIS_URL": shared_redis.url}))
    assert done.returncode == 2 and b"name a queue" in done.stderr
    assert dray("audit", "no such", env=clean_env({"DRAY_REDIS_URL": shared_redis.url})).returncode == 2


def test_without_redis():
    assert dray("audit", "q", env=clean_env({"DRAY_REDIS_URL": "unix:///nowhere/redis.sock"})).returncode == 3


def test_very_many_parked_jobs_are_counted_and_looked_at_one_by_one_only_if_wanted(q):
    """Half a second in which Redis answers nobody is for --deep only."""
    pipe = q.db.pipeline(transaction=False)
    for n in range(100_000, 125_000):
        pipe.hset(q.key("parked"), n, "0N \nx")
        pipe.zadd(q.key("delayed"), {n: 5})
    pipe.hincrby(q.key("stats"), "taken", 25_000)
    pipe.execute()
    q.db.zrem(q.key("delayed"), 100_000)
    q.db.zadd(q.key("delayed"), {"99": 5})  # counts agree, the jobs do not
    assert report(q)["ok"] and report(q)["looked_at"] == 0
    code, out, _ = audit(q, "q")
    assert code == 0 and "--deep" in out
    code, out, _ = audit(q, "q", "--deep")
    assert code == 1 and "job 100000 is parked, but neither" in out and "names job 99, which is not parked" in out
