"""One concurrency for the whole fleet, also when a worker that held some of it dies."""

import threading
import time

from lib.fleet import Fleet
from lib.peer import Answer, Peer
from lib.scripts import read_batch
from lib.wait import SLOW, wait_until


class Meter:
    """A peer that knows how many requests it is answering at once."""

    def __init__(self, delay):
        self.delay, self.now, self.most, self.lock = delay, 0, 0, threading.Lock()
        self.spent = 0.0  # seconds in all
        self.peer = Peer(self.answer)

    def answer(self, request):
        began = time.monotonic()
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.delay)
        with self.lock:
            self.now -= 1
            self.spent += time.monotonic() - began
        return Answer(200, self.provider.answer(request.json))


def test_three_workers_share_it_and_use_all_of_it(empty_redis):
    meter = Meter(0.05)
    with meter.peer as peer:
        fleet = Fleet(empty_redis, peer.url, {"narrow": {"concurrency": "4"}, "wide": {}})
        meter.provider = fleet.provider
        with fleet:
            began = time.monotonic()
            fleet.push(*[fleet.job("narrow", n) for n in range(100)])
            fleet.wait_done(100)
            took = time.monotonic() - began
        assert meter.most == 4
        assert took < meter.spent / 4 * 2.5 * SLOW  # a freed slot is taken at once, whoever freed it
        assert fleet.gate("narrow") == ("n", 0)


def test_a_worker_that_dies_gives_back_what_it_held(empty_redis):
    """Killed with requests under way: their slots stay taken until its lease runs out, and come back then."""
    meter = Meter(0.6)
    with meter.peer as peer:
        shop = {"narrow": {"concurrency": "6", "on_unknown": "resend", "request_timeout": "1s"}}
        fleet = Fleet(empty_redis, peer.url, shop, worker={"lease": "1500ms"})
        meter.provider = fleet.provider
        with fleet:
            fleet.push(*[fleet.job("narrow", n) for n in range(40)])
            held = {}

            def claims():
                for name in fleet.db.scan_iter(fleet.key("claims:*")):
                    held[name] = sum(letter not in "-." for v in fleet.db.hvals(name) for letter in read_batch(v).letters)
                return max(held.values(), default=0) >= 2
            wait_until(claims, 10, fleet.state)
            victim = max(held, key=held.get).decode().rpartition(":")[2]
            for daemon in fleet.workers:
                if any(e.get("worker") == victim for e in daemon.events_named("ready")):
                    daemon.kill()
            fleet.wait_done(40, 40)
            assert {r["status"] for r in fleet.results()} == {"created"}
            assert fleet.gate("narrow") == ("n", 0)
        assert meter.most <= 6  # the dead one's requests may still be on their way: its slots waited for that
