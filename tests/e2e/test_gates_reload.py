"""A reload under load: accounts and queues come, change and go, and nothing in flight is lost or delayed."""

import os
import signal
import threading
import time

import pytest

from lib.fleet import Fleet
from lib.peer import Answer
from lib.wait import wait_until

LONG = bool(os.environ.get("TESTS_LONG"))


def slow(fleet, seconds):
    return lambda request: Answer(200, fleet.provider.answer(request.json), delay=seconds)


def in_queue(account, queue):
    return {"queue": queue}


def test_a_queue_goes_with_jobs_in_flight_and_comes_back_at_once(empty_redis, peer):
    """Removed: what is in flight ends and is settled, nothing more is taken. Back before that: the worker
    goes on with it at once, it does not wait for the old requests."""
    with Fleet(empty_redis, peer.url, {"keep": {}, "side": in_queue("side", "second")}, workers=1) as fleet:
        peer.default = slow(fleet, 1.5)
        fleet.push(*[fleet.job("side", n) for n in range(3)], queue="second")
        peer.wait_posts(3)
        fleet.configure({"keep": {}}, reload=True)
        fleet.workers[0].wait_event("queue_retired")
        later = fleet.job("side", 9)
        fleet.push(later, queue="second")
        time.sleep(0.4)
        assert fleet.db.lrange(fleet.key("jobs", "second"), 0, -1) == [later.encode()]
        fleet.configure({"keep": {}, "side": in_queue("side", "second")}, reload=True)
        peer.wait_posts(4, 1.0)  # while the first three are under way
        wait_until(lambda: fleet.db.llen(fleet.key("results", "second")) == 4, 10, fleet.state)
        assert len(peer.posts) == 4


def test_a_queue_that_is_gone_is_left_clean(empty_redis, peer):
    with Fleet(empty_redis, peer.url, {"keep": {}, "side": in_queue("side", "second")}, workers=1) as fleet:
        peer.default = slow(fleet, 0.5)
        fleet.push(*[fleet.job("side", n) for n in range(3)], queue="second")
        peer.wait_posts(3)
        fleet.configure({"keep": {}}, reload=True)
        wait_until(lambda: fleet.db.zcard(fleet.key("workers", "second")) == 0, 10, fleet.state)
        assert fleet.db.llen(fleet.key("results", "second")) == 3
        assert not list(fleet.db.scan_iter(fleet.key("claims:*", "second")))
        fleet.push(fleet.job("keep", 1))
        fleet.wait_done(1)
        fleet.configure({"keep": {}, "side": in_queue("side", "second")}, reload=True)
        fleet.push(fleet.job("side", 7), queue="second")
        wait_until(lambda: fleet.db.llen(fleet.key("results", "second")) == 4, 10, fleet.state)


def test_a_queue_that_goes_before_it_was_ever_ready(empty_redis, peer):
    with Fleet(empty_redis, peer.url, {"keep": {}}, workers=1) as fleet:
        peer.default = slow(fleet, 0)
        for _ in range(5):
            fleet.configure({"keep": {}, "side": in_queue("side", "second")})
            fleet.workers[0].send(signal.SIGHUP)
            fleet.configure({"keep": {}}, reload=True)
        fleet.push(fleet.job("keep", 1))
        fleet.wait_done(1)


def test_accounts_change_under_way(empty_redis, peer):
    """Address, provider, queue: orders under way end as they began; new ones go the new way."""
    with Fleet(empty_redis, peer.url, {"a": {}, "b": {}, "c": {}}, workers=1) as fleet:
        peer.default = slow(fleet, 0.8)
        fleet.push(*[fleet.job(name, 1) for name in "abc"])
        peer.wait_posts(3)
        fleet.configure({"a": {"token": "fresh"}, "b": {"provider": "kakaclo-v1"}, "c": {"queue": "second"}}, reload=True)
        assert [e["account"] if "account" in e else e for e in fleet.events("provider_changed")]
        fleet.wait_done(3)
        assert {r["status"] for r in fleet.results()} == {"created"}
        peer.default = slow(fleet, 0)
        fleet.push(fleet.job("a", 2), fleet.job("c", 2))
        fleet.push(fleet.job("c", 3), queue="second")
        peer.wait_posts(5)
        fleet.wait_done(5)
        assert {p.headers["authorization"] for p in peer.posts if p.json["customOrderId"] == "a-2"} == {"Bearer fresh"}
        gone = next(r for r in fleet.results() if r["id"] == "c/2")
        assert gone["error"]["reason"] == "invalid" and gone["error"]["message"].endswith("queue: c")
        wait_until(lambda: fleet.db.llen(fleet.key("results", "second")) == 1, 10, fleet.state)


