"""gate.lua, through claim, begin and settle: rate, concurrency, pause, hold, breaker, waiting in order."""

import re

import pytest

from lib.gates import begin_all, fail, go, settle, waiting


def test_the_bucket_gives_its_burst_then_waits(q):
    q.limits(rate=0.001, burst=5)
    answers = [a for _, a in go(q, 8)]
    assert answers == ["G"] * 5 + ["Wr"] * 3
    assert q.claim() == [] and 0 < q.next - q.now() <= 1_000_001


def test_the_rate_over_a_window_is_exact(q):
    """Burst 10, one in 50 s: in 2740 s exactly 10 + 54.8 pass, however the time is cut up; and what the test itself takes."""
    q.limits(rate=0.02, burst=10)
    begun = q.now()
    passed = sum(a == "G" for _, a in go(q, 100))
    for _ in range(200):
        q.age(13_700)
        passed += sum(a == "G" for _, a in begin_all(q, q.claim(100)))
    g, itself = q.gate(), (q.now() - begun) / 50_000
    rest = g.tokens + (q.now() - g.ts) / 50_000
    assert rest < 1 + itself and 64.8 - 0.001 <= passed + rest <= 64.8 + itself + 0.01


def test_tokens_never_exceed_the_burst(q):
    q.limits(rate=100, burst=3)
    [(token, _)] = go(q, 1)
    settle(q, token)
    q.age(10 ** 9)
    assert [a for _, a in go(q, 5, start=10)].count("G") == 3


def test_a_clock_that_steps_back_gives_nothing_away(q):
    q.limits(rate=0.001, burst=2)
    go(q, 2)
    q.set_gate(ts=q.now() + 3600_000)
    assert [a for _, a in go(q, 1, start=5)] == ["Wr"]
    assert q.gate().tokens < 1


def test_waiting_jobs_keep_their_order_and_new_ones_queue_behind(q):
    q.limits(rate=0.001, burst=1)
    go(q, 4)
    go(q, 2, start=4)
    assert waiting(q) == [f"shopshop-{n}" for n in range(1, 6)]
    seen = []
    for _ in range(5):
        q.age(1_000_000)
        [(token, record)] = q.claim()
        seen.append(record.rpartition("\n")[2])
        assert q.begin((token, seen[-1])) == ["G"]
    assert seen == [f"shop-{n}" for n in range(1, 6)]


def test_another_account_passes(q):
    q.limits(rate=0.001, burst=1)
    q.limits("second")
    go(q, 3)
    assert [a for _, a in go(q, 3, "second")] == ["G"] * 3


def test_concurrency_over_all_workers(q):
    q.limits(conc=2)
    q.beat("other")
    first = go(q, 2)
    q.push("shop-x")
    [(token, _)] = q.claim(worker="other")
    assert q.begin((token, "shop-x"), worker="other") == ["Wc"]
    assert q.claim() == [] and q.next == -1
    settle(q, first[0][0])
    claims = q.claim(worker="other")
    [(_, record)] = claims
    assert re.fullmatch(r'0N3 \{"q":\d{13}\}\nshop-x', record)
    assert q.begin((claims[0][0], "shop-x"), worker="other") == ["G"]
    assert q.gate().conc == 2


def test_a_claim_gives_no_more_than_the_gate_lets_through(q):
    q.limits(rate=1, burst=100)
    go(q, 3)
    q.set_gate(tokens=0)
    go(q, 10, start=10)
    assert len(waiting(q)) == 10
    q.set_gate(tokens=4)
    assert len(q.claim(100)) == 4
    assert len(waiting(q)) == 6


def test_a_pause_of_the_provider(q):
    q.limits()
    (one, _), (two, _) = go(q, 2)
    q.settle({"token": one, "op": "retry", "due": 60000, "body": "N {}", "effect": "p60000"})
    settle(q, two, "p5000")  # a shorter one does not shorten it
    assert q.gate().mode == "p" and q.gate().till - q.now() > 50000
    assert [a for _, a in go(q, 1, start=5)] == ["Wp"]
    q.age(61000)
    assert len(q.claim()) == 1 and q.gate().mode == "n"


