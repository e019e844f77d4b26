"""`dray audit`: each kind of breach is planted and must be found; a living queue must balance."""

import json

import pytest

from lib.process import clean_env, dray
from lib.scripts import HASH, Scripts


@pytest.fixture
def q(shared_redis):
    """A queue with something in every place."""
    q = Scripts(shared_redis)
    q.server = shared_redis
    q.limits(conc=9)
    q.beat()
    for n in range(6):
        q.one(f"j{n}", f"k{n}")
    tokens = list(q.hash("claims:w"))
    tokens.sort(key=lambda t: int(t.split(".")[0]))
    q.settle({"token": tokens[0], "op": "done", "key": "k0", "ledger": f'C {HASH} 1 ["1"]', "result": "r"},
             {"token": tokens[1], "op": "dead", "key": "k1", "ledger": "D", "due": "1-1", "body": "{}"},
             {"token": tokens[2], "op": "retry", "key": "k2", "ledger": "D", "due": 60000, "body": "N {}"})
    q.db.hset(q.key("pauses"), "shop", "0 x")
    q.settle({"token": tokens[3], "op": "wait", "key": "k3", "ledger": "D", "body": "N {}"})
    q.push("fresh", "later")
    q.claim(1)
    q.begun = tokens[4]
    return q


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


PLANTS = {
    "a job vanishes in flight": (lambda q: (q.db.hdel(q.key("inflight:w"), q.begun), q.db.hdel(q.key("claims:w"), q.begun)),
                                 "the books do not balance.*1 missing"),
    "a job is there twice": (lambda q: q.db.hset(q.key("parked"), "99", "0N \nx") and q.db.zadd(q.key("delayed"), {"99": 5}),
                             "the books do not balance.*1 too many"),
    "a dead letter vanishes": (lambda q: (q.db.zrem(q.key("dead"), "1-1"), q.db.hdel(q.key("dead:entries"), "1-1")),
                               "dead letters do not balance.*1 missing"),
    "a dead letter without its text": (lambda q: q.db.hdel(q.key("dead:entries"), "1-1"), "1 dead letters are listed, 0 are kept"),
    "parked, in no list": (lambda q: q.db.delete(q.key("delayed")), "job 3 is parked, but neither delayed nor waiting"),
    "delayed, not parked": (lambda q: q.db.hdel(q.key("parked"), "3"), "delayed names job 3, which is not parked"),
    "waiting, not parked": (lambda q: q.db.hdel(q.key("parked"), "4"), "waiting names job 4, which is not parked"),
    "delayed and waiting": (lambda q: q.db.zadd(q.key("delayed"), {"4": 5}), "job 4 is in delayed and in waiting"),
    "in flight and parked": (lambda q: q.db.hset(q.key("parked"), q.begun.split(".")[0], "0N \nx"), "in flight at w and parked"),
    "at two workers": (lambda q: (q.beat("v"), q.db.hset(q.key("inflight:v"), q.begun, "j4"), q.db.hset(q.key("claims:v"), q.begun, "pshop:k4")),
                       "is held by (w and by v|v and by w)"),
    "nobody's in-flight set": (lambda q: q.db.zrem(q.key("workers"), "w"), "inflight:w holds 3 jobs, but nobody recovers it"),
    "a claim without a job": (lambda q: q.db.hset(q.key("claims:w"), "77.1", ""), "claim 77.1 of w has no job"),
    "a begun claim that is gone": (lambda q: q.db.hdel(q.key("claims:w"), q.begun), "account shop counts 2 requests under way, its claims are 1"),
    "a slot too many": (lambda q: q.set_gate(conc=3), "account shop counts 3 requests under way, its claims are 2"),
    "an account without a gate": (lambda q: q.db.hdel(q.key("accounts"), "shop"), "account shop has 2 requests under way and no gate"),
    "nobody watches those who wait": (lambda q: q.db.delete(q.key("gates")), "jobs of account shop wait, and no gate"),
    "sending, by nobody": (lambda q: q.db.set(q.order_key("shop", "kx"), f"S {HASH} ghost 5.5f"), "ledger: shop:kx says that ghost"),
    "sending, under a claim that is gone": (lambda q: q.db.set(q.order_key("shop", "kx"), f"S {HASH} w 5.5f"), "ledger: shop:kx says that w"),
    "sending, never begun": (lambda q: [q.db.set(q.order_key("shop", "kx"), f"S {HASH} w {t}") for t in q.hash("inflight:w") if t not in q.hash("claims:w")],
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
