"""Workers that stand still for longer than their lease, under load, and come back."""

import time

import pytest

from lib.fates import wait_for_all
from lib.sandbox import Sandbox
from lib.scripts import read_batch
from lib.wait import wait_until
from lib.world import QUEUE, World

JOBS = 200
LEASE = {"lease": "1s"}


@pytest.fixture
def sandbox():
    with Sandbox("--latency", "40ms") as one:
        yield one


def worker(redis, sandbox, name):
    """vu's look-up is exact: what a dead worker left is found, or sent again if it surely is not there."""
    return World(redis, base_url=sandbox.url, provider="vu", worker={**LEASE, "name": name}, queue={"concurrency": "16"},
                 account={"on_unknown": "lookup", "on_absent": "retry", "lookup_delay": "100ms", "request_timeout": "1s"})


@pytest.mark.parametrize("times", [1, 3])
def test_a_worker_stops_past_its_lease_under_load(empty_redis, sandbox, times):
    with worker(empty_redis, sandbox, "zombie") as zombie, worker(empty_redis, sandbox, "heir") as heir:
        ids = [f"job-{n}" for n in range(JOBS)]
        for n, id in enumerate(ids):
            zombie.send(id, f"K-{id}")
            if n % (JOBS // times) == 20:
                wait_until(lambda: any(set(read_batch(b).letters) - set("-.") for k in zombie.db.scan_iter(zombie.key("claims:*zombie*"))
                                       for b in zombie.db.hvals(k)), 20, zombie.state)
                zombie.daemon.sigstop()
                recovered = len(heir.daemon.events_named("worker_recovered"))
                wait_until(lambda r=recovered: len(heir.daemon.events_named("worker_recovered")) > r, 20, heir.state)
                zombie.daemon.sigcont()
            time.sleep(0.002)
        fates = wait_for_all(zombie.db, QUEUE, ids, what=zombie.state)
        assert fates["created"] + fates["duplicate"] == JOBS, fates
        orders = sandbox.orders()["orders"]
        assert len(orders) == JOBS
        assert [o for o in orders if o["created"] != 1] == []
        assert len(zombie.daemon.events_named("loop_stalled")) == times