def test_a_held_account_burns_nothing_and_lets_one_probe_go(q):
    q.limits(cooldown=1000)
    tokens = [t for t, _ in go(q, 5)]
    for n, token in enumerate(tokens):
        fail(q, token, "h", f"shop-{n}")
    assert q.gate().mode == "h" and q.gate().cool == 1000
    assert q.claim() == []
    for n, cool in enumerate((2000, 4000, 8000, 16000, 16000)):
        q.age(20000)
        [(probe, record)] = q.claim()  # one, and no other while it is under way
        assert q.claim() == []
        key = record.rpartition("\n")[2]
        assert key == f"shop-{n}"  # probes go round
        assert q.begin((probe, key)) == ["G"]
        fail(q, probe, "h", key)
        assert q.gate().cool == cool
        assert q.claim() == []
    q.age(20000)
    [(probe, record)] = q.claim()
    q.begin((probe, "shop-0"))
    settle(q, probe)
    assert q.gate().mode == "n"
    assert [r.rpartition("\n")[2] for _, r in q.claim()] == ["shop-1", "shop-2", "shop-3", "shop-4"]


def test_a_probe_that_never_comes_back_is_given_up(q):
    q.limits(cooldown=1000, probe=5000)
    tokens = [t for t, _ in go(q, 2)]
    for n, token in enumerate(tokens):
        fail(q, token, "h", f"shop-{n}")
    q.age(1001)
    assert len(q.claim()) == 1  # claimed with the gate's leave, and never begun
    assert q.claim() == []
    q.age(5001)
    assert len(q.claim()) == 1


@pytest.mark.parametrize("effect", ["f", "t"])
def test_the_breaker_opens_cools_probes_and_doubles(q, effect):
    q.limits(failures=3, cooldown=1000)
    tokens = [t for t, _ in go(q, 3)]
    for n, token in enumerate(tokens[:2]):
        fail(q, token, effect, f"shop-{n}")
    assert q.gate().mode == "n" and q.gate().fails == 2
    fail(q, tokens[2], effect, "shop-2", jitter=1)
    assert q.gate().mode == "b" and q.stat("breaker_opened") == 1
    assert 1200 < q.gate().till - q.now() <= 1251  # a quarter of jitter
    assert q.claim() == []
    q.age(1300)
    [(probe, record)] = q.claim()
    key = record.rpartition("\n")[2]
    q.begin((probe, key))
    fail(q, probe, effect, key)
    assert q.gate().cool == 2000 and q.gate().mode == "b"
    q.age(2100)
    [(probe, record)] = q.claim()
    q.begin((probe, key))
    settle(q, probe)
    assert (q.gate().mode, q.gate().fails) == ("n", 0)
    assert len(q.claim()) == 2


def test_a_success_between_failures_keeps_the_breaker_closed(q):
    q.limits(failures=2)
    for n in range(5):
        (one, _), (two, _) = go(q, 2, start=10 * n)
        settle(q, one, "f")
        settle(q, two, "s")
    assert q.gate().mode == "n" and q.stat("breaker_opened") == 0


def test_late_answers_do_not_close_an_open_breaker(q):
    q.limits(failures=1)
    (one, _), (two, _) = go(q, 2)
    settle(q, one, "f")
    settle(q, two, "s")
    assert q.gate().mode == "b"


def test_a_probe_handed_back_unsent_frees_the_way(q):
    q.limits(cooldown=1000)
    [(token, _)] = go(q, 1)
    fail(q, token, "h", "shop-0")
    q.age(1001)
    [(probe, _)] = q.claim()
    q.begin((probe, "shop-0"))
    q.settle({"token": probe, "op": "wait", "effect": "-", "ledger": "D", "key": "shop-0", "body": ""})
    assert len(q.claim()) == 1


