"""Hours at the gate, by a simulated clock: the scripts on a real Redis, where TIME is a number of ours.

A fleet is played: whenever something is due it claims, begins, and settles as the provider would answer.
"""

import random
import re

import pytest

from lib.scripts import HASH, Scripts, as_text

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
START = 1_700_000_000_000


class Clock(Scripts):
    """Scripts whose clock stands still but for advance()."""

    def __init__(self, server):
        super().__init__(server)
        self.at = float(START)
        clock = "{redis.call('HGET','clock','s'),redis.call('HGET','clock','u')}"
        self.shas = {}
        for name, text in self.texts.items():
            self.shas[name] = self.db.script_load(text.replace("redis.call('TIME')", clock))
            assert "'TIME'" not in text.replace("redis.call('TIME')", "")
        self.beat()

    def now(self):
        return self.at

    def beat(self, worker="w", lease=10 * 24 * HOUR, info=""):
        return super().beat(worker, lease, info)

    def call(self, script, args, worker="w", more=(), batch=0):
        micros = int(self.at * 1000)
        self.db.hset("clock", mapping={"s": micros // 1_000_000, "u": micros % 1_000_000})
        keys = self.keys_of(script, worker, batch) + list(more)
        reply = self.db.evalsha(self.shas[script], len(keys), *keys, *args)
        return as_text(reply)


@pytest.fixture
def sim(shared_redis):
    clock = Clock(shared_redis)
    yield clock
    clock.books()


class Provider:
    """`answer(account, at)` says s f t h or p<ms>; each request is noted."""

    def __init__(self, sim, answer, jitter=None):
        self.sim, self.answer, self.seen, self.started = sim, answer, {}, {}
        self.rng = random.Random(7)
        self.jitter = jitter

    def play(self, until):
        """Everything that is due, up to then. Answers take no time."""
        sim = self.sim
        while True:
            for _ in range(10_000):
                jobs = sim.claim(64)
                if not jobs:
                    break
                self.send(jobs)
            else:
                raise AssertionError("it spins")
            due = sim.next
            if due < 0 or due > until:
                sim.at = until
                return
            sim.at = max(sim.at, due)

    def send(self, jobs):
        sim = self.sim
        batch = [(token, re.search(r"(\S+) (\S+)$", text).groups()) for token, text in jobs]
        replies = sim.begin(*[(token, key, account) for token, (account, key) in batch])
        settles = []
        for (token, (account, key)), reply in zip(batch, replies):
            if reply != "G":
                assert reply[0] == "W", reply
                continue
            effect = self.answer(account, sim.at)
            self.seen.setdefault(account, []).append(sim.at)
            job = {"token": token, "account": account, "effect": effect, "key": key}
            if effect == "s":
                self.started.setdefault(account, []).append((key, sim.at))
                job.update(op="done", ledger=f"C {HASH} 1 []")
            elif effect == "h":
                job.update(op="wait", due=0, ledger="D", body="")
            else:
                floor = int(effect[1:]) if effect[0] == "p" else 0
                job.update(op="retry", due=max(floor, int(self.rng.random() * 5000)), body='N {"n":1}', ledger="D")
            settles.append(job)
        if settles:
            jitter = self.rng.random() if self.jitter is None else self.jitter
            sim.settle(*settles, jitter=jitter)


def push(sim, account, *names):
    sim.push(*[f"{account} {name}" for name in names])


def test_an_outage_of_ten_minutes_costs_a_handful_of_requests_and_nobody_else(sim):
    """Twelve shops with an order each 3 s, one of them down for ten minutes, one with a dead token all along."""
    shops = [f"shop-{n}" for n in range(12)]
    for shop in shops:
        sim.limits(shop, rate=2, burst=10, failures=10, cooldown=30 * SECOND)
    down, dead = shops[3], shops[7]
    began, ended = START + MINUTE, START + 11 * MINUTE

    def answer(account, at):
        return "f" if account == down and began <= at < ended else "h" if account == dead else "s"

    provider = Provider(sim, answer)
    pushed = {}
    for tick in range(20 * 15):  # 15 minutes
        for shop in shops:
            pushed[(shop, str(tick))] = sim.at
            push(sim, shop, str(tick))
        provider.play(sim.at + 3 * SECOND)
    provider.play(sim.at + 15 * MINUTE)
    for shop in shops:
        if shop in (down, dead):
            continue
        delays = [at - pushed[(shop, key)] for key, at in provider.started[shop]]
        assert len(delays) == 300 and max(delays) == 0  # not one of them waited a moment
    tried = [at for at in provider.seen[down] if began <= at < ended]
    # Ten failures, then probes after 30, 60, 120, 240 s (each up to a quarter more).
    assert 10 <= len(tried) <= 10 + 5, len(tried)
    assert len(provider.started[down]) == 300  # and then all of them, none burned
    after = [at for at in provider.seen[down] if at >= ended]
    assert min(after) - ended <= 480 * SECOND * 1.25
    # The held one: a probe per cool-down, doubling to 16 times of it.
    probes = provider.seen[dead]
    assert len(probes) <= 1 + 4 + 30 * MINUTE / (480 * SECOND)
    assert sim.gate(dead).mode == "h" and dead not in provider.started
    for other in (down, dead):
        for window in range(START, int(sim.at), MINUTE):
            n = sum(window <= at < window + MINUTE for at in provider.seen[other])
            assert n <= 10 + 2 * 60


def test_cool_downs_double_to_their_bound_and_start_again(sim):
    sim.limits("shop", conc=1, failures=3, cooldown=30 * SECOND)
    ok = [False]
    provider = Provider(sim, lambda a, at: "s" if ok[0] else "t", jitter=0)
    push(sim, "shop", *[str(n) for n in range(30)])
    provider.play(START + 2 * HOUR)
    probes = provider.seen["shop"][-12:]
    gaps = [round((b - a) / SECOND) for a, b in zip(probes, probes[1:])]
    assert max(gaps) == 480 and gaps[-5:] == [480] * 5
    first = provider.seen["shop"][2:8]
    assert [round((b - a) / SECOND) for a, b in zip(first, first[1:])] == [30, 60, 120, 240, 480]
    ok[0] = True
    provider.play(sim.at + 10 * MINUTE)
    assert len(provider.started["shop"]) == 30
    ok[0] = False
    push(sim, "shop", *[f"again-{n}" for n in range(10)])
    before = len(provider.seen["shop"])
    provider.play(sim.at + 40 * SECOND)
    assert len(provider.seen["shop"]) - before == 3 + 1  # opened anew, and the cool-down is 30 s again


def test_cool_downs_of_many_accounts_do_not_march_in_step(sim):
    """The provider comes back to one probe after the other, not to a thousand at once."""
    names = [f"shop-{n}" for n in range(50)]
    for name in names:
        sim.limits(name, failures=1, cooldown=30 * SECOND)
        push(sim, name, "1")
    provider = Provider(sim, lambda a, at: "f" if at < START + SECOND else "s")
    # One settlement each, as if from workers of their own: jitter is drawn once per batch.
    for _ in names:
        provider.send(sim.claim(1))
    tills = sorted(sim.gate(name).till for name in names)
    assert START + 30 * SECOND <= tills[0] and tills[-1] <= START + 37.5 * SECOND
    assert tills[-1] - tills[0] > 4 * SECOND and len(set(tills)) > 40
    provider.play(START + MINUTE)
    assert len(provider.started) == 50


@pytest.mark.parametrize("retry_after", [HOUR, 5 * MINUTE])
def test_retry_after_of_an_hour_is_an_hour(sim, retry_after):
    sim.limits("shop", rate=2, burst=5)
    sim.limits("other", rate=2, burst=5)
    told = []

    def answer(account, at):
        if account == "shop" and not told:
            told.append(at)
            return f"p{retry_after}"
        return "s"

    provider = Provider(sim, answer)
    push(sim, "shop", *[str(n) for n in range(20)])
    push(sim, "other", *[str(n) for n in range(20)])
    provider.play(START + 2 * HOUR)
    later = [at for at in provider.seen["shop"] if at > told[0]]
    # What had begun in the same moment could not be called back; then nothing for that long.
    quiet = [at for at in later if at < told[0] + retry_after]
    assert quiet == [] and min(later) == told[0] + retry_after
    assert len(provider.started["shop"]) == 20
    assert max(at for _, at in provider.started["other"]) <= START + 8 * SECOND


def test_the_rate_over_ten_hours_is_exact(sim):
    """100 per hour with a burst of 20, always more work than that: never more in any window, and all of it."""
    sim.limits("shop", rate=100 / 3600, burst=20)
    provider = Provider(sim, lambda a, at: "s")
    push(sim, "shop", *[str(n) for n in range(1100)])
    provider.play(START + 10 * HOUR)
    seen = provider.seen["shop"]
    for first in range(0, len(seen), 7):
        for last in range(first, len(seen), 13):
            assert last - first + 1 <= 20 + (seen[last] - seen[first]) * 100 / HOUR + 1e-6
    assert len(seen) >= 20 + 1000 * 0.999


def test_an_order_that_waits_out_an_outage_burns_nothing_and_may_still_be_too_old(sim):
    """The record of a job that waited an hour is as it was: no attempt was added."""
    sim.limits("shop", failures=1, cooldown=2 * HOUR)
    provider = Provider(sim, lambda a, at: "f")
    push(sim, "shop", "first")
    provider.play(START + MINUTE)
    push(sim, "shop", "second")
    provider.play(START + HOUR)
    records = [r for r in sim.hash("parked").values() if r.endswith("shop second")]
    assert re.match(r'0N\d+ \{"q":\d+\}\nshop second', records[0])


@pytest.mark.parametrize("slots, workers", [(64, 1), (16, 1), (64, 3)])
def test_what_an_outage_of_500s_costs_without_an_exact_look_up(sim, slots, workers):
    """A thousand orders are queued, and for ten minutes the provider answers 500, after which nobody knows whether the order
    exists: dead for good, each. It costs what was under way when it began, and one order per probe."""
    sim.limits("shop", failures=10, cooldown=30 * SECOND)
    names = [f"w{n}" for n in range(workers)]
    for name in names:
        sim.beat(name)
    push(sim, "shop", *[str(n) for n in range(1000)])
    unknown, created, rng = [], [], random.Random(7)
    ends = START + 10 * MINUTE
    while len(unknown) + len(created) < 1000:
        batches = [(name, sim.claim(slots, worker=name)) for name in names]  # all workers at once, before any answer
        due, sent = sim.next, []
        for name, jobs in batches:
            batch = [(token, re.search(r"(\S+) (\S+)$", text).groups()) for token, text in jobs]
            replies = sim.begin(*[(token, key, account) for token, (account, key) in batch], worker=name) if batch else []
            sent.append((name, [(token, key) for (token, (_, key)), reply in zip(batch, replies) if reply == "G"]))
        for name, orders in sent:
            fails = sim.at < ends
            (unknown if fails else created).extend(key for _, key in orders)
            jobs = [{"token": t, "account": "shop", "key": key, "effect": "f" if fails else "s", "op": "dead" if fails else "done",
                     "due": f"dead-{key}", "body": "{}", "ledger": f"{'U' if fails else 'C'} {HASH} 1 x"} for t, key in orders]
            if jobs:
                sim.settle(*jobs, worker=name, jitter=rng.random())
        due = sim.next
        sim.at = max(sim.at + 50, due if due > 0 and not any(orders for _, orders in sent) else 0)
    print(f"{slots} slots, {workers} workers: {len(unknown)} of 1,000 unknown")
    assert slots * workers <= len(unknown) <= slots * workers + 5
    assert len(set(unknown + created)) == 1000


def test_redis_clock_goes_back_an_hour(sim):
    """A rate, a breaker, a hold, a Retry-After, operators' pauses, retries and a dead worker's lease: all go on as if nothing had
    happened, but for the time since the last beat."""
    sim.limits("slow", rate=1, burst=2)
    sim.limits("full", rate=1, burst=50)
    sim.limits("down", failures=1, cooldown=30 * SECOND)
    told, well = [], []

    def answer(account, at):
        if account == "later" and not told:
            told.append(at)
            return f"p{10 * MINUTE}"
        return "s" if well else {"down": "f", "dead": "h"}.get(account, "s")

    provider = Provider(sim, answer, jitter=0)
    push(sim, "slow", *[str(n) for n in range(30)])
    for account in ("full", "down", "dead", "later"):
        push(sim, account, "1", "2")
    sim.beat("gone", lease=30 * SECOND)
    sim.call("pause", ["paused", "pause", str(10 * MINUTE), ""])
    sim.call("pause", ["forever", "pause", "0", ""])
    push(sim, "paused", "1")
    push(sim, "forever", "1")
    provider.play(sim.at + 2 * SECOND)
    assert len(provider.started["slow"]) == 4
    sim.db.zadd(sim.key("delayed"), {"far": START + 5 * MINUTE})
    back_to = sim.at
    assert sim.beat()[4] == "0"
    sim.at = back_to - HOUR
    left = {a: sim.gate(a).till - back_to for a in ("down", "dead", "later")}
    assert 0 < left["down"] <= 30 * SECOND and left["later"] == 10 * MINUTE - 2 * SECOND
    assert sim.beat()[4] == str(HOUR)
    assert {a: sim.gate(a).till - sim.at for a in left} == left
    assert sim.gate("full").ts <= sim.at and sim.gate("slow").ts <= sim.at
    assert sim.db.zscore(sim.key("delayed"), "far") == START + 5 * MINUTE - HOUR
    sim.db.zrem(sim.key("delayed"), "far")
    assert sim.db.zscore(sim.key("workers"), "gone") == START + 30 * SECOND - HOUR
    assert sim.hash("pauses") == {"paused": f"{START + 10 * MINUTE - HOUR} ", "forever": "0 "}
    assert sim.beat()[4] == "0"  # once
    at = sim.at
    well.append(True)
    provider.play(at + 26 * SECOND)
    assert len(provider.started["slow"]) == 30
    assert sim.beat("w")[5:] == []
    provider.play(at + 11 * MINUTE)
    assert sim.beat("w")[5:] == ["gone"]
    for account in ("full", "down", "dead", "later"):
        assert len(provider.started[account]) == 2, account
    assert provider.started["later"][-1][1] == at + left["later"]
    assert at + 10 * MINUTE - 2 * SECOND <= provider.started["paused"][0][1] <= at + 10 * MINUTE
    assert "forever" not in provider.started
    sim.db.hdel(sim.key("pauses"), "forever")
    provider.play(sim.at + 2 * SECOND)
    assert len(provider.started["forever"]) == 1


def test_a_clock_that_is_kept_right_moves_nothing(sim):
    sim.limits("down", failures=1, cooldown=30 * SECOND)
    provider = Provider(sim, lambda a, at: "f", jitter=0)
    push(sim, "down", "1", "2")
    provider.play(sim.at + SECOND)
    before = sim.gate("down"), sim.zset("gates"), sim.zset("delayed")
    sim.beat()
    sim.at -= SECOND
    assert sim.beat()[4] == "0"
    assert (sim.gate("down"), sim.zset("gates"), sim.zset("delayed")) == before
