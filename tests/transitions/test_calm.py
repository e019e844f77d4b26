"""calm.lua, the short way through turn.lua: that usual turns take it, that all others are left to the rest, whole, and
that both do the same. (All tests of this folder run both ways.)"""

import random
import re

import pytest

from lib.scripts import HASH, OTHER, Scripts

CREATED = f'C {HASH} 5 ["77"]'
CLAIM = [10, 1 << 22, 0]


@pytest.fixture
def q(shared_redis):
    scripts = Scripts(shared_redis)
    scripts.limits()
    scripts.beat()
    yield scripts
    scripts.db.config_set("maxmemory", 0)
    scripts.books()


def done(token, key, account="shop", result="r"):
    return {"token": token, "op": "done:created", "key": key, "account": account, "result": result, "ledger": CREATED}


def ready(q, account="shop", **limits):
    """A turn that could be calm: one order to settle, one to begin, one to claim."""
    q.limits(account, **limits)
    q.push("old", "new")
    (old, _), (new, _) = q.claim(2)
    assert q.begin((old, "ka", account)) == ["G"]
    q.push("next")
    return {"settle": [done(old, "ka", account)], "begin": [(new, "kb", account)], "claim": CLAIM}


def went_short(q, turn):
    """Runs the turn: whether it went the short way (the other asks how long three sorted sets are), and the reply."""
    q.db.config_resetstat()
    reply = q.turn(**turn)
    return q.db.info("commandstats").get("cmdstat_zcard", {"calls": 0})["calls"] < 2, reply


def test_a_usual_turn(q):
    turn = ready(q)
    short, (_, due, settled, begun, got) = went_short(q, turn)
    assert short and (due, settled, begun) == ("-1", ["O"], ["G"]) and got[3:] == ["f", "next"]
    assert q.list("results") == ["r"] and q.ledger("ka") == CREATED and q.ledger("kb").startswith("S ")
    assert q.db.pttl(q.order_key("shop", "ka")) > 604790000 and q.db.pttl(q.order_key("shop", "kb")) == -1
    assert list(q.hash("claims:w").values()) == ["pshop:kb"]
    assert [q.stat(s) for s in ("taken", "settled", "results", "created")] == [3, 1, 1, 1]
    assert q.hash("accounts") == {}


def test_an_account_with_limits_that_hold_nothing_up(q):
    turn = ready(q, "shop", rate=100, burst=10, conc=5)
    before = q.gate().tokens
    short, (*_, begun, _) = went_short(q, turn)
    assert short and begun == ["C"]
    assert q.gate().conc == 1 and before - 1 <= q.gate().tokens <= before
    assert list(q.hash("claims:w").values()) == ["Pshop:kb"]


def test_the_tokens_of_all_that_begin_are_taken(q):
    q.limits(rate=0.001, burst=3)
    q.push("a", "b", "c", "d")
    tokens = [t for t, _ in q.claim()]
    assert went_short(q, {"begin": [(t, t) for t in tokens[:2]]})[0]
    assert 1 <= q.gate().tokens < 1.1
    short, (*_, begun, _) = went_short(q, {"begin": [(t, t) for t in tokens[2:]]})
    assert not short and begun[0] == "GW"


def test_places_that_come_free_in_the_turn_are_taken_in_it(q):
    turn = ready(q, conc=1)
    short, (*_, settled, begun, _) = went_short(q, turn)
    assert short and (settled, begun) == (["O"], ["C"]) and q.gate().conc == 1


def test_more_jobs_than_fit_go_back_in_their_order(q):
    q.push("before")
    q.claim(1)  # of a worker that has claimed nothing yet, the first turn goes the long way
    q.push(*(f"{i}" * 100 for i in range(6)))
    q.first_pop = 4
    short, (*_, claimed) = went_short(q, {"claim": [6, 250, 0]})
    got = q.claimed_of(claimed)
    assert short and [r[0] for _, r in got] == ["0", "1", "2"] and [r[0] for r in q.jobs()] == ["3", "4", "5"]


def trouble_due(q):
    q.db.hset(q.key("parked"), "1", "0N {}\nparked")
    q.db.zadd(q.key("delayed"), {"1": q.now() - 5})
    q.db.hincrby(q.key("stats"), "taken", 1)


def trouble_waits(q):
    q.db.hset(q.key("parked"), "1", "0N1 {}\nparked")
    q.db.zadd(q.key("waiting"), {"shop 0000000000000001": 0})
    q.db.zadd(q.key("gates"), {"shop": q.now() + 50000})
    q.db.hincrby(q.key("stats"), "taken", 1)