@pytest.mark.parametrize("pause", ["0 broken", "0", "by hand"])
def test_an_operators_pause_is_noticed_and_lifted_within_a_second(q, pause):
    q.limits()
    (one, _), = go(q, 1)
    q.db.hset(q.key("pauses"), "shop", pause)
    assert [a for _, a in go(q, 2, start=1)] == ["Wm", "Wm"]
    assert q.claim() == [] and 0 < q.next - q.now() <= 1001
    settle(q, one)
    q.db.hdel(q.key("pauses"), "shop")
    q.db.zadd(q.key("gates"), {"shop": 1})
    assert [r.rpartition("\n")[2] for _, r in q.claim()] == ["shop-1", "shop-2"]


def test_a_gate_may_be_held_while_an_operator_pauses(q):
    q.limits()
    [(token, _)] = go(q, 1)
    q.db.hset(q.key("pauses"), "shop", "0 x")
    fail(q, token, "h", "shop-0")
    q.age(40000)
    assert q.claim() == []
    assert waiting(q) == ["shopshop-0"]


def test_accounts_share_a_claim(q):
    for account in ("a", "b", "c"):
        q.limits(account)
        q.db.hset(q.key("pauses"), account, "0 x")
        go(q, 20, account)
    q.db.delete(q.key("pauses"))
    for account in ("a", "b", "c"):
        q.db.zadd(q.key("gates"), {account: 1})
    taken = [r.rpartition("\n")[2][0] for _, r in q.claim(30)]
    assert {a: taken.count(a) for a in "abc"} == {"a": 10, "b": 10, "c": 10}


def test_an_account_whose_name_begins_another_is_not_mixed_up(q):
    q.limits("shop-2")
    q.db.hset(q.key("pauses"), mapping={"shop": "0 x", "shop-2": "0 x"})
    go(q, 2)
    go(q, 2, "shop-2")
    q.db.hdel(q.key("pauses"), "shop")
    q.db.zadd(q.key("gates"), {"shop": 1})
    assert [r.rpartition("\n")[2] for _, r in q.claim()] == ["shop-0", "shop-1"]


def test_resume_brings_the_waiting_jobs_back_at_once(q):
    was, stands = q.call("pause", ["shop", "pause", 0, "stock"])
    assert (was, stands) == ("", "0 stock")
    go(q, 2)
    assert q.claim() == []
    assert q.call("pause", ["shop", "resume", 0, ""]) == ["0 stock", ""]
    assert [r.rpartition("\n")[2] for _, r in q.claim()] == ["shop-0", "shop-1"]
    assert q.call("pause", ["shop", "resume", 0, ""]) == ["", ""]


@pytest.mark.parametrize("effect", ["h", "f"])
def test_resume_lets_one_probe_of_a_gate_go_that_is_held_or_open(q, effect):
    q.limits(failures=1, cooldown=60000)
    [(token, _)] = go(q, 1)
    fail(q, token, effect, "shop-0")
    go(q, 2, start=1)
    assert q.claim() == []
    assert q.call("pause", ["shop", "resume", 0, ""]) == ["", ""]
    [(token, record)] = q.claim()
    assert q.gate().mode in "hb" and q.claim() == []
    q.call("pause", ["shop", "resume", 0, ""])  # one probe, whoever asks again meanwhile
    assert q.claim() == []
    q.begin((token, "shop-0"))
    settle(q, token)
    assert q.gate().mode == "n" and len(q.claim()) == 2


def test_resume_leaves_what_the_provider_asked_for(q):
    q.limits()
    [(token, _)] = go(q, 1)
    fail(q, token, "p60000", "shop-0")
    q.call("pause", ["shop", "resume", 0, ""])
    assert q.claim() == [] and q.gate().mode == "p"
    q.call("pause", ["never seen", "resume", 0, ""])
    assert not q.db.hexists(q.key("accounts"), "never seen")
