"""An account whose orders are refused: by a firewall (one of them), all of them alike, or by a rate limit that names no
time. Each test ends with what the provider has really created."""

import json
import threading
import time

from lib.fleet import Fleet
from lib.peer import Answer
from lib.process import dray
from lib.wait import wait_until

SHOP = {"breaker_cooldown": "200ms", "reject_limit": "20"}


class Ledger:
    """A provider that answers as `refuse(key)` says (None: the order is created), and keeps its own books."""

    def __init__(self, fleet_provider, refuse):
        self.provider, self.refuse = fleet_provider, refuse
        self.posts, self.created, self.lock = [], [], threading.Lock()

    def __call__(self, request):
        key = request.json["customOrderId"]
        answer = self.refuse(key)
        with self.lock:
            self.posts.append(key)
            if answer is None:
                self.created.append(key)
        return answer or Answer(200, self.provider.answer(request.json))


def refusal(code, message):
    return Answer(200, {"code": code, "message": message, "data": None})


def test_one_order_that_a_firewall_refuses_is_rejected_and_the_others_go_through(empty_redis, peer):
    """Sixty healthy orders behind it: all are created, and it is refused itself at its third 403."""
    with Fleet(empty_redis, peer.url, {"shop": SHOP}, workers=1) as fleet:
        peer.default = ledger = Ledger(fleet.provider, lambda key: Answer(403, "<html>blocked") if key == "shop-bad" else None)
        fleet.push(fleet.job("shop", "bad"), *[fleet.job("shop", n) for n in range(60)])
        fleet.wait_done(61, 60)
        results = {r["id"]: r for r in fleet.results()}
        bad = results.pop("shop/bad")
        assert {r["status"] for r in results.values()} == {"created"} and {r["attempts"] for r in results.values()} == {1}
        assert (bad["status"], bad["error"]["reason"], bad["error"]["code"]) == ("failed", "rejected", "http_403")
        assert sorted(ledger.created) == sorted(f"shop-{n}" for n in range(60))
        assert ledger.posts.count("shop-bad") == 3 and len(ledger.posts) == 63
        [letter] = [json.loads(v) for v in fleet.db.hvals(fleet.key("dead:entries"))]
        assert [(a["http_status"], a["times"]) for a in letter["attempts"]] == [(403, 3)]
        # The account goes on at once.
        fleet.push(fleet.job("shop", "next"))
        fleet.wait_done(62)
        assert ledger.created[-1] == "shop-next"


def test_an_account_that_is_refused_as_a_whole_rejects_none(empty_redis, peer):
    """Whoever probes, and however often: as long as nobody goes through, it is the account."""
    down = [True]
    with Fleet(empty_redis, peer.url, {"shop": {"breaker_cooldown": "30ms"}}) as fleet:
        peer.default = ledger = Ledger(fleet.provider, lambda key: Answer(401) if down[0] else None)
        fleet.push(*[fleet.job("shop", n) for n in range(3)])
        wait_until(lambda: len(ledger.posts) >= 3 + 8, 60, fleet.state)
        assert fleet.done() == 0 and all(ledger.posts.count(f"shop-{n}") > 2 for n in range(3))
        down[0] = False
        fleet.wait_done(3, 30)
        assert {r["status"] for r in fleet.results()} == {"created"} and sorted(ledger.created) == ["shop-0", "shop-1", "shop-2"]


def test_a_spent_balance_holds_the_account_and_a_top_up_lets_it_go_on(empty_redis, peer):
    """300 orders refused alike: 20 are dead, the rest waits, one probes at a time."""
    spent = [True]
    with Fleet(empty_redis, peer.url, {"shop": SHOP, "other": {}}) as fleet:
        def refuse(key):
            return refusal(20017, "Insufficient balance") if spent[0] and key.startswith("shop") else None
        peer.default = ledger = Ledger(fleet.provider, refuse)
        fleet.push(*[fleet.job("shop", n) for n in range(300)])
        wait_until(lambda: fleet.events("account_held"), 30, fleet.state)
        [line] = fleet.events("account_held")
        assert line["account"] == "shop" and line["reason"].startswith("refused with 20017, ")
        wait_until(lambda: fleet.db.zcard(fleet.key("waiting")) + fleet.done() >= 299, 30, fleet.state)
        posts = len(ledger.posts)
        wait_until(lambda: len(ledger.posts) >= posts + 2, 30, fleet.state)  # probes
        assert fleet.db.zcard(fleet.key("dead")) == 20 == fleet.done() == fleet.stat("rejected") and not ledger.created
        fleet.push(fleet.job("other", 1))
        fleet.wait_done(21)
        text = dray("status", "-c", fleet.workers[0].path).stdout.decode()
        assert "HELD: refused with 20017, " in text and "; " in text
        [queue] = json.loads(dray("status", "--json", "-c", fleet.workers[0].path).stdout)["queues"]
        [shop] = [a for a in queue["accounts"] if a["account"] == "shop"]
        assert shop["state"] == "held" and shop["held"].startswith("refused with 20017, ")
        spent[0] = False
        fleet.wait_done(301, 60)
        assert fleet.db.zcard(fleet.key("dead")) == 20
        assert sorted(ledger.created) == sorted({f"shop-{n}" for n in range(300)} - dead_keys(fleet) | {"other-1"})


def dead_keys(fleet):
    return {json.loads(v)["order_key"] for v in fleet.db.hvals(fleet.key("dead:entries"))}


def test_refusals_that_differ_or_are_few_hold_nothing(empty_redis, peer):
    with Fleet(empty_redis, peer.url, {"shop": {**SHOP, "reject_limit": "5"}, "free": {"reject_limit": "0"}}) as fleet:
        def refuse(key):
            n = int(key.rpartition("-")[2])
            return refusal(20000 + n % 2, "no") if key.startswith("shop") else refusal(20017, "no")
        peer.default = ledger = Ledger(fleet.provider, refuse)
        fleet.push(*[fleet.job("free", n) for n in range(40)])
        fleet.wait_done(40)
        for n in range(20):  # in turns
            fleet.push(fleet.job("shop", n))
            fleet.wait_done(41 + n)
        assert not fleet.events("account_held") and fleet.db.zcard(fleet.key("dead")) == 60 and not ledger.created


def test_a_rate_limit_that_names_no_time_pauses_longer_and_longer(empty_redis, peer):
    until = [time.monotonic() + 5]
    with Fleet(empty_redis, peer.url, {"shop": {"max_attempts": "100", "backoff_cap": "1s", "concurrency": "4"}}) as fleet:
        peer.default = ledger = Ledger(fleet.provider, lambda key: Answer(429) if time.monotonic() < until[0] else None)
        fleet.push(*[fleet.job("shop", n) for n in range(10)])
        fleet.wait_done(10, 60)
        assert {r["status"] for r in fleet.results()} == {"created"} and len(ledger.created) == 10
        pauses = [e["for_ms"] for e in fleet.events("account_paused")]
        assert [round(ms / 1000) for ms in sorted(pauses)][:2] == [1, 2] and len(pauses) <= 4, pauses