def test_higher_limits_free_those_who_wait_at_once(empty_redis, peer):
    """Waiting for a token that the old rate promised in a minute."""
    with Fleet(empty_redis, peer.url, {"shop": {"rate": "1/m", "burst": "1"}}) as fleet:
        peer.default = slow(fleet, 0)
        fleet.push(*[fleet.job("shop", n) for n in range(20)])
        fleet.wait_done(1)
        wait_until(lambda: fleet.db.zcard(fleet.key("waiting")) == 19, 10, fleet.state)
        fleet.configure({"shop": {"rate": "50/s", "burst": "10"}}, reload=True)
        fleet.wait_done(20, 5)


@pytest.mark.parametrize("fault", ["[account shop]\nprovider = nobody\n", "[account shop\n", ""])
def test_a_faulty_configuration_is_refused_whole(empty_redis, peer, fault):
    with Fleet(empty_redis, peer.url, {"shop": {}, "second": {}}, workers=1) as fleet:
        peer.default = slow(fleet, 0)
        fleet.workers[0].set_config(fault)
        fleet.reload("reload_refused")
        assert fleet.events("config_fault")
        fleet.push(fleet.job("shop", 1), fleet.job("second", 1))
        fleet.wait_done(2)
        assert {r["status"] for r in fleet.results()} == {"created"}
        fleet.configure({"shop": {}}, reload=True)


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def test_many_reloads_under_load_leak_and_lose_nothing(empty_redis, peer):
    """Queues and accounts come and go all the time while orders flow. AddressSanitizer watches, and the leak
    check at the end."""
    rounds = 200 if LONG else 25
    always = {f"shop-{n}": {} for n in range(5)}
    with Fleet(empty_redis, peer.url, always, workers=1) as fleet:
        peer.default = slow(fleet, 0.01)
        ended, pushed = threading.Event(), []

        def produce():
            while not ended.is_set():
                n = len(pushed)
                fleet.push(fleet.job(f"shop-{n % 5}", n))
                pushed.append(n)
                ended.wait(0.01)
        producer = threading.Thread(target=produce)
        producer.start()
        try:
            files = 0
            for n in range(rounds):
                more = {f"more-{n % 7}-{i}": {} for i in range(n % 3)}
                queues = {f"side-{i}": in_queue("", f"second-{i}") for i in range(n % 4)}
                fleet.configure({**always, **more, **queues}, reload=True)
                if n == 8:
                    files = open_files(fleet.workers[0])
        finally:
            ended.set()
            producer.join()
        fleet.wait_done(len(pushed))
        assert {r["status"] for r in fleet.results()} == {"created"}
        fleet.configure(always, reload=True)
        wait_until(lambda: open_files(fleet.workers[0]) <= files + 5, 15,
                   lambda: f"{open_files(fleet.workers[0])} open files, {files} were")


def test_a_thousand_accounts_reload_while_busy(empty_redis, peer):
    """From a directory. The loop never stands still for long: orders flow on."""
    accounts = {f"shop-{n}": {} for n in range(1000)}
    with Fleet(empty_redis, peer.url, accounts, workers=1, folder=True) as fleet:
        peer.default = slow(fleet, 0)
        fleet.push(*[fleet.job(f"shop-{n}", n) for n in range(0, 1000, 5)])
        changed = {**{f"shop-{n}": {"token": "new"} for n in range(500)}, **{f"new-{n}": {} for n in range(500)}}
        fleet.configure(changed, reload=True)
        fleet.push(*[fleet.job(f"new-{n}", n) for n in range(50)])
        fleet.push(fleet.job("shop-999", "gone"))
        fleet.wait_done(200 + 50 + 1)
        results = {r["id"]: r for r in fleet.results()}
        lost = results.pop("shop-999/gone")
        assert lost["error"]["reason"] == "invalid" and "shop-999" in str(lost["error"])
        [line] = fleet.events("reloaded")
        assert "1000 accounts" in line["message"]
        # Those of accounts that went while their jobs were still on the queue are dead letters, as said.
        failed = [r for r in results.values() if r["status"] != "created"]
        assert all(r["error"]["reason"] == "invalid" for r in failed)
