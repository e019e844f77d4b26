"""What an account's trouble does, in the whole fleet at once: breaker, Retry-After, refused credentials."""

import time

import pytest

from lib.fleet import Fleet
from lib.peer import Answer, Silence
from lib.scripts import read_gate, write_gate
from lib.wait import SLOW, stays_true, wait_until

STUBBORN = {"max_attempts": "50", "backoff_base": "20ms", "backoff_cap": "50ms"}


def arrivals(sandbox, account):
    return sorted(ms / 1000 for ms in sandbox.get(f"/_sandbox/arrivals?account={account}")["arrivals_ms"])


def test_an_outage_costs_one_probe_per_cool_down(empty_redis, sandbox):
    """Five failures open it. Then one request in the whole fleet per cool-down, which doubles; nothing is
    burned. The first good answer closes it, and everything goes through."""
    shop = {"down": {**STUBBORN, "breaker_failures": "5", "breaker_cooldown": "400ms", "rate": "200/s"}}
    with Fleet(empty_redis, sandbox.url, shop) as fleet:
        sandbox.post("/_sandbox/set?account=down&down=1")
        fleet.push(*[fleet.job("down", n) for n in range(40)])
        wait_until(lambda: fleet.events("breaker_opened"), 15, fleet.state)
        opened = time.time()
        time.sleep(3.2)
        sandbox.post("/_sandbox/set?account=down&down=0")
        fleet.wait_done(40)
        wait_until(lambda: fleet.events("breaker_closed"), 5, "a line breaker_closed")
        seen = [at for at in arrivals(sandbox, "down") if at > opened + 0.2]
        probes = seen[:len(seen) - 40 + 1]  # up to the first that came through
        gaps = [b - a for a, b in zip(probes, probes[1:])]
        # 400, 800, 1,600 ms, each up to a quarter longer: at most three probes fail in these 3.2 s.
        assert 2 <= len(probes) <= 4, probes
        assert all(g > 0.75 for g in gaps) and (len(gaps) < 2 or gaps[1] > 1.5 * gaps[0] * 0.8), gaps
        results = fleet.results()
        assert {r["status"] for r in results} == {"created"}
        # What was under way when it opened, and the probes; no job burned its attempts away.
        assert sum(r["attempts"] - 1 for r in results) <= 2 * 40 + 4
        assert max(r["attempts"] for r in results) <= 8
    # Said once in the whole fleet, counted in Redis.
    [line] = fleet.events("breaker_opened")
    assert (line["account"], line["queue"]) == ("down", "orders") and 300 <= line["for_ms"] <= 500
    assert len(fleet.events("breaker_closed")) == 1
    assert fleet.stat("breaker_opened") == fleet.stat("breaker_closed") == 1


def test_timeouts_open_it_too(empty_redis, peer):
    peer.default = Silence()
    shop = {"mute": {**STUBBORN, "breaker_failures": "3", "breaker_cooldown": "30s", "request_timeout": "300ms",
                     "on_unknown": "resend", "concurrency": "1"}}
    with Fleet(empty_redis, peer.url, shop) as fleet:
        fleet.push(*[fleet.job("mute", n) for n in range(10)])
        wait_until(lambda: fleet.events("breaker_opened"), 15, fleet.state)
        assert fleet.gate("mute")[0] == "b"
        stays_true(lambda: len(peer.posts) == 3, 1.0, "three POSTs")


def test_answers_that_cannot_be_read_open_it(empty_redis, peer):
    """A provider's maintenance page, 200 and HTML: each order sent into it is one more unknown outcome."""
    peer.default = Answer(200, b"<html>back soon</html>", {"Content-Type": "text/html"})
    shop = {"page": {"breaker_failures": "3", "breaker_cooldown": "30s", "concurrency": "1", "on_unknown": "hold"}}
    with Fleet(empty_redis, peer.url, shop, workers=1) as fleet:
        fleet.push(*[fleet.job("page", n) for n in range(10)])
        wait_until(lambda: fleet.events("breaker_opened"), 15, fleet.state)
        assert len(peer.posts) == 3