TROUBLE = {
    "failed before": lambda q: q.set_gate(fails=1),
    "breaker open": lambda q: q.set_gate(mode="b", till=q.now() + 50000),
    "account paused": lambda q: q.db.hset(q.key("pauses"), "shop", "0 reason"),
    "queue paused": lambda q: q.db.hset(q.key("pauses"), "", "0 reason"),
    "something is due": trouble_due,
    "others of the account wait": trouble_waits,
    "something was picked up": lambda q: (q.db.lpush(q.key("taken"), "picked")),
    "other limits": lambda q: None,
    "key is taken": lambda q: q.db.set(q.order_key("shop", "kb"), f"C {OTHER} 5 []"),
    "lease ran out": lambda q: q.expire(),
    "recovered": lambda q: q.db.hdel(q.key("stats"), "turn:w"),
    "stats lost": lambda q: q.db.hset(q.key("stats"), "seq", 0),
    "high water": lambda q: q.db.lpush(q.key("results"), "unread"),
    "high water, reached by this turn": lambda q: None,
    "sent again": lambda q: None,
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_what_is_out_of_the_ordinary_is_left_to_the_rest(q, trouble):
    """With the same outcome, reply and keys, as if the short way had not been tried."""
    replies, dumps = [], []
    for calm in (True, False):
        q.db.flushall()
        q.claims, q.turn_sent, q.turn_answered, q.highest = {}, {}, {}, {}
        q.beat()
        turn = ready(q)
        TROUBLE[trouble](q)
        if "high water" in trouble:
            turn["claim"] = [10, 1 << 22, 1]
        if trouble == "other limits":
            turn["version"] = "0"
        if trouble == "sent again":
            turn["again"] = True
        q.calm = calm
        short, reply = went_short(q, turn)
        assert not short
        replies.append([reply[2], [begun[:1] for begun in [reply[3]] if begun], reply[4] and [reply[4][0], *reply[4][3:]]])
        dumps.append({k: v for k, v in q.dump("workers", "accounts").items() if b"inflight" not in k and b"order" not in k})
    one, other = (re.sub(r'\{"q":\d+\}', "", str(r)) for r in replies)  # since when a job waits
    assert one == other
    assert dumps[0].keys() == dumps[1].keys()
    q.db.delete(q.key("stats"))
    q.db.flushall()


def test_a_later_time_does_not_make_it_long(q):
    turn = ready(q)
    q.db.hset(q.key("parked"), "1", "0N {}\nparked")
    q.db.zadd(q.key("delayed"), {"1": q.now() + 60000})
    q.db.hincrby(q.key("stats"), "taken", 1)
    short, (now, due, *_) = went_short(q, turn)
    assert short and 59000 < float(due) - float(now) <= 60001


def test_others_that_wait_do_not_make_it_long(q):
    turn = ready(q)
    q.db.hset(q.key("parked"), "1", "0N1 {}\nparked")
    q.db.zadd(q.key("waiting"), {"other 0000000000000001": 0})
    q.db.zadd(q.key("gates"), {"other": "+inf"})
    q.db.hincrby(q.key("stats"), "taken", 1)
    short, (_, due, *_) = went_short(q, turn)
    assert short and due == "-1"


@pytest.mark.parametrize("key", ["jobs", "results", "delayed", "parked", "waiting", "gates", "pauses", "taken", "accounts",
                                 "inflight:w", "claims:w", "stats", "workers"])
def test_a_key_of_the_wrong_type(q, key):
    """Nothing is written on the short way, and what the rest does of it is the rest's."""
    turn = ready(q)
    for name in [key, "kept"]:
        q.db.delete(q.key(name))
    q.db.set(q.key(key), "text")
    q.db.config_resetstat()
    try:
        q.turn(**turn)
    except Exception as error:
        assert "WRONGTYPE" in str(error)
    assert q.db.get(q.key(key)) == b"text"
    if key in ("inflight:w", "claims:w"):
        assert q.list("results") == [] and q.ledger("kb") is None and q.ledger("ka").startswith("S ")
    if key == "results":
        assert q.ledger("ka").startswith("S ") and q.hash("claims:w")
    q.db.flushall()


def test_a_begin_is_taken_back_where_results_is_no_list(q):
    """MSETNX comes before the results: another job's key is free again when they can't be pushed."""
    turn = ready(q)
    q.db.set(q.key("results"), "text")
    *_, settled, begun, _ = q.turn(**turn)
    assert settled == ["W"] and begun == ["G"]
    assert q.ledger("ka").startswith("S ") and q.ledger("kb").startswith("S ")
    q.db.delete(q.key("results"))
    assert q.settle(*turn["settle"]) == ["OK"]


def test_when_redis_is_full_it_settles_and_begins_nothing(q):
    turn = ready(q)
    q.db.config_set("maxmemory", 1)
    *_, settled, begun, claimed = q.turn(**turn)
    assert settled == ["O"] and begun[0] == "" and claimed[0] == "REFUSED"
    assert q.list("results") == ["r"] and q.ledger("kb") is None


def play(q, seed):
    """A hundred turns of a worker, some of them odd; what came of them but for numbers of claims."""
    rng, held, begun, out, results = random.Random(seed), [], [], [], []
    accounts = {"plain": {}, "rated": {"rate": 1e6, "burst": 1000}, "few": {"conc": 3}}
    for account, limits in accounts.items():
        q.limits(account, **limits)
    pushed = 0
    for _ in range(100):
        n = rng.randrange(8)
        q.push(*(f"job-{pushed + i}" for i in range(n)))
        pushed += n
        ends, begun = begun, []
        settle = []
        for token, key, account in ends:
            kind = rng.random()
            if kind < 0.9:
                settle.append(done(token, key, account, f"r-{key}"))
            else:
                settle.append({"token": token, "op": "dead:rejected", "key": key, "account": account, "effect": "f", "due": f"d-{key}",
                               "body": "{}", "ledger": "D", "result": f"f-{key}"})
        starts = [(t, f"{rng.randrange(200)}", rng.choice(list(accounts))) for t in held]
        claim = [rng.randrange(4, 9), 1 << 20, rng.choice([0, 0, 4, 8, 16])]  # of less than four, chance decides who waits
        _, _, settled, answers, got = q.turn(settle=settle, begin=starts, claim=claim)
        out.append((settled and settled[0], answers and answers[0], got[0], [re.sub(r'\{"q":\d+\}', "", r) for _, r in q.claimed_of(got)]))
        for _ in range(rng.randrange(6)):
            results.append(q.db.rpop(q.key("results")))
        begun = [job for job, letter in zip(starts, answers[0] if answers else "") if letter in "GC"]
        back = [job[0] for job, letter in zip(starts, answers[0] if answers else "") if letter in "DKBU"]
        if back:
            q.settle(*({"token": t, "op": "dead:rejected", "account": "", "effect": "-", "due": f"d-{t}", "body": "{}"} for t in back))
        held = [t for t, _ in q.claimed_of(got)]
        q.books()
    counters = {k: v for k, v in q.hash("stats").items() if not k.startswith(("turn:", "limits", "clock"))}
    return out, counters, results, q.list("results"), q.jobs()


@pytest.mark.parametrize("seed", range(8))
def test_both_ways_come_to_the_same(q, seed):
    outcomes = []
    for calm in (True, False):
        q.db.flushall()
        q.claims, q.turn_sent, q.turn_answered, q.highest = {}, {}, {}, {}
        q.beat()
        q.calm = calm
        q.db.config_resetstat()
        outcomes.append(play(q, seed))
        assert ("cmdstat_msetnx" in q.db.info("commandstats")) == calm
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("conc", [0, 9])
def test_full_buckets_of_several_accounts(q, conc):
    """Many gates are the same then, but not those of other limits, nor where more than one job begins."""
    accounts = {"a": (50, 1), "b": (50, 2), "c": (60, 1), "d": (50, 1), "e": (60, 3)}
    for account, (burst, _) in accounts.items():
        q.limits(account, rate=0.001, burst=burst, conc=conc)
    jobs = [account for account, (_, n) in accounts.items() for _ in range(n)]
    q.push("first", *jobs)
    q.claim(1)
    tokens = [t for t, _ in q.claim(20)]
    short, (*_, begun, _) = went_short(q, {"begin": [(t, t, a) for t, a in zip(tokens, jobs)]})
    assert short and begun == [("C" if conc else "G") * len(jobs)]
    assert {a: (round(q.gate(a).tokens, 2), q.gate(a).conc) for a in accounts} == {a: (burst - n, n if conc else 0) for a, (burst, n) in accounts.items()}
    short, _ = went_short(q, {"settle": [done(t, t, a) for t, a in zip(tokens, jobs)]})
    assert short and all((round(q.gate(a).tokens, 2), q.gate(a).conc) == (burst - n, 0) for a, (burst, n) in accounts.items())


@pytest.mark.parametrize("junk", ["", "junk", "x" * 25, "x" * 21 + "\0\0\0\0", "x" * 300])
@pytest.mark.parametrize("part", ["settle", "begin"])
def test_a_gate_that_cannot_be_read_holds_nobody_up(q, part, junk):
    turn = ready(q, conc=5, rate=100, burst=50)
    q.db.hset(q.key("accounts"), "shop", junk)
    if part == "settle":
        assert q.turn(settle=turn["settle"])[2] == ["O"]
    assert q.turn(begin=turn["begin"])[3] == ["C"]
    assert q.gate().fails == 0 and q.gate().mode == "n" and 48 <= q.gate().tokens <= 50 and q.gate().conc == 1
    q.set_gate(conc=len(q.hash("claims:w")))


def test_a_bucket_without_a_rate_is_full(q):
    """The rate was taken out of the configuration."""
    q.limits(rate=0.001, burst=5)
    q.settle(done(q.one("first", "k1"), "k1"))
    assert q.gate().tokens < 5
    q.limits(conc=5, burst=5)
    q.push("job")
    [(token, _)] = q.claim(1)
    short, (*_, begun, _) = went_short(q, {"begin": [(token, "k2")]})
    assert short and begun == ["C"] and q.gate().tokens == 5 and q.gate().conc == 1