@pytest.mark.parametrize("after,seconds", [("1", 1), ("3600", 1)], ids=["as said", "capped"])
def test_retry_after_pauses_this_account_and_no_other(empty_redis, peer, after, seconds):
    seen = []

    def answer(request):
        seen.append((request.headers["authorization"].split()[1], request.at))
        if sum(1 for who, _ in seen if who == "told") == 1 and seen[-1][0] == "told":
            return Answer(429, b"{}", {"Retry-After": after})
        return Answer(200, fleet.provider.answer(request.json))

    peer.default = answer
    accounts = {"told": {"concurrency": "1", "retry_after_cap": "1s"}, "free": {}}
    with Fleet(empty_redis, peer.url, accounts) as fleet:
        fleet.push(*[fleet.job("told", n) for n in range(5)])
        wait_until(lambda: fleet.events("account_paused"), 10, fleet.state)
        fleet.push(*[fleet.job("free", n) for n in range(5)])
        fleet.wait_done(5)
        told = [at for who, at in seen if who == "told"]
        assert len(told) == 1 and [who for who, _ in seen].count("free") == 5
        fleet.wait_done(10)
        told = [at for who, at in seen if who == "told"]
        assert seconds - 0.1 <= told[1] - told[0] <= seconds + 1.5
        assert fleet.stat("account_paused") == len(fleet.events("account_paused")) == 1


def test_a_dead_token_is_probed_one_at_a_time_and_forgiven_at_once(empty_redis, peer, tmp_path):
    """The fleet re-reads the token file when it changes; the cool-down of an hour does not matter then."""
    token = tmp_path / "token"
    token.write_text("old")
    good = "Bearer new"
    peer.default = lambda r: (Answer(200, fleet.provider.answer(r.json)) if r.headers["authorization"] == good
                              else Answer(401, b"{}"))
    accounts = {"expired": {"token_file": str(token), "breaker_cooldown": "1h", "max_attempts": "1"}}
    with Fleet(empty_redis, peer.url, accounts) as fleet:
        fleet.push(*[fleet.job("expired", n) for n in range(30)])
        wait_until(lambda: fleet.events("account_held"), 10, fleet.state)
        time.sleep(0.5)
        tried = len(peer.posts)
        stays_true(lambda: len(peer.posts) == tried, 1.0, "no POST while it is held")
        token.write_text("new")
        changed = time.monotonic()
        fleet.wait_done(30)
        assert time.monotonic() - changed < 5 * SLOW
        assert {(r["status"], r["attempts"]) for r in fleet.results()} == {("created", 1)}
    assert len(fleet.events("account_held")) == len(fleet.events("account_released")) == 1


def test_while_held_one_probe_per_cool_down(empty_redis, peer):
    peer.default = Answer(403, b"{}")
    with Fleet(empty_redis, peer.url, {"dead": {"breaker_cooldown": "300ms"}}) as fleet:
        fleet.push(*[fleet.job("dead", n) for n in range(30)])
        wait_until(lambda: fleet.events("account_held"), 10, fleet.state)
        wait_until(lambda: not fleet.db.keys(fleet.key("claims:*")), 5, fleet.state)  # those that had begun before it was held
        mark = time.monotonic()
        time.sleep(2.5)
        probes = [r.at for r in peer.posts if r.at > mark]
        assert 1 <= len(probes) <= 4, probes  # after about 0.3, 0.9, 2.1 s
        assert fleet.db.llen(fleet.key("results")) == 0 and fleet.db.zcard(fleet.key("dead")) == 0


def test_a_redis_whose_clock_goes_back_holds_nothing_up(empty_redis, peer):
    """Case 40 of the field. Everything that Redis holds is put an hour later, which is what a clock set back by an hour looks like."""
    hour = 3_600_000
    first = [Answer(429, b"{}", {"Retry-After": "4"})]
    peer.default = lambda r: first.pop() if first else Answer(200, fleet.provider.answer(r.json))
    with Fleet(empty_redis, peer.url, {"told": {"concurrency": "1"}}, workers=2) as fleet:
        db, key = fleet.db, fleet.key
        fleet.push(*[fleet.job("told", n) for n in range(5)])
        wait_until(lambda: fleet.events("account_paused"), 10, fleet.state)
        wait_until(lambda: db.zcard(key("waiting")) + db.zcard(key("delayed")) == 5, 10, fleet.state)
        for name in ("gates", "delayed", "workers"):
            for member, score in db.zrange(key(name), 0, -1, withscores=True):
                db.zincrby(key(name), hour if score != float("inf") else 0, member)
        gate = read_gate(db.hget(key("accounts"), "told"))
        assert gate.mode == "p"
        gate.ts, gate.till = gate.ts + hour, gate.till + hour
        db.hset(key("accounts"), "told", write_gate(gate))
        db.hincrby(key("stats"), "clock", hour)
        at = time.monotonic()
        fleet.wait_done(5)
        assert time.monotonic() - at < 300  # not the hour
        assert len(peer.posts) == 6
        lines = fleet.events("redis_clock_back")
        assert sum(line["back_ms"] for line in lines) >= hour - 3000 and {line["queue"] for line in lines} == {"orders"}
        assert len(lines) == 1
        assert not fleet.events("worker_recovered")
